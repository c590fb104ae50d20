"""A backup is whole, private and named last; who is killed, cancelled or out of room leaves nothing under its name."""

import asyncio
import errno
import hashlib
import os
import resource
import signal
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import NoReturn, cast

import pytest

from authstore import ConfigurationError, SchemaError, StoreCorruptError, StoreError, StoreMisuseError, connect, ops
from authstore.backends.sqlite import open_file
from authstore.backends.sqlite.backups import checking, copying
from authstore.backends.threads import Stop
from authstore.errors import StoreNotFoundError
from authstore.expiry import utc_now
from authstore.ops import checksum
from authstore.schema import migrations
from authstore.store import Store
from authstore.store.notes import BACKUP
from authstore.testing import Clock
from tests.ops.filling import BULK, fill


def rows(path: Path, table: str) -> int:
    """How many a closed file holds."""
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


def _is_confirmed(path: Path) -> bool:
    """Whether `sha256sum` says so."""
    command = ["sha256sum", "--check", "--quiet", f"{path.name}.sha256"]
    return subprocess.run(command, cwd=path.parent, check=False).returncode == 0


async def test_a_backup_is_private_whole_and_has_its_sum_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "backups" / "auth.db"
    async with connect(tmp_path / "auth.db") as store:
        user = await store.create_user(email="ada@example.com")
        session = await store.create_session(user.id)
        report = await ops.backup(store, str(path))
        assert (await ops.backup(tmp_path / "auth.db", tmp_path / "by-url.db")).ok
        assert isinstance(store, Store)
        noted = await store.get_note(BACKUP)
        assert noted is not None
        assert noted.data["path"] == str(tmp_path / "by-url.db")
    assert (report.ok, report.path, report.bytes) == (True, str(path), path.stat().st_size)
    assert report.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert _is_confirmed(path)
    assert {stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()} == {0o600}
    assert sorted(file.name for file in path.parent.iterdir()) == ["auth.db", "auth.db.sha256"]
    async with connect(path) as copy:
        assert await copy.get_session_and_user(session.token or "") == (session, user)


async def test_a_name_that_sha256sum_escapes(tmp_path: Path) -> None:
    async with connect("sqlite://") as store:
        report = await ops.backup(store, tmp_path / "a\\b\nc.db")
    assert _is_confirmed(Path(report.path))
    assert (await ops.drill(report.path)).sha256 == report.sha256


@pytest.mark.parametrize("reason", [errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS])
async def test_where_hard_links_do_not_exist_backups_are_made_kept_and_put_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reason: int
) -> None:
    def link(*_: object, **__: object) -> NoReturn:
        raise OSError(reason, os.strerror(reason))

    monkeypatch.setattr(os, "link", link)
    path = tmp_path / "auth.db"
    async with asyncio.timeout(60), connect(path) as store:
        await store.create_user(id="ada")
        made = await asyncio.gather(*(ops.backup(store, tmp_path / "kept.db", keep=2) for _ in range(3)))
        assert {report.ok for report in made} == {True}
        with pytest.raises(ConfigurationError, match="is there already"):
            await ops.backup(store, max(report.path for report in made))
    kept = [each for each in tmp_path.iterdir() if each.name.startswith("kept-") and each.suffix == ".db"]
    assert len(kept) == 2
    assert all(_is_confirmed(each) for each in kept)
    async with asyncio.timeout(60):
        for place in (path, tmp_path / "new.db"):
            await ops.restore(kept[0], f"sqlite:///{place}")
            assert rows(place, "users") == 1


async def test_what_is_there_is_never_written_over(tmp_path: Path) -> None:
    path = tmp_path / "copy.db"
    path.write_text("somebody's")
    async with connect("sqlite://") as store:
        with pytest.raises(ConfigurationError, match="there already"):
            await ops.backup(store, path)
    assert path.read_text() == "somebody's"
    assert [file.name for file in tmp_path.iterdir()] == ["copy.db"]


async def test_a_store_in_memory_is_backed_up_as_it_was_before_an_open_transaction(tmp_path: Path) -> None:
    async with connect("sqlite://") as store:
        await store.create_user(id="before")
        async with store.transaction() as transaction:
            await transaction.create_user(id="within")
            await ops.backup(store, tmp_path / "copy.db")
            with pytest.raises(StoreMisuseError, match="back up the store itself"):
                await ops.backup(transaction, tmp_path / "never.db")
    async with connect(tmp_path / "copy.db") as copy:
        assert [user.id for user in await copy.list_users()] == ["before"]


