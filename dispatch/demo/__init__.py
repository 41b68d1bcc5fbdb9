"""Let an invented city live: its people, its past, and what they photograph."""
