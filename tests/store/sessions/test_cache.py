"""A cache that never answers with what was before: each way to change something, and each way to be late."""

import asyncio
import gc
import os
import shutil
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from authstore import Session, SessionPolicy, StoreClosedError, StoreNotFoundError, User, connect
from authstore.store import Store
from authstore.store.sessions.cache import MOST_ROWS
from authstore.testing import Clock

SIZE = 100


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the store will be."""
    return tmp_path / "auth.db"


@pytest.fixture
def clock() -> Clock:
    """A clock that a test moves."""
    return Clock(datetime(2031, 1, 1, tzinfo=UTC))


@pytest.fixture
async def store(path: Path, clock: Clock) -> AsyncIterator[Store]:
    """A store with a cache."""
    async with connect(path, cache=SIZE, clock=clock) as opened:
        assert isinstance(opened, Store)
        yield opened


@pytest.fixture
def sql(path: Path, store: Store) -> Iterator[sqlite3.Connection]:
    """Plain SQL, as another process would use it."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        yield connection


async def signed_in(store: Store, **given: Any) -> tuple[User, Session]:
    """A user with a session that is in the cache."""
    user = await store.create_user(email="ada@example.com", data={"deep": {"list": [1]}}, **given)
    session = await store.create_session(user.id, data={"a": {"b": [1]}})
    await cached(store, session)
    return user, session


async def cached(store: Store, *sessions: Session) -> None:
    """Looks them up until they come from the cache."""
    for session in sessions:
        await store.get_session_and_user(session.token or "")
        hits = store.cache_info().hits
        await store.get_session_and_user(session.token or "")
        assert store.cache_info().hits == hits + 1


async def test_what_was_found_is_kept(store: Store) -> None:
    user, session = await signed_in(store)
    before = store.cache_info()
    assert await store.get_session_and_user(session.token or "") == (session, user)
    assert await store.get_session(session.token or "") == session
    after = store.cache_info()
    assert (after.hits - before.hits, after.misses - before.misses, after.entries, after.size) == (2, 0, 1, SIZE)


async def test_signing_in_elsewhere_leaves_the_cache_as_it_is(store: Store, path: Path) -> None:
    _, session = await signed_in(store)
    async with connect(path) as other:
        for number in range(20):
            await other.create_session((await other.create_user(id=f"u{number}")).id)
    misses = store.cache_info().misses
    assert await store.get_session(session.token or "") == session
    assert store.cache_info().misses == misses


async def test_the_longest_unused_goes(path: Path) -> None:
    async with connect(path, cache=3) as store:
        user = await store.create_user()
        sessions = [await store.create_session(user.id) for _ in range(4)]
        await cached(store, *sessions[:3])
        await cached(store, sessions[0], sessions[3])
        assert store.cache_info().entries == 3
        misses = store.cache_info().misses
        await store.get_session(sessions[0].token or "")
        assert store.cache_info().misses == misses
        await store.get_session(sessions[1].token or "")
        assert store.cache_info().misses == misses + 1


async def test_a_caller_may_change_what_it_got(store: Store) -> None:
    user, session = await signed_in(store)
    for _ in range(3):
        found = await store.get_session_and_user(session.token or "")
        assert found == (session, user)
        found[0].data["a"]["b"].append(2)  # type: ignore[index, call-overload, union-attr]
        found[1].data.clear()
        object.__setattr__(found[1], "disabled", True)


async def test_expiry_and_policy_are_judged_at_every_look_up(path: Path, clock: Clock) -> None:
    async with connect(path, cache=SIZE, clock=clock) as store:
        _, session = await signed_in(store)
        clock.set(session.last_used_at + timedelta(days=7) - timedelta(microseconds=1))
        assert await store.get_session(session.token or "") == session
        clock.advance(timedelta(microseconds=1))
        hits = store.cache_info().hits
        assert await store.get_session(session.token or "") is None
        assert store.cache_info().hits == hits + 1
        strict = SessionPolicy(idle=timedelta(minutes=1))
        async with connect(path, cache=SIZE, clock=clock, policy=strict) as other:
            clock.set(session.created_at + timedelta(minutes=1) - timedelta(microseconds=1))
            await cached(other, session)
            clock.advance(timedelta(microseconds=1))
            assert await other.get_session(session.token or "") is None
            assert await store.get_session(session.token or "") == session


