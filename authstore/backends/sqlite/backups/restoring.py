"""A finished file takes the place of a store's: what was there is set aside, with what its log still holds."""

import os
import sqlite3
import stat
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from authstore.backends.sqlite import file
from authstore.backends.sqlite.errors import files_translated, is_busy
from authstore.backends.sqlite.volume import check_volume
from authstore.errors import ConfigurationError, SchemaError, StoreBusyError
from authstore.sql import queries


def check_place(path: Path) -> None:
    """Raises where no store may be put: `ConfigurationError` (a network file system, no plain file), `SchemaError`
    (somebody else's database), `StoreBusyError` (somebody has it open)."""
    with files_translated():
        check_volume(path)
        if not os.path.lexists(path):
            return
        if not stat.S_ISREG(path.lstat().st_mode):
            raise ConfigurationError(f"{path} is not a file")
        # What is damaged, or empty, nobody can use; and a connection that may write would do away with its log.
        if _is_store(path) and file.is_in_use(path):
            raise StoreBusyError(f"somebody has {path} open: stop the application first")


def _is_store(path: Path) -> bool:
    """Whether a store can be read there. Raises `SchemaError` where somebody else's database can."""
    try:
        with file.connect_to_read(path, file.Connection) as connection:
            (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
            if tables and not file.is_ours(connection):
                raise SchemaError(f"{path} is a SQLite database, but no authstore: name another file")
            return bool(tables)
    except sqlite3.DatabaseError as error:
        return is_busy(error)


def newest_change(path: Path) -> int:
    """The number of the newest row in the change log of what is there; 0 where that cannot be read."""
    if not path.exists():
        return 0
    with suppress(sqlite3.Error), file.connect_to_read(path, file.Connection) as connection:
        (newest,) = connection.execute(queries.get_newest_change.sqlite).fetchone()
        return int(newest or 0)
    return 0


def put_back(made: Path, path: Path, when: datetime) -> Path | None:
    """Gives a finished, closed file this name; where what was there is now, if anything was.

    Raises `StoreBusyError` where somebody opened what is there, or made a store, meanwhile.
    """
    with files_translated():
        file.sync(made)
        if not os.path.lexists(path) and not file.has_log(path):
            _put_in_place(made, path)
            return None
        check_place(path)
        aside = _free(path, when)
        if file.has_log(path):  # it belongs to a file that is damaged or gone: nobody could put it in
            _set_aside(path, aside)
            _put_in_place(made, path)
        else:
            file.put_over(made, path, aside)
        return aside


def _put_in_place(made: Path, path: Path) -> None:
    try:
        file.put_in_place(made, path)
    except FileExistsError as error:
        raise StoreBusyError(f"somebody made a store at {path} meanwhile: stop the application first") from error
    file.sync(path.parent)


def _set_aside(path: Path, aside: Path) -> None:
    """With its logs, and before them: a log without its file is refused when a store is opened, a file without its log
    would lack what was written last."""
    for old, new in zip((path, *file.logs(path)), (aside, *file.logs(aside)), strict=True):
        with suppress(FileNotFoundError):
            old.rename(new)
    file.sync(path.parent)


def _free(path: Path, when: datetime) -> Path:
    name = f"{path.name}.set-aside-{when.astimezone(UTC):%Y%m%dT%H%M%SZ}"
    aside, number = path.with_name(name), 1
    while any(os.path.lexists(each) for each in (aside, *file.logs(aside))):
        number += 1
        aside = path.with_name(f"{name}-{number}")
    return aside
