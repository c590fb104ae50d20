"""A user with more sessions than should end in one transaction: they end in slices, and nobody can tell but by waiting
less."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from authstore import Adapter, EmailTakenError, SessionPolicy, connect
from authstore.store.tuning import Tuning
from authstore.testing import Clock
from tests.stores import tuned_store

NOW = datetime(2031, 5, 6, 7, 8, 9, tzinfo=UTC)
SLICE, LIVING, DEAD = 30, 600, 40  # three stretches of a walk
FEW_ARE_MANY = Tuning(many_sessions=100, slice_sessions=SLICE)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Adapter]:
    async with tuned_store(tmp_path / "auth.db", FEW_ARE_MANY, clock=Clock(NOW)) as opened:
        yield opened


async def with_sessions(store: Adapter) -> list[str]:
    """Of `ada`, whose address nobody proved, the tokens of many sessions, of which some are dead; `eve` has one."""
    await store.create_user(id="ada", email="ada@example.com")
    async with store.transaction() as transaction:
        dead = [await transaction.create_session("ada", expires=NOW) for _ in range(DEAD)]
        living = [await transaction.create_session("ada") for _ in range(LIVING)]
    await store.create_session((await store.create_user(id="eve", email="eve@example.com")).id, token="eve" * 8)
    return [str(session.token) for session in dead + living]


def left(path: Path, user: str = "ada") -> int:
    with closing(sqlite3.connect(path)) as connection:
        (count,) = connection.execute("SELECT count(*) FROM sessions WHERE user_id = ?", (user,)).fetchone()
        return int(count)


async def until_left(path: Path, most: int) -> None:
    while left(path) > most:  # noqa: ASYNC110 - what others see in the file is the question
        await asyncio.sleep(0.001)


async def disable(store: Adapter) -> None:
    assert await store.update_user("ada", disabled=True) is not None


async def delete(store: Adapter) -> None:
    assert await store.delete_user("ada") is True


async def revoke(store: Adapter) -> None:
    assert await store.revoke_sessions("ada") == LIVING + DEAD
    assert await store.revoke_sessions("ada") == 0


async def prove(store: Adapter) -> None:
    signed_in = await store.sign_in_with_account(
        provider="google", provider_account_id="1", email="ada@example.com", email_verified=True, trust_email=True
    )
    assert signed_in.user.id == "ada"


WAYS: dict[str, Callable[[Adapter], Awaitable[None]]] = {
    "user-disabled": disable,
    "user-deleted": delete,
    "revoked": revoke,
    "revoked by who proved the address": prove,
}


@pytest.mark.parametrize("reason", WAYS)
async def test_all_end_for_their_reason(store: Adapter, tmp_path: Path, reason: str) -> None:
    tokens = await with_sessions(store)
    await WAYS[reason](store)
    assert left(tmp_path / "auth.db") == 0
    ends = [await store.why_ended(token) for token in (*tokens[::7], tokens[-1])]
    assert {end and end.reason for end in ends} == {"expired", reason.partition(" ")[0]}
    assert ends[0] is not None
    assert (ends[0].reason, ends[0].at) == ("expired", NOW)
    assert await store.get_session("eve" * 8) is not None
    events = [event for event in await store.events(limit=10_000) if event.type == "session.ended"]
    assert len(events) == len({event.session_id for event in events}) == LIVING + DEAD


async def test_enabled_again_nobody_is_signed_in(store: Adapter) -> None:
    tokens = await with_sessions(store)
    await disable(store)
    await store.update_user("ada", disabled=False)
    assert [await store.get_session(token) for token in tokens[::50]] == [None] * len(tokens[::50])


async def test_who_is_disabled_by_plain_sql_has_none_to_list_though_none_has_ended(
    store: Adapter, tmp_path: Path
) -> None:
    await with_sessions(store)
    for is_disabled in (True, False):
        with closing(sqlite3.connect(tmp_path / "auth.db")) as connection, connection:
            connection.execute("UPDATE users SET disabled = ? WHERE id = 'ada'", (is_disabled,))
        assert bool(await store.list_sessions("ada")) is not is_disabled
    assert left(tmp_path / "auth.db") == LIVING + DEAD


async def test_one_is_spared(store: Adapter, tmp_path: Path) -> None:
    tokens = await with_sessions(store)
    spared = tokens[DEAD + 270]
    assert await store.revoke_sessions("ada", except_token=spared) == LIVING + DEAD - 1
    assert await store.get_session(spared) is not None
    assert left(tmp_path / "auth.db") == 1


async def test_a_change_that_is_refused_ends_none(store: Adapter, tmp_path: Path) -> None:
    await with_sessions(store)
    with pytest.raises(EmailTakenError):
        await store.update_user("ada", disabled=True, email="eve@example.com")
    assert left(tmp_path / "auth.db") == LIVING + DEAD


async def test_of_a_call_that_was_stopped_the_next_one_does_the_rest(store: Adapter, tmp_path: Path) -> None:
    tokens = await with_sessions(store)
    task = asyncio.ensure_future(store.update_user("ada", disabled=True))
    await until_left(tmp_path / "auth.db", LIVING - 2 * SLICE)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    await disable(store)
    assert left(tmp_path / "auth.db") == 0
    ended = await store.why_ended(tokens[-1])
    assert ended is not None
    assert ended.reason == "user-disabled"


async def test_no_transaction_holds_more_than_a_slice(store: Adapter, tmp_path: Path) -> None:
    await with_sessions(store)
    path, seen = tmp_path / "auth.db", list[int]()
    task = asyncio.ensure_future(disable(store))
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        while not task.done():
            seen.append(other.execute("SELECT count(*) FROM sessions WHERE user_id = 'ada'").fetchone()[0])
            other.execute("UPDATE users SET name = 'written meanwhile' WHERE id = 'eve'")
            await asyncio.sleep(0)
    await task
    assert len(set(seen)) > 3  # whoever else writes comes in between
    eve = await store.get_user("eve")
    assert eve is not None
    assert eve.name == "written meanwhile"


async def test_within_a_transaction_it_is_all_or_nothing(store: Adapter, tmp_path: Path) -> None:
    await with_sessions(store)

    async def fail() -> None:
        async with store.transaction() as transaction:
            assert await transaction.revoke_sessions("ada") == LIVING + DEAD
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    assert left(tmp_path / "auth.db") == LIVING + DEAD


@pytest.mark.parametrize("limit", [1, 5, 300])
async def test_cut_to_a_limit_those_used_last_stay(store: Adapter, tmp_path: Path, limit: int) -> None:
    tokens, clock = await with_sessions(store), Clock(NOW + timedelta(hours=1))
    path = tmp_path / "auth.db"
    used = tokens[DEAD + 7 :: 13][: limit - 1]
    async with connect(path, clock=clock) as later:
        for token in used:
            assert await later.touch_session(token) is not None
    policy = SessionPolicy(max_per_user=limit)
    async with tuned_store(path, FEW_ARE_MANY, clock=clock, policy=policy) as strict:
        new = await strict.create_session("ada")
        living = {session.id for session in await strict.list_sessions("ada", limit=1000)}
        kept = {session.id for token in used if (session := await strict.get_session(token))}
        assert len(kept) == len(used)
        assert {new.id, *kept} <= living
        assert len(living) == limit
        ends = [await strict.why_ended(token) for token in (tokens[0], tokens[DEAD])]
        assert [end and end.reason for end in ends] == ["expired", "limit"]


async def test_a_limit_ends_nobody_who_comes_back_meanwhile(store: Adapter, tmp_path: Path) -> None:
    tokens = await with_sessions(store)
    path, clock = tmp_path / "auth.db", Clock(NOW + timedelta(hours=1))
    async with tuned_store(path, FEW_ARE_MANY, clock=clock, policy=SessionPolicy(max_per_user=5)) as strict:
        task = asyncio.ensure_future(strict.create_session("ada"))
        await until_left(path, DEAD + LIVING - SLICE)  # of the first stretch all are known by now
        comes_back = await strict.touch_session(tokens[240])
        await task
        assert comes_back is not None
        assert await strict.get_session(tokens[240]) is not None


async def test_rows_that_cannot_be_read_end_as_well(store: Adapter, tmp_path: Path) -> None:
    await with_sessions(store)
    path = tmp_path / "auth.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE sessions SET last_used_at = '9999-19-39T00:00:00.000000Z' WHERE user_id = 'ada'")
    policy = SessionPolicy(max_per_user=5)
    async with tuned_store(path, FEW_ARE_MANY, clock=Clock(NOW), policy=policy) as strict:
        await strict.create_session("ada")
    await disable(store)
    assert left(path) == 0
