"""A store belongs to the process, the thread and the event loop that opened it."""

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from authstore import Adapter, connect
from authstore.errors import StoreMisuseError
from tests.programs import run

pytestmark = pytest.mark.processes


@pytest.fixture(params=["file", "memory"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Adapter]:
    url = "sqlite://" if request.param == "memory" else tmp_path / "auth.db"
    async with connect(url) as opened:
        yield opened


async def _in_a_transaction(store: Adapter) -> None:
    async with store.transaction() as inside:
        await inside.create_user(id="inside")


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


async def test_what_the_parent_has_closed_keeps_no_child_from_opening(tmp_path: Path) -> None:
    """Though the parent has not forgotten it yet."""
    script = """
        from authstore.backends.sqlite import file, fork
        from authstore.backends.sqlite.units import UnitConnection

        async def count():
            async with connect(PATH) as store:
                return len(await store.list_users())

        async def main():
            store = await keep_open()
            await store.close()

        asyncio.run(main())
        KEPT.append(file.connect(PATH, UnitConnection))
        fork.note(KEPT[0])
        KEPT[0].close()
        child = os.fork()
        if child == 0:
            os._exit(asyncio.run(count()))
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    """
    assert await run(script, tmp_path, "-W", "ignore::DeprecationWarning") == "1\n"


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
