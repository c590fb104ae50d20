"""A call cancelled anywhere happened wholly or not at all, and the store works on as if nobody had been there."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from authstore import Account, Adapter, connect
from tests.whole.interrupted import MOMENTS, Interrupted, Moment

ADA = "ada@example.com"
PROMPTLY = 1.0  # seconds; a transaction left open would make the next writer wait five
FAR = 100  # suspensions no call reaches


@pytest.fixture(params=["file", "memory"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Adapter]:
    url = "sqlite://" if request.param == "memory" else tmp_path / "auth.db"
    async with connect(url) as opened:
        yield opened


@dataclass(frozen=True)
class Deed:
    """Something to cancel: `do` after `prepare`, then `look`, which gives what is there of it."""

    prepare: Callable[[Adapter], Awaitable[Any]]
    do: Callable[[Adapter, Any], Coroutine[Any, Any, Any]]
    look: Callable[[Adapter, Any], Awaitable[Any]]
    before: Any
    after: Any


async def _nothing(store: Adapter) -> None: ...


async def _ada(store: Adapter) -> str:
    return (await store.create_user(id="ada", email=ADA)).id


async def _everything_of_ada(store: Adapter, _: Any = None) -> list[bool]:
    return [
        await store.get_user("ada") is not None,
        await store.get_user_by_email(ADA) is not None,
        bool(await store.list_sessions("ada")),
        bool(await store.list_accounts("ada")),
        await store.get_authenticator("credential") is not None,
        bool(await store.get_roles("ada")),
    ]


async def _ada_with_everything(store: Adapter) -> str:
    await _ada(store)
    await _hang_all_on_ada(store)
    return "ada"


async def _hang_all_on_ada(store: Adapter) -> None:
    await store.create_session("ada")
    await store.link_account("ada", "google", "1", access_token="old")
    await store.create_authenticator("ada", "credential", b"key")
    if await store.get_role("admin") is None:
        await store.create_role("admin")
    await store.grant_role("ada", "admin")


async def _all_in_one_transaction(store: Adapter, _: Any) -> None:
    async with store.transaction() as transaction:
        await _ada(transaction)
        await _hang_all_on_ada(transaction)


async def _all_in_nested_transactions(store: Adapter, _: Any) -> None:
    async with store.transaction() as outer:
        await _ada(outer)
        async with outer.transaction() as inner:
            await inner.create_session("ada")
            async with inner.transaction() as innermost:
                await innermost.link_account("ada", "google", "1")
                await innermost.create_authenticator("ada", "credential", b"key")
        await outer.create_role("admin")
        await outer.grant_role("ada", "admin")


async def _token(store: Adapter) -> str:
    await store.create_verification_token(ADA)
    return (await store.create_verification_token(ADA)).token or ""


async def _tokens_left(store: Adapter, token: str) -> list[bool]:
    return [await store.peek_verification_token(ADA, token) is not None]


async def _session(store: Adapter) -> str:
    return (await store.create_session(await _ada(store))).token or ""


async def _old_token_works(store: Adapter, token: str) -> list[bool]:
    return [await store.get_session(token) is not None]


async def _answer(account: Account) -> dict[str, str]:
    await asyncio.sleep(0)
    return {"access_token": "new", "refresh_token": "next"}


async def _tokens_of_ada(store: Adapter, _: Any) -> list[str | None]:
    [account] = await store.list_accounts("ada")
    return [account.access_token, account.refresh_token]


async def _signed_in(store: Adapter, _: Any) -> list[bool]:
    account = await store.get_account("google", "1")
    return [await store.get_user_by_email(ADA) is not None, account is not None]


async def _passkey(store: Adapter) -> str:
    await _ada(store)
    return (await store.create_authenticator("ada", "credential", b"key")).credential_id


async def _counter(store: Adapter, credential: str) -> int | None:
    passkey = await store.get_authenticator(credential)
    return passkey and passkey.counter


NONE, ALL = [False] * 6, [True] * 6
DEEDS = {
    "create_user": Deed(_nothing, lambda s, _: _ada(s), _everything_of_ada, NONE, [True, True, *NONE[2:]]),
    "delete_user": Deed(_ada_with_everything, lambda s, a: s.delete_user(a), _everything_of_ada, ALL, NONE),
    "disabling": Deed(
        _ada_with_everything,
        lambda s, a: s.update_user(a, disabled=True),
        _everything_of_ada,
        ALL,
        [True, True, False, True, True, True],
    ),
    "sign_in": Deed(
        _nothing,
        lambda s, _: s.sign_in_with_account(provider="google", provider_account_id="1", email=ADA),
        _signed_in,
        [False] * 2,
        [True] * 2,
    ),
    "use_verification_token": Deed(
        _token, lambda s, token: s.use_verification_token(ADA, token), _tokens_left, [True], [False]
    ),
    "rotate_session": Deed(_session, lambda s, token: s.rotate_session(token), _old_token_works, [True], [False]),
    "refresh_account": Deed(
        _ada_with_everything,
        lambda s, _: s.refresh_account("google", "1", _answer),
        _tokens_of_ada,
        ["old", None],
        ["new", "next"],
    ),
    "counter": Deed(_passkey, lambda s, c: s.update_authenticator_counter(c, 5), _counter, 0, 5),
    "transaction": Deed(_nothing, _all_in_one_transaction, _everything_of_ada, NONE, ALL),
    "nested": Deed(_nothing, _all_in_nested_transactions, _everything_of_ada, NONE, ALL),
}


async def _interrupt(store: Adapter, deed: Deed, step: int, moment: Moment, stubborn: bool) -> bool:
    """Does the deed with an interruption; `False` when it ended before."""
    prize = await deed.prepare(store)
    interrupted = Interrupted(deed.do(store, prize), step, moment, stubborn=stubborn)
    try:
        await interrupted.run()
    except asyncio.CancelledError:
        assert await deed.look(store, prize) in (deed.before, deed.after)
    else:
        assert await deed.look(store, prize) == deed.after
    async with asyncio.timeout(PROMPTLY):
        await store.create_user(email="next@example.com")
        async with store.transaction() as transaction:
            await transaction.create_user(email="after@example.com")
    return interrupted.happened


@pytest.mark.parametrize("stubborn", [False, True], ids=["once", "stubborn"])
@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("kind", ["file", "memory"])
@pytest.mark.parametrize("name", DEEDS)
async def test_cancelled_at_any_suspension_it_happened_wholly_or_not_at_all(
    name: str, kind: str, moment: Moment, stubborn: bool, tmp_path: Path
) -> None:
    for step in range(FAR):
        url = "sqlite://" if kind == "memory" else tmp_path / f"{step}.db"
        async with connect(url, durability="relaxed") as store:
            if not await _interrupt(store, DEEDS[name], step, moment, stubborn):
                break
    assert 0 < step < FAR - 1


@pytest.mark.parametrize("name", DEEDS)
async def test_cancelled_after_any_number_of_turns_of_the_loop(name: str) -> None:
    """Not only where the caller itself waits: wherever the store's own tasks and thread happen to be."""
    deed = DEEDS[name]
    for turns in range(12):
        async with connect("sqlite://") as store:
            prize = await deed.prepare(store)
            task = asyncio.ensure_future(deed.do(store, prize))
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            assert await deed.look(store, prize) in (deed.before, deed.after)
            async with asyncio.timeout(PROMPTLY):
                await store.create_user(email="next@example.com")


