"""Putting one value through an expression for a column, on a real server."""

from typing import Any

import psycopg

from authstore.mover.catalog import SourceColumn

_BASES = {
    "char(5)": "bpchar",
    "integer": "int4",
    "bigint": "int8",
    "double precision": "float8",
    "boolean": "bool",
    "text[]": "_text",
}
_CATEGORIES = {"text[]": "A", "text": "S", "varchar": "S", "citext": "S"}


def column(declared: str, *, nullable: bool = True) -> SourceColumn:
    """A column `x` of this type, as the catalogue describes it."""
    return SourceColumn(
        name="x",
        type=declared,
        base=_BASES.get(declared, declared),
        kind="b",
        category=_CATEGORIES.get(declared, "U"),
        modifier=-1,
        nullable=nullable,
        default=None,
        identity="",
        generated=None,
        collation=None,
        sequence=None,
        element="text" if declared == "text[]" else None,
    )


def evaluate(
    connection: psycopg.Connection[Any], declared: str, text: str | None, *expressions: str
) -> tuple[Any, ...]:
    """What the expressions give over `s.x`, a value of this type given by its text."""
    value = "NULL" if text is None else "'" + text.replace("'", "''") + "'"
    query = f"SELECT {', '.join(expressions)} FROM (SELECT {value}::{declared} AS x OFFSET 0) AS s"
    row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return tuple(row)
