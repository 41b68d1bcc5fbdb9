"""Pages, one file each: callables that arrange what the city's door and the live picture give them."""
