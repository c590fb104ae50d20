"""Whatever a follower waits for: told to stop it stops at once, and left alone it does not wait for ever."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from authstore.mover import Event, LagEvent, ProblemEvent, RetryEvent, SourceUnavailableError, follow
from authstore.mover.following.order import FollowAction
from authstore.mover.following.source import slot_name
from authstore.mover.postgres.replication.stream import Stream
from authstore.mover.sqlite.target_files import files_of
from authstore.mover.tuning import DEFAULT
from tests.mover.following.watching import equal, followed, until
from tests.mover.moving import people
from tests.mover.sync.proxy import Proxy

pytestmark = [pytest.mark.postgres, pytest.mark.timeout(120)]

_Link = psycopg.Connection[Any]
AT_ONCE = 5.0  # seconds, on a busy machine too; every one of these waits took 10 and more, or had no end
SOON = replace(DEFAULT, silence_seconds=0.5, connect_seconds=2, slot_busy_seconds=0.5)
SAID = {
    "the replication connection": b"replication\0database",
    "the start of the log": b"START_REPLICATION",
    "a look at the slot": b"FROM pg_replication_slots",
    "a view": b"pg_export_snapshot",
}


@pytest.fixture
def proxy(url: str) -> Iterator[Proxy]:
    with closing(Proxy(url)) as found:
        yield found


async def stopped(task: "asyncio.Task[Any]") -> float:
    """Cancels; how many seconds it takes to end."""
    began = time.monotonic()
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    return time.monotonic() - began


@asynccontextmanager
async def held(url: str, target: Path) -> AsyncIterator[None]:
    """As by another follower: its slot is being read."""
    name, ended = slot_name(files_of(target)), threading.Event()
    with closing(Stream(url, ended, DEFAULT)) as stream:
        stream.start(name, name, 0)
        yield


@pytest.mark.parametrize("said", SAID.values(), ids=SAID)
async def test_a_server_that_falls_silent_is_left_and_found_again(
    said: bytes, source: _Link, proxy: Proxy, target: Path
) -> None:
    people(source)
    async with followed(proxy.url, target):
        pass
    proxy.swallows = said
    task = asyncio.create_task(follow(proxy.url, target))
    await until(lambda: task.done() or proxy.swallowed > 0)
    assert await stopped(task) < AT_ONCE

    proxy.swallows = said
    events: list[Event] = []
    task = asyncio.create_task(follow(proxy.url, target, on_progress=events.append, tuning=SOON))
    await until(lambda: task.done() or any(isinstance(event, RetryEvent) for event in events))
    source.execute("UPDATE note SET body = 'later'")
    assert await equal(proxy.url, target)
    await stopped(task)


async def test_a_silent_server_does_not_hold_up_a_cut_over_that_is_stopped(
    source: _Link, proxy: Proxy, target: Path
) -> None:
    people(source)
    async with followed(proxy.url, target):
        pass
    proxy.since, proxy.swallows = b"d\0\0\0&r", b"replication\0database"  # after the first answer to the log
    with source.transaction():
        source.execute("UPDATE note SET body = 'open' WHERE id = 1")  # so that no lock is to be had
        task = asyncio.create_task(follow(proxy.url, target, do="cut-over"))
        await until(lambda: task.done() or proxy.swallowed > 0)
        assert await stopped(task) < AT_ONCE
    source.execute("UPDATE note SET body = 'nothing is closed'")


@pytest.mark.parametrize("do", ["drop", "follow"])
async def test_a_slot_that_somebody_else_reads_is_not_waited_for_beyond_a_stop(
    do: FollowAction, source: _Link, url: str, target: Path
) -> None:
    people(source)
    async with followed(url, target):
        pass
    source.execute("CREATE TABLE kept AS SELECT repeat('long', 500) FROM generate_series(1, 500)")
    async with held(url, target):
        # beyond its limit the slot goes first
        task = asyncio.create_task(follow(url, target, do=do, max_slot_wal=1000))
        await until(lambda: task.done() or _asks(source, "pg_drop_replication_slot"))
        assert await stopped(task) < AT_ONCE
        with pytest.raises(SourceUnavailableError, match="is in use"):
            await follow(url, target, do="drop", tuning=SOON)
    assert (await follow(url, target, do="drop")).dropped


def _asks(source: _Link, words: str) -> bool:
    query = "SELECT count(*) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND query LIKE %s"
    return source.execute(query, (f"%{words}%",)).fetchone() != (0,)


async def test_a_slot_that_open_transactions_keep_from_being_made_leaves_nothing_behind(
    source: _Link, url: str, target: Path
) -> None:
    people(source)
    with psycopg.connect(url, application_name="nightly report") as other:
        other.execute("UPDATE note SET body = 'not yet' WHERE id = 1")
        task = asyncio.create_task(follow(url, target))
        await until(lambda: task.done() or _waits(source))
        assert await stopped(task) < AT_ONCE
        await until(lambda: not _waits(source), 5)
        assert source.execute("SELECT count(*) FROM pg_replication_slots").fetchone() == (0,)

        events: list[Event] = []
        soon = replace(DEFAULT, slot_seconds=1)
        task = asyncio.create_task(follow(url, target, on_progress=events.append, tuning=soon))
        await until(lambda: task.done() or any(isinstance(event, RetryEvent) for event in events))
        (said,) = {event.message for event in events if isinstance(event, RetryEvent)}
        assert "nightly report (open for " in said
        assert next(event.problem.kind for event in events if isinstance(event, ProblemEvent)) == "wait"
        other.rollback()
    await until(lambda: task.done() or any(isinstance(event, LagEvent) for event in events))
    assert await equal(url, target)
    await stopped(task)


def _waits(source: _Link) -> bool:
    query = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'transactionid' AND query LIKE %s"
    return source.execute(query, ("%pg_create_logical%",)).fetchone() != (0,)