NOW = "2031-01-01T00:00:00.000000Z"
LATER = "2031-12-01T00:00:00.000000Z"
MAKE = "INTO sessions (id, token_hash, token_indexed, user_id, expires, created_at, last_used_at, authenticated_at)"
SQL = {
    "the session deleted": "DELETE FROM sessions WHERE id = :session",
    "all sessions deleted": "DELETE FROM sessions",
    "the session expired": f"UPDATE sessions SET expires = '{NOW}'",
    "the session used long ago": "UPDATE sessions SET last_used_at = '2020-01-01T00:00:00.000000Z'",
    "the session made long ago": "UPDATE sessions SET created_at = '2020-01-01T00:00:00.000000Z'",
    "another token": "UPDATE sessions SET token_hash = zeroblob(32)",
    "another token by replacement": "UPDATE OR REPLACE sessions SET token_hash = zeroblob(32)",
    "another id": "UPDATE sessions SET id = 'another' WHERE id = :session",
    "another user's": "UPDATE sessions SET user_id = 'bob'",
    "other data": """UPDATE sessions SET data = '{"x": 1}'""",
    "another address of the browser": "UPDATE sessions SET ip = '::1'",
    "the user disabled": "UPDATE users SET disabled = 1 WHERE id = :user",
    "the user renamed": "UPDATE users SET name = 'x' WHERE id = :user",
    "the user's address changed": "UPDATE users SET email = 'x@example.com' WHERE id = :user",
    "the user's id changed": "UPDATE users SET id = 'another' WHERE id = :user",
    "the user deleted": "DELETE FROM users WHERE id = :user",
    "the user replaced by id": "REPLACE INTO users (id, disabled, created_at, updated_at)"
    f" VALUES (:user, 1, '{NOW}', '{NOW}')",
    "the user replaced by address": "INSERT OR REPLACE INTO users (id, email, created_at, updated_at)"
    f" VALUES ('new', 'ada@example.com', '{NOW}', '{NOW}')",
    "the user pushed out by id": "UPDATE OR REPLACE users SET id = :user WHERE id = 'bob'",
    "the user pushed out by address": "UPDATE OR REPLACE users SET email = 'ada@example.com' WHERE id = 'bob'",
    "the user changed on a conflict": f"INSERT INTO users (id, created_at, updated_at) VALUES (:user, '{NOW}', '{NOW}')"
    " ON CONFLICT DO UPDATE SET disabled = 1",
    "the session replaced by id": f"REPLACE {MAKE}"
    f" VALUES (:session, zeroblob(32), 0, :user, '{LATER}', '{NOW}', '{NOW}', '{NOW}')",
    "the session replaced by id, of another user": f"REPLACE {MAKE}"
    f" VALUES (:session, zeroblob(32), 0, 'bob', '{LATER}', '{NOW}', '{NOW}', '{NOW}')",
    "the session pushed out by id": "UPDATE OR REPLACE sessions SET id = :session WHERE id = 'other'",
}
INDEXED = {
    "the session replaced by hash": f"INSERT OR REPLACE {MAKE}"
    f" VALUES ('new', :hash, 1, 'bob', '{LATER}', '{NOW}', '{NOW}', '{NOW}')",
    "the session pushed out by hash": "UPDATE OR REPLACE sessions SET token_hash = :hash, token_indexed = 1"
    " WHERE id = 'other'",
    "the session pushed out by becoming indexed": "UPDATE OR REPLACE sessions SET token_indexed = 1 WHERE id = 'same'",
    **{name: SQL[name] for name in ("the session deleted", "the user deleted", "the session expired", "another token")},
}


async def seen_as_the_database_has_it(store: Store, path: Path, session: Session, clock: Clock) -> None:
    """Whether the cache answers as a store without one does."""
    token = session.token or ""
    async with connect(path, clock=clock) as fresh:
        expected = await fresh.get_session_and_user(token)
    assert await store.get_session_and_user(token) == expected
    assert await store.get_session_and_user(token) == expected


@pytest.mark.parametrize("foreign_keys", [0, 1])
@pytest.mark.parametrize("recursive", [0, 1])
@pytest.mark.parametrize("name", SQL)
async def test_whatever_plain_sql_changed_is_seen(
    store: Store, path: Path, sql: sqlite3.Connection, clock: Clock, name: str, foreign_keys: int, recursive: int
) -> None:
    bob = await store.create_user(id="bob")
    user, session = await signed_in(store)
    other = await store.create_session(bob.id)
    sql.execute("UPDATE sessions SET id = 'other' WHERE id = ?", (other.id,))
    await cached(store, session)
    before = await store.get_session_and_user(session.token or "")
    sql.execute(f"PRAGMA foreign_keys = {foreign_keys}")
    sql.execute(f"PRAGMA recursive_triggers = {recursive}")
    sql.execute(SQL[name], {"session": session.id, "user": user.id})
    assert await store.get_session_and_user(session.token or "") != before
    await seen_as_the_database_has_it(store, path, session, clock)


