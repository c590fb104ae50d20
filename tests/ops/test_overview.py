"""What the console asks of a store: estimated where counting would take long, and never waited for."""

import json
import sys
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from subprocess import run
from typing import Any, cast

import pytest

from authstore import StoreError, connect
from authstore.backends.sqlite.units import drive
from authstore.database import Unit
from authstore.ops import overview as room
from authstore.ops.subject import subject
from authstore.sql import Query, Statement
from authstore.store import Store
from authstore.testing import Clock
from tests.ops.test_inspect import NOON

ENDLESS = {
    "sqlite": "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1e12) SELECT max(i) FROM n",
    "postgres": "SELECT pg_sleep(600)",
}


@pytest.fixture(params=["sqlite", "postgres", "memory"])
async def store(request: pytest.FixtureRequest, tmp_path: Any) -> AsyncIterator[Store]:
    url = f"sqlite:///{tmp_path}/auth.db" if request.param == "sqlite" else "sqlite://"
    if request.param == "postgres":
        url = request.getfixturevalue("source_url")
    async with connect(url, clock=Clock(NOON)) as opened:
        assert isinstance(opened, Store)
        yield opened


async def sign_in_often(store: Store, times: int, minutes: float) -> None:
    """So many sessions of one user, evenly over so many minutes from now."""
    clock = store.clock
    assert isinstance(clock, Clock)
    user = await store.create_user()
    for _ in range(times):
        await store.create_session(user.id)
        clock.advance(timedelta(minutes=minutes / times))


async def test_the_database_is_stopped_when_time_is_up(store: Store) -> None:
    def endless() -> Unit[None]:
        yield Query("endless", ENDLESS)()

    began = time.monotonic()
    with pytest.raises(StoreError):
        await subject(store).inspector.ask(endless, seconds=0.2)
    assert time.monotonic() - began < 30
    assert (await store.health()).ok  # and nothing of it is left


async def test_a_table_of_more_rows_is_estimated(store: Store) -> None:
    await sign_in_often(store, 250, 1)
    few = await subject(store).inspector.size(with_tables=False, counted=10)
    [sessions] = [table for table in few.tables if table.name == "sessions"]
    assert not sessions.is_exact
    assert 125 <= sessions.rows <= 5000  # the planner of PostgreSQL goes by pages, and these are few
    all_of_them = await subject(store).inspector.size(with_tables=False, counted=5000)
    assert [(each.rows, each.is_exact) for each in all_of_them.tables if each.name == "sessions"] == [(250, True)]


async def test_of_an_hour_with_many_sign_ins_the_first_tell_for_the_rest(store: Store) -> None:
    await sign_in_often(store, 120, 60)
    await sign_in_often(store, 400, 60)
    await sign_in_often(store, 160, 20)  # of an hour that is not over
    found = await room.overview(subject(store), seconds=30, events=1)
    begun, estimated, running = found.hours[-3:]
    assert [(hour.begun, hour.living, hour.is_exact) for hour in (begun, running)] == [
        (120, 120, True),
        (160, 160, True),
    ]
    assert (360 <= estimated.begun <= 440, estimated.is_exact) == (True, False)
    assert len(found.hours) == room.DAYS * 24
    await sign_in_often(store, 200, 25)
    running = (await room.overview(subject(store), seconds=30, events=1)).hours[-1]
    assert (324 <= running.begun <= 396, running.is_exact) == (True, False)


async def test_what_was_found_before_time_was_up_is_kept(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    await sign_in_often(store, 3, 1)

    def endless(*_: object) -> Unit[None]:
        yield Query("endless", ENDLESS)()

    monkeypatch.setattr(room, "_endings", endless)
    found = await room.overview(subject(store), seconds=1, events=5)
    assert found.is_late
    assert found.events is not None
    assert found.hours[-1].begun == 3
    assert (found.endings, found.sessions) == (None, None)


def test_the_web_without_a_console_does_not_load_what_it_asks() -> None:
    program = "import sys, authstore.web; sys.exit('authstore.ops' in sys.modules)"
    assert run([sys.executable, "-c", program], check=False, timeout=60).returncode == 0


def test_hours_are_asked_for_a_day_at_a_time() -> None:
    """What is made of an answer holds Python's lock: whoever looks a session up would wait for all of them."""
    starts, asked = [NOON + timedelta(hours=number) for number in range(100)], []

    class Answering:
        def rows(self, statement: Statement) -> list[dict[str, str]]:
            spans = json.loads(statement.parameters["spans"])
            asked.append(len(spans))
            return [{"counts": json.dumps([[place, 1, 1, first] for place, (first, _) in enumerate(spans)])}]

    asking = room._hours(starts, {"now": starts[-1]}, 10)
    found: list[room.Hour] = drive(cast(Any, Answering()), asking, next(asking))
    assert asked == [24, 24, 24, 24, 4]
    assert [hour.start for hour in found] == starts
