"""The file: made whole, private and where it was asked for; what is not ours is refused and left as it was."""

import asyncio
import contextlib
import hashlib
import os
import resource
import shutil
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from authstore import Adapter, connect
from authstore.backends.sqlite import open_file
from authstore.errors import (
    AuthStoreError,
    ConfigurationError,
    SchemaError,
    StoreCorruptError,
    StoreError,
    StoreNotFoundError,
    StoreReadOnlyError,
)
from authstore.expiry import utc_now
from authstore.schema import APPLICATION_ID, migration, migrations

PRESENT = len(migrations("sqlite"))
STEPS = (
    *migrations("sqlite"),
    migration(PRESENT + 1, "nickname", "ALTER TABLE users ADD COLUMN nickname TEXT;"),
    migration(PRESENT + 2, "nickname_index", "CREATE INDEX users_nickname ON users (nickname);"),
)


async def make(path: Path) -> None:
    """A store with one user in it, closed."""
    async with connect(path) as store:
        await store.create_user(id="ada", email="ada@example.com")


async def is_whole(store: Adapter) -> bool:
    return await store.get_user("ada") is not None and (await store.health()).ok


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def digest(folder: Path) -> dict[str, str]:
    """What is in a folder, byte for byte. Only for files that no store of this process has open."""
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in folder.iterdir() if file.is_file()}


def pragma(path: Path, name: str) -> object:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(f"PRAGMA {name}").fetchone()[0]


