"""Reads the newest rows of the change log in the event loop's own thread: a look there takes a hundredth of the way to
the reading thread and back. In WAL mode a reader waits for nobody."""

import sqlite3
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from authstore import schema
from authstore.backends.sqlite import file, fork
from authstore.backends.sqlite.file import FilePlace
from authstore.backends.sqlite.units import UnitConnection
from authstore.database import LogLook
from authstore.sql import queries

_SINCE = queries.changes_since.sqlite
_BOUNDS = queries.log_bounds.sqlite


class FileChangeLog:
    """The change log of a file, on a connection of its own. See `authstore.database.ChangeLog`."""

    def __init__(self, place: FilePlace, check: Callable[[], None]) -> None:
        self._check = check
        self._place = place
        self._connection = file.connect(Path(place.path), UnitConnection, timeout=0.0)
        self._connection.is_at_work = False
        fork.note(self._connection)
        self._connection.execute("PRAGMA query_only = ON")
        # The driver's own, without what `file.Connection` adds: each look-up from the cache asks.
        self._ask = partial(sqlite3.Connection.execute, self._connection)
        # What was found last, under the database's version before it was asked, and what was asked for.
        self._known: tuple[int, int, int] | None = None
        self._rows: Sequence[tuple[Any, ...]] = ()

    @property
    def is_whole(self) -> bool:
        """Whether every trigger of ours is there, so that the log misses nothing. Raises `sqlite3.Error`."""
        there = {name for (name,) in self._connection.execute(queries.list_triggers.sqlite)}
        return schema.triggers("sqlite") <= there

    def since(self, seq: int, newest: int) -> Sequence[tuple[Any, ...]]:
        """See `authstore.database.ChangeLog`."""
        self._check()
        self._place.check()
        ask = self._ask
        try:
            # It changes with every commit of any other connection, and this one never writes: while it stands, the
            # answer does, and to ask for it is less than to ask again.
            [(version,)] = ask("PRAGMA data_version").fetchall()
            asked = (version, seq, newest)
            if asked != self._known:
                self._known = None
                self._rows = ask(_SINCE, {"seq": seq, "newest": newest}).fetchall()
                self._known = asked
        except (sqlite3.Error, UnicodeDecodeError):
            return ()
        return self._rows

    def look(self, seq: int, newest: int, session_id: str) -> LogLook | None:
        """See `authstore.database.ChangeLog`."""
        try:
            self._connection.execute("BEGIN")
            try:
                rows = self._connection.execute(_SINCE, {"seq": seq, "newest": newest}).fetchall()
                bounds = self._connection.execute(_BOUNDS, {"session_id": session_id}).fetchone()
                return LogLook(rows, *bounds)
            finally:
                self._connection.execute("ROLLBACK")
        except sqlite3.Error:
            return None

    def close(self) -> None:
        """Lets go of the file."""
        self._connection.close()
