"""The backup of a store on PostgreSQL: the same file as of any other store, put back within one transaction."""

import asyncio
import os
import signal
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from authstore import Permission, SchemaError, StoreBusyError, StoreCorruptError, StoreNotFoundError, connect, ops
from authstore.expiry import END_OF_TIME
from authstore.store import Store
from authstore.store.notes import BACKUP
from authstore.testing import Clock

KEYS = ["a secret of more than 32 characters, for tests"]


def query(url: str, text: str) -> list[tuple[object, ...]]:
    """What plain SQL finds."""
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(text.encode())
        return cursor.fetchall() if cursor.description else []


async def test_everything_comes_back_on_either_database(source_url: str, tmp_path: Path, auth_clock: Clock) -> None:
    copy = tmp_path / "copy.db"
    async with connect(source_url, keys=KEYS, clock=auth_clock, audit=timedelta(days=30)) as store:
        user = await store.create_user(email="ada@example.com", data={"a": [1, None, "é"], "b": {}})
        account = await store.link_account(user.id, "github", "1", access_token="secret", expires_at=END_OF_TIME)
        session = await store.create_session(user.id, data={"cart": 3})
        await store.create_role("admin", permissions=[Permission(resource="users", action="edit")])
        await store.grant_role(user.id, "admin")
        key = await store.create_authenticator(
            user.id, credential_id="c", public_key=b"\0\xff", counter=7, transports=["usb"]
        )
        link = await store.create_verification_token("ada@example.com")
        report = await ops.backup(store, copy)
        assert isinstance(store, Store)
        noted = await store.get_note(BACKUP)
        assert noted is not None
        assert noted.data["sha256"] == report.sha256
        assert (await ops.backup(source_url, tmp_path / "by-url.db")).ok
        told = await store.events(limit=1000)
        await store.create_user(email="eve@example.com")
    assert (report.ok, report.path) == (True, str(copy))
    assert (await ops.drill(copy)).ok
    restored = await ops.restore(copy, source_url)
    assert restored.ok
    assert restored.set_aside is not None
    assert query(source_url, f"SELECT count(*) FROM {restored.set_aside}.users") == [(2,)]
    await ops.restore(copy, tmp_path / "auth.db")
    for place in (source_url, tmp_path / "auth.db"):
        async with connect(place, keys=KEYS, clock=auth_clock, create=False) as store:
            assert await store.list_users() == [user]
            assert await store.get_account("github", "1") == account
            assert await store.get_session_and_user(session.token or "") == (session, user)
            assert await store.list_authenticators(user.id) == [key]
            assert await store.has_permission(user.id, "users", "edit")
            assert await store.events(limit=1000) == told
            assert not (await ops.verify_events(store)).problems
            assert await store.use_verification_token(link.identifier, link.token or "") is not None
            other = await store.create_user(email="new@example.com")
            await store.create_verification_token("new@example.com")
            await store.delete_user(other.id)
            assert (await store.events(limit=1000))[-1].type == "user.deleted"


async def test_a_copy_made_while_others_write_is_of_one_moment(source_url: str, tmp_path: Path) -> None:
    async with connect(source_url) as store:

        async def write_for_ever() -> None:
            while True:
                async with store.transaction() as transaction:
                    user = await transaction.create_user()
                    await transaction.create_session(user.id)

        writer = asyncio.create_task(write_for_ever())
        await asyncio.sleep(0.1)
        report = await ops.backup(store, tmp_path / "copy.db")
        writer.cancel()
        await asyncio.gather(writer, return_exceptions=True)
    counts = (await ops.drill(report.path)).counts
    assert report.ok
    assert counts["users"] == counts["sessions"] > 0


