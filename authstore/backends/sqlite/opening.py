"""Opening a store: the file is made whole or not at all, refused when it is not ours, migrated under the write lock."""

import asyncio
import os
import secrets
import sqlite3
import stat
import threading
import warnings
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from queue import SimpleQueue

import aiosqlite

from authstore import schema
from authstore.adapter import Clock, Durability
from authstore.backends.sqlite import file, fork
from authstore.backends.sqlite.database import SqliteDatabase
from authstore.backends.sqlite.errors import files_translated, is_busy, translated
from authstore.backends.sqlite.file import FilePlace
from authstore.backends.sqlite.migrating import ledger, run_pending
from authstore.backends.sqlite.shape import Shape, lacking, told
from authstore.backends.sqlite.thread import ConnectionThread
from authstore.backends.sqlite.units import UnitConnection, check_place
from authstore.backends.sqlite.volume import check_volume
from authstore.backends.tuning import DEFAULT, Tuning
from authstore.errors import (
    ConfigurationError,
    SchemaError,
    StoreBusyError,
    StoreCorruptError,
    StoreNotFoundError,
    StoreReadOnlyError,
)
from authstore.schema import Migration, migrations
from authstore.sql import queries

CACHED_STATEMENTS = 256
TRY_SECONDS = 0.25  # one wait for a lock held by another process; whoever waits longer tries again
_PAUSE_SECONDS = 0.05  # before the next try, where SQLite did not wait at all
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


async def open_file(
    path: Path,
    *,
    durability: Durability,
    create: bool,
    migrate: bool,
    clock: Clock,
    steps: Sequence[Migration] | None = None,
    tuning: Tuning = DEFAULT,
) -> SqliteDatabase:
    """Opens the store in this file; `steps` are the migrations, authstore's own unless told."""
    fork.let_go()
    options = FileOptions(path, durability, create, migrate, clock, steps or migrations("sqlite"))
    writer = await _start_writer(options, tuning.busy_seconds)
    try:
        place = await writer.run(lambda connection: connection.place)
        reader = await _start(partial(open_reader, path, place))
    except BaseException:
        await writer.close()
        raise
    return SqliteDatabase(writer, reader, place, tuning.busy_seconds)


async def open_memory(
    *, clock: Clock, steps: Sequence[Migration] | None = None, tuning: Tuning = DEFAULT
) -> SqliteDatabase:
    """Opens a store in memory, of its own."""
    options = FileOptions(
        Path(), "relaxed", create=True, migrate=True, clock=clock, migrations=steps or migrations("sqlite")
    )
    thread = await _start(partial(open_in_memory, options))
    return SqliteDatabase(thread, thread, None, tuning.busy_seconds)


async def _start_writer(options: FileOptions, busy_seconds: float) -> ConnectionThread:
    """The writing connection. Each try waits for a moment only: whoever gives up has not to wait for the lock."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + busy_seconds
    while True:
        try:
            return await _start(partial(open_writer, options))
        except StoreBusyError:
            if loop.time() >= deadline:
                raise
        await asyncio.sleep(_PAUSE_SECONDS)


async def _start(connector: Callable[[], sqlite3.Connection]) -> ConnectionThread:
    """Opens a connection on a thread of its own; a caller cancelled meanwhile leaves neither behind."""
    opening = asyncio.create_task(_open(connector))
    try:
        return await asyncio.shield(opening)
    except asyncio.CancelledError:
        opening.add_done_callback(_close_unwanted)
        raise


async def _open(connector: Callable[[], sqlite3.Connection]) -> ConnectionThread:
    failures: list[BaseException] = []
    made: list[sqlite3.Connection] = []
    workers: SimpleQueue[threading.Thread] = SimpleQueue()

    def attempt() -> sqlite3.Connection:
        workers.put(threading.current_thread())
        # A connector that raises would leave aiosqlite's thread to end after the event loop may have.
        try:
            made.append(connector())
        except BaseException as error:
            failures.append(error)
            made.append(sqlite3.connect(":memory:", check_same_thread=False))
        return made[0]

    try:
        thread = ConnectionThread(await aiosqlite.Connection(attempt, iter_chunk_size=64))
    except asyncio.CancelledError:
        # The thread was told to end, and answers to this event loop, which may be about to close.
        await asyncio.to_thread(lambda: workers.get().join())
        made[0].close()
        raise
    if failures:
        await thread.close()
        with translated():
            raise failures[0]
    return thread


def _close_unwanted(opening: "asyncio.Task[ConnectionThread]") -> None:
    if not opening.cancelled() and opening.exception() is None:
        opening.result().stop()


def open_writer(options: FileOptions) -> UnitConnection:
    """The writing connection of a store's file: made, checked, migrated."""
    _check_version()
    with files_translated():
        path = Path(os.path.realpath(options.path))
        check_volume(path)
        if not path.exists():
            _create(path, options)
        _check(path, options)
        place = FilePlace(path)  # before it is opened, so that one put in its place meanwhile is found out
        connection = _connect(path, TRY_SECONDS)
        try:
            _prepare(connection, options.durability)
            _check_writable(connection)
            connection.execute("PRAGMA journal_mode = WAL").fetchall()
            _migrate(connection, options)
            # Not before: what a migration sorts may be larger than memory. A statement that fires triggers notes what
            # it would have to undo, and for a note that may become a file SQLite takes 64 KB anew each time.
            connection.execute("PRAGMA temp_store = MEMORY")
            make_views(connection)
            place.note_log()
        except BaseException:
            connection.close()
            raise
        connection.place = place
        connection.is_at_work = False
        return connection


