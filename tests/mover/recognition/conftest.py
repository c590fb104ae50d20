"""Here a test's `source` is the module's one database, emptied."""

from typing import Any

import psycopg
import pytest

from tests.mover.emptying import emptied


@pytest.fixture
def source(emptied_database: psycopg.Connection[Any]) -> psycopg.Connection[Any]:
    return emptied(emptied_database)
