"""Events of an audit, who may forget them, and what shows that somebody laid hands on them."""

import asyncio
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from authstore import ChangesLostError, ConfigurationError, Event, connect, ops
from authstore.store import Store
from authstore.testing import Clock

AUDIT = timedelta(days=90)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the store will be."""
    return tmp_path / "auth.db"


@pytest.fixture
def clock() -> Clock:
    """A clock that a test moves."""
    return Clock(datetime(2031, 1, 1, tzinfo=UTC))


def sql(path: Path, *statements: str) -> None:
    """What somebody else does to the file, by plain SQL."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)


async def told(store: Store) -> list[tuple[str, str | None]]:
    """Type and actor of all events."""
    return [(event.type, event.actor) for event in await store.events(limit=1000)]


async def test_with_an_audit_signing_in_is_told_too(path: Path, clock: Clock) -> None:
    async with connect(path, audit=AUDIT, clock=clock) as store:
        user = await store.create_user(email="ada@example.com")
        with ops.acting("admin:7"):
            session = await store.create_session(user.id)
        token = await store.create_verification_token("ada@example.com")
        await store.use_verification_token("ada@example.com", token.token or "")
        await store.sign_in_with_account(provider="github", provider_account_id="1", current_user_id=user.id)
        await store.sign_in_with_account(
            provider="github", provider_account_id="1", tokens={"access_token": "secret-1"}
        )
        await store.refresh_account("github", "1", _refreshed)
        events = await store.events()
    assert [(event.type, event.actor) for event in events] == [
        ("user.created", None),
        ("session.created", "admin:7"),
        ("verification-token.created", None),
        ("verification-token.used", None),
        ("account.linked", None),
        ("account.refreshed", None),
        ("account.refreshed", None),
    ]
    assert {event.at for event in events} == {clock()}
    assert {event.user_id for event in events} == {user.id}
    assert events[1].session_id == session.id
    assert "ada@" not in str(events)
    assert "secret" not in str(events)


async def _refreshed(account: object) -> dict[str, str]:
    return {"access_token": "secret-2"}


async def test_an_audit_stands_in_the_database_and_the_longest_counts(path: Path, clock: Clock) -> None:
    async with connect(path, audit=AUDIT, clock=clock):
        pass
    async with connect(path, audit=timedelta(days=1), clock=clock), connect(path, clock=clock) as store:
        await store.create_user(id="ada")
        assert await told(store) == [("user.created", None)]
        clock.advance(AUDIT)
        await store.create_user(id="bob")
        await store.prune()
        assert len(await told(store)) == 2
        clock.advance(timedelta(microseconds=1))
        await store.prune()
        with pytest.raises(ChangesLostError) as caught:
            await store.events()
        [left] = await store.events(after=caught.value.first - 1)
        assert (left.type, left.user_id) == ("user.created", "bob")


async def test_a_retention_may_be_shortened_and_ended(path: Path, clock: Clock) -> None:
    async with connect(path, audit=AUDIT, clock=clock) as store:
        await store.create_user(id="ada")
        clock.advance(timedelta(days=2))
        await store.create_user(id="bob")
        await ops.set_retention(store, timedelta(days=1))
        await store.prune()
        with pytest.raises(ChangesLostError):
            await store.events()
        await ops.set_retention(store, None)
        await store.create_user(id="eve")
        [only] = await store.events(after=(await _first(store)) - 1)
        assert only.user_id == "bob"
        for bad in (timedelta(0), -AUDIT):
            with pytest.raises(ValueError):
                await ops.set_retention(store, bad)


async def _first(store: Store) -> int:
    with pytest.raises(ChangesLostError) as caught:
        await store.events()
    return caught.value.first


@pytest.mark.parametrize("audit", [timedelta(0), -AUDIT, 90])
def test_an_audit_is_a_time(path: Path, audit: timedelta) -> None:
    with pytest.raises(ConfigurationError):
        connect(path, audit=audit)


async def test_without_an_audit_the_last_ten_thousand_rows_are_kept(path: Path) -> None:
    async with connect(path) as store:
        await store.create_user(id="ada")
        for _ in range(3):
            async with store.transaction() as inside:
                for _ in range(3600):
                    await inside.update_user("ada", name="x")
        first = await _first(store)
        events = await store.events(after=first - 1, limit=20_000)
    assert 10_000 <= len(events) <= 10_256
    assert events[0].seq == first
    assert [event.seq for event in events] == list(range(first, first + len(events)))


async def test_under_an_audit_what_is_no_event_goes_without_a_walk_through_what_stays(path: Path) -> None:
    async with connect(path, audit=AUDIT):
        pass
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(
            "INSERT INTO changes (at, type, user_id) WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n"
            " WHERE i < 100000) SELECT '2031-01-01T00:00:00.000000Z', iif(i % 2, 'user.updated', NULL), 'ada' FROM n"
        )
        [(events, others)] = connection.execute(
            "SELECT count(*) FILTER (WHERE type IS NOT NULL), count(*) FILTER (WHERE type IS NULL) FROM changes"
        ).fetchall()
        assert events == 50_000
        assert others <= 5_000 + 128 + 1
        steps = [0]

        def count() -> None:
            steps[0] += 100

        connection.set_progress_handler(count, 100)  # of SQLite's machine: it calls after so many instructions
        for _ in range(256):
            connection.execute("INSERT INTO changes (at, type) VALUES ('2031-01-01T00:00:00.000000Z', 'user.updated')")
        assert steps[0] < 100_000


