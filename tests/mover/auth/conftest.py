"""Here a test's `source` is the module's one database, emptied."""

from typing import Any

import psycopg
import pytest

from tests.mover.emptying import emptied


@pytest.fixture
def source(emptied_database: psycopg.Connection[Any]) -> psycopg.Connection[Any]:
    return emptied(emptied_database)


@pytest.fixture
def source_url(source: psycopg.Connection[Any]) -> str:
    info = source.info
    return f"postgresql://{info.user}:{info.password}@{info.host}:{info.port}/{info.dbname}"