def open_reader(path: Path, place: FilePlace | None) -> UnitConnection:
    """A reading connection. It never checkpoints: only the writer does."""
    with translated():
        connection = _connect(Path(os.path.realpath(path)), DEFAULT.busy_seconds)
        make_views(connection)  # whoever asks for the plan of a query that writes asks here
        connection.execute("PRAGMA query_only = ON")
        connection.execute("PRAGMA wal_autocheckpoint = 0").fetchall()
        connection.execute("PRAGMA cache_size = -32768")
        connection.place = place
        check_place(connection)
        connection.is_at_work = False
        return connection


def open_in_memory(options: FileOptions) -> UnitConnection:
    """A database in memory, of its own."""
    _check_version()
    with translated():
        connection = sqlite3.connect(
            ":memory:",
            isolation_level=None,
            check_same_thread=False,
            factory=UnitConnection,
            cached_statements=CACHED_STATEMENTS,
        )
        _prepare(connection, "relaxed")
        run_pending(connection, options.migrations, options.clock)
        make_views(connection)
        return connection


def _check_version() -> None:
    if sqlite3.sqlite_version_info < MIN_SQLITE:
        raise ConfigurationError(
            f"this Python has SQLite {sqlite3.sqlite_version}; authstore needs 3.37 or newer (STRICT tables)"
        )


def _connect(path: Path, timeout: float) -> UnitConnection:
    connection = file.connect(path, UnitConnection, timeout=timeout, cached_statements=CACHED_STATEMENTS)
    fork.note(connection)
    return connection


def _prepare(connection: sqlite3.Connection, durability: Durability) -> None:
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA cache_size = -32768")
    connection.execute("PRAGMA journal_size_limit = 67108864").fetchall()
    connection.execute("PRAGMA synchronous = FULL" if durability == "full" else "PRAGMA synchronous = NORMAL")
    if durability == "full":
        connection.execute("PRAGMA fullfsync = ON")  # macOS: a flush ends in the disk's own cache otherwise


def make_views(connection: sqlite3.Connection) -> None:
    """What queries stand on that is this connection's alone."""
    for query in queries:
        if query.opening:
            connection.execute(query.opening)


def _create(path: Path, options: FileOptions) -> None:
    """Builds the file under another name and links it into place: a kill leaves no half, a race no loser."""
    if not options.create:
        raise StoreNotFoundError(f"there is no store at {path}")
    if file.has_lost_its_file(path):
        raise StoreCorruptError(f"{path} is missing, but its -wal or -journal is there: put the file back first")
    file.make_folder(path.parent)
    _check_folder(path)
    building = path.with_name(f".{path.name}.{secrets.token_hex(8)}.new")
    file.make_private(building)
    try:
        with closing(_connect(building, TRY_SECONDS)) as connection:
            run_pending(connection, options.migrations, options.clock)
            connection.execute("PRAGMA journal_mode = WAL").fetchall()
        with suppress(FileExistsError):
            file.put_in_place(building, path)
    finally:
        file.remove(building)
    file.sync(path.parent)


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
    is_all_there_is = not file.has_log(path)
    with file.connect_to_read(path, UnitConnection, timeout=TRY_SECONDS) as connection:
        fork.note(connection)
        if not file.is_ours(connection):
            raise SchemaError(f"{path} is a SQLite database, but no authstore")
        if file.is_followed(connection):
            raise StoreReadOnlyError(
                f"{path} is kept equal to a PostgreSQL: `authstore follow SOURCE TARGET --cut-over` makes it the store,"
                " `authstore follow SOURCE TARGET --drop` ends the following"
            )
        if is_all_there_is and status.st_size % connection.execute("PRAGMA page_size").fetchone()[0]:
            # SQLite itself counts a page that is cut off as whole.
            raise StoreCorruptError(f"{path} is cut off")
        pending = schema.pending(ledger(connection), options.migrations)
        _check_shape(path, lacking(connection, options.migrations[: len(options.migrations) - len(pending)]))
    if pending and not options.migrate:
        raise SchemaError(f"the schema lacks the newest {len(pending)} of its migrations: open it with migrate=True")


def _check_shape(path: Path, missing: Shape) -> None:
    if missing.needed:
        raise SchemaError(f"{path} lacks {', '.join(told(missing.needed))}: put a backup back, or make it again")
    if missing.helpful:
        warnings.warn(
            f"{path} lacks {', '.join(told(missing.helpful))}: what needs it will be slow, or not done",
            stacklevel=1,
        )


def _check_folder(path: Path) -> None:
    if not os.access(path.parent, os.W_OK) or not path.parent.stat().st_mode & 0o222:
        raise StoreReadOnlyError(f"the folder {path.parent} cannot be written, and SQLite keeps its log there")


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
    if schema.pending(ledger(connection), options.migrations):
        connection.execute("PRAGMA busy_timeout = 60000").fetchall()
        run_pending(connection, options.migrations, options.clock)
        connection.execute("PRAGMA busy_timeout = 250").fetchall()