@pytest.mark.parametrize("name", INDEXED)
async def test_so_it_is_for_a_token_that_was_given(
    store: Store, path: Path, sql: sqlite3.Connection, clock: Clock, name: str
) -> None:
    bob = await store.create_user(id="bob")
    user = await store.create_user(id="ada")
    session = await store.create_session(user.id, token="given-token-0123456789")
    other, same = await store.create_session(bob.id), await store.create_session(bob.id)
    [(hash_,)] = sql.execute("SELECT token_hash FROM sessions WHERE id = ?", (session.id,)).fetchall()
    sql.execute("UPDATE sessions SET id = 'other' WHERE id = ?", (other.id,))
    sql.execute("UPDATE sessions SET id = 'same', token_hash = ? WHERE id = ?", (hash_, same.id))
    await cached(store, session)
    sql.execute(INDEXED[name], {"session": session.id, "user": user.id, "hash": hash_})
    found = await store.get_session_and_user("given-token-0123456789")
    assert found is None or found[0].id != session.id
    await seen_as_the_database_has_it(store, path, session, clock)


async def test_a_transaction_of_plain_sql_counts_once_it_is_committed(store: Store, sql: sqlite3.Connection) -> None:
    user, session = await signed_in(store)
    sql.execute("BEGIN IMMEDIATE")
    sql.execute("DELETE FROM sessions")
    assert await store.get_session_and_user(session.token or "") == (session, user)
    sql.execute("ROLLBACK")
    await cached(store, session)
    sql.execute("BEGIN IMMEDIATE")
    sql.execute("DELETE FROM sessions")
    sql.execute("COMMIT")
    assert await store.get_session_and_user(session.token or "") is None


async def test_what_this_store_or_another_did_is_seen(store: Store, path: Path) -> None:
    async with connect(path, cache=SIZE) as other:
        for writer in (store, other):
            user, session = await signed_in(store)
            named = await writer.update_user(user.id, name="Countess")
            assert await store.get_session_and_user(session.token or "") == (session, named)
            await writer.update_session(session.token or "", data={})
            found = await store.get_session(session.token or "")
            assert found is not None
            assert found.data == {}
            rotated = await writer.rotate_session(session.token or "")
            assert rotated is not None
            assert await store.get_session(session.token or "") is None
            await cached(store, rotated)
            await writer.revoke_session(session.id)
            assert await store.get_session(rotated.token or "") is None
            again = await store.create_session(user.id)
            await cached(store, again)
            await writer.delete_user(user.id)
            assert await store.get_session(again.token or "") is None


async def test_a_transaction_sees_what_it_wrote_and_nobody_else_does(store: Store) -> None:
    _, session = await signed_in(store)
    async with store.transaction() as inside:
        await inside.revoke_session(session.id)
        assert await inside.get_session(session.token or "") is None
        assert await store.get_session(session.token or "") == session
    assert await store.get_session(session.token or "") is None


