"""A copy of a store's file as it stands at one moment, while others go on reading and writing.

A read transaction holds the moment, so that nobody's commit makes the copy begin again, as SQLite's online backup
otherwise would; in WAL mode it keeps no reader and no writer waiting. The copy is flushed every few megabytes: where a
flush of one file waits for what is unwritten of another (ext4), a sign-in waits for no more than that.
"""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from authstore.backends.sqlite import file, fork
from authstore.backends.sqlite.errors import files_translated
from authstore.backends.sqlite.units import UnitConnection
from authstore.backends.threads import Stop
from authstore.errors import SchemaError, StoreNotFoundError

STEP_PAGES = 64  # copied at once: a quarter of a megabyte
FLUSH_STEPS = 16


def copy(path: Path, target: Path, stop: Stop) -> None:
    """Writes what the store at `path` holds into an empty file. `stop` is asked between steps.

    Raises `StoreNotFoundError`, `SchemaError` (not ours), `StoreCorruptError`, `StoreFullError`.
    """
    fork.let_go()
    with files_translated():
        path = Path(os.path.realpath(path))
    if not path.is_file():
        raise StoreNotFoundError(f"there is no store at {path}")
    with files_translated(), file.connect_to_read(path, UnitConnection) as source:
        source.is_at_work = False
        fork.note(source)
        if not file.is_ours(source):
            raise SchemaError(f"{path} is no authstore")
        source.execute("BEGIN")
        source.execute("SELECT count(*) FROM sqlite_schema").fetchone()  # the moment that is copied
        write(source, target, stop)


def copy_bytes(serialized: bytes, target: Path, stop: Stop) -> None:
    """The same for a database in memory."""
    with files_translated(), closing(sqlite3.connect(":memory:", isolation_level=None)) as source:
        source.deserialize(serialized)
        write(source, target, stop)


def write(source: sqlite3.Connection, target: Path, stop: Stop) -> None:
    """Copies all pages into an empty file, which then needs no log beside it and is on the disk."""
    descriptor = os.open(target, os.O_RDWR | os.O_CLOEXEC)
    try:
        steps = 0

        def after_step(_status: int, _remaining: int, _total: int) -> None:
            nonlocal steps
            steps += 1
            stop()
            if steps % FLUSH_STEPS == 0:
                os.fsync(descriptor)  # macOS has no other

        with closing(_connect(target)) as made:
            source.backup(made, pages=STEP_PAGES, progress=after_step)
        with closing(_connect(target)) as made:
            made.execute("PRAGMA journal_mode = DELETE").fetchall()
        os.fsync(descriptor)
    finally:
        # Only now: closing it before would drop the locks of the connections above.
        os.close(descriptor)


def _connect(target: Path) -> sqlite3.Connection:
    """To a file that nobody else knows of: it is dropped where anything fails, and flushed here."""
    connection = file.connect(target, file.Connection)
    connection.execute("PRAGMA locking_mode = EXCLUSIVE").fetchall()
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("PRAGMA journal_mode = OFF").fetchall()
    return connection
