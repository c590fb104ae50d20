"""Planning asks the source: whoever plans yields SQL and is sent the rows, and `answered` alone holds a connection.

The SQL is made of identifiers from the source's catalogue and of constants, never with parameters: without parameters
psycopg leaves per cent signs alone, of which regular expressions and names may be full.
"""

from collections.abc import Generator
from typing import Any, NamedTuple, TypeVar

import psycopg
from psycopg.rows import tuple_row

from authstore.mover.postgres.connection import SourceConnection

T = TypeVar("T")
_NO_VALUE = (psycopg.DataError, psycopg.IntegrityError, psycopg.ProgrammingError, psycopg.NotSupportedError)


class Constants(NamedTuple):
    """Asks for the values of constant expressions, as one row. `NoValueError` is thrown where one has none."""

    expressions: tuple[str, ...]


class NoValueError(Exception):
    """An expression has no value; its text is the server's reason."""


Asking = Generator[str | Constants, list[tuple[Any, ...]], T]


def answered(connection: SourceConnection, asking: Asking[T]) -> T:
    """Runs it to its end: what it asks is put to the source, in the snapshot the connection is in."""
    try:
        question = next(asking)
        while True:
            try:
                answer = _answer(connection, question)
            except NoValueError as error:
                question = asking.throw(error)
            else:
                question = asking.send(answer)
    except StopIteration as end:
        result: T = end.value
        return result


def _answer(connection: SourceConnection, question: str | Constants) -> list[tuple[Any, ...]]:
    if isinstance(question, str):
        return _rows(connection, question)
    try:
        with connection.transaction():  # which goes on without them
            return _rows(connection, f"SELECT {', '.join(question.expressions)}")
    except _NO_VALUE as error:
        raise NoValueError(str(error).splitlines()[0]) from error


def _rows(connection: SourceConnection, statement: str) -> list[tuple[Any, ...]]:
    """As tuples whatever the connection's row factory."""
    with connection.cursor(row_factory=tuple_row) as cursor:
        return cursor.execute(statement.encode()).fetchall()
