"""The shortest way from copies to a target, for tests that are about the copies and not about the engine."""

import re
import sqlite3
from collections.abc import Iterable
from importlib.resources import files
from typing import Any

import psycopg

from authstore.mover.copies import TableCopy
from authstore.mover.names import quote

PINNED = {
    "timezone": "UTC",
    "datestyle": "ISO",
    "intervalstyle": "iso_8601",
    "extra_float_digits": "1",
    "bytea_output": "hex",
    "lc_monetary": "C",
    "row_security": "off",
}


def pinned(url: str) -> psycopg.Connection[Any]:
    """A connection as the mover reads through it; autocommit, so that a test may seed through it as well."""
    options = " ".join(f"-c {name}={value}" for name, value in PINNED.items())
    return psycopg.connect(url, autocommit=True, prepare_threshold=None, connect_timeout=10, options=options)


def rows_of(copy: TableCopy, connection: psycopg.Connection[Any]) -> list[tuple[Any, ...]]:
    """What must stand in the target table."""
    values = ", ".join(f"{column.expression}, {column.otherwise or 'NULL'}" for column in copy.columns)
    kept = " AND ".join([f"({copy.where})", *(f"({reject.where}) IS NOT TRUE" for reject in copy.rejects)])
    common = f"WITH {copy.common} " if copy.common else ""
    query = f"{common}SELECT {values} FROM {copy.source_from} WHERE {kept}"
    rows = connection.execute(query.encode()).fetchall()
    return [tuple(_either(*pair) for pair in zip(row[::2], row[1::2], strict=True)) for row in rows]


def _either(value: Any, otherwise: Any) -> Any:
    return otherwise if value is None else value


def empty_target() -> sqlite3.Connection:
    """A target in memory with authstore's own tables; what is quoted and unknown is an error, not a string."""
    target = sqlite3.connect(":memory:", isolation_level=None)
    target.executescript((files("authstore.migrations") / "0001_initial.sqlite.sql").read_text("utf-8"))
    return target


def arrive(
    copies: Iterable[TableCopy], connection: psycopg.Connection[Any], *, target: sqlite3.Connection | None = None
) -> sqlite3.Connection:
    """A target with these copies in it, indexes after the data; foreign keys are checked at the end."""
    target = target or empty_target()
    copies = list(copies)
    for copy in copies:
        for statement in copy.create:
            target.execute(statement)
    for copy in copies:
        names = ", ".join(quote(column.name) for column in copy.columns)
        places = ", ".join("?" for _ in copy.columns)
        target.executemany(f"INSERT INTO {quote(copy.target)} ({names}) VALUES ({places})", rows_of(copy, connection))
        assert not [name for name in copy.key if not re.search(re.escape(quote(name)), names)]
    for copy in copies:
        for statement in copy.indexes:
            target.execute(statement)
    return target