@pytest.mark.parametrize("stubborn", [False, True], ids=["once", "stubborn"])
@pytest.mark.parametrize("moment", MOMENTS)
async def test_a_cancelled_refresh_keeps_nobody_waiting(moment: Moment, stubborn: bool) -> None:
    for step in range(FAR):
        async with connect("sqlite://") as store:
            await _ada_with_everything(store)
            interrupted = Interrupted(store.refresh_account("google", "1", _answer), step, moment, stubborn=stubborn)
            with suppress(asyncio.CancelledError):
                await interrupted.run()
            async with asyncio.timeout(PROMPTLY):
                assert (await store.refresh_account("google", "1", _answer)).access_token == "new"
        if not interrupted.happened:
            break
    assert 0 < step < FAR - 1


async def test_neighbours_in_the_same_commit_do_not_notice(store: Adapter) -> None:
    for cancelled in range(10):
        calls = [asyncio.ensure_future(store.create_user(id=f"{cancelled}-{me}")) for me in range(10)]
        await asyncio.sleep(0)
        calls[cancelled].cancel()
        results = await asyncio.gather(*calls, return_exceptions=True)
        assert [me for me, result in enumerate(results) if isinstance(result, BaseException)] == [cancelled]
        for me in range(10):
            assert me == cancelled or await store.get_user(f"{cancelled}-{me}") is not None


