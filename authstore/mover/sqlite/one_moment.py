"""Several connections to one file that all see it as it stood at one moment."""

import sqlite3
from collections.abc import Sequence

_TRIES = 100  # each takes a fraction of a millisecond, in which a busy file may be written to


def begin_at_one_moment(first: sqlite3.Connection, others: Sequence[sqlite3.Connection]) -> bool:
    """Begins a read transaction over each. False where the file was written to in between, however often it was tried:
    then only the first has begun."""
    for _ in range(_TRIES):
        before = _version(first)
        for one in others:
            _begin(one)
        _begin(first)
        # It moves when somebody else has committed since it was asked for last. Nobody has, so the others, which began
        # in between, see what the first sees.
        if _version(first) == before:
            return True
        for one in (first, *others):
            one.execute("COMMIT")
    _begin(first)
    return False


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA data_version").fetchone()[0])


def _begin(connection: sqlite3.Connection) -> None:
    """With a look, for BEGIN alone waits for one."""
    connection.execute("BEGIN")
    connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone()
