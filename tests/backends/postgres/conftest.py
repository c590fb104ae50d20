"""A store's database for each test: a copy of one in which the migrations ran."""

import asyncio
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from authstore import connect
from tests.postgres import fresh_database


async def _made(url: str) -> None:
    async with connect(url):
        pass


def template_in(server_url: str) -> Iterator[str]:
    """The name of a database with an empty store in it, to make copies of."""
    with fresh_database(server_url) as url:
        asyncio.run(_made(url))
        yield urlsplit(url).path[1:]


@pytest.fixture(scope="session")
def template(postgres_url: str) -> Iterator[str]:
    """On the server that the tests share."""
    yield from template_in(postgres_url)


@pytest.fixture
def store_url(postgres_url: str, template: str) -> Iterator[str]:
    """The URL of an empty store of this test's own."""
    with fresh_database(postgres_url, template) as url:
        yield url
