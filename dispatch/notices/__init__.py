"""Tell people what happened and what is due, by every channel, as long as it is true."""
