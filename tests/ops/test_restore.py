"""What is put back is whole or not there; what was there is set aside; what may have been revoked since has ended."""

import asyncio
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from authstore import (
    ConfigurationError,
    SchemaError,
    StoreBusyError,
    StoreCorruptError,
    StoreNotFoundError,
    connect,
    ops,
)
from authstore.backends.sqlite import open_file, volume
from authstore.expiry import utc_now
from authstore.schema import migration, migrations
from authstore.testing import Clock
from tests.ops.filling import fill

KEYS = ["a secret of more than 32 characters, for tests"]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the store is."""
    return tmp_path / "auth.db"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Where its backup is."""
    return tmp_path / "backups" / "copy.db"


async def emails(path: Path) -> list[str | None]:
    """Whose store it is."""
    async with connect(path, create=False) as store:
        return [user.email for user in await store.list_users()]


def files(path: Path) -> list[str]:
    """What stands beside the store, itself included."""
    return sorted(file.name for file in path.parent.iterdir() if file.is_file())


async def make(path: Path, *addresses: str) -> None:
    """A store with these people in it."""
    async with connect(path) as store:
        for address in addresses:
            await store.create_user(email=address)


async def test_everything_comes_back_and_what_was_there_is_set_aside(path: Path, copy: Path) -> None:
    async with connect(path, keys=KEYS, audit=timedelta(days=30)) as store:
        user = await store.create_user(email="ada@example.com", data={"a": [1, None]})
        account = await store.link_account(user.id, "github", "1", access_token="secret")
        session = await store.create_session(user.id)
        await store.create_role("admin")
        await store.grant_role(user.id, "admin")
        await ops.backup(store, copy)
        await store.create_user(email="eve@example.com")
        await store.update_user(user.id, name="Eve was here")
        newest = (await store.events(limit=1000))[-1].seq
    report = await ops.restore(copy, f"sqlite:///{path}")
    assert (report.ok, report.place, report.revoked, report.problems) == (True, str(path), 0, ())
    async with connect(path, keys=KEYS) as store:
        assert await store.list_users() == [user]
        assert await store.get_account("github", "1") == account
        assert await store.get_session_and_user(session.token or "") == (session, user)
        assert [role.name for role in await store.get_roles(user.id)] == ["admin"]
        assert not (await ops.verify_events(store)).problems
        await store.update_user(user.id, name="Ada")
        last = (await store.events(limit=1000))[-1]
        assert last.seq > newest, "a reader of events would take it for one that it has seen"
        assert not (await ops.verify_events(store)).problems
    assert report.set_aside is not None
    assert await emails(Path(report.set_aside)) == ["ada@example.com", "eve@example.com"]
    assert path.stat().st_mode & 0o777 == 0o600
    assert files(path) == ["auth.db", Path(report.set_aside).name]


async def test_a_backup_without_a_store_in_its_place_makes_one(path: Path, copy: Path) -> None:
    await make(path, "ada@example.com")
    await ops.backup(path, copy)
    target = path.parent / "new folder" / "auth#1?.db"
    report = await ops.restore(copy, target)
    assert report.set_aside is None
    assert await emails(target) == ["ada@example.com"]


async def test_sessions_that_may_have_been_revoked_since_have_ended(path: Path, copy: Path, auth_clock: Clock) -> None:
    async with connect(path, clock=auth_clock) as store:
        user = await store.create_user(email="ada@example.com")
        over = await store.create_session(user.id, expires=auth_clock() + timedelta(minutes=5))
        lived = await store.create_session(user.id)
        auth_clock.advance(timedelta(hours=1))
        since = auth_clock()
        auth_clock.advance(timedelta(minutes=1))
        later = await store.create_session(user.id)
        link = await store.create_verification_token("ada@example.com")
        await ops.backup(store, copy)
    with ops.acting("on-call"):
        report = await ops.restore(copy, path, revoke_since=since.astimezone())
    assert report.revoked == 2
    async with connect(path, clock=auth_clock) as store:
        for session in (lived, later):
            assert await store.get_session_and_user(session.token or "") is None
            ended = await store.why_ended(session.token or "")
            assert ended is not None
            assert (ended.reason, ended.by) == ("restored", "on-call")
        died = await store.why_ended(over.token or "")
        assert died is not None
        assert died.reason == "expired"
        assert await store.use_verification_token(link.identifier, link.token or "") is None
        told = [(event.type, event.reason, event.session_id) for event in await store.events(limit=1000)]
        assert told[-2:] == [("session.ended", "restored", session.id) for session in (lived, later)]


async def test_revoking_needs_an_instant_of_one_meaning(path: Path, copy: Path) -> None:
    for instant in (datetime(2026, 11, 28), "2026-11-28T14:00:00Z"):
        with pytest.raises(ValueError, match="aware"):
            await ops.restore(copy, path, revoke_since=instant)  # type: ignore[arg-type]


