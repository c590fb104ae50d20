"""Where a store's file stands, and what it lacks: replaced while open, on odd file systems, its schema changed."""

import asyncio
import errno
import os
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any, NoReturn

import pytest

from authstore import (
    Adapter,
    ConfigurationError,
    SchemaError,
    StoreCorruptError,
    StoreError,
    StoreNotFoundError,
    connect,
    ops,
)
from authstore.adapter import Durability
from authstore.backends.sqlite import inspecting, volume


async def connected(path: Path) -> Adapter:
    return await connect(path)


async def replaced(path: Path) -> None:
    """Puts another store in the place of this one."""
    async with connect(path.with_name("other.db")) as other:
        await other.create_user(id="other")
    os.replace(path.with_name("other.db"), path)


async def test_who_reads_learns_what_a_writer_found_out(tmp_path: Path) -> None:
    path = tmp_path / "auth.db"
    async with connect(path) as store:
        session = await store.create_session((await store.create_user(id="ada")).id)
        await replaced(path)
        with pytest.raises(StoreNotFoundError):
            await store.revoke_session(session.id)
        asks: list[Any] = [
            store.get_session_and_user(str(session.token)), store.get_user("ada"), store.list_users(),
            store.peek_verification_token("ada", "123456"),
        ]  # fmt: skip
        answers = await asyncio.gather(*asks, return_exceptions=True)
        assert [type(answer) for answer in answers] == [StoreNotFoundError] * len(asks)
        health = await store.health()
        assert (health.ok, health.status) == (False, "fail")


@pytest.mark.parametrize("cache", [0, 10])
async def test_nothing_is_acknowledged_into_a_file_that_somebody_emptied(tmp_path: Path, cache: int) -> None:
    path = tmp_path / "auth.db"
    async with connect(path, cache=cache) as store:
        session = await store.create_session((await store.create_user(id="ada")).id)
        os.truncate(path, 0)
        with pytest.raises(StoreNotFoundError):
            await store.create_user(id="eve")
        with pytest.raises(StoreNotFoundError):
            await store.get_session_and_user(str(session.token))
        assert (await store.health()).status == "fail"
    async with connect(tmp_path / "other.db", cache=cache) as store:
        open_transaction = store.transaction()
        inside = await open_transaction.__aenter__()
        await inside.create_user(id="ada")
        os.truncate(tmp_path / "other.db", 0)
        with pytest.raises(StoreNotFoundError):
            await open_transaction.__aexit__(None, None, None)


async def many_users(path: Path) -> int:
    """Makes a store of some size, closed and so without a log; how long its file is."""
    async with connect(path) as store:
        for number in range(100):
            await store.create_user(id=f"u{number}", data={"said": "x" * 2000})
    return path.stat().st_size


@pytest.mark.parametrize("pages_left", [1, 20])
@pytest.mark.parametrize("is_all_read", [False, True])
async def test_nothing_is_acknowledged_into_a_file_that_somebody_cut_off(
    tmp_path: Path, pages_left: int, is_all_read: bool
) -> None:
    path = tmp_path / "auth.db"
    await many_users(path)
    async with connect(path) as store:
        for number in range(100 if is_all_read else 0):  # and kept by SQLite
            await store.update_user(f"u{number}", name="Ada")
        with closing(sqlite3.connect(path)) as other:
            other.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        open_transaction = store.transaction()
        await (await open_transaction.__aenter__()).create_user(id="lost")
        os.truncate(path, pages_left * 4096)
        with pytest.raises(StoreCorruptError):
            await open_transaction.__aexit__(None, None, None)
        with pytest.raises(StoreCorruptError):
            await store.create_user(id="eve")
        health = await store.health()
        assert (health.status, health.detail["error"]) == ("fail", "StoreCorruptError")
        assert "authstore.E003" in {each.id for each in await ops.doctor(store)}


@pytest.mark.parametrize("grows_again", [False, True])
async def test_a_file_that_somebody_compacts_is_whole(tmp_path: Path, grows_again: bool) -> None:
    path = tmp_path / "auth.db"
    size = await many_users(path)
    async with connect(path) as store:
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("DELETE FROM users")
            other.execute("VACUUM")
            other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            assert path.stat().st_size < size
            if grows_again:  # in the log alone
                other.execute("CREATE TABLE theirs (x)")
                other.execute("INSERT INTO theirs VALUES (zeroblob(100000))")
            await store.create_user(id="ada")
            assert (await store.health()).status == "pass"
        assert await store.get_user("ada") is not None


async def test_a_transaction_that_is_open_at_that_moment_is_not_acknowledged(tmp_path: Path) -> None:
    path = tmp_path / "auth.db"
    async with connect(path) as store:
        await store.create_user(id="ada")

        async def change() -> None:
            async with store.transaction() as transaction:
                await transaction.create_user(id="lost")
                await replaced(path)

        with pytest.raises(StoreNotFoundError):
            await change()
        with pytest.raises(StoreNotFoundError):
            await store.get_user("ada")


