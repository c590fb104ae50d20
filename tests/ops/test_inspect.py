"""How large a store is and what it holds, by a look that holds nobody up."""

import asyncio
import sqlite3
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from authstore import ConfigurationError, SchemaError, StoreNotFoundError, connect, ops
from authstore.testing import Clock

NOON = datetime(2031, 1, 1, 12, tzinfo=UTC)
# Of 1.5 million places in the table two of three are filled, and a quarter of those sessions is dead.
MANY = """
WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1800000)
INSERT INTO sessions (rowid, id, token_hash, user_id, expires, created_at, last_used_at, authenticated_at)
SELECT i, printf('s%08d', i), zeroblob(32), 'ada',
    iif(i % 4 = 0, '2026-02-01T00:00:00.000000Z', '2126-02-01T00:00:00.000000Z'), now, now, now
FROM n, (SELECT strftime('%Y-%m-%dT%H:%M:%f000Z') AS now) WHERE i % 3 <> 0
"""


@pytest.fixture(params=["sqlite", "postgres", "memory"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Of a new store."""
    if request.param == "postgres":
        source: str = request.getfixturevalue("source_url")
        return source
    return f"sqlite:///{tmp_path}/auth.db" if request.param == "sqlite" else "sqlite://"


async def test_what_a_store_holds_is_counted_by_its_policy_and_clock(url: str) -> None:
    clock = Clock(NOON)
    async with connect(url, clock=clock) as store:
        user = await store.create_user()
        for _ in range(3):
            await store.create_session(user.id)
        clock.advance(timedelta(days=8))  # unused for longer than they may be
        await store.create_session(user.id)
        found = await ops.inspect(store, sizes=True, keep=True)
        tables = {table.name: table for table in found.tables}
        assert (found.sessions_alive, found.sessions_dead, tables["sessions"].rows) == (1, 3, 4)
        assert tables["sessions"].is_exact
        assert (tables["sessions"].bytes or 0) > 0
        assert "sessions_user_id" in tables["sessions"].indexes
        assert found.bytes > 0
        assert found.growth is None
        await store.create_session(user.id)
        later = await ops.inspect(store)
        assert later.growth is not None
        assert (later.growth.since, later.growth.rows["sessions"]) == (clock(), 1)


async def test_a_url_is_looked_at_without_a_trace(tmp_path: Path) -> None:
    path = tmp_path / "auth.db"
    with pytest.raises(StoreNotFoundError):
        await ops.inspect(path)
    async with connect(path) as store:
        await store.create_session((await store.create_user()).id)
    before = (path.read_bytes(), path.stat().st_mtime_ns)
    found = await ops.inspect(f"sqlite:///{path}")
    assert (found.place, found.bytes, found.wal_bytes, found.sessions_alive) == (str(path), len(before[0]), 0, 1)
    assert all(table.bytes is None for table in found.tables)
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before
    assert [each.name for each in tmp_path.iterdir()] == ["auth.db"]
    with pytest.raises(ConfigurationError):
        await ops.inspect("sqlite://")
    (tmp_path / "other.db").touch()
    with pytest.raises(SchemaError):
        await ops.inspect(tmp_path / "other.db")


async def test_the_log_and_what_is_free_are_told(tmp_path: Path) -> None:
    path = tmp_path / "auth.db"
    async with connect(path) as store:
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute("CREATE TABLE big AS SELECT zeroblob(1000000) AS x")
            connection.execute("DROP TABLE big")
        found = await ops.inspect(store)
    assert found.free_bytes > 900_000
    assert found.wal_bytes == 0 or found.wal_bytes > 1_000_000


@pytest.mark.slow
async def test_of_very_many_rows_an_estimate_is_enough_and_nobody_waits_for_it(tmp_path: Path) -> None:
    path = tmp_path / "auth.db"
    async with connect(path) as store:
        await store.create_user(id="ada")
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute(MANY)
    with pytest.warns(UserWarning, match="trigger"):
        store = await connect(path)
    try:
        looking = asyncio.create_task(ops.inspect(store))
        waits = []
        while not looking.done():
            started = time.perf_counter()
            await store.get_user("ada")
            await store.update_user("ada", name="Ada")
            waits.append(time.perf_counter() - started)
        found = await looking
    finally:
        await store.close()
    [sessions] = [table for table in found.tables if table.name == "sessions"]
    assert not sessions.is_exact
    assert abs(sessions.rows - 1_200_000) < 60_000
    assert found.sessions_alive + found.sessions_dead == sessions.rows
    assert abs(found.sessions_alive / sessions.rows - 0.75) < 0.05
    assert waits
