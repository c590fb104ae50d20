"""Whoever looks at a store in SQLite, and mends it; each look by a connection of its own, on a thread of its own."""

import asyncio
import random
import sqlite3
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from threading import Lock
from time import monotonic
from typing import TypeVar

from authstore.backends.inspection import COUNTED_ROWS, StoreSize, Symptom, TableInfo, symptom_of
from authstore.backends.sqlite import file, fork
from authstore.backends.sqlite.database import SqliteDatabase
from authstore.backends.sqlite.errors import files_translated
from authstore.backends.sqlite.inspecting import opened
from authstore.backends.sqlite.migrating import ledger
from authstore.backends.sqlite.units import UnitConnection, drive
from authstore.backends.sqlite.upkeep.examining import examine_database, examine_file, examine_writer
from authstore.backends.sqlite.upkeep.holders import writing
from authstore.backends.sqlite.upkeep.mending import mend_files, mend_within
from authstore.database import Unit
from authstore.errors import AuthStoreError, StoreBusyError, StoreClosedError, StoreMisuseError

T = TypeVar("T")

_AGAIN_SECONDS = 0.05
_PLACES, _STRETCH = 200, 100  # of an estimate: so many places in a table, so many rows there
_TABLES = """
SELECT name, wr FROM pragma_table_list
WHERE schema = 'main' AND type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name
"""


class SqliteInspector:
    """See `authstore.backends.inspection.Inspector`. `path` is None in memory, where there is one connection."""

    def __init__(self, path: Path | None, database: SqliteDatabase | None = None) -> None:
        self._path = path
        self._database = database

    async def ask(self, make: Callable[[], Unit[T]], *, seconds: float | None = None) -> T:
        """See `authstore.backends.inspection.Inspector`."""
        return await self._look(partial(_run, make), seconds)

    async def size(self, *, with_tables: bool, counted: int = COUNTED_ROWS, seconds: float | None = None) -> StoreSize:
        """See `authstore.backends.inspection.Inspector`."""
        return await self._look(partial(_size, self._path, with_tables, counted), seconds)

    async def examine(self) -> list[Symptom]:
        """See `authstore.backends.inspection.Inspector`."""
        found: list[Symptom] = []
        try:
            if self._path is not None:
                found = await asyncio.to_thread(examine_file, self._path)
                if self._database is not None:
                    found += await self._database.on_writer(examine_writer)
            if not any(each.kind in ("missing", "lost-file", "network", "locked") for each in found):
                found += await self._look(partial(examine_database, self._path))
        except (StoreClosedError, StoreMisuseError):
            raise
        except AuthStoreError as error:
            who = f"; the lock has {writing(self._path)}" if self._path and isinstance(error, StoreBusyError) else ""
            found.append(Symptom(symptom_of(error), f"{error}{who}"))
        return found

    async def mend(self, kind: str) -> None:
        """See `authstore.backends.inspection.Inspector`."""
        if self._path is not None and await asyncio.to_thread(mend_files, self._path, kind):
            return
        if self._database is not None:
            await self._database.on_writer(partial(mend_within, self._path, kind, is_store=True))
        else:
            await asyncio.to_thread(self._mend_alone, kind)

    async def _look(self, work: Callable[[UnitConnection], T], seconds: float | None = None) -> T:
        if seconds is None:
            return await self._look_unhurried(work)
        limit = _Limit(seconds)
        try:
            return await self._look_unhurried(partial(limit.run, work))
        finally:
            limit.lift()

    async def _look_unhurried(self, work: Callable[[UnitConnection], T]) -> T:
        if self._path is None and self._database is not None:
            return await self._database.on_writer(work)
        if self._database is not None:
            self._database.check()
        return await asyncio.to_thread(self._look_at_file, work)

    def _look_at_file(self, work: Callable[[UnitConnection], T]) -> T:
        with opened(self._path or Path()) as connection:
            return work(connection)

    def _mend_alone(self, kind: str) -> None:
        path = self._path or Path()
        with files_translated(), closing(file.connect(path, UnitConnection)) as connection:
            fork.note(connection)
            connection.execute("PRAGMA foreign_keys = ON")
            mend_within(path, kind, connection, is_store=False)


