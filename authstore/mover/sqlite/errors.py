"""What SQLite and the file system refuse, in the mover's words."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from authstore.backends.sqlite.errors import result_code
from authstore.mover.errors import MoverError, TargetError
from authstore.mover.sqlite.target_files import TargetFiles, drop_building


@contextmanager
def translated() -> Iterator[None]:
    """No error of the file system or of SQLite leaves the mover."""
    try:
        yield
    except sqlite3.Error as error:
        raise _about_sqlite(error) from error
    except OSError as error:
        raise TargetError(f"{error.filename or 'the target'}: {error.strerror or error}") from error


@contextmanager
def dropped_if_useless(files: TargetFiles) -> Iterator[None]:
    """The half-made file stays where the same command can go on from it, and only there."""
    try:
        yield
    except (MoverError, OSError):
        raise
    except Exception as error:
        if not (isinstance(error, sqlite3.Error) and _is_of_disk(error)):
            drop_building(files)
        raise


def _about_sqlite(error: sqlite3.Error) -> TargetError:
    if _is_of_disk(error):
        return TargetError(
            f"the disk is full or fails: {error}", hint="make room and run the same command again to go on"
        )
    return TargetError(f"SQLite refuses: {error}")


def _is_of_disk(error: sqlite3.Error) -> bool:
    return result_code(error) & 0xFF in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)
