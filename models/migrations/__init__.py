"""Bring a database to the newest schema."""
