"""Run the whole house on one machine, and draw its law."""
