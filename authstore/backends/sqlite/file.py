"""What a SQLite file is: how it is opened, what stands beside it, whose it is, how one is put in place.

Whoever handles such files (opening, inspecting, backing up, moving) does it through this module:

- `connect`, or `connect_to_read` for a look that changes nothing; never `open()`: closing any other descriptor of a
  database file drops the POSIX locks that SQLite holds in this process (https://sqlite.org/howtocorrupt.html §2.2);
- `logs` are the files that belong to it, `has_lost_its_file` is a log that would bring old rows back;
- `FilePlace` tells whether a file is still the one that was opened;
- `put_in_place` and `sync` make a finished file appear whole, for good, and without pushing another out; `put_over`
  takes the name of one that goes on under another.

Errors of the driver and of the file system become ours in `errors`.
"""

import errno
import fcntl
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

from authstore import schema
from authstore.backends.sqlite.errors import files_translated, is_busy, result_code
from authstore.backends.tuning import DEFAULT
from authstore.errors import StoreCorruptError, StoreNotFoundError, StoreReadOnlyError

C = TypeVar("C", bound="Connection")


class FilePlace:
    """A file by its path and by what the file system knows it by. A store's connections share one, so that those who
    read learn what a writer found out."""

    def __init__(self, path: Path) -> None:
        """Where this file stands. Raises `OSError`."""
        self.path = os.fspath(path)
        self._known = _identity(self.path)
        self._size = 0  # the most bytes that were seen of it
        self._has_shrunk = False  # since: somebody compacted it, or cut it off
        self._log: tuple[int, int] | None = None
        self._has_lost_log = False
        self.is_lost = False  # when somebody looked last

    def note_log(self) -> None:
        """The log that stands beside it now belongs to it: while somebody has it open, nobody makes another."""
        self._log = _identity_or_none(self.path + "-wal")

    def check(self) -> None:
        """Raises `StoreNotFoundError` where the file is gone from here, or another stands in its place: SQLite would
        go on with the old one."""
        self.is_lost = self._has_lost_log or not self._is_here()
        if self.is_lost:
            raise StoreNotFoundError(
                "the store's file or its log was deleted, emptied, moved or replaced: open it again"
            )

    def _is_here(self) -> bool:
        try:
            status = os.stat(self.path)
        except OSError:
            return False
        if status.st_size != self._size:  # seldom; each look-up from the cache comes by here
            self._has_shrunk = self._has_shrunk or status.st_size < self._size
            self._size = max(self._size, status.st_size)
        return status.st_size > 0 and (status.st_dev, status.st_ino) == self._known

    def check_whole(self) -> None:
        """Raises `StoreCorruptError` where a part of the file was cut off."""
        if not self._has_shrunk:
            return
        if not _has_all_pages(Path(self.path)):
            raise StoreCorruptError("the database file was cut off while it was open")
        self._size, self._has_shrunk = os.stat(self.path).st_size, False

    def check_written(self) -> None:
        """The same after a commit, which went into the log."""
        self._has_lost_log = self._has_lost_log or _identity_or_none(self.path + "-wal") != self._log
        self.check()

    def log_bytes(self) -> int:
        """How long its log is."""
        try:
            return os.stat(self.path + "-wal").st_size
        except OSError:
            return 0


def _has_all_pages(path: Path) -> bool:
    """Whether a file that got shorter is whole: somebody compacted it. What it lacks may stand in the log; that only
    reading all of it tells, by a connection that has kept no page of it."""
    with connect_to_read(path, Connection, timeout=0.0) as connection:
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        (page,) = connection.execute("PRAGMA page_size").fetchone()
        if path.stat().st_size >= pages * page:
            return True
        return connection.execute("PRAGMA quick_check(1)").fetchall() == [("ok",)]


def _identity(path: str) -> tuple[int, int]:
    status = os.stat(path)
    return status.st_dev, status.st_ino


def _identity_or_none(path: str) -> tuple[int, int] | None:
    try:
        return _identity(path)
    except OSError:
        return None


