"""PostgreSQL through asyncpg: many writers, one gate, and a pool that finds the primary."""

from authstore.backends.postgres.database import PostgresDatabase
from authstore.backends.postgres.opening import open_server

__all__ = ["PostgresDatabase", "open_server"]