async def test_a_new_file_comes_with_its_folders_and_closes_to_one_file(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "auth.db"
    await make(path)
    assert names(path.parent) == ["auth.db"]
    assert pragma(path, "application_id") == APPLICATION_ID
    assert pragma(path, "journal_mode") == "wal"
    async with connect(path) as store:
        assert await is_whole(store)


async def test_nobody_else_may_read_the_file_its_log_or_its_index(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        async with connect(tmp_path / "auth.db") as store:
            await store.create_user()
            modes = {name: stat.S_IMODE((tmp_path / name).stat().st_mode) for name in names(tmp_path)}
    finally:
        os.umask(old)
    assert modes == {"auth.db": 0o600, "auth.db-wal": 0o600, "auth.db-shm": 0o600}


@pytest.mark.parametrize(
    "name",
    [
        "what?.db",
        "a#b.db",
        "100%.db",
        "%20.db",
        "a b.db",
        "ünïcödé-データ.db",
        "'quoted\".db",
        "?mode=memory",
        "a;b&c=d",
    ],
)
async def test_any_name_is_just_a_name(name: str, tmp_path: Path) -> None:
    await make(tmp_path / name)
    assert names(tmp_path) == [name]
    async with connect(tmp_path / name, create=False) as store:
        assert await is_whole(store)


async def test_a_name_that_is_no_utf_8_is_just_a_name_too(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"caf\xe9.db")
    await make(path)
    assert names(tmp_path) == [path.name]


async def test_a_symlink_leads_to_the_file_also_before_there_is_one(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    link = tmp_path / "link.db"
    link.symlink_to(tmp_path / "real" / "auth.db")
    await make(link)
    assert link.is_symlink()
    assert names(tmp_path / "real") == ["auth.db"]
    async with connect(link) as through_link, connect(tmp_path / "real" / "auth.db") as direct:
        await direct.create_user(id="both")
        assert await through_link.get_user("both") is not None
        assert names(tmp_path) == ["link.db", "real"]


async def test_a_symlink_into_a_missing_folder_makes_the_folder(tmp_path: Path) -> None:
    (tmp_path / "link.db").symlink_to(tmp_path / "later" / "auth.db")
    await make(tmp_path / "link.db")
    assert names(tmp_path / "later") == ["auth.db"]


async def test_a_symlink_in_a_circle_is_an_error_of_ours(tmp_path: Path) -> None:
    (tmp_path / "a.db").symlink_to(tmp_path / "b.db")
    (tmp_path / "b.db").symlink_to(tmp_path / "a.db")
    with pytest.raises((StoreError, ConfigurationError)):
        await connect(tmp_path / "a.db")
    assert names(tmp_path) == ["a.db", "b.db"]


@pytest.mark.parametrize("create", [True, False])
async def test_without_create_a_missing_file_is_not_found_and_nothing_is_made(create: bool, tmp_path: Path) -> None:
    path = tmp_path / "deep" / "auth.db"
    if create:
        await make(path)
        async with connect(path, create=False) as store:
            assert await is_whole(store)
    else:
        with pytest.raises(StoreNotFoundError):
            await connect(path, create=False)
        assert names(tmp_path) == []


async def test_a_folder_in_place_of_the_file_or_a_file_in_place_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "auth.db").mkdir()
    with pytest.raises(ConfigurationError):
        await connect(tmp_path / "auth.db")
    (tmp_path / "file").write_text("here")
    with pytest.raises((ConfigurationError, StoreError)):
        await connect(tmp_path / "file" / "auth.db")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ConfigurationError):
        await connect(tmp_path / "pipe")
    assert (tmp_path / "file").read_text() == "here"


def _foreign(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript("CREATE TABLE theirs (x); INSERT INTO theirs VALUES (1);")


def _foreign_in_wal_mode(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript("CREATE TABLE theirs (x); INSERT INTO theirs VALUES (1);")


def _foreign_with_a_log(path: Path) -> None:
    """As after a crash: rows in the log only."""
    source = path.with_name("source")
    with closing(sqlite3.connect(source)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript("CREATE TABLE theirs (x); INSERT INTO theirs VALUES (1);")
        shutil.copy(source, path)
        shutil.copy(f"{source}-wal", f"{path}-wal")
    source.unlink()


def _with_another_application_id(path: Path) -> None:
    _foreign(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA application_id = 1")


def _ours_without_its_ledger(path: Path) -> None:
    _foreign(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")


NOT_OURS: dict[str, Callable[[Path], object]] = {
    "foreign": _foreign,
    "foreign-wal": _foreign_in_wal_mode,
    "other-application": _with_another_application_id,
    "no-ledger": _ours_without_its_ledger,
    "zero-bytes": lambda path: path.write_bytes(b""),
    "one-byte": lambda path: path.write_bytes(b"\0"),
    "text": lambda path: path.write_text("not a database, but a page of text\n" * 100),
    "zeros": lambda path: path.write_bytes(bytes(8192)),
    "noise": lambda path: path.write_bytes(hashlib.sha512(b"seed").digest() * 200),
    "header-only": lambda path: path.write_bytes(b"SQLite format 3\0"),
    "header-and-noise": lambda path: path.write_bytes(b"SQLite format 3\0" + hashlib.sha512(b"x").digest() * 200),
    "empty-database": lambda path: sqlite3.connect(path).execute("VACUUM").connection.close(),
}


@pytest.mark.parametrize("kind", NOT_OURS)
async def test_what_is_not_ours_is_refused_and_untouched(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "auth.db"
    NOT_OURS[kind](path)
    before, status = digest(tmp_path), path.stat()
    for create in (True, False):
        with pytest.raises((SchemaError, StoreCorruptError)):
            await connect(path, create=create)
    assert digest(tmp_path) == before
    assert (path.stat().st_mtime_ns, path.stat().st_ino) == (status.st_mtime_ns, status.st_ino)


async def test_the_log_of_a_foreign_database_is_not_written_back(tmp_path: Path) -> None:
    path = tmp_path / "auth.db"
    _foreign_with_a_log(path)
    before = digest(tmp_path)
    with pytest.raises(SchemaError):
        await connect(path)
    after = digest(tmp_path)
    assert {name: after[name] for name in before} == before
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT x FROM theirs").fetchall() == [(1,)]


@pytest.mark.parametrize("keep", [0.01, 0.1, 0.5, 0.9, 0.999])
async def test_a_store_cut_short_is_corrupt_and_never_taken_for_an_empty_one(keep: float, tmp_path: Path) -> None:
    path = tmp_path / "auth.db"
    await make(path)
    os.truncate(path, int(path.stat().st_size * keep))
    before = digest(tmp_path)
    with pytest.raises((StoreCorruptError, SchemaError)):
        await connect(path)
    assert digest(tmp_path) == before


async def test_damage_within_is_an_error_of_ours_when_it_is_met(tmp_path: Path) -> None:
    path = tmp_path / "auth.db"
    async with connect(path) as store:
        for number in range(200):
            await store.create_user(id=f"{number:04}", name="x" * 500)
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(size // 2)
        file.write(b"\xff" * (size // 2 - 4096))
    with pytest.raises((StoreCorruptError, StoreError)):  # it may be met at once or later
        async with connect(path) as store:
            await store.list_users(limit=1000)


async def test_a_log_without_its_file_is_not_mixed_into_a_new_one(tmp_path: Path) -> None:
    path = tmp_path / "auth.db"
    async with connect(path) as store:
        await store.create_user(id="old", email="old@example.com")
        shutil.copy(f"{path}-wal", tmp_path / "log")
    path.unlink()
    (tmp_path / "log").rename(f"{path}-wal")
    before = digest(tmp_path)
    with pytest.raises(StoreCorruptError):
        await connect(path)
    assert digest(tmp_path) == before
    os.remove(f"{path}-wal")
    async with connect(path) as store:
        assert await store.list_users() == []


@contextmanager
def unwritable(*places: Path) -> Iterator[None]:
    """These are read-only for a while."""
    modes = {place: place.stat().st_mode for place in places}
    for place in places:
        place.chmod(modes[place] & ~0o222)
    try:
        yield
    finally:
        for place, mode in modes.items():
            place.chmod(mode)


@pytest.mark.parametrize("what", ["file", "folder", "both"])
async def test_read_only_is_told_at_open(what: str, tmp_path: Path) -> None:
    path = tmp_path / "store" / "auth.db"
    await make(path)
    before = digest(path.parent)
    places = {"file": [path], "folder": [path.parent], "both": [path, path.parent]}[what]
    with unwritable(*places), pytest.raises(StoreReadOnlyError):
        await connect(path)
    assert digest(path.parent) == before
    async with connect(path) as store:
        assert await is_whole(store)


async def test_a_new_file_in_a_read_only_folder_is_told_at_open(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    with unwritable(tmp_path / "store"), pytest.raises(StoreReadOnlyError):
        await connect(tmp_path / "store" / "auth.db")
    assert names(tmp_path / "store") == []


READ_ONLY_MOUNT = """
import asyncio, sys
from pathlib import Path
from authstore import connect, ops
from authstore.errors import StoreReadOnlyError

async def main():
    for name in ("auth.db", "new.db"):
        try:
            await connect(Path(sys.argv[1]) / name)
        except StoreReadOnlyError:
            continue
        raise SystemExit(f"{name} was opened on a read-only mount")
    path = Path(sys.argv[1]) / "auth.db"
    for look in (ops.inspect(path), ops.backup(path, path.parent.with_name("backup.db"))):
        try:
            await look
        except StoreReadOnlyError as error:
            assert "SQLite makes a log there even to read" in str(error), error
            continue
        raise SystemExit("a log was made on a read-only mount")

asyncio.run(main())
"""


def on_a_read_only_mount(place: Path) -> subprocess.CompletedProcess[str]:
    """Runs `READ_ONLY_MOUNT`, where the kernel lets us."""
    mount = f'mount --bind "{place}" "{place}" && mount -o remount,ro,bind "{place}" && exec "$@"'
    command = ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--user", "--map-root-user"]), "sh", "-c", mount]
    program = ["sh", sys.executable, "-c", READ_ONLY_MOUNT, place]
    return subprocess.run([*command, *program], capture_output=True, text=True, timeout=60)


async def test_a_read_only_mount_is_told_at_open(tmp_path: Path) -> None:
    place = tmp_path / "mount"
    await make(place / "auth.db")
    done = await asyncio.to_thread(on_a_read_only_mount, place)
    if done.returncode and "unshare" in done.stderr:
        # No mounts of one's own are allowed here: a folder that may not be written is as near as one gets.
        with unwritable(place, place / "auth.db"), pytest.raises(StoreReadOnlyError):
            await connect(place / "auth.db")
    else:
        assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("how", ["deleted", "moved", "replaced"])
async def test_nothing_is_acknowledged_that_would_go_into_a_file_nobody_will_find(how: str, tmp_path: Path) -> None:
    path, aside = tmp_path / "auth.db", tmp_path / "aside.db"
    await make(tmp_path / "other.db")
    async with connect(path) as store:
        await store.create_user(id="before")
        if how == "replaced":
            os.link(path, aside)
            os.replace(tmp_path / "other.db", path)
        else:
            path.rename(aside)
        with pytest.raises(StoreNotFoundError):
            await store.create_user(id="lost")
        with pytest.raises(StoreNotFoundError):
            async with store.transaction():
                pass
        assert not (await store.health()).ok
        if how != "deleted":
            os.replace(aside, path)
            await store.create_user(id="after")


async def test_without_descriptors_a_store_is_not_taken_for_missing_and_an_open_one_works_on(tmp_path: Path) -> None:
    path = tmp_path / "auth.db"
    async with connect(path) as store:
        await store.create_user(id="ada", email="ada@example.com")
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        highest = max(map(int, os.listdir("/dev/fd")))
        resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 1, limits[1]))
        held = []
        try:
            with contextlib.suppress(OSError):
                while True:
                    held.append(os.open(os.devnull, os.O_RDONLY))
            for place in (path, tmp_path / "new.db"):
                with pytest.raises(StoreError) as refused:
                    await connect(place)
                assert type(refused.value) is StoreError
            await store.create_user(id="meanwhile")
        finally:
            for descriptor in held:
                os.close(descriptor)
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    async with connect(path) as store:
        assert await is_whole(store)
    assert names(tmp_path) == ["auth.db"]


async def test_a_restored_copy_is_in_wal_mode_again(tmp_path: Path) -> None:
    path = tmp_path / "auth.db"
    await make(path)
    assert pragma(path, "journal_mode = DELETE") == "delete"
    async with connect(path) as store:
        assert (await store.health()).detail["journal_mode"] == "wal"
        assert await is_whole(store)


async def test_after_a_crash_the_store_is_what_was_committed(tmp_path: Path) -> None:
    (tmp_path / "image").mkdir()
    async with connect(tmp_path / "auth.db") as store:
        await store.create_user(id="ada", email="ada@example.com")
        async with store.transaction() as transaction:
            await transaction.create_user(id="uncommitted")
            for file in ("auth.db", "auth.db-wal"):
                await asyncio.to_thread(shutil.copy, tmp_path / file, tmp_path / "image" / file)
    async with connect(tmp_path / "image" / "auth.db") as store:
        assert await is_whole(store)
        assert await store.get_user("uncommitted") is None


@pytest.mark.parametrize(("durability", "level"), [("full", 2), ("relaxed", 1)])
async def test_durability_is_what_was_asked_for(durability: str, level: int, tmp_path: Path) -> None:
    options = {"create": True, "migrate": True, "clock": utc_now}
    database = await open_file(tmp_path / "auth.db", durability=durability, **options)  # type: ignore[arg-type]
    try:
        found = await database._writer.run(lambda c: c.execute("PRAGMA synchronous").fetchone()[0])
        enforced = await database._writer.run(lambda c: c.execute("PRAGMA foreign_keys").fetchone()[0])
        flushed = await database._writer.run(lambda c: c.execute("PRAGMA fullfsync").fetchone()[0])  # on macOS
        noted = await database._writer.run(lambda c: c.execute("PRAGMA temp_store").fetchone()[0])
    finally:
        await database.close()
    assert (found, enforced, flushed) == (level, 1, level == 2)
    assert noted == 2  # what a statement may have to undo: in memory


async def test_the_reading_connection_cannot_write(tmp_path: Path) -> None:
    options = {"durability": "full", "create": True, "migrate": True, "clock": utc_now}
    database = await open_file(tmp_path / "auth.db", **options)  # type: ignore[arg-type]
    try:
        with pytest.raises(sqlite3.OperationalError):
            await database._reader.run(lambda c: c.execute("DELETE FROM users"))
    finally:
        await database.close()


async def opened(path: Path, *, steps: tuple[object, ...], migrate: bool = True) -> None:
    """Opens a store that knows these migrations, and closes it."""
    options = {"durability": "full", "create": True, "clock": utc_now, "steps": steps}
    database = await open_file(path, migrate=migrate, **options)  # type: ignore[arg-type]
    await database.close()


async def test_an_older_store_is_brought_up_to_date_and_keeps_its_rows(tmp_path: Path) -> None:
    path = tmp_path / "auth.db"
    await make(path)
    await opened(path, steps=STEPS)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT id, nickname FROM users").fetchall() == [("ada", None)]
        assert connection.execute("SELECT version FROM authstore_migrations").fetchall() == [
            (step.version,) for step in STEPS
        ]


async def test_an_older_store_is_refused_where_it_may_not_be_changed(tmp_path: Path) -> None:
    path = tmp_path / "auth.db"
    await make(path)
    before = digest(tmp_path)
    with pytest.raises(SchemaError, match="the newest 2 of its migrations"):
        await opened(path, steps=STEPS, migrate=False)
    assert digest(tmp_path) == before


async def test_a_newer_store_is_refused_untouched(tmp_path: Path) -> None:
    path = tmp_path / "auth.db"
    await opened(path, steps=STEPS)
    before = digest(tmp_path)
    with pytest.raises(SchemaError, match="upgrade authstore"):
        await connect(path)
    assert digest(tmp_path) == before


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE authstore_migrations SET sha256 = printf('%064d', 0)",
        "UPDATE authstore_migrations SET version = version + 7",
        "DELETE FROM authstore_migrations",
        "DROP TABLE authstore_migrations",
    ],
)
async def test_a_ledger_that_tells_another_story_is_refused(change: str, tmp_path: Path) -> None:
    path = tmp_path / "auth.db"
    await make(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(change)
    with pytest.raises(SchemaError):
        await connect(path)


async def test_a_migration_that_fails_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "auth.db"
    await make(path)
    broken = migration(PRESENT + 1, "broken", "ALTER TABLE users ADD COLUMN nickname TEXT;\nCREATE TABLE users (x);")
    with pytest.raises(AuthStoreError):
        await opened(path, steps=(*migrations("sqlite"), broken))
    with closing(sqlite3.connect(path)) as connection:
        assert "nickname" not in {row[1] for row in connection.execute("PRAGMA table_info(users)")}
    async with connect(path) as store:
        assert await is_whole(store)