class Connection(sqlite3.Connection):
    """One that raises `sqlite3.Error` alone for what SQLite refuses.

    The driver reads SQLite's words as UTF-8. Where they quote what a damaged schema holds, they may be none, and it
    raises `UnicodeDecodeError` in place of its own error.
    """

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        try:
            return sqlite3.Connection.execute(self, sql, parameters)
        except UnicodeDecodeError:
            raise _damaged_schema() from None

    def executemany(self, sql: str, parameters: Any, /) -> sqlite3.Cursor:
        try:
            return sqlite3.Connection.executemany(self, sql, parameters)
        except UnicodeDecodeError:
            raise _damaged_schema() from None

    def executescript(self, sql: str, /) -> sqlite3.Cursor:
        try:
            return sqlite3.Connection.executescript(self, sql)
        except UnicodeDecodeError:
            raise _damaged_schema() from None


def _damaged_schema() -> sqlite3.DatabaseError:
    error = sqlite3.DatabaseError("malformed database schema")
    error.sqlite_errorcode, error.sqlite_errorname = sqlite3.SQLITE_CORRUPT, "SQLITE_CORRUPT"
    return error


def connect(
    path: Path,
    factory: type[C],
    *,
    mode: str = "rw",
    timeout: float = DEFAULT.busy_seconds,
    cached_statements: int = 128,
) -> C:
    """A connection in autocommit, for any thread; `timeout`: how long it waits for a lock, in seconds.

    `mode`: "rw" never makes a file, "ro" never writes one. Raises `sqlite3.Error`.
    """
    # The path is quoted: `?`, `#` and `%` in it mean something to a URI.
    uri = f"file:{quote(os.fsencode(path))}?mode={mode}"
    return sqlite3.connect(
        uri,
        uri=True,
        isolation_level=None,
        check_same_thread=False,
        factory=factory,
        timeout=timeout,
        cached_statements=cached_statements,
    )


@contextmanager
def connect_to_read(path: Path, factory: type[C], *, timeout: float = DEFAULT.busy_seconds) -> Iterator[C]:
    """A connection that leaves the file, its log and its folder as they are. Raises `sqlite3.Error`, and
    `StoreReadOnlyError` where this process may not read."""
    # A log would be written back on closing unless opened read-only; without one, only a connection that may
    # write removes the empty log which SQLite makes to read a file in WAL mode.
    mode = "ro" if has_log(path) else "rw"
    try:
        with closing(connect(path, factory, mode=mode, timeout=timeout)) as connection:
            connection.execute("PRAGMA query_only = ON")
            yield connection
    except sqlite3.OperationalError as error:
        if result_code(error) & 0xFF in _NO_ACCESS and (why := _why_unreadable(path)):
            raise StoreReadOnlyError(why) from error
        raise


_NO_ACCESS = (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM)


def _why_unreadable(path: Path) -> str | None:
    """What keeps this process from reading a file, if it is a lack of rights."""
    if not os.access(path, os.R_OK):
        return f"{path} cannot be read"
    if not os.access(path.parent, os.W_OK):
        return f"{path.parent} cannot be written, and SQLite makes a log there even to read: copy the file elsewhere"
    return None


def is_ours(connection: sqlite3.Connection) -> bool:
    """Whether the file says that it is a store."""
    return bool(connection.execute("PRAGMA application_id").fetchone() == (schema.APPLICATION_ID,))


def is_followed(connection: sqlite3.Connection) -> bool:
    """Whether `authstore follow` keeps the file equal to a PostgreSQL, and alone writes to it."""
    there = connection.execute("SELECT 1 FROM pragma_table_info('authstore_move') WHERE name = 'name'").fetchone()
    return bool(there and connection.execute("SELECT 1 FROM authstore_move WHERE name = 'following'").fetchone())


def logs(path: Path) -> tuple[Path, Path, Path]:
    """The files that SQLite keeps beside this one: `-wal`, `-shm`, `-journal`."""
    wal, shm, journal = (path.with_name(path.name + suffix) for suffix in ("-wal", "-shm", "-journal"))
    return wal, shm, journal


