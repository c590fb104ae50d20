"""Roles that are kept in the process answer as the database does, whoever changed what, and however."""

import asyncio
import multiprocessing
import random
import sqlite3
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from authstore import Adapter, Permission, connect
from authstore.observers import Observer, Statistic
from authstore.store import Store

READ, WRITE = Permission(resource="posts", action="read"), Permission(resource="posts", action="write")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "auth.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[Store]:
    async with connect(path, cache=100) as opened:
        assert isinstance(opened, Store)
        yield opened


@pytest.fixture
def sql(path: Path, store: Store) -> Iterator[sqlite3.Connection]:
    """Plain SQL, as another process would use it."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        yield connection


async def filled(store: Adapter) -> None:
    """Ada edits, Bob reads."""
    await store.create_role("editor", permissions=[READ, WRITE], data={"deep": [1]})
    await store.create_role("reader", permissions=[READ])
    for user, role in (("ada", "editor"), ("bob", "reader")):
        await store.create_user(id=user, email=f"{user}@example.com")
        await store.grant_role(user, role)


async def answers(store: Adapter) -> list[Any]:
    """All that can be asked."""
    permitted = [
        await store.has_permission(user, "posts", action)
        for user in ("ada", "bob", "new")
        for action in ("read", "write")
    ]
    return [permitted, [await store.get_roles(user) for user in ("ada", "bob", "new")]]


class Asked(Observer):
    """Counts what is asked of the database."""

    count = 0

    def on_statement(self, statistic: Statistic, /) -> None:
        self.count += 1


async def test_what_was_found_is_kept(path: Path) -> None:
    asked = Asked()
    async with connect(path, cache=100, observers=[asked]) as store:
        await filled(store)
        first = await answers(store)
        assert first[0] == [True, True, True, False, False, False]
        before = asked.count
        for _ in range(5):
            assert await store.has_permission("ada", "posts", "write")
            assert not await store.has_permission("bob", "posts", "write")
            assert [role.name for role in await store.get_roles("ada")] == ["editor"]
        assert asked.count == before


async def test_no_more_than_asked_for_are_kept(path: Path) -> None:
    asked = Asked()
    async with connect(path, cache=2, observers=[asked]) as store:
        await filled(store)
        await store.create_user(id="new")
        for user in ("ada", "bob", "ada", "new", "ada"):
            await store.get_roles(user)
        before = asked.count
        await store.get_roles("ada")
        assert asked.count == before
        await store.get_roles("bob")
        assert asked.count == before + 1


async def test_a_caller_may_change_what_it_got(store: Store) -> None:
    await filled(store)
    for _ in range(3):
        [role] = await store.get_roles("ada")
        assert role.data == {"deep": [1]}
        role.data["deep"].append(2)  # type: ignore[union-attr]
        role.data["more"] = 1


SQL = {
    "a role taken away": "DELETE FROM user_roles WHERE user_id = 'ada'",
    "a role given": "INSERT INTO user_roles VALUES ('bob', 'editor')",
    "a grant moved to another": "UPDATE user_roles SET user_id = 'bob' WHERE user_id = 'ada'",
    "another role instead": "UPDATE user_roles SET role_name = 'reader' WHERE user_id = 'ada'",
    "a grant that pushes one out": "UPDATE OR REPLACE user_roles SET user_id = 'ada', role_name = 'editor'",
    "a permission taken away": "DELETE FROM role_permissions WHERE action = 'write'",
    "a permission given": "INSERT INTO role_permissions VALUES ('reader', 'posts', 'write')",
    "a permission of another role": "UPDATE role_permissions SET role_name = 'reader' WHERE action = 'write'",
    "a permission that pushes one out": "UPDATE OR REPLACE role_permissions SET role_name = 'reader'",
    "the role deleted": "DELETE FROM roles WHERE name = 'editor'",
    "the role renamed": "UPDATE roles SET name = 'writer' WHERE name = 'editor'",
    "the role replaced": "REPLACE INTO roles (name, description) VALUES ('editor', 'other')",
    "the role pushed out": "UPDATE OR REPLACE roles SET name = 'editor' WHERE name = 'reader'",
    "the role described": "UPDATE roles SET description = 'x'",
    "the permission deleted": "DELETE FROM permissions WHERE action = 'write'",
    "the permission renamed": "UPDATE permissions SET action = 'edit' WHERE action = 'write'",
    "the user disabled": "UPDATE users SET disabled = 1 WHERE id = 'ada'",
    "the user deleted": "DELETE FROM users WHERE id = 'ada'",
    "the user renamed": "UPDATE users SET id = 'new' WHERE id = 'ada'",
    "the user replaced": "REPLACE INTO users (id, disabled, created_at, updated_at)"
    " VALUES ('ada', 1, '2031-01-01T00:00:00.000000Z', '2031-01-01T00:00:00.000000Z')",
}


@pytest.mark.parametrize("foreign_keys", [0, 1])
@pytest.mark.parametrize("name", SQL)
async def test_whatever_plain_sql_changed_is_seen(
    store: Store, path: Path, sql: sqlite3.Connection, name: str, foreign_keys: int
) -> None:
    await filled(store)
    before = await answers(store)
    sql.execute(f"PRAGMA foreign_keys = {foreign_keys}")
    sql.execute(SQL[name])
    seen = await answers(store)
    async with connect(path) as fresh:
        assert seen == await answers(fresh)
    if foreign_keys or "permission" not in name:
        assert seen != before


async def test_what_a_store_changed_is_seen(store: Store, path: Path) -> None:
    await filled(store)
    async with connect(path) as other:
        for writer in (store, other):
            assert await store.has_permission("ada", "posts", "write")
            await writer.update_role("editor", permissions=[READ])
            assert not await store.has_permission("ada", "posts", "write")
            await writer.update_role("editor", permissions=[READ, WRITE])
            assert await store.has_permission("ada", "posts", "write")
            await writer.revoke_role("ada", "editor")
            assert await store.get_roles("ada") == []
            await writer.grant_role("ada", "editor")
            await writer.update_user("ada", disabled=True)
            assert not await store.has_permission("ada", "posts", "write")
            await writer.update_user("ada", disabled=False)


@pytest.mark.parametrize(
    "change", ["DELETE FROM user_roles", "DELETE FROM role_permissions", "UPDATE users SET disabled = 1"]
)
async def test_what_changed_while_it_was_asked_for_is_not_kept(
    store: Store, sql: sqlite3.Connection, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await filled(store)
    answered, go_on = asyncio.Event(), asyncio.Event()
    ask = store._db.all

    async def held_open(statement: Any) -> Any:
        found = await ask(statement)
        answered.set()
        await go_on.wait()
        return found

    monkeypatch.setattr(store._db, "all", held_open)
    asking = asyncio.create_task(store.has_permission("ada", "posts", "write"))
    await answered.wait()
    sql.execute(change)
    go_on.set()
    assert await asking
    assert not await store.has_permission("ada", "posts", "write")


async def test_a_transaction_sees_what_it_wrote(store: Store) -> None:
    await filled(store)
    assert await store.has_permission("ada", "posts", "write")
    async with store.transaction() as inside:
        await inside.revoke_role("ada", "editor")
        assert not await inside.has_permission("ada", "posts", "write")
        assert await store.has_permission("ada", "posts", "write")
    assert not await store.has_permission("ada", "posts", "write")


TAKING = {
    "DELETE FROM user_roles WHERE user_id = 'ada'": "INSERT OR IGNORE INTO user_roles VALUES ('ada', 'editor')",
    "DELETE FROM role_permissions WHERE action = 'write'": "INSERT OR IGNORE INTO role_permissions"
    " VALUES ('editor', 'posts', 'write')",
    "UPDATE users SET disabled = 1 WHERE id = 'ada'": "UPDATE users SET disabled = 0 WHERE id = 'ada'",
}


def take_and_give(path: Path, ledger: Any, seconds: float) -> None:
    """Another process, by plain SQL: takes a permission away in some way, says so, waits to be heard, gives it."""
    with closing(sqlite3.connect(path, isolation_level=None, timeout=30)) as connection:
        connection.execute("PRAGMA foreign_keys = ON")
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            take, give = random.choice(list(TAKING.items()))
            connection.execute(take)
            ledger.send("taken")
            ledger.recv()
            connection.execute(give)
            ledger.send("given")
            ledger.recv()
    ledger.send("done")


@pytest.mark.processes
async def test_nobody_is_permitted_what_was_taken_from_them(store: Store, path: Path) -> None:
    await filled(store)
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    other = context.Process(target=take_and_give, args=(path, there, 2.0), daemon=True)
    other.start()
    counts = {"taken": 0, "given": 0}
    try:
        while True:
            while not here.poll():  # as many as there is time for: either answer is true
                await asyncio.gather(*(store.has_permission("ada", "posts", "write") for _ in range(8)))
            said = here.recv()
            if said == "done":
                break
            counts[said] += 1
            permitted = await asyncio.gather(*(store.has_permission("ada", "posts", "write") for _ in range(4)))
            assert set(permitted) == {said == "given"}
            here.send("heard")
    finally:
        other.kill()
        other.join()
    assert counts["taken"] > 20
