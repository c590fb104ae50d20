"""A store that nobody closed: the interpreter exits, the file is let go of, and nothing is left behind."""

import asyncio
import gc
import os
import threading
from pathlib import Path

import pytest

from authstore import connect
from authstore.errors import SchemaError, StoreError
from tests.programs import run

pytestmark = pytest.mark.processes

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


async def test_an_event_loop_that_ends_while_a_store_is_opened_is_not_missed(tmp_path: Path) -> None:
    """As with Ctrl-C at the start of a program."""
    script = """
        async def opened():
            async with connect(PATH):
                await asyncio.sleep(3600)

        async def main(number):
            opening = asyncio.ensure_future(opened())
            for _ in range(number):
                await asyncio.sleep(0)

        for number in range(8):
            asyncio.run(main(number))
            time.sleep(0.02)
    """
    await run(script, tmp_path)
    async with connect(tmp_path / "auth.db") as store:
        assert await store.list_users() == []


@pytest.mark.parametrize("how", FORGOTTEN)
async def test_a_store_that_nobody_closed_lets_the_interpreter_exit(how: str, tmp_path: Path) -> None:
    await run(FORGOTTEN[how], tmp_path)
    if (tmp_path / "auth.db").exists():
        async with connect(tmp_path / "auth.db") as store:
            assert await store.get_user("ada") is not None
            assert await store.get_user("uncommitted") is None


async def test_a_store_outlives_the_main_thread_while_its_own_runs(tmp_path: Path) -> None:
    # It is open before the main thread ends: Python 3.12 starts no thread after that, whoever asks.
    script = """
        opened = threading.Event()

        def serve():
            async def main():
                store = await keep_open()
                opened.set()
                await asyncio.sleep(0.5)
                await store.create_user(id="late")
                KEPT.append(store)

            asyncio.run(main())

        threading.Thread(target=serve).start()
        opened.wait(10)
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
        import sqlite3, warnings

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
            # Only who is alone with a file may take its log away.
            print(sqlite3.connect(PATH, timeout=0).execute("PRAGMA journal_mode = DELETE").fetchone())

        asyncio.run(main())
    """
    assert await run(script, tmp_path) == "['ResourceWarning']\n('delete',)\n"


async def test_opening_and_closing_again_and_again_leaves_nothing_behind(tmp_path: Path) -> None:
    def descriptors() -> int:
        return len(os.listdir("/proc/self/fd")) if os.path.exists("/proc/self/fd") else 0

    async with connect(tmp_path / "auth.db"):
        pass
    gc.collect()  # what earlier tests left lying about
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
