"""Looking at a store's file without changing it: its tables and sizes, its schema version."""

import sqlite3
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from authstore import schema
from authstore.backends.inspection import StoreSize, TableSize
from authstore.backends.sqlite import file, texts
from authstore.backends.sqlite.errors import files_translated
from authstore.backends.sqlite.migrating import ledger
from authstore.backends.sqlite.shape import lacking, tables, told
from authstore.errors import SchemaError, StoreNotFoundError
from authstore.schema import Migration
from authstore.sql import Query


def look(path: Path) -> StoreSize:
    """Tables, rows and sizes. Raises `StoreNotFoundError`, `SchemaError`, `StoreCorruptError`."""
    with _opened(path) as connection:
        version = len(ledger(connection))
        names = connection.execute(
            "SELECT name FROM sqlite_master"
            " WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name"
        ).fetchall()
        sizes = _sizes(connection)
        tables = tuple(_table(connection, name, sizes) for (name,) in names)
        return StoreSize(str(path), _bytes(path), version, tables)


def pending(path: Path) -> tuple[Migration, ...]:
    """The migrations that the file still needs; all of them where there is no file."""
    known = schema.migrations("sqlite")
    if not path.exists():
        return known
    with _opened(path) as connection:
        return schema.pending(ledger(connection), known)


def drift(path: Path) -> tuple[str, ...]:
    """What the migrations that ran had made, and is there no more."""
    if not path.exists():
        return ()
    with _opened(path) as connection:
        missing = lacking(connection, schema.migrations("sqlite")[: len(ledger(connection))])
    return (*told(missing.needed), *told(missing.helpful))


def explain(connection: sqlite3.Connection, query: Query) -> list[str]:
    """How SQLite goes about a query: its plan, as the command line shows it."""
    values = defaultdict[str, None](lambda: None)
    depth: dict[int, int] = {0: 0}
    lines = []
    for number, parent, _, text in connection.execute(f"EXPLAIN QUERY PLAN {query.sqlite}", values):
        depth[number] = depth[parent] + 1
        lines.append("  " * depth[parent] + text)
    return lines or ["(searches nothing)"]


def undecodable(path: Path) -> tuple[tuple[str, Any], ...]:
    """The rows of our tables that hold text that is not UTF-8, by table and key: such a row is `StoreCorruptError` to
    whoever asks for it. Reads the whole file."""
    with _opened(path) as connection:
        ours = tables(schema.migrations("sqlite")[: len(ledger(connection))])
        return tuple((table, key) for table in ours for key in texts.undecodable(connection, table))


@contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    if not path.is_file():
        raise StoreNotFoundError(f"there is no store at {path}")
    with files_translated(), file.connect_to_read(path, sqlite3.Connection) as connection:
        if not file.is_ours(connection):
            raise SchemaError(f"{path} is no authstore")
        connection.execute("BEGIN")
        yield connection


def _sizes(connection: sqlite3.Connection) -> dict[str, int] | None:
    try:
        return dict(connection.execute("SELECT name, sum(pgsize) FROM dbstat GROUP BY name"))
    except sqlite3.OperationalError:
        return None


def _table(connection: sqlite3.Connection, name: str, sizes: dict[str, int] | None) -> TableSize:
    quoted = '"' + name.replace('"', '""') + '"'
    rows = connection.execute(f"SELECT count(*) FROM {quoted}").fetchone()[0]  # noqa: S608  # a name of the catalogue
    indexes = [found for (found,) in connection.execute("SELECT name FROM pragma_index_list(?)", (name,))]
    size = None if sizes is None else sum(sizes.get(one, 0) for one in (name, *indexes))
    return TableSize(name, rows, size, tuple(sorted(indexes)))


def _bytes(path: Path) -> int:
    wal, _, _ = file.logs(path)
    return path.stat().st_size + (wal.stat().st_size if wal.exists() else 0)
