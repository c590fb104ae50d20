"""Where files are brought to: one database for all tests of a module, emptied for each."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from tests.mover.emptying import emptied
from tests.postgres import fresh_database


@pytest.fixture(scope="module")
def url(postgres_url: str) -> Iterator[str]:
    with fresh_database(postgres_url) as found:
        yield found


@pytest.fixture
def there(url: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(url, autocommit=True, connect_timeout=10) as link:
        yield emptied(link)
