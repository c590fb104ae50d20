"""A store's database for each test: a copy of one in which the migrations ran."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest

from authstore import connect
from tests.backends.postgres.bouncer import bouncer
from tests.backends.postgres.old_server import old_programs
from tests.postgres import embedded_server, fresh_database


async def _made(url: str) -> None:
    async with connect(url):
        pass


@contextmanager
def template_in(server_url: str) -> Iterator[str]:
    """The name of a database with an empty store in it, to make copies of."""
    with fresh_database(server_url) as url:
        asyncio.run(_made(url))
        yield urlsplit(url).path[1:]


@pytest.fixture(scope="session")
def template(postgres_url: str) -> Iterator[str]:
    """On the server that the tests share."""
    with template_in(postgres_url) as name:
        yield name


@pytest.fixture
def store_url(postgres_url: str, template: str) -> Iterator[str]:
    """The URL of an empty store of this test's own."""
    with fresh_database(postgres_url, template) as url:
        yield url


@contextmanager
def reset(server_url: str, template: str) -> Iterator[str]:
    """A database that is set back to an empty store for each test: a copy for each takes ten times as long."""
    with fresh_database(server_url, template) as url, psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA pristine")
        tables = [name for (name,) in connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")]
        for table in tables:
            connection.execute(f"CREATE TABLE pristine.{table} AS TABLE public.{table}".encode())
        yield url


def set_back(url: str) -> None:
    """Every table as it was when the migrations had run. No trigger and no foreign key looks on."""
    with psycopg.connect(url) as connection:
        connection.execute("SET LOCAL session_replication_role = replica")
        for (name,) in connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'pristine'").fetchall():
            connection.execute(f"DELETE FROM public.{name}".encode())
            connection.execute(f"INSERT INTO public.{name} OVERRIDING SYSTEM VALUE TABLE pristine.{name}".encode())


@pytest.fixture(scope="session")
def one_store_url(postgres_url: str, template: str) -> Iterator[str]:
    """Of the store that `emptied_url` empties."""
    with reset(postgres_url, template) as url:
        yield url


@pytest.fixture
def emptied_url(one_store_url: str) -> str:
    """The URL of an empty store, the same for all tests."""
    set_back(one_store_url)
    return one_store_url


@pytest.fixture(scope="session")
def one_old_store_url(old_server_url: str, old_template: str) -> Iterator[str]:
    with reset(old_server_url, old_template) as url:
        yield url


@pytest.fixture
def emptied_old_url(one_old_store_url: str) -> str:
    """The same on the oldest version."""
    set_back(one_old_store_url)
    return one_old_store_url


@pytest.fixture
def emptied_pooled_url(emptied_url: str, bouncer_address: str) -> str:
    """The same through the pooler."""
    return through(bouncer_address, emptied_url)


@pytest.fixture(scope="session")
def old_server_url() -> Iterator[str]:
    """The URL of a server of the oldest version that is served."""
    with embedded_server(old_programs()) as server:
        yield server.url


@pytest.fixture(scope="session")
def old_template(old_server_url: str) -> Iterator[str]:
    """On that one."""
    with template_in(old_server_url) as name:
        yield name


@pytest.fixture
def old_store_url(old_server_url: str, old_template: str) -> Iterator[str]:
    """The URL of an empty store of this test's own, on the oldest version."""
    with fresh_database(old_server_url, old_template) as url:
        yield url


@pytest.fixture(scope="session")
def bouncer_address(postgres_url: str) -> Iterator[str]:
    """Where a pooler in transaction mode listens."""
    with bouncer(postgres_url) as address:
        yield address


@pytest.fixture
def pooled_url(store_url: str, bouncer_address: str) -> str:
    """The same store, through the pooler."""
    return through(bouncer_address, store_url)


def through(address: str, url: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=f"{parts.username}:{parts.password}@{address}"))