async def test_the_newest_are_kept_and_what_only_looks_like_them(tmp_path: Path, auth_clock: Clock) -> None:
    folder = tmp_path / "backups"
    folder.mkdir()
    others = {"auth.db", "auth-old.db", "auth-20200101T000000Z.db.gz", "other-20200101T000000Z.db", "auth-20200101.db"}
    for name in others:
        (folder / name).write_text("somebody's")
    (folder / "auth-20190101T000000Z.db.sha256").write_text("of a backup that was killed before it got its name")
    made = []
    async with connect("sqlite://", clock=auth_clock) as store:
        for _ in range(4):
            made.append(Path((await ops.backup(store, folder / "auth.db", keep=2)).path))
            auth_clock.advance(timedelta(hours=1))
        made.append(Path((await ops.backup(store, folder / "auth.db", keep=2)).path))
        made.append(Path((await ops.backup(store, folder / "auth.db", keep=2)).path))  # within the same second
    kept = {name for path in made[-2:] for name in (path.name, f"{path.name}.sha256")}
    assert {file.name for file in folder.iterdir()} == others | kept
    assert f"auth-{auth_clock():%Y%m%dT%H%M%SZ}.db" in kept


async def test_a_clock_that_went_back_does_not_cost_the_newest(tmp_path: Path, auth_clock: Clock) -> None:
    async with connect("sqlite://", clock=auth_clock) as store:
        await ops.backup(store, tmp_path / "auth.db", keep=1)
        auth_clock.advance(timedelta(days=-1))
        newest = Path((await ops.backup(store, tmp_path / "auth.db", keep=1)).path)
    assert sorted(file.name for file in tmp_path.iterdir()) == [newest.name, f"{newest.name}.sha256"]


@pytest.mark.parametrize("keep", [0, -1, True, 1.5, "2"])
async def test_keep_is_a_number_of_backups(tmp_path: Path, keep: object) -> None:
    async with connect("sqlite://") as store:
        with pytest.raises(ValueError, match="keep"):
            await ops.backup(store, tmp_path / "auth.db", keep=keep)  # type: ignore[arg-type]


async def test_only_a_store_is_backed_up(tmp_path: Path) -> None:
    foreign = tmp_path / "foreign.db"
    with closing(sqlite3.connect(foreign)) as connection:
        connection.execute("CREATE TABLE t (x)")
    with pytest.raises(SchemaError, match="no authstore"):
        await ops.backup(foreign, tmp_path / "copy.db")
    with pytest.raises(StoreNotFoundError):
        await ops.backup(f"sqlite:///{tmp_path}/nothing.db", tmp_path / "copy.db")
    with pytest.raises(ConfigurationError, match="a store that stays"):
        await ops.backup("sqlite://", tmp_path / "copy.db")
    with pytest.raises(TypeError, match="back"):
        await ops.backup(object(), tmp_path / "copy.db")  # type: ignore[arg-type]
    assert [file.name for file in tmp_path.iterdir()] == ["foreign.db"]


async def test_a_damaged_store_gives_no_backup_and_an_older_one_stays(tmp_path: Path) -> None:
    path = tmp_path / "auth.db"
    async with connect(path) as store:
        await fill(store, 50)
    kept = Path((await ops.backup(path, tmp_path / "b.db", keep=1)).path)
    with closing(sqlite3.connect(path)) as connection:
        (page,) = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'sessions_user_id'").fetchone()
        connection.execute("PRAGMA journal_mode = DELETE")
    damaged = bytearray(path.read_bytes())
    damaged[(page - 1) * 4096 + 3 : (page - 1) * 4096 + 5] = b"\0\1"  # cells of the index
    path.write_bytes(damaged)
    with pytest.raises(StoreCorruptError, match="damaged") as raised:
        await ops.backup(path, tmp_path / "b.db", keep=1)
    assert "\n" not in str(raised.value)
    assert [file.name for file in tmp_path.glob("b-*.db")] == [kept.name]


