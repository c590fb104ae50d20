"""What a move writes down in the file it makes: from where, when, and the digest of every stretch of rows.

The ledger of a stretch is written in the transaction of its rows, so after a kill both are there or neither.
"""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from authstore.backends.sqlite import file
from authstore.backends.sqlite.errors import result_code
from authstore.mover.batches import Digests, Key
from authstore.mover.options import MoveOptions
from authstore.mover.sqlite import seal
from authstore.mover.stretches import Stretch, digest_of, joined_digests, read_key, written_key

SCHEMA = """
CREATE TABLE IF NOT EXISTS authstore_move (
    name TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS authstore_move_tables (
    name TEXT NOT NULL PRIMARY KEY,
    is_whole INTEGER NOT NULL CHECK (is_whole IN (0, 1)),
    query TEXT NOT NULL,
    rejected INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE IF NOT EXISTS authstore_move_stretches (
    name TEXT NOT NULL,
    number INTEGER NOT NULL,
    last_key TEXT NOT NULL,
    rows INTEGER NOT NULL,
    digest BLOB NOT NULL,
    digests BLOB NOT NULL,
    PRIMARY KEY (name, number)
) STRICT;
"""
_SOURCES = """
CREATE TABLE IF NOT EXISTS authstore_move_sources (
    name TEXT NOT NULL PRIMARY KEY,
    definition TEXT NOT NULL CHECK (json_valid(definition))
) STRICT;
"""
_KEPT = (
    "schemas", "prefix", "profile", "only", "skip", "with_expired", "naive_tz",
    "on_bad_row", "on_orphan", "on_duplicate", "secrets",
)  # fmt: skip
TABLES = ("authstore_move", "authstore_move_tables", "authstore_move_stretches", "authstore_move_sources", seal.TABLE)

# Of a target that is followed: by which slot, up to where in the source's log, which tables' stretches are no longer as
# they are noted, which tables have to be compared, and whether the plan has to be made anew.
FOLLOW_NOTES = ("following", "follow_lsn", "follow_changed", "follow_stale", "follow_plan")

_DIGITS = 32  # of each row's digest


class Ledger:
    """The ledger in an open file. Writes belong to the caller's transaction."""

    def __init__(self, target: sqlite3.Connection) -> None:
        self._target = target

    def create(self) -> None:
        self._target.executescript(SCHEMA + _SOURCES + seal.SCHEMA)

    def is_there(self) -> bool:
        """Whether there is one: a table of somebody else's may have its name."""
        columns = "SELECT count(*) FROM pragma_table_info('authstore_move') WHERE name IN ('name', 'value')"
        return bool(self._target.execute(columns).fetchone() == (2,))

    def notes(self) -> dict[str, str]:
        """Everything noted of the run."""
        return dict(self._target.execute("SELECT name, value FROM authstore_move"))

    def note(self, notes: Mapping[str, str]) -> None:
        self._target.executemany(
            "INSERT INTO authstore_move (name, value) VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value",
            list(notes.items()),
        )

    def is_whole(self, table: str) -> bool:
        """Whether every row of the table was copied once."""
        row = self._target.execute("SELECT is_whole FROM authstore_move_tables WHERE name = ?", (table,)).fetchone()
        return row is not None and bool(row[0])

    def tables(self) -> dict[str, int]:
        """The tables that were moved, and how many of their rows were rejected."""
        return dict(self._target.execute("SELECT name, rejected FROM authstore_move_tables"))

    def queries(self) -> dict[str, str]:
        """The query of each table's keys and texts to digest, as it was when the table was moved."""
        return dict(self._target.execute("SELECT name, query FROM authstore_move_tables"))

    def set_table(self, table: str, query: str, *, is_whole: bool) -> None:
        self._target.execute(
            "INSERT INTO authstore_move_tables (name, query, is_whole) VALUES (?, ?, ?)"
            " ON CONFLICT DO UPDATE SET query = excluded.query, is_whole = excluded.is_whole",
            (table, query, is_whole),
        )

    def set_rejected(self, table: str, rejected: int) -> None:
        self._target.execute("UPDATE authstore_move_tables SET rejected = ? WHERE name = ?", (rejected, table))

    def set_sources(self, definitions: Mapping[str, str]) -> None:
        """What the tables are in the source (JSON, by their names in the target; "" is the database's)."""
        self._target.execute(_SOURCES)  # a file of an earlier version has no such table
        self._target.execute("DELETE FROM authstore_move_sources")
        self._target.executemany(
            "INSERT INTO authstore_move_sources (name, definition) VALUES (?, ?)", list(definitions.items())
        )

    def sources(self) -> dict[str, Any]:
        """As `set_sources` was given them, parsed."""
        found = self._target.execute("SELECT name, definition FROM authstore_move_sources")
        return {name: json.loads(text) for name, text in found}

    def forget(self, table: str, query: str) -> None:
        """As if the table had never been copied."""
        self._target.execute("DELETE FROM authstore_move_stretches WHERE name = ?", (table,))
        self.set_table(table, query, is_whole=False)

    def stretches(self, table: str) -> list[Stretch]:
        rows = self._target.execute(
            "SELECT number, last_key, rows, digest FROM authstore_move_stretches WHERE name = ? ORDER BY number",
            (table,),
        )
        return [Stretch(number, read_key(text), rows, digest) for number, text, rows, digest in rows]

    def digests(self, table: str, number: int) -> Digests:
        """Of each row of a stretch, in the order of their keys."""
        (found,) = self._target.execute(
            "SELECT digests FROM authstore_move_stretches WHERE name = ? AND number = ?", (table, number)
        ).fetchone()
        digits = found.hex()
        return [digits[start : start + _DIGITS] for start in range(0, len(digits), _DIGITS)]

    def next_number(self, table: str) -> int:
        """Of the stretch behind the last."""
        (last,) = self._target.execute(
            "SELECT max(number) FROM authstore_move_stretches WHERE name = ?", (table,)
        ).fetchone()
        return 0 if last is None else int(last) + 1

    def put(self, table: str, number: int, last_key: Key, digests: Sequence[str]) -> None:
        """The stretch of this number consists of rows with these digests now."""
        joined = joined_digests(digests)
        self._target.execute(
            "INSERT INTO authstore_move_stretches (name, number, last_key, rows, digest, digests)"
            " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
            " rows = excluded.rows, digest = excluded.digest, digests = excluded.digests",
            (table, number, written_key(last_key), len(digests), digest_of(joined), joined),
        )


