"""Text that is not UTF-8: plain SQL can write it, SQLite keeps it, and Python's driver refuses the whole answer.

What was refused is read again with such text as the bytes that it is, which every model refuses: so each row is judged
by itself, and the error says which one cannot be read.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from authstore.backends.sqlite.errors import result_code


@contextmanager
def escaped(connection: sqlite3.Connection) -> Iterator[None]:
    """Within the block text that is not UTF-8 is read as bytes."""
    before, connection.text_factory = connection.text_factory, _text_or_bytes
    try:
        yield
    finally:
        connection.text_factory = before


def is_undecodable(error: sqlite3.Error) -> bool:
    """Whether the driver, and not SQLite, refused: text that is not UTF-8, which the error's message quotes."""
    return isinstance(error, sqlite3.OperationalError) and result_code(error) == 0


def undecodable(connection: sqlite3.Connection, table: str) -> Iterator[Any]:
    """The keys of a table's rows that hold text that is not UTF-8: a value, or a tuple of several. Reads all of it."""
    columns = connection.execute("SELECT name, pk FROM pragma_table_xinfo(?) ORDER BY cid", (table,)).fetchall()
    key = [_quoted(name) for name, place in sorted(columns, key=lambda column: column[1]) if place] or ["rowid"]
    texts = [f"CASE WHEN typeof({_quoted(name)}) = 'text' THEN {_quoted(name)} END" for name, _ in columns]
    with escaped(connection):
        wanted = ", ".join([*key, *texts])
        for row in connection.execute(f"SELECT {wanted} FROM {_quoted(table)}"):  # noqa: S608  # names of the catalogue
            if any(isinstance(value, bytes) for value in row[len(key) :]):
                yield row[0] if len(key) == 1 else row[: len(key)]


def _text_or_bytes(text: bytes) -> str | bytes:
    try:
        return text.decode()
    except UnicodeDecodeError:
        return text


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