@pytest.mark.parametrize(("year", "hours"), [(1, 14), (1, 1), (9999, -2)])
async def test_revoking_needs_an_instant_that_there_is(path: Path, copy: Path, year: int, hours: int) -> None:
    await make(path, "ada@example.com")
    await ops.backup(path, copy)
    zone = timezone(timedelta(hours=hours))
    since = datetime(year, 1, 1, tzinfo=zone) if year == 1 else datetime(year, 12, 31, 23, tzinfo=zone)
    with pytest.raises(ValueError, match="years 1 to 9999"):
        await ops.restore(copy, path, revoke_since=since)
    assert await emails(path) == ["ada@example.com"]


async def test_a_store_that_is_open_here_stays(path: Path, copy: Path) -> None:
    await make(path, "ada@example.com")
    await ops.backup(path, copy)
    async with connect(path) as store:
        with pytest.raises(StoreBusyError, match="stop the application"):
            await ops.restore(copy, path)
        await store.create_user(email="eve@example.com")
    assert await emails(path) == ["ada@example.com", "eve@example.com"]


@pytest.mark.processes
async def test_a_store_that_another_process_has_open_stays(path: Path, copy: Path) -> None:
    await make(path, "ada@example.com")
    await ops.backup(path, copy)
    program = (
        "import asyncio, sys\nfrom authstore import connect\nasync def main():\n"
        "    async with connect(sys.argv[1]):\n        print('open', flush=True); sys.stdin.read()\n"
        "asyncio.run(main())"
    )
    other = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, f"sqlite:///{path}", stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert other.stdout is not None
    assert await other.stdout.readline() == b"open\n"
    with pytest.raises(StoreBusyError, match="stop the application"):
        await ops.restore(copy, path)
    assert other.stdin is not None
    other.stdin.close()
    await other.wait()
    assert (await ops.restore(copy, path)).set_aside is not None


@pytest.mark.processes
async def test_what_a_killed_store_left_in_its_log_is_set_aside_with_it(path: Path, copy: Path) -> None:
    await make(path, "ada@example.com")
    await ops.backup(path, copy)
    program = (
        "import asyncio, os, sys\nfrom authstore import connect\nasync def main():\n"
        "    async with connect(sys.argv[1]) as store:\n"
        "        await store.create_user(email='eve@example.com'); os.kill(os.getpid(), 9)\nasyncio.run(main())"
    )
    other = await asyncio.create_subprocess_exec(sys.executable, "-c", program, f"sqlite:///{path}")
    assert await other.wait() == -signal.SIGKILL
    assert path.with_name("auth.db-wal").stat().st_size > 0
    report = await ops.restore(copy, path)
    assert await emails(path) == ["ada@example.com"]
    assert report.set_aside is not None
    assert await emails(Path(report.set_aside)) == ["ada@example.com", "eve@example.com"]


async def test_the_log_of_a_damaged_store_goes_with_it(path: Path, copy: Path) -> None:
    await make(path, "ada@example.com")
    await ops.backup(path, copy)
    path.write_bytes(b"no database at all" * 100)
    path.with_name("auth.db-wal").write_bytes(b"somebody's last writes")
    report = await ops.restore(copy, path)
    assert await emails(path) == ["ada@example.com"]
    assert report.set_aside is not None
    assert Path(report.set_aside).read_bytes().startswith(b"no database")
    assert Path(report.set_aside + "-wal").read_bytes() == b"somebody's last writes"


async def test_a_log_that_lost_its_file_is_set_aside(path: Path, copy: Path) -> None:
    """As after a restore that was killed between the two."""
    await make(path, "ada@example.com")
    await ops.backup(path, copy)
    path.unlink()
    path.with_name("auth.db-wal").write_bytes(b"of another life")
    report = await ops.restore(copy, path)
    assert await emails(path) == ["ada@example.com"]
    assert Path(f"{report.set_aside}-wal").read_bytes() == b"of another life"