async def test_sessions_that_may_have_been_revoked_since_have_ended(source_url: str, tmp_path: Path) -> None:
    async with connect(source_url) as store:
        user = await store.create_user()
        session = await store.create_session(user.id)
        await ops.backup(store, tmp_path / "copy.db")
    report = await ops.restore(tmp_path / "copy.db", source_url, revoke_since=datetime.now().astimezone())
    assert report.revoked == 1
    async with connect(source_url) as store:
        ended = await store.why_ended(session.token or "")
        assert ended is not None
        assert ended.reason == "restored"
        assert [event.reason for event in await store.events()] == ["restored"]


async def test_who_has_the_store_open_keeps_it(source_url: str, tmp_path: Path) -> None:
    async with connect(source_url) as store:
        await ops.backup(store, tmp_path / "copy.db")
        with pytest.raises(StoreBusyError, match="stop the application"):
            await ops.restore(tmp_path / "copy.db", source_url)
    with psycopg.connect(source_url, application_name="psql") as other:
        other.execute("SELECT count(*) FROM users")
        with pytest.raises(StoreBusyError, match="stop the application"):
            await ops.restore(tmp_path / "copy.db", source_url)
        other.rollback()
        assert (await ops.restore(tmp_path / "copy.db", source_url)).ok  # somebody else, who does nothing


@pytest.mark.processes
async def test_one_who_is_killed_leaves_what_was_there(source_url: str, tmp_path: Path) -> None:
    async with connect(source_url) as store:
        await ops.backup(store, tmp_path / "copy.db")
        await store.create_user(email="eve@example.com")
    program = """
import asyncio, os, sys
from authstore import ops
from authstore.backends.postgres.backups import restoring

fill = restoring._fill
async def fill_and_die(*given):
    await fill(*given)
    os.kill(os.getpid(), 9)
restoring._fill = fill_and_die
asyncio.run(ops.restore(sys.argv[1], sys.argv[2]))
"""
    command = [sys.executable, "-c", program, str(tmp_path / "copy.db"), source_url]
    done = await asyncio.to_thread(subprocess.run, command, env={**os.environ, "TMPDIR": str(tmp_path)}, check=False)
    assert done.returncode == -signal.SIGKILL
    async with connect(source_url, create=False) as store:
        assert [user.email for user in await store.list_users()] == ["eve@example.com"]
    assert (await ops.restore(tmp_path / "copy.db", source_url)).ok


async def test_tables_of_others_are_left_alone_and_a_newer_store_too(source_url: str, tmp_path: Path) -> None:
    async with connect("sqlite://") as store:
        await ops.backup(store, tmp_path / "copy.db")
    query(source_url, "CREATE TABLE users (id text); CREATE TABLE orders (id text)")
    with pytest.raises(StoreNotFoundError):
        await ops.backup(source_url, tmp_path / "never.db")
    with pytest.raises(SchemaError, match="not authstore's"):
        await ops.restore(tmp_path / "copy.db", source_url)
    query(source_url, "DROP TABLE users")
    assert (await ops.restore(tmp_path / "copy.db", source_url)).set_aside is None
    assert query(source_url, "SELECT count(*) FROM orders") == [(0,)]
    query(source_url, "INSERT INTO authstore_migrations SELECT max(version) + 1, 'next', repeat('0', 64), now()"
                      " FROM authstore_migrations")  # fmt: skip
    with pytest.raises(SchemaError, match="upgrade authstore"):
        await ops.restore(tmp_path / "copy.db", source_url)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["copy.db", "copy.db.sha256"]


async def test_what_no_store_wrote_is_no_backup(source_url: str, tmp_path: Path) -> None:
    async with connect(source_url) as store:
        await store.create_user()
        query(source_url, "UPDATE users SET created_at = 'infinity'")
        with pytest.raises(StoreCorruptError, match="a row of users"):
            await ops.backup(store, tmp_path / "copy.db")
        query(source_url, "ALTER TABLE users DROP COLUMN image")
        with pytest.raises(SchemaError, match=r"users\.image"):
            await ops.backup(store, tmp_path / "copy.db")
    assert list(tmp_path.iterdir()) == []