async def test_rows_that_point_to_nothing_are_told_and_older_backups_stay(tmp_path: Path) -> None:
    path = tmp_path / "auth.db"
    async with connect(path) as store:
        user = await store.create_user()
        await store.create_session(user.id)
    assert (await ops.backup(path, tmp_path / "b.db", keep=1)).ok
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("DELETE FROM users")  # foreign keys are off here
    report = await ops.backup(path, tmp_path / "b.db", keep=1)
    assert not report.ok
    assert report.problems == ("1 rows of sessions point to no row of users",)
    assert len(list(tmp_path.glob("b-*.db"))) == 2


async def test_a_copy_made_while_others_write_is_of_one_moment(tmp_path: Path) -> None:
    async with connect(tmp_path / "auth.db") as store:
        await fill(store, 300)

        async def write_for_ever() -> None:
            while True:
                async with store.transaction() as transaction:
                    user = await transaction.create_user(name=BULK)
                    await transaction.create_session(user.id)

        writers = [asyncio.create_task(write_for_ever()) for _ in range(3)]
        reports = await asyncio.gather(*(ops.backup(store, tmp_path / f"{number}.db") for number in range(3)))
        for writer in writers:
            writer.cancel()
        await asyncio.gather(*writers, return_exceptions=True)
    for report in reports:
        assert report.ok
        path = Path(report.path)
        assert rows(path, "users") == rows(path, "sessions")


async def test_one_who_writes_does_not_make_the_copy_begin_again(tmp_path: Path) -> None:
    path, target = tmp_path / "auth.db", tmp_path / "copy.db"
    async with connect(path) as store:
        await fill(store, 500)
    target.touch()
    steps = 0

    def write_between_steps() -> None:
        nonlocal steps
        steps += 1
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("UPDATE users SET name = ?", (str(steps),))

    copying.copy(path, target, write_between_steps)
    pages = path.stat().st_size // 4096
    assert 5 < steps <= pages / copying.STEP_PAGES + 1
    with closing(sqlite3.connect(target)) as connection:
        assert connection.execute("SELECT DISTINCT name = ? FROM users", (BULK,)).fetchall() == [(1,)]


async def test_two_backups_to_one_name_leave_one_with_its_own_sum(tmp_path: Path) -> None:
    async with connect(tmp_path / "auth.db") as store:
        results = await asyncio.gather(
            *(ops.backup(store, tmp_path / "b" / "b.db") for _ in range(4)), return_exceptions=True
        )
    made = [result for result in results if isinstance(result, ops.BackupReport)]
    assert len(made) == 1
    assert all(isinstance(result, ConfigurationError) for result in results if result not in made)
    assert (await ops.drill(tmp_path / "b" / "b.db")).ok
    assert len(list((tmp_path / "b").iterdir())) == 2


async def test_a_cancelled_backup_leaves_nothing_or_all_of_it(tmp_path: Path) -> None:
    async with connect(tmp_path / "auth.db") as store:
        await fill(store, 500)
        for pause in (0.0, 0.001, 0.005, 0.02):
            target = tmp_path / str(pause) / "copy.db"
            task = asyncio.create_task(ops.backup(store, target))
            await asyncio.sleep(pause)
            task.cancel()
            [ended] = await asyncio.gather(task, return_exceptions=True)
            is_cancelled = isinstance(ended, asyncio.CancelledError)
            assert is_cancelled or (pause and ended.ok)
            left = {each.name for each in target.parent.glob("*")}
            if left:  # the machine is quick: it had its name before
                assert left == {"copy.db", "copy.db.sha256"}
                assert (await ops.drill(target)).ok
            assert left or is_cancelled
            assert pause or not left


@contextmanager
def longest_file(size: int) -> Iterator[None]:
    """No file grows beyond this: what a full disk does to a writer."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)


async def test_no_room_leaves_nothing_under_the_name(tmp_path: Path) -> None:
    path = tmp_path / "auth.db"
    async with connect(path) as store:
        await fill(store, 500)
        with longest_file(path.stat().st_size // 2), pytest.raises(StoreError):
            await ops.backup(store, tmp_path / "b" / "copy.db")
        assert list((tmp_path / "b").iterdir()) == []
        assert (await ops.backup(store, tmp_path / "b" / "copy.db")).ok


@pytest.mark.processes
def test_one_who_is_killed_leaves_nothing_and_the_next_clears_up(tmp_path: Path) -> None:
    asyncio.run(_filled(tmp_path / "auth.db"))
    program = """
