"""A table in Postgres' words again: what it was there, or what its rows in SQLite need."""
