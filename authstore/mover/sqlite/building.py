"""The file while it is being made: its schema without indexes, then its indexes, its checks, its end."""

import json
import sqlite3
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from functools import cache
from pathlib import Path

from authstore.backends.sqlite import file
from authstore.expiry import utc_now
from authstore.mover.copies import TableCopy
from authstore.mover.errors import TargetError
from authstore.mover.names import quote
from authstore.mover.sqlite.ledger import Ledger
from authstore.schema import migrations

# SQLite's own check looks at every CHECK at the end, at two thirds of the price and on another core.
_UNCHECKED = "PRAGMA ignore_check_constraints = ON"
_LOADING = (
    "PRAGMA foreign_keys = OFF",
    "PRAGMA journal_mode = TRUNCATE",
    "PRAGMA synchronous = FULL",
    "PRAGMA cache_size = -32768",
    _UNCHECKED,
)
_COMMIT_SECONDS = 1.0  # of making indexes, before they are put onto the disk: many are small
# A big cache and temp_store = MEMORY would switch off the sorter's runs on disk and its threads.
_INDEXING = ("PRAGMA temp_store = FILE", "PRAGMA cache_size = -4000", "PRAGMA threads = 2")


def open_building(path: Path) -> sqlite3.Connection:
    """The file, set up for loading."""
    building = file.connect(path, file.Connection)
    for setting in _LOADING:
        building.execute(setting).fetchall()
    return building


def lay_schema(building: sqlite3.Connection, copies: Iterable[TableCopy]) -> None:
    """Every table and no index that can be made later."""
    building.execute("PRAGMA auto_vacuum = NONE")
    _run_migrations(building)
    building.execute(_UNCHECKED)  # a migration ends it
    for name in own_indexes():
        building.execute(f"DROP INDEX {quote(name)}")
    drop_triggers(building)
    Ledger(building).create()
    building.execute("BEGIN IMMEDIATE")  # once onto the disk for all tables, and not once for each
    for copy in copies:
        for statement in copy.create:
            building.execute(statement)
    building.execute("COMMIT")


def _run_migrations(building: sqlite3.Connection) -> None:
    now = utc_now().isoformat(timespec="microseconds").replace("+00:00", "Z")
    for step in migrations("sqlite"):
        building.executescript(f"BEGIN;\n{step.sql}\nCOMMIT;")
        building.execute(
            "INSERT INTO authstore_migrations (version, name, sha256, applied_at) VALUES (?, ?, ?, ?)",
            (step.version, step.name, step.sha256, now),
        )


def drop_triggers(building: sqlite3.Connection) -> None:
    """What is moved is no event: the change log begins with the first write of an application."""
    for name in own_triggers():
        building.execute(f"DROP TRIGGER IF EXISTS {quote(name)}")


def own_indexes() -> dict[str, str]:
    """The indexes of authstore's schema, and how they are made."""
    return _made("index")


def own_triggers() -> dict[str, str]:
    """Likewise its triggers."""
    return _made("trigger")


@cache
def own_tables() -> frozenset[str]:
    """The tables of authstore's schema, its books included."""
    return frozenset(_made("table"))


@cache
def _made(kind: str) -> dict[str, str]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as memory:
        _run_migrations(memory)
        return dict(memory.execute("SELECT name, sql FROM sqlite_master WHERE type = ? AND sql IS NOT NULL", (kind,)))


def refused_views(copies: Iterable[TableCopy], views: Sequence[str]) -> dict[str, str]:
    """Which of these views SQLite would not take over these tables, and its reason: tried in memory, on no row."""
    refused: dict[str, str] = {}
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as memory:
        if views:
            lay_schema(memory, copies)
        for view in views:
            name = index_name(view)
            try:
                memory.execute(view)
                memory.execute(f"SELECT * FROM {quote(name)} LIMIT 0")
            except sqlite3.Error as error:
                memory.execute(f"DROP VIEW IF EXISTS {quote(name)}")
                refused[view] = str(error)
    return refused


def make_indexes(
    building: sqlite3.Connection, copies: Sequence[TableCopy], say: Callable[[int, int], None], later: Iterable[str]
) -> None:
    """What is missing of the indexes, and `later`: what may come only then (views)."""
    for setting in _INDEXING:
        building.execute(setting)
    have = {name for (name,) in building.execute("SELECT name FROM sqlite_master WHERE type <> 'table'")}
    missing = [sql for name, sql in own_indexes().items() if name not in have]
    missing += [sql for copy in copies for sql in copy.indexes if index_name(sql) not in have]
    began = time.monotonic()
    for number, sql in enumerate((*missing, *(view for view in later if index_name(view) not in have))):
        say(min(number, len(missing)), len(missing))
        if not building.in_transaction:
            began = time.monotonic()
            building.execute("BEGIN IMMEDIATE")
        _make(building, sql)
        if time.monotonic() - began > _COMMIT_SECONDS:
            building.execute("COMMIT")
    for name, sql in own_triggers().items():
        if name not in have:
            building.execute(sql)
    if building.in_transaction:
        building.execute("COMMIT")
    say(len(missing), len(missing))


def _make(building: sqlite3.Connection, sql: str) -> None:
    try:
        building.execute(sql)
    except sqlite3.IntegrityError as error:
        raise TargetError(f"the rows break a unique index of the target: {error}") from error


def index_name(sql: str) -> str:
    """The name in a CREATE INDEX or CREATE VIEW that quotes it."""
    rest = sql.partition('"')[2].replace('""', "\0")
    return rest.partition('"')[0].replace("\0", '"')


def drop_indexes(building: sqlite3.Connection, table: str) -> None:
    """For a table that is filled anew."""
    names = building.execute(
        "SELECT name FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL AND tbl_name = ?", (table,)
    ).fetchall()
    for (name,) in names:
        building.execute(f"DROP INDEX {quote(name)}")


def set_sequence(building: sqlite3.Connection, table: str, value: int) -> None:
    """AUTOINCREMENT goes on behind `value`."""
    known = building.execute("SELECT seq FROM sqlite_sequence WHERE name = ?", (table,)).fetchone()
    if known is None:
        building.execute("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", (table, value))
    else:
        building.execute("UPDATE sqlite_sequence SET seq = max(seq, ?) WHERE name = ?", (value, table))


def sequences_of(connection: sqlite3.Connection) -> dict[str, int]:
    """Where AUTOINCREMENT stands, by table."""
    there = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'sqlite_sequence'").fetchone()
    return dict(connection.execute("SELECT name, seq FROM sqlite_sequence")) if there else {}


def sequences_note(connection: sqlite3.Connection) -> dict[str, str]:
    """The same, to be noted: by it the way back sees new numbers."""
    return {"sequences": json.dumps(sequences_of(connection))}


def tables_of(connection: sqlite3.Connection) -> list[str]:
    rows = connection.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
    )
    return [name for (name,) in rows]
