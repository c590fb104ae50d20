"""How a store on SQLite lives: whose it is, who waits for whom, and what becomes of it when nobody closes it."""

import asyncio
import gc
import os
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from authstore import Adapter, connect
from authstore.backends.sqlite import database, transaction
from authstore.errors import (
    EmailTakenError,
    SchemaError,
    StoreBusyError,
    StoreClosedError,
    StoreError,
    StoreMisuseError,
)
from authstore.testing import Clock

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


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> float:
    """The busy timeout, shortened for stores opened after this."""
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.3)
    monkeypatch.setattr(transaction, "BUSY_SECONDS", 0.3)
    return 0.3


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


async def test_a_write_gives_up_after_the_busy_timeout_and_did_not_happen(impatient: float, tmp_path: Path) -> None:
    path = tmp_path / "auth.db"
    async with connect(path) as store:
        with another_writer(path), Stopwatch() as watch:
            results = await asyncio.gather(
                *(store.create_user(id=str(me)) for me in range(3)), _in_a_transaction(store), return_exceptions=True
            )
        assert [type(result) for result in results] == [StoreBusyError] * 4
        assert impatient * 0.9 < watch.seconds < impatient + 1
        assert await store.list_users() == []
        await store.create_user(id="afterwards")


async def _in_a_transaction(store: Adapter) -> None:
    async with store.transaction() as inside:
        await inside.create_user(id="inside")


async def test_the_busy_timeout_is_five_seconds_from_the_call(file: Adapter, tmp_path: Path) -> None:
    assert database.BUSY_SECONDS == transaction.BUSY_SECONDS == 5.0
    with another_writer(tmp_path / "auth.db"), Stopwatch() as watch, pytest.raises(StoreBusyError):
        await file.create_user()
    assert 4.9 < watch.seconds < 6


async def test_a_write_waits_for_a_transaction_of_the_same_store_no_longer(impatient: float, tmp_path: Path) -> None:
    for url in ("sqlite://", tmp_path / "auth.db"):
        async with connect(url) as store, store.transaction() as inside:
            await inside.create_user(id="first")
            with pytest.raises(StoreBusyError):
                await store.create_user(id="second")
            with pytest.raises(StoreBusyError):
                await _in_a_transaction(store)
            await inside.create_user(id="third")


async def test_calling_the_outer_transaction_within_a_nested_one_is_busy_not_a_deadlock(
    impatient: float, tmp_path: Path
) -> None:
    async with connect(tmp_path / "auth.db") as store, store.transaction() as outer:
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


async def test_another_event_loop_is_misuse(store: Adapter) -> None:
    async def elsewhere() -> list[type]:
        return [
            type(result)
            for result in await asyncio.gather(
                store.list_users(),
                store.create_user(),
                store.get_session_and_user("t" * 43),
                store.prune(),
                store.health(),
                store.close(),
                _in_a_transaction(store),
                return_exceptions=True,
            )
        ]

    assert await asyncio.to_thread(asyncio.run, elsewhere()) == [StoreMisuseError] * 7
    assert await store.list_users() == []


async def test_another_thread_is_misuse_even_without_an_event_loop(store: Adapter) -> None:
    outcomes: list[object] = []

    def step() -> None:
        for coroutine in (store.create_user(), store.get_user("ada"), store.close()):
            try:
                coroutine.send(None)
            except BaseException as error:  # noqa: BLE001  # whatever it is
                outcomes.append(type(error))
            finally:
                coroutine.close()

    thread = threading.Thread(target=step)
    thread.start()
    await asyncio.to_thread(thread.join)
    assert outcomes == [StoreMisuseError] * 3


async def test_a_second_loop_in_the_same_thread_is_misuse(tmp_path: Path) -> None:
    script = """
        store = asyncio.run(keep_open())
        try:
            asyncio.run(store.create_user())
        except StoreMisuseError:
            print("misuse")
    """
    assert await run(script, tmp_path) == "misuse\n"


HEADER = """
import asyncio, gc, os, sys, threading, time
from pathlib import Path
from authstore import connect
from authstore.errors import *

PATH = Path(sys.argv[1]) / "auth.db"
KEPT = []

async def keep_open():
    store = await connect(PATH)
    await store.create_user(id="ada")
    return store

"""


async def run(script: str, folder: Path, *flags: str) -> str:
    """What a program printed that must end by itself, in time, without complaints."""
    lines = script.splitlines()
    program = HEADER + "\n".join(line.removeprefix("        ") for line in lines)
    command = [sys.executable, *flags, "-c", program, str(folder)]
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=20)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


