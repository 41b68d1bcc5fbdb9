"""Show the city to the people who run it and the people it serves."""
