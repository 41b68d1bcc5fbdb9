"""Answer the command line: one module a command, which reads arguments, prints and returns the exit code."""
