"""Looking at a store's file without changing it: its schema, its plans, what in it cannot be read."""

import sqlite3
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from authstore import schema
from authstore.backends.sqlite import file, fork, texts
from authstore.backends.sqlite.errors import files_translated
from authstore.backends.sqlite.migrating import ledger
from authstore.backends.sqlite.shape import lacking, tables, told
from authstore.backends.sqlite.units import UnitConnection
from authstore.errors import SchemaError, StoreNotFoundError
from authstore.schema import Migration
from authstore.sql import Query

_LOCKED_SECONDS = 2.0


def pending(path: Path) -> tuple[Migration, ...]:
    """The migrations that the file still needs; all of them where there is no file."""
    known = schema.migrations("sqlite")
    if not path.exists():
        return known
    with opened(path) as connection:
        return schema.pending(ledger(connection), known)


def drift(path: Path) -> tuple[str, ...]:
    """What the migrations that ran had made, and is there no more."""
    if not path.exists():
        return ()
    with opened(path) as connection:
        missing = lacking(connection, schema.migrations("sqlite")[: len(ledger(connection))])
    return (*told(missing.needed), *told(missing.helpful))


def explain(connection: sqlite3.Connection, query: Query) -> list[str]:
    """How SQLite goes about a query: its plan, as the command line shows it."""
    if not query.sqlite:
        return ["(asks nothing)"]
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
    with opened(path) as connection:
        ours = tables(schema.migrations("sqlite")[: len(ledger(connection))])
        return tuple((table, key) for table in ours for key in texts.undecodable(connection, table))


@contextmanager
def opened(path: Path) -> Iterator[UnitConnection]:
    """The store in this file, to be read; what is no UTF-8 comes as bytes. Raises `StoreNotFoundError`, `SchemaError`,
    `StoreCorruptError`, `StoreBusyError` after two seconds."""
    if not path.is_file():
        raise StoreNotFoundError(f"there is no store at {path}")
    with files_translated(), file.connect_to_read(path, UnitConnection, timeout=_LOCKED_SECONDS) as connection:
        fork.note(connection)
        if not file.is_ours(connection):
            raise SchemaError(f"{path} is no authstore")
        with texts.escaped(connection):
            yield connection