def notes_in(path: Path) -> dict[str, str]:
    """The notes in a file; none where it is no file of a move. Raises `sqlite3.Error` where nobody can tell."""
    try:
        with closing(file.connect(path, file.Connection)) as connection:
            ledger = Ledger(connection)
            return ledger.notes() if ledger.is_there() else {}
    except sqlite3.DatabaseError as error:
        if result_code(error) & 0xFF not in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
            raise
        return {}


@dataclass(frozen=True, slots=True)
class Backup:
    """What was at the target before a move. `name`: "" where nothing was. `is_moved`: as the move before had left it,
    and so not kept for ever."""

    name: str
    is_moved: bool = False


def backups_in(notes: Mapping[str, str]) -> tuple[Backup, ...]:
    """The states before the moves that made a file, the oldest first."""
    return tuple(Backup(name, is_moved) for name, is_moved in json.loads(notes.get("backups", "[]")))


def backups_note(backups: Sequence[Backup]) -> dict[str, str]:
    """The same, to be noted."""
    return {"backups": json.dumps([[one.name, one.is_moved] for one in backups])}


def options_note(options: MoveOptions) -> dict[str, str]:
    """The options of a run, to be noted; the moments are notes of their own."""
    kept = {name: getattr(options, name) for name in _KEPT}
    if options.profile:
        kept["profile"] = str(Path(options.profile).absolute())
    return {"options": json.dumps(kept)}


def recorded_options(notes: Mapping[str, str]) -> MoveOptions:
    """The options of the run that made a file."""
    found = json.loads(notes.get("options", "{}"))
    kept: dict[str, Any] = {
        name: tuple(found[name]) if isinstance(found[name], list) else found[name] for name in _KEPT if name in found
    }
    return MoveOptions(**kept)


def as_moved(options: MoveOptions, notes: Mapping[str, str]) -> MoveOptions:
    """The options with what is not given taken from the move, its moments above all."""
    plain = MoveOptions()
    given: dict[str, Any] = {
        field.name: getattr(options, field.name)
        for field in fields(MoveOptions)
        if getattr(options, field.name) != getattr(plain, field.name)
    }
    given |= {name: notes.get(name, "") for name in ("moved_at", "sessions_at", "judged_at")}
    return replace(recorded_options(notes), **given)


def sessions_moment(notes: Mapping[str, str], now: str, may_lag: timedelta) -> str:
    """From when last uses are told that the source does not know: the noted moment, until it lies too far back."""
    noted = notes.get("sessions_at", "")
    return noted if noted and datetime.fromisoformat(now) - datetime.fromisoformat(noted) <= may_lag else now