async def test_after_a_fork_the_child_may_not_use_the_parents_store(tmp_path: Path) -> None:
    script = """
        async def main():
            store = await keep_open()
            async with store.transaction() as transaction:
                await transaction.create_user(id="uncommitted")
                child = os.fork()
                if child == 0:
                    refused = 0
                    for call in (store.create_user, store.list_users, transaction.create_user, store.close):
                        try:
                            await call()
                        except StoreMisuseError:
                            refused += 1
                    os._exit(refused)
                _, status = os.waitpid(child, 0)
                print(os.waitstatus_to_exitcode(status))
            print(len(await store.list_users()))
            await store.close()

        asyncio.run(main())
    """
    assert await run(script, tmp_path, "-W", "ignore::DeprecationWarning") == "4\n2\n"


async def test_a_forked_child_may_open_its_own_and_loses_nothing_when_the_parent_closes(tmp_path: Path) -> None:
    """SQLite believes in the child that it has the parent's locks; the parent then deleted the log under it."""
    script = """
        import multiprocessing

        def child(pipe):
            async def main():
                async with connect(PATH) as store:
                    await store.create_user(id="first")
                    pipe.send("opened")
                    pipe.recv()
                    for number in range(5):
                        await store.create_user(id=f"acknowledged-{number}")
                    os._exit(0)

            asyncio.run(main())

        loop = asyncio.new_event_loop()
        store = loop.run_until_complete(keep_open())
        processes = multiprocessing.get_context("fork")
        here, there = processes.Pipe()
        process = processes.Process(target=child, args=(there,))
        process.start()
        here.recv()
        loop.run_until_complete(store.close())
        loop.close()
        here.send("closed")
        process.join()
        print(process.exitcode)
    """
    assert await run(script, tmp_path, "-W", "ignore::DeprecationWarning") == "0\n"
    async with connect(tmp_path / "auth.db") as store:
        acknowledged = {f"acknowledged-{number}" for number in range(5)}
        assert {user.id for user in await store.list_users()} == {"ada", "first"} | acknowledged


async def test_a_child_forked_amid_a_transaction_is_told_that_it_cannot_open_anything(tmp_path: Path) -> None:
    script = """
        async def main():
            store = await keep_open()
            async with store.transaction() as transaction:
                await transaction.create_user(id="committed")
                child = os.fork()
                if child == 0:
                    try:
                        await connect(PATH)
                    except StoreMisuseError:
                        os._exit(7)
                    os._exit(0)
                _, status = os.waitpid(child, 0)
                print(os.waitstatus_to_exitcode(status))
            print(len(await store.list_users()))
            await store.close()

        asyncio.run(main())
    """
    assert await run(script, tmp_path, "-W", "ignore::DeprecationWarning") == "7\n2\n"


FORGOTTEN = {
    "kept in a global": "KEPT.append(asyncio.run(keep_open()))",
    "dropped": "asyncio.run(keep_open())",
    "dropped in the loop": """
        async def main():
            await keep_open()
            await asyncio.sleep(0)

        asyncio.run(main())
    """,
    "in memory": """
        async def main():
            KEPT.append(await connect("sqlite://"))

        asyncio.run(main())
    """,
    "within a transaction": """
        async def main():
            store = await keep_open()

            async def hang():
                async with store.transaction() as transaction:
                    await transaction.create_user(id="uncommitted")
                    await asyncio.sleep(3600)

            KEPT.extend([store, asyncio.ensure_future(hang())])
            await asyncio.sleep(0.1)

        asyncio.run(main())
    """,
    "with calls under way": """
        async def main():
            store = await keep_open()
            KEPT.append(store)
            KEPT.extend([asyncio.ensure_future(store.create_user()) for _ in range(5)])
            await asyncio.sleep(0)

        asyncio.run(main())
    """,
    "in an exception": """
        async def main():
            store = await keep_open()
            KEPT.append(store)
            raise LookupError

        try:
            asyncio.run(main())
        except LookupError as error:
            KEPT.append(error)
    """,
    "by sys.exit": """
        async def main():
            KEPT.append(await keep_open())
            sys.exit(0)

        asyncio.run(main())
    """,
    "in another thread": """
        def serve():
            KEPT.append(asyncio.run(keep_open()))

        thread = threading.Thread(target=serve)
        thread.start()
        thread.join()
    """,
    "in a daemon thread that never ends": """
        def serve():
            async def main():
                KEPT.append(await keep_open())
                await asyncio.sleep(3600)

            asyncio.run(main())

        threading.Thread(target=serve, daemon=True).start()
        while not KEPT:
            time.sleep(0.01)
    """,
    "many of them": """
        async def main():
            for number in range(20):
                KEPT.append(await connect(PATH.with_name(f"{number}.db")))

        asyncio.run(main())
    """,
}


