"""Where files are brought to: one database for all tests of a module, emptied for each."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.mover.emptying import emptied
from tests.mover.sync.trips import Trip
from tests.postgres import fresh_database


@pytest.fixture(scope="module")
def url(postgres_url: str) -> Iterator[str]:
    with fresh_database(postgres_url) as found:
        yield found


@pytest.fixture
def there(url: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(url, autocommit=True, connect_timeout=10) as link:
        yield emptied(link)


@pytest.fixture(scope="module")
def both(postgres_url: str) -> Iterator[tuple[str, str]]:
    with fresh_database(postgres_url) as here, fresh_database(postgres_url) as there:
        yield here, there


@pytest.fixture
def trip(both: tuple[str, str], tmp_path: Path) -> Iterator[Trip]:
    links = [psycopg.connect(url, autocommit=True, connect_timeout=10) for url in both]
    for link in links:
        emptied(link)
    yield Trip(links[0], both[0], links[1], both[1], tmp_path / "auth.db")
    for link in links:
        link.close()
