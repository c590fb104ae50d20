"""The shape of the database: numbered SQL files, a SQLite and a PostgreSQL twin each."""
