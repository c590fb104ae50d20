"""A forked child inherits SQLite's memory of locks that it does not hold.

A file opened again in the child would be used without the lock that keeps others from deleting its log when they
close it: acknowledged rows were lost that way. So the child lets go of what it inherited before it opens anything
of its own (https://sqlite.org/howtocorrupt.html §2.6).
"""

import os
import sqlite3
from weakref import WeakSet

from authstore.backends.sqlite.units import UnitConnection
from authstore.errors import StoreMisuseError

_here: "WeakSet[UnitConnection]" = WeakSet()
_inherited: list[UnitConnection] = []


def note(connection: UnitConnection) -> None:
    """This connection is open in this process."""
    _here.add(connection)


def let_go() -> None:
    """Closes what was inherited.

    Raises `StoreMisuseError` where the fork came amid some work: its locks can no longer be undone in this process.
    """
    if any(connection.is_at_work or connection.in_transaction for connection in filter(_is_open, _inherited)):
        raise StoreMisuseError("this process was forked while a store was at work: fork before opening, or use spawn")
    while _inherited:
        _inherited.pop().close()


def _is_open(connection: UnitConnection) -> bool:
    """One that was closed may only not have been forgotten yet."""
    try:
        return connection.in_transaction or True
    except sqlite3.ProgrammingError:
        return False


def _inherit() -> None:
    _inherited.extend(_here)
    _here.clear()


os.register_at_fork(after_in_child=_inherit)
