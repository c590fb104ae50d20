"""Looking through a closed file of a store from end to end: is it whole, is it ours, does all in it hang together."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

from authstore import schema
from authstore.backends.sqlite import file
from authstore.backends.sqlite.errors import files_translated, ours
from authstore.backends.sqlite.migrating import ledger
from authstore.backends.sqlite.shape import lacking, told
from authstore.backends.threads import Stop
from authstore.errors import SchemaError, StoreCorruptError

_LOOK_EVERY = 100_000  # steps of SQLite's machine: a few milliseconds
_MOST = 20  # lines of damage that are told
_CACHE = -65536  # KiB; the check looks for every row in every index


class Checked(NamedTuple):
    """`damage`: pages, indexes or constraints are broken. `problems`: rows that point to nothing, what the schema
    lacks. `counts`: rows by table."""

    damage: tuple[str, ...]
    problems: tuple[str, ...]
    counts: dict[str, int]


def check(path: Path, stop: Stop, *, look_every: int = _LOOK_EVERY) -> Checked:
    """Reads all of it; `stop` is asked every so many steps of SQLite's machine.

    Raises `SchemaError` where it is no store of a version that is known, `StoreCorruptError` where not even that can be
    told.
    """
    with files_translated():
        if path.stat().st_size == 0:
            raise SchemaError(f"{path.name} is an empty file, not a store")
    with files_translated(), closing(file.connect(path, file.Connection, mode="ro")) as connection:
        connection.execute(f"PRAGMA cache_size = {_CACHE}")
        if not file.is_ours(connection):
            raise SchemaError(f"{path.name} is a SQLite database, but no authstore")
        known = schema.migrations("sqlite")
        pending = schema.pending(ledger(connection), known)
        missing = lacking(connection, known[: len(known) - len(pending)])
        with _stopping(connection, stop, look_every):
            return Checked(_damage(connection), (*_lacking(missing), *_orphans(connection)), _counts(connection))


@contextmanager
def _stopping(connection: sqlite3.Connection, stop: Stop, look_every: int) -> Iterator[None]:
    """Lets `stop` be asked amid a long statement; what it raises comes out."""
    raised: list[BaseException] = []

    def ask() -> bool:
        try:
            stop()
        except BaseException as error:  # noqa: BLE001  # SQLite's own thread of calls would swallow it
            raised.append(error)
        return bool(raised)

    connection.set_progress_handler(ask, look_every)
    try:
        yield
    except BaseException:
        if raised:
            raise raised[0] from None
        raise
    finally:
        connection.set_progress_handler(None, 0)


def _damage(connection: sqlite3.Connection) -> tuple[str, ...]:
    try:
        found = connection.execute(f"PRAGMA integrity_check({_MOST})")
        lines = [" ".join(line.split()) for (line,) in found if line != "ok"]
    except sqlite3.DatabaseError as error:
        made = ours(error)
        if not isinstance(made, StoreCorruptError):
            raise
        lines = [str(made)]
    return tuple(lines)


def _lacking(missing: tuple[frozenset[str], frozenset[str]]) -> Iterator[str]:
    for names in missing:
        for name in told(names):
            yield f"{name} is missing"


def _orphans(connection: sqlite3.Connection) -> Iterator[str]:
    try:
        found = connection.execute(
            'SELECT "table", parent, count(*) FROM pragma_foreign_key_check GROUP BY "table", parent'
        ).fetchall()
    except sqlite3.DatabaseError as error:
        yield f"rows that point to nothing cannot be looked for: {ours(error)}"
        return
    for table, parent, count in found:
        yield f"{count} rows of {table} point to no row of {parent}"


def _counts(connection: sqlite3.Connection) -> dict[str, int]:
    """Of every table of ours that can be counted."""
    counts: dict[str, int] = {}
    names = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name").fetchall()
    for (name,) in names:
        if name.startswith("sqlite_"):
            continue
        quoted = '"' + name.replace('"', '""') + '"'
        try:
            (counts[name],) = connection.execute(
                f"SELECT count(*) FROM {quoted}"  # noqa: S608  # a name of the catalogue
            ).fetchone()
        except sqlite3.DatabaseError as error:
            if not isinstance(ours(error), StoreCorruptError):
                raise
    return counts
