"""`refresh_account` where the database is busy, the provider never answers, or its holder died."""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from authstore import (
    Account,
    Adapter,
    KeyUnavailableError,
    StoreBusyError,
    StoreClosedError,
    StoreMisuseError,
    connect,
    utc_now,
)
from authstore.store.tuning import Tuning
from authstore.testing import Clock
from tests.stores import tuned_store

TOKENS = {"access_token": "access-0", "refresh_token": "refresh-0"}
A_SECOND = Tuning(lease=timedelta(seconds=1))
NEW = {"access_token": "access-1", "refresh_token": "refresh-1"}


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Adapter]:
    """A store with one account."""
    async with connect(tmp_path / "auth.db") as store:
        user = await store.create_user(id="ada")
        await store.link_account(user.id, "github", "42", **TOKENS)
        yield store


def locked(path: Path) -> sqlite3.Connection:
    """A connection that holds the write lock until it is closed."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    return connection


async def stored(store: Adapter) -> Account:
    account = await store.get_account("github", "42")
    assert account is not None
    return account


async def test_what_the_provider_gave_outlasts_a_busy_database(store: Adapter, tmp_path: Path) -> None:
    locks: list[sqlite3.Connection] = []

    async def refresh(account: Account) -> Mapping[str, Any]:
        locks.append(locked(tmp_path / "auth.db"))
        asyncio.get_running_loop().call_later(6, locks[0].close)  # longer than a write waits
        return NEW

    account = await store.refresh_account("github", "42", refresh)
    assert (account.access_token, account.refresh_token) == ("access-1", "refresh-1")
    assert await stored(store) == account


async def test_a_caller_who_goes_meanwhile_loses_nothing(store: Adapter, tmp_path: Path) -> None:
    asked = asyncio.Event()

    async def refresh(account: Account) -> Mapping[str, Any]:
        asked.set()
        return NEW

    with closing(locked(tmp_path / "auth.db")) as lock:
        lock.execute("ROLLBACK")
        task = asyncio.create_task(store.refresh_account("github", "42", refresh))
        await asked.wait()
        lock.execute("BEGIN IMMEDIATE")
        task.cancel()
        await asyncio.sleep(0.3)
        assert not task.done()
        lock.execute("ROLLBACK")
        with pytest.raises(asyncio.CancelledError):
            await task
    assert (await stored(store)).refresh_token == "refresh-1"


async def test_what_cannot_be_kept_is_on_the_error(store: Adapter, tmp_path: Path) -> None:
    locks: list[sqlite3.Connection] = []

    async def refresh(account: Account) -> Mapping[str, Any]:
        locks.append(locked(tmp_path / "auth.db"))
        return NEW

    async with tuned_store(tmp_path / "auth.db", A_SECOND) as hasty:
        with pytest.raises(StoreBusyError) as busy:
            await hasty.refresh_account("github", "42", refresh)
    locks[0].close()
    assert busy.value.fields == NEW
    assert "refresh-1" not in f"{busy.value} {busy.value!r}"
    await store.link_account("ada", "github", "42", **busy.value.fields)
    assert (await stored(store)).refresh_token == "refresh-1"


async def test_a_store_that_was_closed_meanwhile_hands_them_over_at_once(store: Adapter) -> None:
    async def refresh(account: Account) -> Mapping[str, Any]:
        await store.close()
        return NEW

    with pytest.raises(StoreClosedError) as closed:
        await asyncio.wait_for(store.refresh_account("github", "42", refresh), 10)
    assert closed.value.fields == NEW
    with pytest.raises(StoreClosedError) as other:
        await store.get_account("github", "42")
    assert other.value.fields is None


async def test_a_provider_that_never_answers_is_given_up_and_the_next_in_line_asks(store: Adapter) -> None:
    entered = asyncio.Event()

    async def stuck(account: Account) -> Mapping[str, Any]:
        entered.set()
        await asyncio.Event().wait()
        raise AssertionError("unreachable")

    async def refresh(account: Account) -> Mapping[str, Any]:
        return NEW

    limit = {"timeout": timedelta(seconds=0.5)}  # a minute unless said
    first = asyncio.create_task(store.refresh_account("github", "42", stuck, **limit))  # type: ignore[call-arg]
    await entered.wait()
    second = asyncio.create_task(store.refresh_account("github", "42", refresh))
    with pytest.raises(TimeoutError, match=r"0\.5 seconds"):
        await first
    assert (await asyncio.wait_for(second, 10)).access_token == "access-1"


async def answering(account: Account) -> Mapping[str, Any]:
    return NEW


def directly(call: Awaitable[Account]) -> Awaitable[Account]:
    return call


async def in_a_task_of_its_own(call: Awaitable[Account]) -> Account:
    return await asyncio.ensure_future(call)


async def within_a_limit(call: Awaitable[Account]) -> Account:
    return await asyncio.wait_for(call, 30)


@pytest.mark.parametrize("calling", [directly, in_a_task_of_its_own, within_a_limit])
async def test_a_callback_that_asks_for_its_own_account_is_refused_at_once(
    store: Adapter, calling: Callable[[Awaitable[Account]], Awaitable[Account]]
) -> None:
    async def turning(account: Account) -> Mapping[str, Any]:
        return dict(await calling(store.refresh_account("github", "42", answering)))

    async with asyncio.timeout(5):
        with pytest.raises(StoreMisuseError, match="within its own refresh"):
            await store.refresh_account("github", "42", turning)
    assert (await stored(store)).access_token == "access-0"
    assert (await store.refresh_account("github", "42", answering)).access_token == "access-1"


async def test_so_is_one_that_does_it_by_another_store_on_the_same_file(store: Adapter, tmp_path: Path) -> None:
    async with connect(tmp_path / "auth.db") as beside, asyncio.timeout(5):

        async def turning(account: Account) -> Mapping[str, Any]:
            return dict(await beside.refresh_account("github", "42", answering))

        with pytest.raises(StoreMisuseError):
            await store.refresh_account("github", "42", turning)
    assert (await store.refresh_account("github", "42", answering)).access_token == "access-1"


async def test_accounts_whose_refreshes_want_each_other_are_refused_and_others_are_not(store: Adapter) -> None:
    await store.link_account("ada", "google", "42", access_token="access-0")

    async def first(account: Account) -> Mapping[str, Any]:
        return dict(await store.refresh_account("google", "42", second))

    async def second(account: Account) -> Mapping[str, Any]:
        return dict(await store.refresh_account("github", "42", answering))

    async def nested(account: Account) -> Mapping[str, Any]:
        inner = await store.refresh_account("google", "42", answering)
        return {"access_token": f"by {inner.access_token}"}

    async with asyncio.timeout(5):
        with pytest.raises(StoreMisuseError):
            await store.refresh_account("github", "42", first)
        assert (await store.refresh_account("github", "42", nested)).access_token == "by access-1"


async def test_what_a_callback_begins_may_refresh_when_the_callback_is_done(store: Adapter) -> None:
    over = asyncio.Event()
    begun: list[asyncio.Task[Account]] = []

    async def afterwards() -> Account:
        await over.wait()
        return await store.refresh_account("github", "42", answering)

    async def refresh(account: Account) -> Mapping[str, Any]:
        begun.append(asyncio.create_task(afterwards()))
        return {"access_token": "access-first"}

    await store.refresh_account("github", "42", refresh)
    over.set()
    assert (await asyncio.wait_for(begun[0], 5)).access_token == "access-1"


OLDER, NEWER = "an older secret of 32 characters", "a newer secret of 32 characters."


@pytest.mark.parametrize("fields", [NEW, {"access_token": "access-1"}])
@pytest.mark.parametrize("meanwhile", ["rekey", "forget_unreadable"])
async def test_tokens_that_are_sealed_anew_or_cleared_meanwhile_are_no_newer(
    tmp_path: Path, meanwhile: str, fields: Mapping[str, Any]
) -> None:
    newer_keys = [NEWER, OLDER] if meanwhile == "rekey" else [NEWER]
    async with connect(tmp_path / "a.db", keys=[OLDER]) as old, connect(tmp_path / "a.db", keys=newer_keys) as new:
        await old.link_account((await old.create_user()).id, "github", "42", **TOKENS)

        async def refresh(account: Account) -> Mapping[str, Any]:
            assert await getattr(new, meanwhile)() == 1
            return fields

        refreshed = await old.refresh_account("github", "42", refresh)
        assert refreshed.access_token == "access-1"
        if meanwhile == "rekey":  # what was not refreshed is still there, under the newer key
            assert (await stored(new)).refresh_token == {**TOKENS, **fields}["refresh_token"]
        else:
            assert await old.get_account("github", "42") == refreshed


async def test_tokens_given_meanwhile_under_a_key_that_is_not_ours_stay(tmp_path: Path) -> None:
    clock = Clock()
    stores = (connect(tmp_path / "a.db", keys=keys, clock=clock) for keys in ([OLDER], [NEWER, OLDER]))
    async with next(stores) as old, next(stores) as new:
        await old.link_account((await old.create_user(id="ada")).id, "github", "42", **TOKENS)

        async def refresh(account: Account) -> Mapping[str, Any]:
            clock.advance(timedelta(seconds=1))
            await new.link_account("ada", "github", "42", access_token="given", refresh_token="given")
            return NEW

        with pytest.raises(KeyUnavailableError):
            await old.refresh_account("github", "42", refresh)
        assert (await stored(new)).refresh_token == "given"


async def test_who_finds_the_database_busy_still_gets_the_answer_of_who_was_faster(
    store: Adapter, tmp_path: Path
) -> None:
    asked: list[str | None] = []

    async def refresh(account: Account) -> Mapping[str, Any]:
        asked.append(account.refresh_token)
        lock = locked(tmp_path / "auth.db")
        asyncio.get_running_loop().call_later(6, lock.close)  # longer than a write waits
        return NEW

    async with connect(tmp_path / "auth.db") as beside:
        calls = [each.refresh_account("github", "42", refresh) for each in (store, beside, store, beside)]
        accounts = await asyncio.gather(*calls)
    assert asked == ["refresh-0"]
    assert [account.refresh_token for account in accounts] == ["refresh-1"] * 4


async def test_who_finds_the_database_busy_and_nobody_asking_is_told(store: Adapter, tmp_path: Path) -> None:
    with closing(locked(tmp_path / "auth.db")), pytest.raises(StoreBusyError) as busy:
        await store.refresh_account("github", "42", answering)
    assert busy.value.fields is None
    assert (await store.refresh_account("github", "42", answering)).access_token == "access-1"


async def test_a_timeout_of_the_callbacks_own_is_its_own(store: Adapter) -> None:
    async def refresh(account: Account) -> Mapping[str, Any]:
        raise TimeoutError("the provider's")

    with pytest.raises(TimeoutError, match="the provider's"):
        await store.refresh_account("github", "42", refresh)


async def test_a_holder_that_died_is_replaced_by_real_time_though_the_clock_stands_still(tmp_path: Path) -> None:
    now = utc_now()
    async with tuned_store(tmp_path / "auth.db", A_SECOND, clock=lambda: now) as store:
        await store.link_account((await store.create_user()).id, "github", "42", access_token="access-0")
        with closing(sqlite3.connect(tmp_path / "auth.db")) as connection, connection:
            until = (now + timedelta(seconds=1)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
            connection.execute("UPDATE accounts SET refresh_holder = 'the dead', refresh_until = ?", (until,))

        async def refresh(account: Account) -> Mapping[str, Any]:
            return NEW

        began = time.monotonic()
        account = await asyncio.wait_for(store.refresh_account("github", "42", refresh), 20)
        assert account.access_token == "access-1"
        assert time.monotonic() - began >= 1


async def test_a_holder_that_lives_keeps_its_lease_while_the_clock_stands_still(tmp_path: Path) -> None:
    asked: list[str] = []
    now = utc_now()
    tuning = Tuning(lease=timedelta(seconds=1), renew_seconds=0.2)
    async with tuned_store(tmp_path / "auth.db", tuning, clock=lambda: now) as store:
        await store.link_account((await store.create_user()).id, "github", "42", access_token="access-0")

        async def refresh(account: Account) -> Mapping[str, Any]:
            asked.append(str(account.access_token))
            await asyncio.sleep(2.5)
            return NEW

        both = await asyncio.gather(*(store.refresh_account("github", "42", refresh) for _ in range(2)))
    assert asked == ["access-0"]
    assert [account.access_token for account in both] == ["access-1"] * 2
