"""The file: made whole or not at all, refused when it is not ours, migrated under the write lock.

Nothing here opens a database file except through SQLite: closing any other descriptor of it would drop
SQLite's POSIX locks in this process (https://sqlite.org/howtocorrupt.html §2.2).
"""

import errno
import os
import secrets
import sqlite3
import stat
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from authstore import schema
from authstore.adapter import Clock, Durability
from authstore.backends.sqlite import fork
from authstore.backends.sqlite.errors import is_busy, result_code, translated
from authstore.backends.sqlite.work import Place, UnitConnection, fetch
from authstore.errors import (
    AuthStoreError,
    ConfigurationError,
    SchemaError,
    StoreCorruptError,
    StoreError,
    StoreFullError,
    StoreNotFoundError,
    StoreReadOnlyError,
)
from authstore.schema import Migration
from authstore.sql import queries

TRY_SECONDS = 0.25  # one wait for a lock held by another process; whoever waits longer tries again
MIN_SQLITE = (3, 37, 0)  # STRICT tables


@dataclass(frozen=True, slots=True)
class FileOptions:
    """How a file is opened."""

    path: Path
    durability: Durability
    create: bool
    migrate: bool
    clock: Clock
    migrations: Sequence[Migration]


def open_writer(options: FileOptions) -> UnitConnection:
    """The writing connection of a store's file: made, checked, migrated."""
    _check_version()
    path = Path(os.path.realpath(options.path))
    with translated(), _files_translated():
        if not path.exists():
            _create(path, options)
        _check(path, options)
        connection = _connect(path, "rw")
        try:
            _prepare(connection, options.durability)
            _check_writable(connection)
            connection.execute("PRAGMA journal_mode = WAL").fetchall()
            _migrate(connection, options)
        except BaseException:
            connection.close()
            raise
        connection.place = Place.of(path)
        connection.is_at_work = False
        return connection


def open_reader(path: Path) -> UnitConnection:
    """A reading connection. It never checkpoints: only the writer does."""
    with translated():
        connection = _connect(Path(os.path.realpath(path)), "rw")
        connection.execute("PRAGMA query_only = ON")
        connection.execute("PRAGMA wal_autocheckpoint = 0").fetchall()
        connection.execute("PRAGMA cache_size = -32768")
        connection.execute("PRAGMA busy_timeout = 5000").fetchall()
        connection.is_at_work = False
        return connection


def open_in_memory(options: FileOptions) -> UnitConnection:
    """A database in memory, of its own."""
    _check_version()
    with translated():
        connection = sqlite3.connect(
            ":memory:", isolation_level=None, check_same_thread=False, factory=UnitConnection, cached_statements=256
        )
        _prepare(connection, "relaxed")
        _run(connection, options.migrations, options.clock)
        return connection


def _check_version() -> None:
    if sqlite3.sqlite_version_info < MIN_SQLITE:
        raise ConfigurationError(
            f"this Python has SQLite {sqlite3.sqlite_version}; authstore needs 3.37 or newer (STRICT tables)"
        )


def _connect(path: Path, mode: str) -> UnitConnection:
    # The path is quoted: `?`, `#` and `%` in it mean something to a URI.
    uri = f"file:{quote(os.fsencode(path))}?mode={mode}"
    connection = sqlite3.connect(
        uri,
        uri=True,
        isolation_level=None,
        check_same_thread=False,
        factory=UnitConnection,
        timeout=TRY_SECONDS,
        cached_statements=256,
    )
    fork.note(connection)
    return connection


def _prepare(connection: sqlite3.Connection, durability: Durability) -> None:
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA cache_size = -32768")
    connection.execute("PRAGMA journal_size_limit = 67108864").fetchall()
    connection.execute("PRAGMA synchronous = FULL" if durability == "full" else "PRAGMA synchronous = NORMAL")