async def test_what_a_cancelled_caller_finds_no_longer_changes(store: Adapter) -> None:
    for number in range(20):
        call = asyncio.ensure_future(store.create_user(id=str(number)))
        for _ in range(number % 4):
            await asyncio.sleep(0)
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
        first = await store.get_user(str(number))
        await store.create_user()
        assert await store.get_user(str(number)) == first


async def _dawdle(transaction: Adapter) -> None:
    async with transaction.transaction() as nested:
        await nested.create_user(id="too-late")
        await asyncio.sleep(10)


async def test_a_timeout_inside_a_transaction_may_be_survived(store: Adapter) -> None:
    async with store.transaction() as transaction:
        await transaction.create_user(id="before")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(_dawdle(transaction), 0.01)
        await transaction.create_user(id="after")
    assert [user.id for user in await store.list_users()] == ["after", "before"]


async def test_cancelled_while_waiting_for_the_turn_it_leaves_the_queue(store: Adapter) -> None:
    async with store.transaction() as transaction:
        await transaction.create_user(id="holder")
        waiting = [asyncio.ensure_future(store.create_user(id=f"waiting-{me}")) for me in range(3)]
        in_line = asyncio.ensure_future(_all_in_one_transaction(store, None))
        await asyncio.sleep(0.02)
        waiting[1].cancel()
        in_line.cancel()
        await asyncio.sleep(0.02)
        assert waiting[1].cancelled()
        assert in_line.cancelled()
    await asyncio.gather(waiting[0], waiting[2])
    assert [user.id for user in await store.list_users()] == ["holder", "waiting-0", "waiting-2"]


async def test_everybody_cancelled_again_and_again_leaves_a_store_that_works(tmp_path: Path) -> None:
    path = tmp_path / "auth.db"
    async with connect(path) as store:
        for round_ in range(30):
            calls = [asyncio.ensure_future(_all_in_one_transaction(store, None)) for _ in range(3)]
            calls += [asyncio.ensure_future(store.create_user(email=f"{round_}-{me}@example.com")) for me in range(3)]
            await asyncio.sleep(round_ / 10_000)
            for call in calls:
                call.cancel()
            await asyncio.gather(*calls, return_exceptions=True)
            assert await _everything_of_ada(store) in (NONE, ALL)
            await store.delete_user("ada")
            await store.delete_role("admin")
        assert (await store.health()).ok
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


async def test_cancelled_while_opening_it_leaves_no_thread_behind_and_a_whole_file(tmp_path: Path) -> None:
    for step in range(FAR):
        path = tmp_path / f"{step}.db"
        interrupted = Interrupted(_open_and_close(path), step, "waiting")
        try:
            await interrupted.run()
        except asyncio.CancelledError:
            assert interrupted.happened
        async with connect(path) as store:
            assert (await store.health()).ok
        if not interrupted.happened:
            break
    assert 0 < step < FAR - 1


async def _open_and_close(path: Path) -> None:
    store = await connect(path)
    await store.close()
