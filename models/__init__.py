"""Remember the city: its tables, its migrations, its servers and the plain reads that screens are made of."""
