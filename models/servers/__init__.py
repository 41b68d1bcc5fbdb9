"""Run PostgreSQL and Valkey, and lend what connects to them."""
