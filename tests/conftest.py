"""For all tests: one PostgreSQL server, a fresh database for whoever asks; and what a test needs, as its markers."""

import os
import signal
from collections.abc import Iterable, Iterator

import psycopg
import pytest
from hypothesis import HealthCheck, settings

from tests.postgres import PostgresServer, embedded_server, fresh_database

# How long an example takes, or to think one out, says how busy the machine is; each test has a limit of its own.
settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")

# Whoever asks for one of these fixtures, itself or through another, has the marker; so has the case called "postgres".
# `slow` is given by hand, save where a rule of the contract takes its time: that suite is other people's too, and their
# pytest may not know the marker.
MARKED = {
    "postgres": {"postgres_url", "own_server", "old_server_url"},
    "browser": {"chromium", "firefox_window"},
    "node": {"certified", "old_server_url"},
}
SLOW_RULES = {"test_a_slow_provider_is_no_dead_holder"}


@pytest.hookimpl(tryfirst=True)  # before -m chooses among them
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if unsteady := [item.nodeid for item in items if " at 0x" in item.nodeid]:
        raise pytest.UsageError(f"named after a place in memory, so that no two processes agree: {unsteady[0]}")
    for item in items:
        asked = set(getattr(item, "fixturenames", ()))
        if any(value == "postgres" for value in _cases(item)):
            item.add_marker("postgres")
        for marker, fixtures in MARKED.items():
            if asked & fixtures:
                item.add_marker(marker)
        if getattr(item, "originalname", "") in SLOW_RULES:
            item.add_marker("slow")


def _cases(item: pytest.Item) -> Iterable[object]:
    """The values that a parametrized test is run with."""
    return item.callspec.params.values() if isinstance(item, pytest.Function) and hasattr(item, "callspec") else ()


@pytest.fixture(autouse=True)
def _keyboard_heard() -> None:
    """The keyboard's interrupt is ignored by what a shell starts in the background, and by a command of ours that has
    ended in this process; programs that a test starts inherit that, and some tests are about just this signal."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """The URL of the server the tests share."""
    given = os.environ.get("AUTHSTORE_TEST_PG")
    if given:
        yield given
        return
    with embedded_server() as server:
        yield server.url


@pytest.fixture
def own_server() -> Iterator[PostgresServer]:
    """A server that nobody else uses: it may be stopped and killed."""
    with embedded_server() as server:
        yield server


@pytest.fixture
def source_url(postgres_url: str) -> Iterator[str]:
    """The URL of a fresh database: the one to be moved."""
    with fresh_database(postgres_url) as url:
        yield url


@pytest.fixture
def source(source_url: str) -> Iterator[psycopg.Connection]:
    """An open connection into that database (autocommit): seed and change it through this."""
    with psycopg.connect(source_url, autocommit=True, connect_timeout=10) as connection:
        yield connection