@pytest.mark.parametrize("gone", [["-wal"], ["-wal", "-shm"]])
@pytest.mark.parametrize("durability", ["full", "relaxed"])
async def test_nothing_is_acknowledged_into_a_log_that_is_gone(
    tmp_path: Path, gone: list[str], durability: Durability
) -> None:
    path = tmp_path / "auth.db"
    store = await connect(path, durability=durability)
    session = await store.create_session((await store.create_user(id="ada")).id)
    for suffix in gone:
        path.with_name(path.name + suffix).unlink()
    with pytest.raises(StoreNotFoundError, match="its log"):
        await store.create_user(id="lost")
    asks: list[Any] = [store.get_session_and_user(str(session.token)), store.create_user(), store.list_users()]
    answers = await asyncio.gather(*asks, return_exceptions=True)
    assert [type(answer) for answer in answers] == [StoreNotFoundError] * len(asks)
    assert (await store.health()).status == "fail"
    await store.close()
    async with connect(path) as again:  # what was acknowledged before is there
        assert await again.get_session_and_user(str(session.token)) is not None


async def test_nor_is_a_transaction_that_was_open(tmp_path: Path) -> None:
    path = tmp_path / "auth.db"
    async with connect(path) as store:

        async def change() -> None:
            async with store.transaction() as transaction:
                await transaction.create_user(id="lost")
                path.with_name("auth.db-wal").unlink()

        with pytest.raises(StoreNotFoundError, match="its log"):
            await change()


async def test_a_log_that_others_write_to_cut_short_or_put_away_is_still_the_same(tmp_path: Path) -> None:
    path = tmp_path / "auth.db"
    async with connect(path) as store, connect(path) as other:
        for number in range(3):
            await store.create_user(id=f"a{number}")
            await other.create_user(id=f"b{number}")
            changed(path, "PRAGMA wal_checkpoint(TRUNCATE)", "VACUUM")
        assert len(await store.list_users()) == len(await other.list_users()) == 6


async def test_many_writes_at_that_moment_are_acknowledged_or_found_lost(tmp_path: Path) -> None:
    path, kept = tmp_path / "auth.db", tmp_path / "kept.db"
    async with connect(tmp_path / "other.db"):
        pass
    async with connect(path) as store:
        os.link(path, kept)
        calls = [asyncio.create_task(store.create_user(id=f"u{number}")) for number in range(400)]
        await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
        before = {call.result().id for call in calls if call.done()}
        await asyncio.to_thread(os.replace, tmp_path / "other.db", path)
        results = await asyncio.gather(*calls, return_exceptions=True)
        for late in (store.create_user(id="late"), store.get_user("u0")):
            with pytest.raises(StoreNotFoundError):
                await late
    assert before
    assert {type(result) for result in results if isinstance(result, BaseException)} <= {StoreNotFoundError}


