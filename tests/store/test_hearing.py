"""Whoever listens to a store hears what it wrote, after the commit, and nobody else's."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from authstore import Adapter, EmailTakenError, Event, Permission, connect
from authstore.store import Store


class Heard(list[Event]):
    """What was told so far."""

    def take(self) -> list[tuple[str, str | None]]:
        taken = [(event.type, event.reason) for event in self]
        self.clear()
        return taken


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with connect(tmp_path / "auth.db") as store:
        assert isinstance(store, Store)
        yield store


@pytest.fixture
def heard(store: Store) -> Heard:
    heard = Heard()
    store.listen(heard.extend)
    return heard


async def test_what_is_created_is_heard_though_no_log_keeps_it_otherwise(store: Store, heard: Heard) -> None:
    user = await store.create_user(email="ada@example.com")
    session = await store.create_session(user.id)
    token = await store.create_verification_token("ada@example.com")
    await store.use_verification_token("ada@example.com", token.token or "")
    assert [event.user_id for event in heard] == [user.id] * 4
    assert heard[1].session_id == session.id
    assert [kind for kind, _ in heard.take()] == [
        "user.created",
        "session.created",
        "verification-token.created",
        "verification-token.used",
    ]


async def test_why_a_session_ended_is_heard(store: Store, heard: Heard) -> None:
    user = await store.create_user()
    first, second = await store.create_session(user.id), await store.create_session(user.id)
    heard.clear()
    await store.delete_session(first.token or "")
    await store.revoke_session(second.id, reason="lost phone")
    assert heard.take() == [("session.ended", "signed-out"), ("session.ended", "lost phone")]
    await store.create_role("staff", permissions=[Permission(resource="a", action="b")])
    await store.grant_role(user.id, "staff")
    assert heard.take() == [("role.created", None), ("role.granted", None)]


async def test_what_did_not_happen_is_not_heard(store: Store, heard: Heard) -> None:
    await store.create_user(email="ada@example.com")
    heard.clear()
    with pytest.raises(EmailTakenError):
        await store.create_user(email="ada@example.com")
    with pytest.raises(ZeroDivisionError):
        await _fail_inside(store)
    assert heard.take() == []


async def _fail_inside(store: Adapter) -> None:
    async with store.transaction() as inner:
        await inner.create_user()
        raise ZeroDivisionError


async def test_a_transaction_is_heard_as_a_whole_at_its_end(store: Store, heard: Heard) -> None:
    async with store.transaction() as outer:
        user = await outer.create_user()
        with pytest.raises(ZeroDivisionError):
            await _fail_inside(outer)
        async with outer.transaction() as inner:
            await inner.create_session(user.id)
        assert heard == []
    assert [kind for kind, _ in heard.take()] == ["user.created", "session.created"]


async def test_only_what_this_store_does_is_heard(store: Store, heard: Heard, tmp_path: Path) -> None:
    async with connect(tmp_path / "auth.db") as another:
        await another.create_role("theirs")
        await store.create_role("ours")
    assert [event.data for event in heard] == [{"role": "ours"}]


async def test_a_call_that_is_cancelled_is_heard_where_it_happened(store: Store, heard: Heard) -> None:
    for number in range(20):
        call = asyncio.create_task(store.create_user(email=f"{number}@example.com"))
        await asyncio.sleep(0.0002 * number)
        call.cancel()
        await asyncio.wait([call])
    await store.create_role("the last to be heard")
    await asyncio.sleep(0)
    happened = {user.id for user in await store.list_users()}
    assert {event.user_id for event in heard if event.type == "user.created"} == happened


async def test_several_may_listen_and_stop(store: Store, heard: Heard) -> None:
    second = Heard()
    stop = store.listen(second.extend)
    await store.create_role("one")
    stop()
    await store.create_role("two")
    assert len(heard.take()) == 2
    assert len(second) == 1


async def test_listening_leaves_the_log_without_an_audit_and_short(store: Store, heard: Heard, tmp_path: Path) -> None:
    user = await store.create_user()
    with closing(sqlite3.connect(tmp_path / "auth.db", isolation_level=None)) as plain:
        [(at,)] = plain.execute("SELECT max(at) FROM changes").fetchall()
        plain.execute("INSERT INTO changes (seq, at, type) VALUES (20000, ?, 'user.updated')", [at])
        for _ in range(300):
            await store.create_session(user.id)
        assert len(heard) == 301
        assert plain.execute("SELECT audit_seconds FROM change_log").fetchall() == [(None,)]
        assert plain.execute("SELECT min(seq) FROM changes").fetchall() == [(20_000,)]
        assert plain.execute("SELECT lost FROM change_log").fetchall() == [(heard[0].seq,)]
