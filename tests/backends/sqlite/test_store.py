"""Who waits for whom in a store on SQLite, who sees what, and what closing it means."""

import asyncio
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from authstore import Adapter, connect
from authstore.backends.tuning import DEFAULT
from authstore.backends.tuning import Tuning as Waits
from authstore.errors import (
    EmailTakenError,
    NotFoundError,
    StoreBusyError,
    StoreClosedError,
    StoreMisuseError,
)
from authstore.testing import Clock
from tests.stores import tuned_store

AT_ONCE = 0.5  # seconds: far less than anybody would wait for a lock


@pytest.fixture(params=["file", "memory"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Adapter]:
    url = "sqlite://" if request.param == "memory" else tmp_path / "auth.db"
    async with connect(url) as opened:
        yield opened


@pytest.fixture
async def file(tmp_path: Path) -> AsyncIterator[Adapter]:
    async with connect(tmp_path / "auth.db") as opened:
        yield opened


IMPATIENT = Waits(busy_seconds=0.3)


@contextmanager
def another_writer(path: Path) -> Iterator[sqlite3.Connection]:
    """A stranger's connection that holds the write lock."""
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("UPDATE users SET name = 'uncommitted'")
        yield connection
        if connection.in_transaction:
            connection.execute("ROLLBACK")


class Stopwatch:
    """How long a block took."""

    def __enter__(self) -> "Stopwatch":
        self._start = time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds = time.perf_counter() - self._start


async def test_reads_do_not_wait_for_another_writer_and_see_what_is_committed(file: Adapter, tmp_path: Path) -> None:
    user = await file.create_user(id="ada", email="ada@example.com", name="Ada")
    session = await file.create_session("ada")
    with another_writer(tmp_path / "auth.db"), Stopwatch() as watch:
        assert await file.get_user("ada") == user
        assert await file.get_user_by_email("ada@example.com") == user
        assert await file.get_session_and_user(session.token or "") is not None
        assert len(await file.list_users()) == 1
    assert watch.seconds < AT_ONCE


async def test_reads_wait_for_no_write_of_the_same_store_either(file: Adapter, tmp_path: Path) -> None:
    await file.create_user(id="ada")
    with another_writer(tmp_path / "auth.db") as other:
        waiting = asyncio.create_task(file.create_user(id="grace"))
        await asyncio.sleep(0.05)
        with Stopwatch() as watch:
            assert await file.get_user("ada") is not None
            assert await file.get_user("grace") is None
        assert not waiting.done()
        other.execute("COMMIT")
        await waiting
    assert watch.seconds < AT_ONCE
    assert await file.get_user("grace") is not None


async def test_reads_outside_a_transaction_do_not_wait_for_it_and_do_not_see_into_it(store: Adapter) -> None:
    await store.create_user(id="ada", name="Ada")
    session = await store.create_session("ada")
    with Stopwatch() as watch:
        async with store.transaction() as inside:
            await inside.create_user(id="grace")
            await inside.update_user("ada", name="changed")
            await inside.delete_session(session.token or "")
            assert await store.get_user("grace") is None
            seen = await store.get_user("ada")
            assert seen is not None
            assert seen.name == "Ada"
            assert await store.get_session(session.token or "") is not None
            assert await inside.get_session(session.token or "") is None
            assert [user.id for user in await inside.list_users()] == ["ada", "grace"]
    assert watch.seconds < AT_ONCE
    assert await store.get_user("grace") is not None
    assert await store.get_session(session.token or "") is None


async def test_what_is_committed_is_seen_by_the_next_read_everywhere(file: Adapter, tmp_path: Path) -> None:
    async with connect(tmp_path / "auth.db") as other:
        for number in range(50):
            await file.create_user(id=str(number))
            assert await other.get_user(str(number)) is not None
            await other.update_user(str(number), name="seen")
            found = await file.get_user(str(number))
            assert found is not None
            assert found.name == "seen"


async def test_a_write_waits_for_another_writer(file: Adapter, tmp_path: Path) -> None:
    with another_writer(tmp_path / "auth.db") as other:
        waiting = [asyncio.create_task(file.create_user(id=str(me))) for me in range(5)]
        await asyncio.sleep(0.4)
        assert not any(task.done() for task in waiting)
        other.execute("COMMIT")
        await asyncio.gather(*waiting)


async def test_a_write_gives_up_after_the_busy_timeout_and_did_not_happen(tmp_path: Path) -> None:
    path = tmp_path / "auth.db"
    async with tuned_store(path, waits=IMPATIENT) as store:
        with another_writer(path), Stopwatch() as watch:
            results = await asyncio.gather(
                *(store.create_user(id=str(me)) for me in range(3)), _in_a_transaction(store), return_exceptions=True
            )
        assert [type(result) for result in results] == [StoreBusyError] * 4
        assert 0.27 < watch.seconds < 1.3
        assert await store.list_users() == []
        await store.create_user(id="afterwards")


async def _in_a_transaction(store: Adapter) -> None:
    async with store.transaction() as inside:
        await inside.create_user(id="inside")


async def test_the_busy_timeout_is_five_seconds_from_the_call(file: Adapter, tmp_path: Path) -> None:
    assert DEFAULT.busy_seconds == 5.0
    with another_writer(tmp_path / "auth.db"), Stopwatch() as watch, pytest.raises(StoreBusyError):
        await file.create_user()
    assert 4.9 < watch.seconds < 6


async def test_a_write_waits_for_a_transaction_of_the_same_store_no_longer(tmp_path: Path) -> None:
    for place in (None, tmp_path / "auth.db"):
        async with tuned_store(place, waits=IMPATIENT) as store, store.transaction() as inside:
            await inside.create_user(id="first")
            with pytest.raises(StoreBusyError):
                await store.create_user(id="second")
            with pytest.raises(StoreBusyError):
                await _in_a_transaction(store)
            await inside.create_user(id="third")


async def test_calling_the_outer_transaction_within_a_nested_one_is_busy_not_a_deadlock(tmp_path: Path) -> None:
    async with tuned_store(tmp_path / "auth.db", waits=IMPATIENT) as store, store.transaction() as outer:
        async with outer.transaction():
            with pytest.raises(StoreBusyError):
                await outer.create_user()
        await outer.create_user(id="fine")


async def test_a_call_refused_inside_a_transaction_may_be_survived(store: Adapter) -> None:
    await store.create_user(email="taken@example.com")
    async with store.transaction() as inside:
        await inside.create_user(id="before")
        with pytest.raises(EmailTakenError):
            await inside.create_user(email="taken@example.com")
        await inside.create_user(id="after")
    assert await store.get_user("before") is not None
    assert await store.get_user("after") is not None


async def test_a_nested_transaction_fails_alone(store: Adapter) -> None:
    async with store.transaction() as outer:
        await outer.create_user(id="outer")
        with pytest.raises(LookupError):
            await _fail_in(outer)
        async with outer.transaction() as inner:
            await inner.create_user(id="second")
    assert {user.id for user in await store.list_users()} == {"outer", "second"}


async def _fail_in(outer: Adapter) -> None:
    async with outer.transaction() as inner:
        await inner.create_user(id="first")
        async with inner.transaction() as innermost:
            await innermost.create_user(id="innermost")
        raise LookupError


async def test_a_transaction_that_is_over_takes_no_more_calls(store: Adapter) -> None:
    async with store.transaction() as inside:
        async with inside.transaction() as nested:
            pass
        with pytest.raises(StoreMisuseError):
            await nested.create_user()
    for call in (inside.create_user(), inside.list_users(), inside.get_session("t" * 43)):
        with pytest.raises(StoreMisuseError):
            await call
    assert await store.list_users() == []


async def test_tasks_may_share_a_transaction(store: Adapter) -> None:
    async with store.transaction() as inside:
        await asyncio.gather(*(inside.create_user(id=str(me)) for me in range(20)))
        assert len(await inside.list_users()) == 20
    assert len(await store.list_users()) == 20


async def test_pruning_does_not_keep_other_writers_waiting(tmp_path: Path) -> None:
    clock = Clock()
    async with connect(tmp_path / "auth.db", clock=clock, durability="relaxed") as store:
        async with store.transaction() as inside:
            user = await inside.create_user()
            for _ in range(8000):
                await inside.create_session(user.id)
        clock.advance(timedelta(days=31))
        pruning = asyncio.create_task(store.prune(batch=500))
        waits = []
        while not pruning.done():
            with Stopwatch() as watch:
                await store.create_user()
            waits.append(watch.seconds)
        assert (await pruning).deleted["sessions"] == 8000
    assert len(waits) > 5
    assert sorted(waits)[len(waits) // 2] < 0.1


async def test_opening_and_closing_the_file_once_more_drops_no_lock_of_this_process(tmp_path: Path) -> None:
    """Closing any descriptor of a file drops all POSIX locks that the process has on it."""
    path = tmp_path / "auth.db"
    attempt = (
        "import sqlite3, sys\n"
        "try:\n    sqlite3.connect(sys.argv[1], timeout=0, isolation_level=None).execute('BEGIN IMMEDIATE')\n"
        "except sqlite3.OperationalError as error:\n    print(error.sqlite_errorname)\n"
    )
    async with connect(path) as store, store.transaction() as inside:
        await inside.create_user()
        async with connect(path) as other:
            await other.list_users()
        command = [sys.executable, "-c", attempt, str(path)]
        done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=20)
        assert done.stdout == "SQLITE_BUSY\n"
        await inside.create_user()


async def test_reading_pins_nothing_and_the_log_stays_small(tmp_path: Path) -> None:
    path = tmp_path / "auth.db"
    async with connect(path, durability="relaxed") as store:
        session = await store.create_session((await store.create_user()).id)
        for _ in range(30):
            writes = [store.create_user(name="x" * 2000) for _ in range(100)]
            reads = [store.get_session_and_user(session.token or "") for _ in range(20)]
            await asyncio.gather(*writes, *reads, store.list_users(), store.get_roles("ada"))
        size = (await asyncio.to_thread(os.stat, f"{path}-wal")).st_size
        with closing(sqlite3.connect(path)) as connection:
            assert connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone() == (0, 0, 0)
    assert size < 16_000_000


async def test_closing_may_be_repeated_and_done_by_many_at_once(store: Adapter) -> None:
    await asyncio.gather(*(store.close() for _ in range(10)))
    await store.close()
    with pytest.raises(StoreClosedError):
        await store.list_users()


async def test_closing_lets_running_calls_finish(tmp_path: Path) -> None:
    path = tmp_path / "auth.db"
    store = await connect(path)
    calls = [asyncio.ensure_future(store.create_user(id=str(me))) for me in range(600)]
    reads = [asyncio.ensure_future(store.get_user(str(me))) for me in range(100)]
    await asyncio.sleep(0)
    await store.close()
    made = {user.id for user in await asyncio.gather(*calls)}
    await asyncio.gather(*reads)
    async with connect(path) as again:
        assert {user.id for user in await again.list_users(limit=1000)} == made
        assert len(made) == 600


async def test_closing_under_a_transaction_undoes_it_and_keeps_nobody_waiting(tmp_path: Path) -> None:
    path = tmp_path / "auth.db"
    store = await connect(path)
    with pytest.raises(StoreClosedError):
        await _close_within(store)
    async with connect(path) as again:
        assert await again.list_users() == []


async def _close_within(store: Adapter) -> None:
    async with store.transaction() as inside:
        await inside.create_user(id="uncommitted")
        waiting = [asyncio.ensure_future(store.create_user()), asyncio.ensure_future(_in_a_transaction(store))]
        await asyncio.sleep(0.05)
        with Stopwatch() as watch:
            await store.close()
            results: list[Any] = await asyncio.gather(*waiting, return_exceptions=True)
        assert watch.seconds < AT_ONCE
        assert [type(result) for result in results] == [StoreClosedError] * 2
        with pytest.raises(StoreClosedError):
            await inside.create_user()


async def test_a_cancelled_close_still_closes(tmp_path: Path) -> None:
    store = await connect(tmp_path / "auth.db")
    closing_store = asyncio.ensure_future(store.close())
    await asyncio.sleep(0)
    closing_store.cancel()
    await asyncio.gather(closing_store, return_exceptions=True)
    await store.close()
    assert await asyncio.to_thread(os.listdir, tmp_path) == ["auth.db"]


async def test_nobody_gets_a_session_where_the_triggers_are_gone(file: Adapter, tmp_path: Path) -> None:
    disabled = await file.create_user()
    await file.update_user(disabled.id, disabled=True)
    with closing(sqlite3.connect(tmp_path / "auth.db", isolation_level=None)) as connection:
        for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        for user_id in ("nobody", disabled.id):
            with pytest.raises(NotFoundError):
                await file.create_session(user_id)
        assert connection.execute("SELECT count(*) FROM sessions").fetchone() == (0,)