@pytest.mark.parametrize("change", ["DELETE FROM sessions", "UPDATE users SET name = 'x'"])
async def test_a_row_that_changed_while_it_was_asked_for_is_not_kept(
    store: Store, sql: sqlite3.Connection, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = await store.create_user()
    session = await store.create_session(user.id)
    answered, go_on = asyncio.Event(), asyncio.Event()
    find = store._find

    async def held_open(token: str, presented: bytes) -> Any:
        found = await find(token, presented)
        answered.set()
        await go_on.wait()
        return found

    monkeypatch.setattr(store, "_find", held_open)
    asking = asyncio.create_task(store.get_session_and_user(session.token or ""))
    await answered.wait()
    sql.execute(change)  # acknowledged, after the database answered and before the answer was kept
    go_on.set()
    assert await asking == (session, user)
    found = await store.get_session_and_user(session.token or "")
    assert found is None or found[1].name == "x"


async def asked_together(store: Store, *tokens: str) -> list[asyncio.Task[Any]]:
    """Look-ups that have begun and share a look at the log that is still to come."""
    for token in tokens * 70:  # who was alone for long is tried again
        await store.get_session(token)
    asking = [asyncio.create_task(store.get_session(token)) for token in tokens]
    assert store._cache is not None
    store._cache._alone = 0
    await asyncio.sleep(0)
    assert store._cache._sharing == len(tokens)
    return asking


async def test_those_who_ask_together_see_what_was_acknowledged_before_they_began(
    store: Store, sql: sqlite3.Connection
) -> None:
    user, session = await signed_in(store)
    other = await store.create_session(user.id)
    tokens = [each.token or "" for each in (session, other)]
    sql.execute("DELETE FROM sessions WHERE id = ?", (session.id,))
    hits = store.cache_info().hits
    first, second = await asyncio.gather(*await asked_together(store, *tokens))
    assert (first, second) == (None, other)
    assert store.cache_info().hits > hits
    asking = await asked_together(store, *tokens)
    sql.execute("DELETE FROM sessions")  # while they ask: either answer would be true
    assert (await asyncio.gather(*asking))[1] in (None, other)
    assert await store.get_session(tokens[1]) is None


async def test_the_log_is_looked_at_once_for_all_who_ask_together(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    user, session = await signed_in(store)
    sessions = [session, *[await store.create_session(user.id) for _ in range(9)]]
    asking = await asked_together(store, *[each.token or "" for each in sessions])
    looks: list[int] = []
    assert store._cache is not None
    since = store._cache._log.since  # type: ignore[union-attr]
    monkeypatch.setattr(store._cache._log, "since", lambda *given: looks.append(1) or since(*given))
    assert await asyncio.gather(*asking) == sessions
    assert len(looks) == 1


async def test_each_of_those_who_ask_together_gets_an_error_of_its_own(store: Store, path: Path) -> None:
    _, session = await signed_in(store)
    asking = await asked_together(store, *[session.token or ""] * 3)
    asking[1].cancel()
    path.rename(path.with_name("elsewhere.db"))
    first, second, third = await asyncio.gather(*asking, return_exceptions=True)
    assert isinstance(first, StoreNotFoundError)
    assert isinstance(second, asyncio.CancelledError)
    assert isinstance(third, StoreNotFoundError)
    assert first is not third


async def test_a_caller_who_gives_up_leaves_nothing_behind(store: Store) -> None:
    user = await store.create_user()
    sessions = [await store.create_session(user.id) for _ in range(20)]
    asking = [asyncio.create_task(store.get_session(session.token or "")) for session in sessions]
    await asyncio.sleep(0)
    for task in asking[::2]:
        task.cancel()
    await asyncio.gather(*asking, return_exceptions=True)
    assert store._cache is not None
    assert store._cache._fillings == set()


def back_up(path: Path) -> Path:
    """A copy of the store as it is now."""
    copy = path.with_name("copy.db")
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
    return copy


def restore(copy: Path, path: Path) -> None:
    """Puts the copy's pages over the store's, as SQLite's own tools do."""
    with closing(sqlite3.connect(copy)) as source, closing(sqlite3.connect(path, timeout=10)) as target:
        source.backup(target)


@pytest.mark.parametrize("rows_after", [0, 1, 50])
async def test_an_older_file_that_is_restored_over_it_is_seen(store: Store, path: Path, rows_after: int) -> None:
    user, session = await signed_in(store)
    await store.revoke_session(session.id)
    copy = back_up(path)
    again = await store.create_session(user.id)
    await store.update_user(user.id, name="x")
    await cached(store, again)
    restore(copy, path)
    async with connect(path) as other:
        for _ in range(rows_after):
            await other.update_user(user.id, name="y")
    assert await store.get_session_and_user(again.token or "") is None
    await store.create_session(user.id)


async def test_so_is_one_that_lacks_only_sign_ins(store: Store, path: Path) -> None:
    user, first = await signed_in(store)
    copy = back_up(path)
    second = await store.create_session(user.id)  # leaves no row in the log
    await cached(store, first, second)
    restore(copy, path)
    assert await store.get_session(second.token or "") is None
    assert await store.get_session(first.token or "") == first
    third = await store.create_session(user.id)
    await cached(store, first, third)
    restore(copy, path)
    async with connect(path) as other:
        for _ in range(3):
            await other.create_session(user.id)
    assert await store.get_session(third.token or "") is None


async def test_a_file_that_was_replaced_answers_no_more(store: Store, path: Path) -> None:
    _, session = await signed_in(store)
    copy = back_up(path)
    with closing(sqlite3.connect(copy)) as connection:
        connection.execute("DELETE FROM sessions")
        connection.commit()
    os.replace(copy, path)
    with pytest.raises(StoreNotFoundError):
        await store.get_session_and_user(session.token or "")


async def test_vacuuming_does_no_harm(store: Store, sql: sqlite3.Connection) -> None:
    user, session = await signed_in(store)
    for _ in range(3):
        await store.create_session(user.id)
    await store.revoke_session(session.id)
    kept = await store.create_session(user.id)
    await cached(store, kept)
    sql.execute("VACUUM")
    assert await store.get_session(kept.token or "") == kept
    await cached(store, kept)


async def test_who_was_away_for_long_begins_anew(store: Store, sql: sqlite3.Connection) -> None:
    _, session = await signed_in(store)
    bob = await store.create_user()
    kept = await store.create_session(bob.id)
    await cached(store, session, kept)
    sql.execute("BEGIN")
    sql.execute("DELETE FROM sessions WHERE id = ?", (session.id,))
    for number in range(MOST_ROWS + 100):
        sql.execute("UPDATE users SET name = ? WHERE id = ?", (str(number), bob.id))
    sql.execute("COMMIT")
    assert await store.get_session(session.token or "") is None
    assert await store.get_session(kept.token or "") == kept


async def test_the_newest_session_may_end_and_the_others_stay(store: Store) -> None:
    user, session = await signed_in(store)
    bob = await store.create_user()
    for _ in range(3):
        newest = await store.create_session(bob.id)
        await cached(store, session, newest)
        await store.delete_session(newest.token or "")
        misses = store.cache_info().misses
        assert await store.get_session_and_user(session.token or "") == (session, user)
        assert store.cache_info().misses == misses


@pytest.mark.parametrize("size", [-1, 1.5, "10", None, True])
def test_a_size_is_a_whole_number(path: Path, size: Any) -> None:
    with pytest.raises(ValueError):
        connect(path, cache=size)


async def test_without_a_cache_there_is_nothing_to_tell(path: Path) -> None:
    async with connect(path) as store:
        assert isinstance(store, Store)
        _, session = await store.create_user(id="ada"), await store.create_session("ada")
        await store.get_session(session.token or "")
        assert store.cache_info().model_dump() == {"hits": 0, "misses": 0, "entries": 0, "size": 0}


async def test_in_memory_nothing_is_kept_and_everything_found() -> None:
    async with connect("sqlite://", cache=SIZE) as store:
        assert isinstance(store, Store)
        user = await store.create_user()
        session = await store.create_session(user.id)
        for _ in range(2):
            assert await store.get_session_and_user(session.token or "") == (session, user)
        assert (store.cache_info().entries, store.cache_info().hits, store.cache_info().misses) == (0, 0, 2)


async def test_a_log_with_gaps_carries_no_cache(path: Path) -> None:
    async with connect(path):
        pass
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DROP TRIGGER sessions_deleted")
    with pytest.warns(UserWarning, match="lacks trigger sessions_deleted"):
        store = await connect(path, cache=SIZE)
    assert isinstance(store, Store)
    session = await store.create_session((await store.create_user()).id)
    for _ in range(2):
        assert await store.get_session(session.token or "") == session
    assert store.cache_info().entries == 0
    await store.close()


async def test_a_closed_store_answers_no_more(path: Path) -> None:
    store = await connect(path, cache=SIZE)
    assert isinstance(store, Store)
    _, session = await signed_in(store)
    await store.close()
    with pytest.raises(StoreClosedError):
        await store.get_session_and_user(session.token or "")
    shutil.rmtree(path.parent)


async def test_while_nobody_commits_the_log_is_not_read(store: Store, sql: sqlite3.Connection) -> None:
    user, session = await signed_in(store)
    token, asked = session.token or "", []
    assert store._cache is not None
    store._cache._log._connection.set_trace_callback(asked.append)  # type: ignore[union-attr]
    for _ in range(20):
        assert await store.get_session(token) == session
    assert set(asked) == {"PRAGMA data_version"}
    sql.execute("UPDATE users SET name = 'x' WHERE id = ?", (user.id,))
    found = await store.get_session_and_user(token)
    assert found is not None
    assert found[1].name == "x"
    assert any("changes" in statement for statement in asked)


async def test_the_garbage_collector_has_little_to_follow_in_what_is_kept(store: Store) -> None:
    _, session = await signed_in(store)
    assert store._cache is not None
    [kept] = store._cache._kept.values()
    gc.collect()  # it leaves alone from then on what it cannot go on from
    assert [each for each in gc.get_referents(kept) if gc.is_tracked(each) and each is not type(kept)] == []
    assert await store.get_session(session.token or "") == session