async def test_a_damaged_backup_is_not_put_back(path: Path, copy: Path) -> None:
    await make(path, "ada@example.com")
    await ops.backup(path, copy)
    changed = bytearray(copy.read_bytes())
    changed[len(changed) // 2] ^= 1
    copy.write_bytes(changed)
    with pytest.raises(StoreCorruptError, match="sha256"):
        await ops.restore(copy, path)
    copy.with_name("copy.db.sha256").write_text("nonsense")
    with pytest.raises(StoreCorruptError, match="holds no SHA-256"):
        await ops.restore(copy, path)
    copy.with_name("copy.db.sha256").unlink()
    copy.write_bytes(changed[: len(changed) - 5000])
    with pytest.raises(StoreCorruptError):
        await ops.restore(copy, path)
    assert await emails(path) == ["ada@example.com"]
    assert files(path) == ["auth.db"]


async def test_what_is_no_store_is_neither_put_back_nor_put_aside(path: Path, copy: Path) -> None:
    await make(path, "ada@example.com")
    await ops.backup(path, copy)
    foreign = path.with_name("foreign.db")
    with closing(sqlite3.connect(foreign)) as connection:
        connection.execute("CREATE TABLE t (x)")
    before = foreign.read_bytes()
    for source, target in ((foreign, path), (copy, foreign)):
        with pytest.raises(SchemaError, match="no authstore"):
            await ops.restore(source, target)
    (path.parent / "empty.db").touch()
    with pytest.raises(SchemaError, match="empty"):
        await ops.restore(path.parent / "empty.db", path)
    with pytest.raises(StoreNotFoundError):
        await ops.restore(path.parent / "nothing.db", path)
    for place in (path.parent / "backups", copy):
        with pytest.raises(ConfigurationError):
            await ops.restore(copy, place)
    with pytest.raises(ConfigurationError, match="a store that stays"):
        await ops.restore(copy, "sqlite://")
    assert foreign.read_bytes() == before
    assert await emails(path) == ["ada@example.com"]


async def test_a_store_that_is_open_is_no_backup(path: Path, tmp_path: Path) -> None:
    """To read it as a file would drop the locks of this process, and miss what its log holds."""
    async with connect(path) as store:
        await store.create_user(email="ada@example.com")
        for work in (ops.drill(path), ops.restore(path, tmp_path / "other.db")):
            with pytest.raises(StoreBusyError, match="back it up"):
                await work
        await store.create_user(email="eve@example.com")
    assert len(await emails(path)) == 2


async def test_an_older_backup_comes_to_this_schema_and_a_newer_is_refused(path: Path, tmp_path: Path) -> None:
    steps = migrations("sqlite")
    versions = {
        "older": steps[:2],
        "newer": (*steps, migration(len(steps) + 1, "next", "CREATE TABLE next (x TEXT) STRICT;")),
    }
    for name, ran in versions.items():
        database = await open_file(
            tmp_path / f"{name}.db", durability="full", create=True, migrate=True, clock=utc_now, steps=ran
        )
        await database.close()
    await ops.restore(tmp_path / "older.db", path)
    async with connect(path, create=False, migrate=False):
        pass
    with pytest.raises(SchemaError, match="upgrade authstore"):
        await ops.restore(tmp_path / "newer.db", path)


async def test_no_store_is_put_on_a_network(path: Path, copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    await make(path, "ada@example.com")
    await ops.backup(path, copy)
    monkeypatch.setattr(volume, "kind_of_volume", lambda _: 0x6969)
    with pytest.raises(ConfigurationError, match="NFS"):
        await ops.restore(copy, path)


async def test_a_file_put_in_the_place_of_one_that_is_being_opened_is_found_out(path: Path, copy: Path) -> None:
    await make(path, "ada@example.com")
    await ops.backup(path, copy)
    store = await connect(path)
    await asyncio.to_thread(path.rename, path.with_name("moved.db"))
    await ops.restore(copy, path)
    with pytest.raises(StoreNotFoundError):
        await store.create_user(email="lost@example.com")
    await store.close()


@pytest.mark.processes
@pytest.mark.parametrize("moment", ["copied", "check", "begin_anew", "sync", "put_over", "replace"])
def test_one_who_is_killed_leaves_the_old_store_or_the_new(path: Path, copy: Path, moment: str) -> None:
    asyncio.run(_filled(path, copy))
    program = """
import os, pathlib, sys, asyncio
from datetime import UTC, datetime
from authstore import ops
from authstore.backends.sqlite import file
from authstore.backends.sqlite.backups import checking
from authstore.ops import checksum
from authstore.store import Store

homes = {"copied": checksum, "check": checking, "begin_anew": Store, "replace": pathlib.Path}
setattr(homes.get(sys.argv[3], file), sys.argv[3], lambda *_: os.kill(os.getpid(), 9))
asyncio.run(ops.restore(sys.argv[1], "sqlite:///" + sys.argv[2], revoke_since=datetime(2020, 1, 1, tzinfo=UTC)))
"""
    done = subprocess.run([sys.executable, "-c", program, str(copy), str(path), moment], check=False)
    assert done.returncode == -signal.SIGKILL
    assert asyncio.run(emails(path)) == ["ada@example.com", "eve@example.com"]
    report = asyncio.run(ops.restore(copy, path))
    assert report.ok
    assert asyncio.run(emails(path)) == ["ada@example.com"]
    assert not list(path.parent.glob(".*"))


async def _filled(path: Path, copy: Path) -> None:
    await make(path, "ada@example.com")
    await ops.backup(path, copy)
    await make(path, "eve@example.com")


async def test_a_cancelled_restore_changes_nothing(path: Path, copy: Path) -> None:
    async with connect(path) as store:
        await fill(store, 300)
    await ops.backup(path, copy)
    before = path.read_bytes()
    for pause in (0.0, 0.01):
        task = asyncio.create_task(ops.restore(copy, path, revoke_since=datetime.now(UTC)))
        await asyncio.sleep(pause)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert path.read_bytes() == before
    assert not list(path.parent.glob(".*"))
