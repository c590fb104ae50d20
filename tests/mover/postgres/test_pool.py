"""A pool in transaction mode before the source: the same rows come, and nothing of the move stays in the pool."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest

from authstore import connect
from authstore.mover import TargetError, make_plan, move, verify
from authstore.mover.postgres.snapshot import Snapshot
from authstore.mover.tuning import Tuning
from tests.backends.postgres.bouncer import bouncer
from tests.mover.moving import actual, contents, expected, moved, people

_Link = psycopg.Connection[Any]
_SESSIONS = 6  # of the server that the pool has for a database


@pytest.fixture(scope="module")
def address(postgres_url: str) -> Iterator[str]:
    with bouncer(postgres_url) as found:
        yield found


@contextmanager
def all_sessions(url: str) -> Iterator[list[_Link]]:
    """Those of the pool, each with a transaction open."""
    with ExitStack() as opened:
        links = [opened.enter_context(closing(psycopg.connect(url))) for _ in range(_SESSIONS)]
        for link in links:
            link.execute("SELECT 1")
        yield links
        for link in links:
            link.rollback()


@pytest.fixture
def pooled(address: str, source_url: str, request: pytest.FixtureRequest) -> str:
    """A pool that others have used before, since the database is as the test wants it."""
    if "odd" in request.fixturenames:
        request.getfixturevalue("odd")
    url = urlunsplit(urlsplit(source_url)._replace(netloc=f"postgres:secret@{address}"))
    with all_sessions(url):
        return url


@pytest.fixture
def odd(source: _Link) -> _Link:
    """A database with settings of its own, which change how the server writes its values."""
    people(source)
    for setting in ("intervalstyle = 'postgres'", "extra_float_digits = -3", "bytea_output = 'escape'",
                    "timezone = 'Asia/Tokyo'", "datestyle = 'SQL, DMY'", "search_path = 'nowhere'"):  # fmt: skip
        source.execute(f'ALTER DATABASE "{source.info.dbname}" SET {setting}'.encode())
    source.execute("CREATE TABLE odd (id int PRIMARY KEY, long interval, at timestamptz, raw bytea, share float8)")
    source.execute("INSERT INTO odd VALUES (1, '1 mon 3 days', '2026-07-04 12:00+00', '\\x00ff', 1.0 / 3)")
    return source


async def test_the_same_rows_come_as_from_the_server_itself(
    odd: _Link, source_url: str, pooled: str, tmp_path: Path
) -> None:
    await moved(pooled, tmp_path / "pooled.db")
    await moved(source_url, tmp_path / "plain.db")
    assert actual(tmp_path / "pooled.db") == expected(odd)
    assert contents(tmp_path / "pooled.db")["odd"] == contents(tmp_path / "plain.db")["odd"]
    odd.execute("UPDATE note SET pages = 0 WHERE id = 7")
    assert not (await verify(pooled, tmp_path / "pooled.db")).ok
    again = await moved(pooled, tmp_path / "pooled.db")
    assert again.tables["note"].copied == 1
    assert (await verify(pooled, tmp_path / "pooled.db")).ok


def test_settings_hold_where_rows_are_read_and_others_find_their_own(odd: _Link, pooled: str) -> None:
    del odd
    asked = (
        "SELECT current_setting('search_path'), current_setting('statement_timeout'), current_setting('row_security'),"
        " current_setting('intervalstyle'), (SELECT count(*) FROM pg_prepared_statements)"
    )
    with Snapshot(pooled, threading.Event()) as view:
        for link in (view.main, view.another()):
            assert {link.execute(asked).fetchone() for _ in range(9)} == {("pg_catalog", "4h", "off", "iso_8601", 0)}
    with all_sessions(pooled) as links:
        assert {link.execute(asked).fetchone() for link in links} == {("nowhere", "0", "on", "postgres", 0)}


def test_a_long_silence_is_looked_into_behind_the_pool(source: _Link, pooled: str) -> None:
    del source
    with Snapshot(pooled, threading.Event(), tuning=Tuning(silence_seconds=0.5)) as view:
        assert view.main.execute("SELECT pg_sleep(3), 7").fetchall()[0][1] == 7


async def test_as_a_target_it_is_refused_before_anything_is_written(
    source: _Link, pooled: str, source_url: str, tmp_path: Path
) -> None:
    async with connect(tmp_path / "auth.db") as store:
        await store.create_user(email="ada@example.com")
    for _ in range(3):
        with pytest.raises(TargetError, match="pool") as caught:
            await make_plan(f"sqlite:///{tmp_path / 'auth.db'}", pooled)
        assert "session mode" in caught.value.hint
    with psycopg.connect(pooled) as link:
        assert link.execute("SELECT current_setting('search_path')").fetchone() == ('"$user", public',)
    assert source.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'").fetchone() == (0,)
    await move(await make_plan(f"sqlite:///{tmp_path / 'auth.db'}", source_url))
