"""SQLite's result codes and the file system's error numbers as our errors: by code, never by message text, and
without a value in them."""

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from authstore.errors import (
    AuthStoreError,
    ConfigurationError,
    ConflictError,
    NotFoundError,
    StoreBusyError,
    StoreClosedError,
    StoreCorruptError,
    StoreError,
    StoreFullError,
    StoreNotFoundError,
    StoreReadOnlyError,
)

# Primary result codes, https://sqlite.org/rescode.html
_OURS: dict[int, tuple[type[StoreError], str]] = {
    sqlite3.SQLITE_PERM: (StoreReadOnlyError, "access to the database was denied"),
    sqlite3.SQLITE_BUSY: (StoreBusyError, "another writer held the database for the whole busy timeout"),
    sqlite3.SQLITE_LOCKED: (StoreBusyError, "another writer held the database for the whole busy timeout"),
    sqlite3.SQLITE_PROTOCOL: (StoreBusyError, "another process held the database's locks"),
    sqlite3.SQLITE_READONLY: (StoreReadOnlyError, "the database cannot be written"),
    sqlite3.SQLITE_CORRUPT: (StoreCorruptError, "the database file is damaged"),
    sqlite3.SQLITE_NOTADB: (StoreCorruptError, "the file is not a SQLite database"),
    sqlite3.SQLITE_FULL: (StoreFullError, "the disk is full"),
    sqlite3.SQLITE_INTERRUPT: (StoreBusyError, "the database was stopped: it took longer than it was given"),
    # It is there, or was a moment ago (no descriptors left, say): a missing file is found out by looking.
    sqlite3.SQLITE_CANTOPEN: (StoreError, "the database file cannot be opened"),
    sqlite3.SQLITE_AUTH: (StoreReadOnlyError, "access to the database was denied"),
}
_EXTENDED: dict[int, tuple[type[AuthStoreError], str]] = {
    sqlite3.SQLITE_CONSTRAINT_UNIQUE: (ConflictError, "something unique is taken"),
    sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY: (ConflictError, "something unique is taken"),
    sqlite3.SQLITE_CONSTRAINT_ROWID: (ConflictError, "something unique is taken"),
    sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY: (NotFoundError, "what the row belongs to does not exist"),
    # The file went away, or its disk: not a fault of what it holds.
    sqlite3.SQLITE_IOERR_SHORT_READ: (StoreCorruptError, "the database file is cut off"),
    # What stands in memory that processes share is a file too: https://sqlite.org/rescode.html#ioerr_shmsize
    sqlite3.SQLITE_IOERR_SHMSIZE: (StoreFullError, "the disk is full"),
}

_BY_ERRNO: dict[int, type[StoreError]] = {
    errno.EACCES: StoreReadOnlyError,
    errno.EPERM: StoreReadOnlyError,
    errno.EROFS: StoreReadOnlyError,
    errno.ENOSPC: StoreFullError,
    errno.EDQUOT: StoreFullError,
    errno.ENOENT: StoreNotFoundError,
}


def is_busy(error: sqlite3.Error) -> bool:
    """Whether waiting could help."""
    return result_code(error) & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL)


def ours(error: sqlite3.Error) -> AuthStoreError:
    """The error a caller gets for this one of the driver's, which is its cause."""
    code = result_code(error)
    if code == 0 and isinstance(error, sqlite3.ProgrammingError):
        return _caused(StoreClosedError("the store is closed"), error)
    if code == 0 and isinstance(error, sqlite3.OperationalError):
        return _caused(unreadable(), None)  # text that is no UTF-8, which the driver's message quotes
    kind, text = _EXTENDED.get(code) or _OURS.get(code & 0xFF) or (StoreError, "the database failed")
    name = getattr(error, "sqlite_errorname", None)
    return _caused(kind(f"{text} ({name})" if name else text), error)


def name_of(error: BaseException) -> str:
    """What the error is called that a caller gets for this one."""
    if isinstance(error, ValueError):  # a row that cannot be read
        return StoreCorruptError.__name__
    return type(ours(error) if isinstance(error, sqlite3.Error) else error).__name__


def unreadable() -> StoreCorruptError:
    """A row holds what the schema does not allow."""
    return StoreCorruptError("a row of the database cannot be read")


@contextmanager
def translated() -> Iterator[None]:
    """Lets no error of the driver pass."""
    try:
        yield
    except sqlite3.Error as error:
        made = ours(error)
        raise made from made.__cause__


@contextmanager
def files_translated(about: Path | None = None) -> Iterator[None]:
    """Lets no error of the driver or the file system pass. `about`: what is named where the error names no file."""
    try:
        with translated():
            yield
    except (NotADirectoryError, IsADirectoryError, FileExistsError) as error:
        raise ConfigurationError(f"{error.filename} is in the way of the store's path") from error
    except OSError as error:
        kind = _BY_ERRNO.get(error.errno or 0, StoreError)
        raise kind(f"{error.filename or about or 'the file'}: {error.strerror}") from error


def _caused(made: AuthStoreError, cause: BaseException | None) -> AuthStoreError:
    made.__cause__ = cause
    return made


def result_code(error: sqlite3.Error) -> int:
    """SQLite's (extended) result code; 0 where the driver itself refused, which has none."""
    code: int = getattr(error, "sqlite_errorcode", 0)
    return code
