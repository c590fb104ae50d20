"""Emptying a database, so that the next test finds it as if it were new."""

from typing import Any

import psycopg


def emptied(database: psycopg.Connection[Any]) -> psycopg.Connection[Any]:
    """The same connection (autocommit), to a database without any table."""
    query = "SELECT quote_ident(nspname) FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'"
    for (schema,) in database.execute(query).fetchall():
        database.execute(f"DROP SCHEMA {schema} CASCADE".encode())
    database.execute("CREATE SCHEMA public")
    return database
