"""What plain SQL does on PostgreSQL is told too, and no event comes before one that is still open."""

import asyncio
from collections import Counter
from datetime import timedelta

import psycopg
import pytest

from authstore import Adapter, ConfigurationError, Event, connect, ops
from authstore.store import Store


async def test_what_plain_sql_did_is_told(store_url: str) -> None:
    async with connect(store_url) as store:
        user = await store.create_user(email="ada@example.com")
        sessions = [await store.create_session(user.id) for _ in range(2)]
        with psycopg.connect(store_url, autocommit=True) as sql:
            sql.execute("UPDATE users SET name = 'x'")
            sql.execute("DELETE FROM sessions WHERE id = %s", [sessions[0].id])
            sql.execute("DELETE FROM users")
        told = [(event.type, event.reason, event.actor) for event in await store.events()]
        why = [await store.why_ended(session.token or "") for session in sessions]
    assert told == [
        ("user.updated", None, "sql"),
        ("session.ended", "revoked", "sql"),
        ("user.deleted", None, "sql"),
        ("session.ended", "user-deleted", "sql"),
    ]
    assert [(ended.reason, ended.by) for ended in why if ended] == [("revoked", "sql"), ("user-deleted", "sql")]


@pytest.mark.parametrize("isolation", ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"])
async def test_no_event_comes_before_one_that_is_still_open(store_url: str, isolation: str) -> None:
    async with connect(store_url) as store:
        for name in ("ada", "bob"):
            await store.create_user(id=name)
        with psycopg.connect(store_url, autocommit=True) as slow:
            slow.execute(f"BEGIN ISOLATION LEVEL {isolation}")
            slow.execute("UPDATE users SET name = 'slow' WHERE id = 'ada'")
            fast = asyncio.create_task(store.update_user("bob", name="fast"))
            await asyncio.sleep(0.3)
            assert await store.events() == []
            slow.execute("COMMIT")
            await fast
        assert [event.user_id for event in await store.events()] == ["ada", "bob"]


async def test_an_audit_is_chained_and_what_was_changed_is_found(store_url: str) -> None:
    async with connect(store_url, audit=timedelta(days=1)) as store:
        for name in ("ada", "bob", "eve"):
            await store.create_user(id=name)
        await store.prune()
        report = await ops.verify_events(store)
        assert (report.checked, report.problems) == (3, ())
        with psycopg.connect(store_url, autocommit=True) as sql:
            sql.execute("UPDATE changes SET actor = 'x' WHERE user_id = 'bob'")
        assert (await ops.verify_events(store)).problems != ()


def test_a_cache_is_refused(store_url: str) -> None:
    with pytest.raises(ConfigurationError):
        connect(store_url, cache=10)


async def test_each_of_two_stores_hears_its_own_writes_alone(store_url: str) -> None:
    async def write(store: Adapter, number: int) -> None:
        user = await store.create_user(id=f"{id(store)}-{number}")
        session = await store.create_session(user.id)
        await store.update_user(user.id, name="Ada")
        await store.revoke_session(session.id)

    async with connect(store_url) as one, connect(store_url) as other:
        heard: dict[int, list[Event]] = {id(one): [], id(other): []}
        for store in (one, other):
            assert isinstance(store, Store)
            store.listen(heard[id(store)].extend)
        await asyncio.gather(*(write(store, number) for number in range(10) for store in (one, other)))
        for own, events in heard.items():
            assert {str(event.user_id).partition("-")[0] for event in events} == {str(own)}
            kinds = Counter(event.type for event in events)
            assert kinds == dict.fromkeys(("user.created", "session.created", "user.updated", "session.ended"), 10)
