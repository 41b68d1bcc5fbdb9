"""Draw what assessment alone is made of: the choice of a card above it, and its proof as a file."""