@pytest.mark.parametrize("how", FORGOTTEN)
async def test_a_store_that_nobody_closed_lets_the_interpreter_exit(how: str, tmp_path: Path) -> None:
    await run(FORGOTTEN[how], tmp_path)
    if (tmp_path / "auth.db").exists():
        async with connect(tmp_path / "auth.db") as store:
            assert await store.get_user("ada") is not None
            assert await store.get_user("uncommitted") is None


async def test_a_store_outlives_the_main_thread_while_its_own_runs(tmp_path: Path) -> None:
    script = """
        def serve():
            async def main():
                store = await keep_open()
                await asyncio.sleep(0.5)
                await store.create_user(id="late")
                KEPT.append(store)

            asyncio.run(main())

        threading.Thread(target=serve).start()
    """
    await run(script, tmp_path)
    async with connect(tmp_path / "auth.db") as store:
        assert await store.get_user("late") is not None


async def test_a_loop_closed_in_the_middle_of_an_operation_does_not_hang_the_exit(tmp_path: Path) -> None:
    script = """
        import contextlib, io

        threading.excepthook = lambda arguments: None  # aiosqlite's thread complains of the loop it lost
        sys.unraisablehook = lambda arguments: None
        loop = asyncio.new_event_loop()
        loop.set_exception_handler(lambda loop, context: None)
        store = loop.run_until_complete(keep_open())
        calls = [loop.create_task(store.create_user()) for _ in range(20)]
        calls += [loop.create_task(store.get_user("ada")) for _ in range(20)]
        loop.call_soon(loop.stop)
        loop.run_forever()
        loop.close()
        try:
            asyncio.run(store.close())
        except StoreMisuseError:
            print("misuse")
    """
    assert await run(script, tmp_path) == "misuse\n"
    async with connect(tmp_path / "auth.db") as store:
        assert await store.get_user("ada") is not None


async def test_an_interrupt_from_the_keyboard_closes_the_store_on_the_way_out(tmp_path: Path) -> None:
    script = """
        import signal

        async def main():
            async with connect(PATH) as store:
                await store.create_user(id="ada")
                threading.Timer(0.2, os.kill, [os.getpid(), signal.SIGINT]).start()
                while True:
                    writes = (store.create_user() for _ in range(20))
                    await asyncio.gather(*writes, store.list_users(), in_a_transaction(store))

        async def in_a_transaction(store):
            async with store.transaction() as transaction:
                await transaction.create_user()

        try:
            asyncio.run(main())
        except KeyboardInterrupt:
            print(os.listdir(PATH.parent))
    """
    assert await run(script, tmp_path) == "['auth.db']\n"
    async with connect(tmp_path / "auth.db") as store:
        assert await store.get_user("ada") is not None


async def test_a_forgotten_store_says_so_and_lets_go_of_its_file(tmp_path: Path) -> None:
    script = """
        import warnings

        async def main():
            store = await keep_open()
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                del store
                gc.collect()
            print([warning.category.__name__ for warning in caught])
            for _ in range(500):
                await asyncio.sleep(0.01)
                if not any(thread.name.endswith("worker_thread)") for thread in threading.enumerate()):
                    break
            print(sorted(os.listdir(PATH.parent)))

        asyncio.run(main())
    """
    assert await run(script, tmp_path) == "['ResourceWarning']\n['auth.db']\n"


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


async def test_opening_and_closing_again_and_again_leaves_nothing_behind(tmp_path: Path) -> None:
    def descriptors() -> int:
        return len(os.listdir("/proc/self/fd")) if os.path.exists("/proc/self/fd") else 0

    async with connect(tmp_path / "auth.db"):
        pass
    before, threads = descriptors(), threading.active_count()
    for _ in range(30):
        async with connect(tmp_path / "auth.db"), connect("sqlite://"):
            pass
    gc.collect()
    assert await threads_left(threads) <= threads
    assert descriptors() == before


async def test_a_store_that_cannot_be_opened_leaves_no_thread_behind(tmp_path: Path) -> None:
    (tmp_path / "auth.db").write_text("not ours")
    threads = threading.active_count()
    for _ in range(5):
        with pytest.raises((StoreError, SchemaError)):
            await connect(tmp_path / "auth.db")
    assert await threads_left(threads) <= threads


async def threads_left(expected: int) -> int:
    """How many threads there are, once they had time to end: they do so after their last answer."""
    for _ in range(100):
        if threading.active_count() <= expected:
            break
        await asyncio.sleep(0.01)
    return threading.active_count()
