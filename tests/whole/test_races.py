"""Many want what only one can have: among tasks, and among processes, exactly one gets it."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from authstore import Adapter, SessionPolicy, connect
from authstore.errors import AuthStoreError, NotFoundError, UserDisabledError
from authstore.testing import Clock
from tests.whole import jobs
from tests.whole.contests import CONTESTS, RIVALS
from tests.whole.processes import together

pytestmark = pytest.mark.slow

PROCESSES = 8


@pytest.fixture(params=["file", "memory"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Adapter]:
    url = "sqlite://" if request.param == "memory" else tmp_path / "auth.db"
    async with connect(url) as opened:
        yield opened


@pytest.mark.parametrize("name", CONTESTS)
async def test_of_fifty_tasks_exactly_one_gets_to(name: str, store: Adapter) -> None:
    contest = CONTESTS[name]
    prize = await contest.prepare(store)
    results = await asyncio.gather(*(contest.attempt(store, prize, me) for me in range(RIVALS)))
    won = [result for result in results if result is not None]
    assert len(won) == 1
    assert await contest.check(store, prize, won[0])


@pytest.mark.parametrize("name", CONTESTS)
async def test_of_fifty_callers_in_eight_processes_exactly_one_gets_to(name: str, tmp_path: Path) -> None:
    contest, path = CONTESTS[name], tmp_path / "auth.db"
    async with connect(path) as store:
        prize = await contest.prepare(store)
        rivals = [list(range(first, RIVALS, PROCESSES)) for first in range(PROCESSES)]
        results = await asyncio.to_thread(together, jobs.contend, [(path, name, prize, some) for some in rivals])
        won = [result for some in results for result in some if result is not None]
        assert len(won) == 1
        assert await contest.check(store, prize, won[0])


@pytest.mark.parametrize("url", ["sqlite://", "file"])
async def test_no_number_of_sign_ins_at_once_exceeds_the_limit(url: str, tmp_path: Path) -> None:
    policy = SessionPolicy(max_per_user=3)
    async with connect(tmp_path / "auth.db" if url == "file" else url, policy=policy) as limited:
        user = await limited.create_user()
        await asyncio.gather(*(limited.create_session(user.id) for _ in range(RIVALS)))
        assert len(await limited.list_sessions(user.id)) == 3


async def test_no_number_of_processes_exceeds_the_limit_of_sessions(tmp_path: Path) -> None:
    path = tmp_path / "auth.db"
    async with connect(path, policy=jobs.LIMITED) as store:
        user = await store.create_user()
        calls = [(path, user.id, 6)] * PROCESSES
        await asyncio.to_thread(together, jobs.open_sessions, calls)
        assert len(await store.list_sessions(user.id)) == 3


async def test_a_counter_only_grows_whichever_process_is_first(tmp_path: Path) -> None:
    path = tmp_path / "auth.db"
    async with connect(path) as store:
        await store.create_authenticator((await store.create_user()).id, "credential", b"key")
        calls = [(path, list(range(1 + first, 1 + RIVALS, PROCESSES))) for first in range(PROCESSES)]
        taken = await asyncio.to_thread(together, jobs.count_up, calls)
        passkey = await store.get_authenticator("credential")
    assert passkey is not None
    assert passkey.counter == RIVALS
    assert all(one == sorted(one) for one in taken)
    assert len({counter for one in taken for counter in one}) == sum(map(len, taken))


async def test_a_user_disabled_while_signing_in_has_no_session_afterwards(store: Adapter) -> None:
    user = await store.create_user()
    disabling = asyncio.ensure_future(store.update_user(user.id, disabled=True))

    async def sign_in_until_then() -> None:
        while not disabling.done():
            await store.create_session(user.id)

    results = await asyncio.gather(*(sign_in_until_then() for _ in range(25)), disabling, return_exceptions=True)
    assert any(isinstance(result, UserDisabledError) for result in results)
    assert await store.list_sessions(user.id) == []
    await store.update_user(user.id, disabled=False)
    assert await store.list_sessions(user.id) == []


async def test_a_user_deleted_while_things_are_hung_on_it_leaves_nothing(store: Adapter) -> None:
    await store.create_role("admin")
    for _ in range(5):
        user = await store.create_user(email="ada@example.com")
        hung = [
            call
            for number in range(5)
            for call in (
                store.create_session(user.id),
                store.link_account(user.id, "google", str(number)),
                store.create_authenticator(user.id, f"credential-{number}", b"key"),
                store.grant_role(user.id, "admin"),
            )
        ]
        results = await asyncio.gather(*hung[:10], store.delete_user(user.id), *hung[10:], return_exceptions=True)
        assert results[10] is True
        assert all(isinstance(r, NotFoundError) for r in results if isinstance(r, BaseException))
        assert await store.list_users_with_role("admin") == []
        assert [await store.get_account("google", str(number)) for number in range(5)] == [None] * 5
        assert [await store.get_authenticator(f"credential-{number}") for number in range(5)] == [None] * 5


async def test_a_refresh_that_fails_is_tried_by_the_next_who_waits(store: Adapter) -> None:
    await store.link_account((await store.create_user()).id, "google", "1")
    tried: list[str] = []

    def attempt(name: str) -> object:
        async def refresh(_: object) -> dict[str, str]:
            tried.append(name)
            await asyncio.sleep(0.01)
            if len(tried) < 3:
                raise ConnectionError("the provider hiccuped")
            return {"access_token": name}

        return refresh

    calls = (store.refresh_account("google", "1", attempt(str(me))) for me in range(8))  # type: ignore[arg-type]
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert sum(isinstance(result, ConnectionError) for result in results) == 2
    fresh = {result.access_token for result in results if not isinstance(result, BaseException)}
    assert fresh == {tried[2]}
    assert len(tried) == 3


async def test_a_holder_that_crashed_is_replaced_after_thirty_seconds(tmp_path: Path) -> None:
    clock = Clock()
    async with (
        connect(tmp_path / "auth.db", clock=clock) as crashed,
        connect(tmp_path / "auth.db", clock=clock) as other,
    ):
        await crashed.link_account((await crashed.create_user()).id, "google", "1")
        begun = asyncio.Event()

        async def hang(_: object) -> dict[str, str]:
            begun.set()
            await asyncio.sleep(3600)
            return {}

        async def answer(_: object) -> dict[str, str]:
            return {"access_token": "second"}

        holder = asyncio.create_task(crashed.refresh_account("google", "1", hang))
        await begun.wait()
        await crashed.close()
        waiting = asyncio.create_task(other.refresh_account("google", "1", answer))
        await asyncio.sleep(0.3)
        assert not waiting.done()
        clock.advance(timedelta(seconds=30))
        assert (await waiting).access_token == "second"
        holder.cancel()
        with pytest.raises((asyncio.CancelledError, AuthStoreError)):
            await holder
