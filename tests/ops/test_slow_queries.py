"""Which queries took too long, and how long each takes."""

import asyncio
import logging
import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from authstore import Adapter, connect
from authstore.observers import Statistic
from authstore.ops import SlowQueries
from authstore.sql import queries
from tests.postgres import fresh_database


def told(slow: SlowQueries, name: str, seconds: float, error: str | None = None) -> None:
    slow.on_statement(Statistic(name, seconds, 0.0, 0.0, 1, error))


def test_what_took_too_long_is_kept_and_logged_by_its_name(caplog: pytest.LogCaptureFixture) -> None:
    slow = SlowQueries(threshold=timedelta(milliseconds=100), keep=3)
    told(slow, "quick", 0.0999)
    assert slow.slow() == []
    assert caplog.records == []
    for number in range(5):
        told(slow, f"slow_{number}", 0.1 + number)
    assert [each.name for each in slow.slow()] == ["slow_2", "slow_3", "slow_4"]
    assert {record.name for record in caplog.records} == {"authstore.slow"}
    assert len(caplog.records) == 5
    assert "slow_4 took 4100.0 ms" in caplog.text
    slow.clear()
    assert (slow.slow(), slow.stats()) == ([], {})


@pytest.mark.parametrize("spread", [(1e-6, 1e-3), (1e-4, 1e-2), (1e-3, 10.0)])
def test_percentiles_are_exact_to_a_twentieth(spread: tuple[float, float]) -> None:
    chance = random.Random(7)
    slow = SlowQueries(threshold=timedelta(days=1))
    times = [chance.uniform(*spread) for _ in range(5000)]
    for seconds in times:
        told(slow, "get_user", seconds)
    times.sort()
    stats = slow.stats()["get_user"]
    assert (stats.count, stats.errors, stats.max) == (5000, 0, times[-1])
    assert stats.mean == pytest.approx(sum(times) / 5000)
    assert stats.p50 == pytest.approx(times[2499], rel=0.05)
    assert stats.p99 == pytest.approx(times[4949], rel=0.05)


def test_one_time_is_every_percentile_and_nothing_is_no_time_at_all() -> None:
    slow = SlowQueries()
    told(slow, "once", 0.0123)
    told(slow, "never", 0.0, "StoreBusyError")
    once, never = slow.stats()["once"], slow.stats()["never"]
    assert once.p50 == pytest.approx(0.0123, rel=0.05)
    assert once.p50 <= once.p99 <= once.max == once.mean == 0.0123
    assert (never.count, never.errors, never.max, never.p99) == (1, 1, 0.0, 0.0)


@pytest.mark.parametrize("given", [{"threshold": timedelta(seconds=-1)}, {"keep": 0}])
def test_what_makes_no_sense_is_refused(given: dict) -> None:
    with pytest.raises(ValueError, match=r"threshold|keep"):
        SlowQueries(**given)


async def test_it_watches_a_store(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    slow, path = SlowQueries(threshold=timedelta(milliseconds=200)), tmp_path / "auth.db"
    async with connect(path, observers=[slow]) as store:
        user = await store.create_user(email="ada@example.com")
        for _ in range(10):
            await store.get_user(user.id)
        assert slow.stats()["get_user"].count == 10
        assert 0 < slow.stats()["get_user"].p50 <= slow.stats()["get_user"].max
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            writing = asyncio.create_task(store.create_user(email="bob@example.com"))
            await asyncio.sleep(0.4)
            other.execute("ROLLBACK")
            await writing
        [late] = slow.slow()
        assert (late.name, late.error) == ("insert_user", None)
        assert late.locked > 0.2
    assert "example.com" not in caplog.text
    assert "insert_user" in caplog.text


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'auth.db'}"
        return
    with fresh_database(request.getfixturevalue("postgres_url")) as fresh:
        yield fresh


async def test_every_query_explains_itself(url: str) -> None:
    slow = SlowQueries()
    async with connect(url, observers=[slow]) as store:
        plan = await slow.explain("session_and_user_by_id", store)
        assert "sessions" in plan
        assert "users" in plan
        for name in vars(queries):
            assert await slow.explain(name, store), name
        async with store.transaction() as inside:
            assert "users" in await slow.explain("get_user", inside)
            await inside.create_user()
        assert len(await store.list_users()) == 1
        assert "session_and_user_by_id" not in slow.stats()  # nothing was run


async def test_only_what_is_a_query_explains_itself() -> None:
    slow = SlowQueries()
    async with connect("sqlite://") as store:
        with pytest.raises(ValueError, match="no query is called"):
            await slow.explain("DROP TABLE users", store)
    with pytest.raises(TypeError):
        await slow.explain("get_user", object())


async def test_why_a_session_was_refused_is_logged_without_its_token(
    caplog: pytest.LogCaptureFixture, auth_store: Adapter, auth_clock
) -> None:
    caplog.set_level(logging.DEBUG, "authstore.store")
    user = await auth_store.create_user()
    kinds = ("revoked", "idle", "expired", "user-disabled")
    tokens = {kind: (await auth_store.create_session(user.id)).token or "" for kind in kinds}
    said: dict[str, str] = {}

    async def refused(kind: str, token: str) -> None:
        caplog.clear()
        assert await auth_store.get_session_and_user(token) is None
        [said[kind]] = [m for m in map(logging.LogRecord.getMessage, caplog.records) if "refused" in m]
        assert token not in caplog.text

    session = await auth_store.get_session(tokens["revoked"])
    assert session is not None
    await auth_store.revoke_session(session.id)
    await refused("revoked", tokens["revoked"])
    await refused("unknown", "x" * 43)
    await refused("none", "no token")
    auth_clock.advance(timedelta(days=8))
    await refused("idle", tokens["idle"])
    auth_clock.advance(timedelta(days=30))
    await refused("expired", tokens["expired"])
    again = await auth_store.create_session(user.id)
    await auth_store.update_user(user.id, disabled=True)
    await refused("user-disabled", again.token or "")
    assert {kind: said[kind].partition(": ")[2].partition(",")[0] for kind in said} == {
        "revoked": "revoked",
        "unknown": "unknown",
        "none": "unknown",
        "idle": "idle",
        "expired": "idle",
        "user-disabled": "user-disabled",
    }
    caplog.set_level(logging.INFO, "authstore.store")
    caplog.clear()
    assert await auth_store.get_session("x" * 43) is None
    assert caplog.records == []