import asyncio, os, signal, stat, sys
from authstore import ops
from authstore.backends.sqlite.backups import copying

copying.FLUSH_STEPS = 1
copying.os.fsync = lambda it: stat.S_ISDIR(os.fstat(it).st_mode) or os.kill(os.getpid(), signal.SIGKILL)
asyncio.run(ops.backup(f"sqlite:///{sys.argv[1]}", sys.argv[2]))
"""
    command = [sys.executable, "-c", program, str(tmp_path / "auth.db"), str(tmp_path / "b" / "copy.db")]
    done = subprocess.run(command, check=False)
    assert done.returncode == -signal.SIGKILL
    (left,) = (tmp_path / "b").iterdir()
    assert left.name.startswith(".copy.db.")
    assert stat.S_IMODE(left.stat().st_mode) == 0o700
    asyncio.run(_back_up(tmp_path / "auth.db", tmp_path / "b" / "copy.db"))
    assert sorted(file.name for file in (tmp_path / "b").iterdir()) == ["copy.db", "copy.db.sha256"]


async def _filled(path: Path) -> None:
    async with connect(path) as store:
        await fill(store, 500)


async def _back_up(source: Path, path: Path) -> None:
    assert (await ops.backup(source, path)).ok


async def test_what_another_backup_is_making_is_left_alone(tmp_path: Path) -> None:
    async with connect(tmp_path / "auth.db") as store:
        await fill(store, 500)
        both = await asyncio.gather(*(ops.backup(store, tmp_path / "b.db", keep=5) for _ in range(2)))
    assert len({report.path for report in both}) == 2
    assert all(os.path.exists(report.path) for report in both)


async def test_a_copy_that_somebody_takes_away_is_an_error_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(StoreNotFoundError):
        checking.check(tmp_path / "gone.db", lambda: None)

    def taken_away(made: Path, _: Stop) -> str:
        made.unlink()
        return "0" * 64

    monkeypatch.setattr(checksum, "of", taken_away)
    async with connect("sqlite://") as store:
        with pytest.raises(StoreNotFoundError):
            await ops.backup(store, tmp_path / "copy.db")
    assert list(tmp_path.iterdir()) == []


async def test_what_others_left_behind_keeps_nobody_from_a_backup(tmp_path: Path) -> None:
    left = tmp_path / ".copy.db.0123456789abcdef.partial"
    left.write_bytes(b"")  # it cannot be opened as a folder, as one of another user's cannot
    async with connect("sqlite://") as store:
        assert (await ops.backup(store, tmp_path / "copy.db")).ok
    assert left.exists()


async def test_an_older_backup_that_stays_does_not_cost_the_new_one(
    tmp_path: Path, auth_clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "copy-20200102T000000Z.db").mkdir()  # it cannot be taken away, as one of another user's cannot
    for day in ("01", "03"):
        (tmp_path / f"copy-202001{day}T000000Z.db").write_bytes(b"")
    async with connect("sqlite://", clock=auth_clock) as store:
        report = await ops.backup(store, tmp_path / "copy.db", keep=1)
        assert (await cast(Store, store).get_note(BACKUP)) is not None
    assert {each.name for each in tmp_path.glob("*.db")} == {"copy-20200102T000000Z.db", Path(report.path).name}
    assert [record.message for record in caplog.records] == [
        f"the backup is made, but an older one stays: {tmp_path}/copy-20200102T000000Z.db: Is a directory"
    ]


async def test_an_older_schema_is_backed_up_as_it_is(tmp_path: Path) -> None:
    """Before an upgrade one wants a backup of what was before."""
    database = await open_file(
        tmp_path / "old.db", durability="full", create=True, migrate=True, clock=utc_now, steps=migrations("sqlite")[:2]
    )
    await database.close()
    report = await ops.backup(tmp_path / "old.db", tmp_path / "copy.db")
    assert report.ok
    with closing(sqlite3.connect(report.path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (2,)
    assert (await ops.drill(report.path)).ok


async def test_a_path_that_no_file_can_have_is_refused(tmp_path: Path) -> None:
    async with connect(tmp_path / "auth.db") as store:
        for refused in (ops.backup(store, "a\0b"), ops.drill("a\0b"), ops.restore("a\0b", tmp_path / "other.db")):
            with pytest.raises(ConfigurationError, match="NUL"):
                await refused
