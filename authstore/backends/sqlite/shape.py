"""What the migrations make of a database, and what of it a file lacks: the ledger alone is not believed.

What people add themselves (columns, indexes, tables) is their own business.
"""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from functools import cache
from typing import NamedTuple

from authstore.schema import Migration


class Shape(NamedTuple):
    """Tables, columns (`sessions.expires`), and what only helps: indexes and triggers."""

    needed: frozenset[str]
    helpful: frozenset[str]


def lacking(connection: sqlite3.Connection, ran: Sequence[Migration]) -> Shape:
    """What the migrations that ran had made and is there no more."""
    expected, found = _made_by(tuple(ran)), _shape(connection)
    return Shape(expected.needed - found.needed, expected.helpful - found.helpful)


def tables(ran: Sequence[Migration]) -> list[str]:
    """The tables that these migrations make."""
    needed = _made_by(tuple(ran)).needed
    return sorted(name.removeprefix("table ") for name in needed if name.startswith("table "))


@cache
def _made_by(steps: tuple[Migration, ...]) -> Shape:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        for step in steps:
            connection.executescript(step.sql)
        return _shape(connection)


def _shape(connection: sqlite3.Connection) -> Shape:
    columns = connection.execute(
        "SELECT t.name, c.name FROM sqlite_schema AS t JOIN pragma_table_xinfo(t.name) AS c WHERE t.type = 'table'"
    ).fetchall()
    others = connection.execute(
        "SELECT type || ' ' || name FROM sqlite_schema WHERE type IN ('index', 'trigger') AND sql IS NOT NULL"
    ).fetchall()
    tables = {f"table {table}" for table, _ in columns}
    return Shape(
        frozenset(tables | {f"{table}.{column}" for table, column in columns}), frozenset(o for (o,) in others)
    )


def told(missing: frozenset[str]) -> list[str]:
    """What is missing, by name; of a table that is missing its columns are not told."""
    gone = {name.removeprefix("table ") for name in missing if name.startswith("table ")}
    return sorted(name for name in missing if name.partition(".")[0] not in gone)
