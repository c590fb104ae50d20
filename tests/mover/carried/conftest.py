"""A source with users, roles and sessions, made anew for each test in one database."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from tests.mover.carried.planning import USERS, Move
from tests.mover.copying import pinned
from tests.postgres import fresh_database


@pytest.fixture(scope="module")
def database(postgres_url: str) -> Iterator[psycopg.Connection[Any]]:
    with fresh_database(postgres_url) as url, pinned(url) as connection:
        yield connection


@pytest.fixture
def move(database: psycopg.Connection[Any]) -> Move:
    database.execute("RESET ALL")
    database.execute("DROP SCHEMA IF EXISTS public, other, two CASCADE; CREATE SCHEMA public")
    database.execute(USERS)
    return Move(database)
