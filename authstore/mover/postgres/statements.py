"""Asking the source: SQL made of identifiers from its catalogue and of constants, never with parameters.

Without parameters psycopg leaves per cent signs alone, of which regular expressions and names may be full.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import psycopg
from psycopg.rows import tuple_row

from authstore.mover.names import literal
from authstore.mover.postgres.connection import SourceConnection

_NO_VALUE = (psycopg.DataError, psycopg.IntegrityError, psycopg.ProgrammingError, psycopg.NotSupportedError)


class NoValueError(Exception):
    """An expression has no value; its text is the server's reason."""


def rows(connection: SourceConnection, statement: str) -> list[tuple[Any, ...]]:
    """All rows of a query, as tuples whatever the connection's row factory."""
    with connection.cursor(row_factory=tuple_row) as cursor:
        return cursor.execute(statement.encode()).fetchall()


def evaluated(connection: SourceConnection, expressions: Sequence[str]) -> tuple[Any, ...]:
    """The values of constant expressions. Raises `NoValueError` where one has none; the transaction goes on."""
    try:
        with connection.transaction():
            return rows(connection, f"SELECT {', '.join(expressions)}")[0]
    except _NO_VALUE as error:
        raise NoValueError(str(error).splitlines()[0]) from error


def text_array(texts: Sequence[str]) -> str:
    """Texts as a constant array."""
    quoted = ",".join('"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"' for text in texts)
    return f"{literal('{' + quoted + '}')}::text[]"


def is_any(sql: str, texts: Sequence[str]) -> str:
    """Predicate, never null: the text is one of these. COALESCE also keeps it hashed when it is negated (before 15)."""
    return f"COALESCE({sql} = ANY ({text_array(texts)}), FALSE)" if texts else "FALSE"


def json_map(pairs: Mapping[str, str]) -> str:
    """A constant to look texts up in, by `->>`."""
    return f"{literal(json.dumps(pairs, ensure_ascii=False))}::jsonb"
