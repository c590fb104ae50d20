"""One database for all tests of a module, emptied between them: much quicker than a fresh one each.

A module imports both fixtures; its `source` then stands before the one of conftest.py.
"""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from tests.postgres import fresh_database


@pytest.fixture(scope="module")
def emptied_database(postgres_url: str) -> Iterator[psycopg.Connection[Any]]:
    with fresh_database(postgres_url) as url, psycopg.connect(url, autocommit=True, connect_timeout=10) as connection:
        yield connection


@pytest.fixture
def source(emptied_database: psycopg.Connection[Any]) -> psycopg.Connection[Any]:
    """An open connection (autocommit) into an empty database."""
    query = "SELECT quote_ident(nspname) FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'"
    for (schema,) in emptied_database.execute(query).fetchall():
        emptied_database.execute(f"DROP SCHEMA {schema} CASCADE".encode())
    emptied_database.execute("CREATE SCHEMA public")
    return emptied_database