@pytest.mark.parametrize("reason", [errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS])
async def test_where_hard_links_do_not_exist_a_file_is_made_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reason: int
) -> None:
    def link(*_: object, **__: object) -> NoReturn:
        raise OSError(reason, os.strerror(reason))

    monkeypatch.setattr(os, "link", link)
    path = tmp_path / "folder" / "auth.db"
    stores = await asyncio.gather(*(connected(path) for _ in range(6)))  # all first
    for number, store in enumerate(stores):
        await store.create_user(id=f"u{number}")
        await store.close()
    async with connect(path, create=False) as store:
        assert len(await store.list_users()) == 6
    assert [entry.name for entry in path.parent.iterdir()] == ["auth.db"]
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("reason", [errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS])
async def test_where_a_folder_cannot_be_waited_for_files_are_made_and_backed_up_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reason: int
) -> None:
    fsync = os.fsync

    def of_files(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(reason, os.strerror(reason))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", of_files)
    async with connect(tmp_path / "folder" / "auth.db") as store:
        await store.create_user(id="ada")
        report = await ops.backup(store, tmp_path / "kept.db", keep=1)
    await ops.restore(report.path, tmp_path / "folder" / "auth.db")
    async with connect(tmp_path / "folder" / "auth.db", create=False) as store:
        assert [user.id for user in await store.list_users()] == ["ada"]


async def test_a_disk_that_fails_to_keep_a_file_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fsync(_: int) -> NoReturn:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    async with connect(tmp_path / "auth.db") as store:
        monkeypatch.setattr(os, "fsync", fsync)
        with pytest.raises(StoreError, match="Invalid argument"):
            await ops.backup(store, tmp_path / "copy.db")
    assert not (tmp_path / "copy.db").exists()


async def test_a_backup_asks_for_nothing_that_only_linux_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("fdatasync", "copy_file_range"):
        monkeypatch.delattr(os, name, raising=False)
    async with connect(tmp_path / "auth.db") as store:
        for _ in range(12):
            await store.create_user(data={"notes": "x" * 400_000})
        assert (tmp_path / "auth.db").stat().st_size + (tmp_path / "auth.db-wal").stat().st_size > 4_800_000
        assert (await ops.backup(store, tmp_path / "copy.db")).ok


ALONE = """
import asyncio, sys, warnings
from pathlib import Path
from authstore import connect

async def main(path):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        async with connect(path, create=False) as store:
            assert await store.get_user("ada")
    assert ["mounted alone" in str(each.message) for each in caught] == [True], caught

asyncio.run(main(Path(sys.argv[1])))
"""


# A bind mount of one file: from another file system, and from another folder of the same one.
MOUNTS = [
    'mount -t tmpfs tmpfs "$1" && cp "$2" "$1/it.db" && mount --bind "$1/it.db" "$3" && exec "$4" -c "$5" "$3"',
    'cp "$2" "$1/it.db" && mount --bind "$1/it.db" "$3" && exec "$4" -c "$5" "$3"',
    'cp "$2" "$1/it.db" && mount --bind "$1/it.db" "$3" && ln -s "$3" "$1/link.db" && exec "$4" -c "$5" "$1/link.db"',
]


@pytest.mark.parametrize("mount", MOUNTS)
@pytest.mark.parametrize("name", ["mounted.db", "a name \\ of\ttwo.db"])
async def test_a_file_that_is_mounted_alone_is_warned_of(tmp_path: Path, mount: str, name: str) -> None:
    async with connect(tmp_path / "auth.db") as store:
        await store.create_user(id="ada")
    (tmp_path / name).touch()
    (tmp_path / "elsewhere").mkdir()
    arguments = [tmp_path / "elsewhere", tmp_path / "auth.db", tmp_path / name, sys.executable, ALONE]
    user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    command = ["unshare", "--mount", *user, "sh", "-c", mount, "sh", *map(str, arguments)]
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=60)
    if done.returncode and "unshare" in done.stderr:
        # No mounts of one's own are allowed here: another device is what the kernel says of it.
        assert os.stat("/proc/self").st_dev != os.stat(tmp_path).st_dev
    else:
        assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(("kind", "name"), [(0x6969, "NFS"), (0xFF534D42, "SMB"), (0xFE534D42, "SMB")])
async def test_a_network_file_system_is_refused_and_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: int, name: str
) -> None:
    monkeypatch.setattr(volume, "kind_of_volume", lambda _path: kind)
    with pytest.raises(ConfigurationError, match=name):
        await connect(tmp_path / "folder" / "auth.db")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("kind", "name"), [(0x01021997, "9p"), (0x65735546, "FUSE")])
async def test_a_doubtful_file_system_is_warned_of_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: int, name: str
) -> None:
    monkeypatch.setattr(volume, "kind_of_volume", lambda _path: kind)
    with pytest.warns(UserWarning, match=name) as caught:
        async with connect(tmp_path / "auth.db") as store:
            await store.create_user()
    assert len(caught) == 1


def test_the_kernel_says_what_a_folder_is_on(tmp_path: Path) -> None:
    assert volume.kind_of_volume(Path("/proc")) == 0x9FA0  # PROC_SUPER_MAGIC of statfs(2)
    assert volume.kind_of_volume(tmp_path) not in (None, 0x9FA0)
    assert volume.kind_of_volume(tmp_path / "none such") is None


def changed(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        ("DROP TABLE authenticators", "authenticators"),
        ("ALTER TABLE authenticators DROP COLUMN name", "authenticators.name"),
        ("ALTER TABLE sessions RENAME COLUMN ip TO address", "sessions.ip"),
        ("ALTER TABLE roles RENAME TO groups", "roles"),
    ],
)
async def test_a_table_or_column_of_ours_that_is_missing_is_told_at_open(
    tmp_path: Path, statement: str, named: str
) -> None:
    path = tmp_path / "auth.db"
    async with connect(path):
        pass
    changed(path, statement)
    with pytest.raises(SchemaError, match=named):
        await connect(path)
    assert any(named in each for each in inspecting.drift(path))


async def test_an_index_that_is_missing_is_one_warning(tmp_path: Path) -> None:
    path = tmp_path / "auth.db"
    async with connect(path):
        pass
    assert inspecting.drift(path) == ()
    changed(path, "DROP INDEX sessions_user_id")
    with pytest.warns(UserWarning, match="index sessions_user_id") as caught:
        async with connect(path) as store:
            await store.create_user()
    assert len(caught) == 1
    assert inspecting.drift(path) == ("index sessions_user_id",)


async def test_what_people_add_themselves_is_their_own_business(tmp_path: Path) -> None:
    path = tmp_path / "auth.db"
    async with connect(path):
        pass
    changed(
        path,
        "ALTER TABLE users ADD COLUMN nickname TEXT",
        "CREATE TABLE notes (id INTEGER PRIMARY KEY)",
        "CREATE INDEX users_name ON users (name)",
    )
    async with connect(path) as store:
        await store.create_user(id="ada")
    assert inspecting.drift(path) == ()