class _Limit:
    """Ends what a connection is at when time is up. From the event loop: a look at the clock in the middle of a
    statement would need Python's lock, and wait for it each time."""

    def __init__(self, seconds: float) -> None:
        self._ends = monotonic() + seconds
        self._lock = Lock()
        self._connection: sqlite3.Connection | None = None  # while it is at work
        self._loop = asyncio.get_running_loop()
        self._timer = self._loop.call_later(seconds, self._stop)

    def run(self, work: Callable[[UnitConnection], T], connection: UnitConnection) -> T:
        """What the work gives. Raises `StoreBusyError` where there is no time left."""
        if monotonic() >= self._ends:
            raise StoreBusyError("the database was given no time")
        self._connection = connection
        try:
            return work(connection)
        finally:
            with self._lock:
                self._connection = None

    def lift(self) -> None:
        """Nobody waits any longer: what a cancelled caller left at work ends too."""
        self._timer.cancel()
        self._interrupt()

    def _interrupt(self) -> None:
        with self._lock:
            if self._connection is not None:
                self._connection.interrupt()

    def _stop(self) -> None:
        self._interrupt()
        self._timer = self._loop.call_later(_AGAIN_SECONDS, self._stop)  # it may have been between two statements


def _run(make: Callable[[], Unit[T]], connection: UnitConnection) -> T:
    unit = make()
    try:
        first = next(unit)
    except StopIteration as finished:
        result: T = finished.value
        return result
    return drive(connection, unit, first)


def _size(path: Path | None, with_tables: bool, most: int, connection: sqlite3.Connection) -> StoreSize:
    def pragma(name: str) -> int:
        value: int = connection.execute(f"PRAGMA {name}").fetchone()[0]
        return value

    version = len(ledger(connection))
    sizes = _sizes(connection) if with_tables else None
    tables = tuple(
        _table(connection, name, sizes, most, is_numbered=not wr) for name, wr in connection.execute(_TABLES).fetchall()
    )
    page = pragma("page_size")
    place, size, log = "memory", pragma("page_count") * page, 0
    if path is not None:
        wal, _, _ = file.logs(path)
        place, size, log = str(path), path.stat().st_size, file.bytes_of(wal)
    return StoreSize(place, size, log, pragma("freelist_count") * page, version, tables)


def _sizes(connection: sqlite3.Connection) -> dict[str, int] | None:
    try:
        return dict(connection.execute("SELECT name, sum(pgsize) FROM dbstat GROUP BY name"))
    except sqlite3.OperationalError:
        return None


def _table(
    connection: sqlite3.Connection, name: str, sizes: dict[str, int] | None, most: int, *, is_numbered: bool
) -> TableInfo:
    quoted = '"' + name.replace('"', '""') + '"'
    rows, is_exact = (_estimated if is_numbered else _counted)(connection, quoted, most)
    indexes = [found for (found,) in connection.execute("SELECT name FROM pragma_index_list(?)", (name,))]
    size = None if sizes is None else sum(sizes.get(one, 0) for one in (name, *indexes))
    return TableInfo(name, rows, size, tuple(sorted(indexes)), is_exact)


def _counted(connection: sqlite3.Connection, table: str, most: int) -> tuple[int, bool]:
    """How many rows a table has, counted up to so many, and whether those are all."""
    some = f"SELECT count(*) FROM (SELECT 1 FROM {table} LIMIT ?)"  # noqa: S608  # a name of the catalogue
    rows: int = connection.execute(some, (most + 1,)).fetchone()[0]
    return min(rows, most), rows <= most


def _estimated(connection: sqlite3.Connection, table: str, most: int) -> tuple[int, bool]:
    """The same of a table with numbered rows: of a large one by how densely some places of it are filled."""
    (first,) = connection.execute(f"SELECT min(_rowid_) FROM {table}").fetchone()  # noqa: S608  # as above
    (last,) = connection.execute(f"SELECT max(_rowid_) FROM {table}").fetchone()  # noqa: S608  # as above
    if first is None or (span := last - first + 1) <= most:
        return _counted(connection, table, most)
    count = f"SELECT count(*) FROM {table} WHERE _rowid_ BETWEEN ? AND ?"  # noqa: S608  # as above
    rows = 0
    for part in range(_PLACES):
        within = random.randrange(span)  # noqa: S311  # a sample, no secret
        place = min(first + (span * part + within) // _PLACES, last - _STRETCH + 1)
        (there,) = connection.execute(count, (place, place + _STRETCH - 1)).fetchone()
        rows += there
    return round(span * rows / (_PLACES * _STRETCH)), False