def _create(path: Path, options: FileOptions) -> None:
    """Builds the file under another name and links it into place: a kill leaves no half, a race no loser."""
    if not options.create:
        raise StoreNotFoundError(f"there is no store at {path}")
    if _has_stale_log(path):
        raise StoreCorruptError(f"{path} is missing, but its -wal or -journal is there: put the file back first")
    _make_folder(path.parent)
    _check_folder(path)
    building = path.with_name(f".{path.name}.{secrets.token_hex(8)}.new")
    os.close(os.open(building, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    try:
        with closing(_connect(building, "rw")) as connection:
            _run(connection, options.migrations, options.clock)
            connection.execute("PRAGMA journal_mode = WAL").fetchall()
        with suppress(FileExistsError):
            os.link(building, path)
    finally:
        for leftover in (building, *_logs(building)):
            leftover.unlink(missing_ok=True)
    _sync_folder(path.parent)


def _logs(path: Path) -> tuple[Path, ...]:
    return tuple(path.with_name(path.name + suffix) for suffix in ("-wal", "-shm", "-journal"))


def _has_stale_log(path: Path) -> bool:
    wal, _, journal = _logs(path)
    # Asked in this order, since another process may be making the file just now.
    return (wal.exists() or journal.exists()) and not path.exists()


def _make_folder(folder: Path) -> None:
    """With those above it; a loss of power takes none of them back."""
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for made in missing:
        _sync_folder(made.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _check(path: Path, options: FileOptions) -> None:
    """Refuses what is not ours, and leaves it untouched."""
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise ConfigurationError(f"{path} is not a file")
    if status.st_size == 0:
        raise SchemaError(f"{path} is an empty file, not a store")
    # The mode bits too: root may write where nobody is meant to.
    if not os.access(path, os.W_OK) or not status.st_mode & 0o222:
        raise StoreReadOnlyError(f"{path} cannot be written")
    _check_folder(path)
    mode = _looking(path)
    with closing(_connect(path, mode)) as connection:
        connection.execute("PRAGMA busy_timeout = 5000").fetchall()
        if connection.execute("PRAGMA application_id").fetchone() != (schema.APPLICATION_ID,):
            raise SchemaError(f"{path} is a SQLite database, but no authstore")
        if mode == "rw" and status.st_size % connection.execute("PRAGMA page_size").fetchone()[0]:
            # SQLite itself counts a page that is cut off as whole.
            raise StoreCorruptError(f"{path} is cut off")
        pending = schema.pending(_ledger(connection), options.migrations)
    if pending and not options.migrate:
        raise SchemaError(f"the schema is {len(pending)} migrations behind: open it with migrate=True")


def _looking(path: Path) -> str:
    # A log would be written back on closing unless opened read-only; without one, only a connection that may
    # write removes the empty log which SQLite makes to read a file in WAL mode.
    return "ro" if any(log.exists() for log in _logs(path)) else "rw"


def _check_folder(path: Path) -> None:
    if not os.access(path.parent, os.W_OK) or not path.parent.stat().st_mode & 0o222:
        raise StoreReadOnlyError(f"the folder {path.parent} cannot be written, and SQLite keeps its log there")


def _ledger(connection: sqlite3.Connection) -> list[dict[str, object]]:
    try:
        rows = [dict(row) for row in fetch(connection, queries.list_migrations())]
    except sqlite3.OperationalError as error:
        if result_code(error) != sqlite3.SQLITE_ERROR:
            raise
        rows = []
    if not rows:
        raise SchemaError("the database has lost its ledger of migrations")
    return rows


def _check_writable(connection: sqlite3.Connection) -> None:
    """A read-only mount shows only here. Who finds the lock taken may write: somebody does."""
    connection.execute("PRAGMA busy_timeout = 0").fetchall()
    try:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("ROLLBACK")
    except sqlite3.OperationalError as error:
        if not is_busy(error):
            raise
    connection.execute("PRAGMA busy_timeout = 250").fetchall()


def _migrate(connection: sqlite3.Connection, options: FileOptions) -> None:
    if schema.pending(_ledger(connection), options.migrations):
        connection.execute("PRAGMA busy_timeout = 60000").fetchall()
        _run(connection, options.migrations, options.clock)
        connection.execute("PRAGMA busy_timeout = 250").fetchall()


def _run(connection: sqlite3.Connection, known: Sequence[Migration], clock: Clock) -> None:
    """Runs what is pending, each step in its own transaction, looking again once it has the lock: another
    process may have run it."""
    for step in known:
        connection.execute("BEGIN IMMEDIATE")
        try:
            if step in schema.pending(_ledger_or_none(connection), known):
                for statement in statements(step.sql):
                    connection.execute(statement)
                note = {"version": step.version, "name": step.name, "sha256": step.sha256, "applied_at": clock()}
                fetch(connection, queries.insert_migration(**note))
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise


def _ledger_or_none(connection: sqlite3.Connection) -> list[dict[str, object]]:
    is_new = connection.execute("PRAGMA schema_version").fetchone() == (0,)
    return [] if is_new else _ledger(connection)


def statements(script: str) -> Iterator[str]:
    """The statements of a script; `executescript` would commit what is open first."""
    pending = ""
    for line in script.splitlines(keepends=True):
        pending += line
        if sqlite3.complete_statement(pending):
            yield pending
            pending = ""
    if pending.strip() and not all(line.startswith("--") for line in pending.strip().splitlines()):
        raise SchemaError("a migration ends within a statement")


_BY_ERRNO: dict[int, type[StoreError]] = {
    errno.EACCES: StoreReadOnlyError,
    errno.EPERM: StoreReadOnlyError,
    errno.EROFS: StoreReadOnlyError,
    errno.ENOSPC: StoreFullError,
    errno.EDQUOT: StoreFullError,
    errno.ENOENT: StoreNotFoundError,
}


@contextmanager
def _files_translated() -> Iterator[None]:
    try:
        yield
    except AuthStoreError:
        raise
    except (NotADirectoryError, IsADirectoryError, FileExistsError) as error:
        raise ConfigurationError(f"{error.filename} is in the way of the store's path") from error
    except OSError as error:
        kind = _BY_ERRNO.get(error.errno or 0, StoreError)
        raise kind(f"{error.filename}: {error.strerror}") from error
