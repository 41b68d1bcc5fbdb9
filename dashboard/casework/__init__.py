"""Let whoever looks at a case act on it: the next step, what it needs, who can go, one or many at once."""
