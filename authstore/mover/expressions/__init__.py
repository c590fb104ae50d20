"""Expressions of PostgreSQL in SQLite's words."""