async def test_what_plain_sql_did_is_told_with_the_time_of_the_database(path: Path, clock: Clock) -> None:
    before = datetime.now(UTC) - timedelta(seconds=1)
    async with connect(path, clock=clock) as store:
        user = await store.create_user(email="ada@example.com")
        sessions = [await store.create_session(user.id) for _ in range(2)]
        sql(
            path,
            "PRAGMA foreign_keys = ON",
            "UPDATE users SET name = 'x'",
            f"DELETE FROM sessions WHERE id = '{sessions[0].id}'",
            "DELETE FROM users",
        )
        events = await store.events()
        why = [await store.why_ended(session.token or "") for session in sessions]
    assert [(event.type, event.reason, event.actor) for event in events] == [
        ("user.updated", None, "sql"),
        ("session.ended", "revoked", "sql"),
        ("session.ended", "user-deleted", "sql"),
        ("user.deleted", None, "sql"),
    ]
    assert all(before <= event.at <= datetime.now(UTC) for event in events)
    assert [(ended.reason, ended.by) for ended in why if ended] == [("revoked", "sql"), ("user-deleted", "sql")]


async def test_a_follower_gets_every_event_once_it_happens(path: Path) -> None:
    async with connect(path) as store, connect(path) as other:
        await store.create_user(id="ada")
        seen: list[Event] = []

        async def follow() -> None:
            async for event in ops.follow(store):
                seen.append(event)
                if len(seen) == 3:
                    return

        following = asyncio.create_task(follow())
        for name in ("a", "b", "c"):
            await asyncio.sleep(0.05)
            await other.update_user("ada", name=name)
        await asyncio.wait_for(following, 10)
        assert [event.type for event in seen] == ["user.updated"] * 3
        following = asyncio.create_task(anext(aiter(ops.follow(store, after=seen[1].seq))))
        assert await asyncio.wait_for(following, 10) == seen[2]


async def audited(path: Path, clock: Clock) -> None:
    """A store in which something happened."""
    async with connect(path, audit=AUDIT, clock=clock) as store:
        for name in ("ada", "bob", "eve", "joe"):
            await store.create_user(id=name)
            await store.update_user(name, name=name)


async def checked(path: Path) -> ops.ChainReport:
    """What checking the file's log says."""
    async with connect(path) as store:
        return await ops.verify_events(store)


async def test_a_log_that_nobody_touched_is_whole(path: Path, clock: Clock) -> None:
    await audited(path, clock)
    assert await checked(path) == ops.ChainReport(8, 0, ())
    async with connect(path, clock=clock) as store:
        clock.advance(AUDIT)
        await store.update_user("ada", disabled=True)
        clock.advance(timedelta(seconds=1))
        await store.prune()
    assert await checked(path) == ops.ChainReport(1, 0, ())


SECOND = "(SELECT seq FROM changes WHERE type IS NOT NULL ORDER BY seq LIMIT 1 OFFSET 1)"
LAST = "(SELECT max(seq) FROM changes)"
FIRST = "(SELECT min(seq) FROM changes WHERE type IS NOT NULL)"


@pytest.mark.parametrize(
    "tampering",
    [
        *(
            f"UPDATE changes SET {change} WHERE seq = {SECOND}"
            for change in (
                "type = 'user.enabled'",
                "type = NULL",
                "user_id = 'x'",
                "session_id = 'x'",
                "reason = 'x'",
                "actor = 'x'",
                "data = '{}'",
                "data = NULL",
                "at = '2020-01-01T00:00:00.000000Z'",
                "nonce = 1",
                "seq = 10000",
            )
        ),
        f"UPDATE changes SET actor = 'x' WHERE seq = {LAST}",
        f"UPDATE changes SET actor = 'x' WHERE seq = {FIRST}",
        f"DELETE FROM changes WHERE seq = {SECOND}",
        f"DELETE FROM changes WHERE seq = {LAST}",
        f"DELETE FROM changes WHERE seq = {FIRST}",
        "DELETE FROM changes",
        f"UPDATE changes SET seq = -1 WHERE seq = {SECOND}",
    ],
)
async def test_a_changed_dropped_or_moved_event_is_found(path: Path, clock: Clock, tampering: str) -> None:
    await audited(path, clock)
    sql(path, tampering)
    assert (await checked(path)).problems != ()


async def test_two_events_that_changed_places_are_found(path: Path, clock: Clock) -> None:
    await audited(path, clock)
    sql(
        path,
        "UPDATE changes SET seq = 1000 WHERE seq = 3",
        "UPDATE changes SET seq = 3 WHERE seq = 4",
        "UPDATE changes SET seq = 4 WHERE seq = 1000",
    )
    assert (await checked(path)).problems != ()


async def test_what_plain_sql_did_joins_the_chain_with_the_next_write(path: Path, clock: Clock) -> None:
    await audited(path, clock)
    sql(path, "UPDATE users SET image = 'x' WHERE id = 'ada'")
    assert await checked(path) == ops.ChainReport(9, 1, ())
    async with connect(path, clock=clock) as store:
        await store.create_user(id="zoe")
    assert await checked(path) == ops.ChainReport(10, 0, ())


async def test_an_audit_that_begins_later_chains_what_is_there(path: Path, clock: Clock) -> None:
    async with connect(path, clock=clock) as store:
        await store.create_user(id="ada")
        await store.update_user("ada", name="x")
        assert await ops.verify_events(store) == ops.ChainReport(0, 0, ())
        await ops.set_retention(store, AUDIT)
        await store.create_user(id="bob")
        assert await told(store) == [("user.updated", None), ("user.created", None)]
        assert await ops.verify_events(store) == ops.ChainReport(2, 0, ())