def bytes_of(log: Path) -> int:
    """How long it is; 0 where there is none, any more: whoever closes a store last takes its logs away."""
    try:
        return log.stat().st_size
    except FileNotFoundError:
        return 0


def has_log(path: Path) -> bool:
    """Whether some of what the file holds may stand in another: it is open, or was not closed."""
    return any(log.exists() for log in logs(path))


def has_lost_its_file(path: Path) -> bool:
    """Whether a log stands there without its file: a new file of that name would get the old one's rows."""
    wal, _, journal = logs(path)
    # Asked in this order, since another process may be making the file just now.
    return (wal.exists() or journal.exists()) and not path.exists()


def make_folder(folder: Path) -> None:
    """With those above it; a loss of power takes none of them back. Raises `OSError`."""
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for made in missing:
        sync(made.parent)


def make_private(path: Path) -> None:
    """A new, empty file that only its owner may read; SQLite gives its logs the same mode. Raises `OSError`."""
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600))


def copy(path: Path, made: Path) -> None:
    """A private copy of a file that nobody in this process has open. Raises `OSError`."""
    make_private(made)
    shutil.copyfile(path, made)


def put_in_place(made: Path, path: Path, *, is_alone: bool = False) -> None:
    """Gives a finished, closed file its name. Raises `FileExistsError` where another has it: that one stays.

    `is_alone`: the caller has the folder by `alone_in`.
    """
    try:
        os.link(made, path)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        with nullcontext() if is_alone else alone_in(path.parent):
            _rename_into_place(made, path)


def put_over(made: Path, path: Path, kept_as: Path | None) -> None:
    """Gives a finished, closed file the name of one that nobody has open, and that goes on as `kept_as`. The name is
    there at every moment, and for good. Raises `OSError`."""
    sync(made)
    if kept_as is not None:
        try:
            os.link(path, kept_as)
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            path.rename(kept_as)  # for an instant nothing has the name
    made.replace(path)
    sync(path.parent)


# What file systems without hard links say (vfat, shared folders of virtual machines).
_NO_LINKS = frozenset({errno.EPERM, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EMLINK, errno.EXDEV})


def _rename_into_place(made: Path, path: Path) -> None:
    """A rename pushes out what has the name: so only who is alone in the folder may make one."""
    if path.exists():
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), os.fspath(path))
    os.rename(made, path)


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """All who give files their names in this folder take turns, by a lock that goes with whoever is killed. Who has it
    and asks again waits for himself. Raises `OSError`."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def is_in_use(path: Path) -> bool:
    """Whether somebody has the file open, in this process or another. What a store that was killed left in its log is
    put into the file on the way; what is no database, or is damaged, stays as it is."""
    with closing(connect(path, Connection, timeout=0.5)) as connection:
        try:
            # In WAL mode only a connection of this kind meets the locks of those who do not write just now.
            connection.execute("PRAGMA locking_mode = EXCLUSIVE").fetchall()
            connection.execute("BEGIN EXCLUSIVE")
            connection.execute("ROLLBACK")
        except sqlite3.DatabaseError as error:
            return is_busy(error)
    return False


def remove(path: Path) -> None:
    """A file that nobody has open, and its logs."""
    for file in (path, *logs(path)):
        file.unlink(missing_ok=True)


# What file systems say that cannot wait for a folder (SMB, 9p); SQLite itself goes on there.
_NO_SYNC = frozenset({errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP})


def sync(path: Path) -> None:
    """Waits until a folder, or a file that nobody has open, is on the disk. Raises `OSError`."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_SYNC or not path.is_dir():
            raise
    finally:
        os.close(descriptor)


def check_reachable(path: Path) -> None:
    """Raises an error of ours where the file system does not even say whether the file is there."""
    with files_translated(), suppress(FileNotFoundError, NotADirectoryError):
        path.stat()
