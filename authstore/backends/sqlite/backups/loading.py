"""A store's file made from another database's rows, and its rows for another database: the backup of a store is always
such a file."""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from authstore import schema
from authstore.adapter import Clock
from authstore.backends.sqlite import file
from authstore.backends.sqlite.errors import files_translated
from authstore.backends.sqlite.migrating import run_pending
from authstore.errors import StoreCorruptError

LEDGER = "authstore_migrations"  # every file has its own
Columns = Mapping[str, Sequence[str]]


class Loader:
    """A file that is being filled. No trigger looks on: what the rows say of themselves is what happened."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.columns: Columns = columns_of(connection)

    def load(self, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        """Adds rows. Raises `StoreCorruptError` for what no store wrote."""
        names, places = ", ".join(map(_quoted, columns)), ", ".join("?" * len(columns))
        text = f"INSERT INTO {_quoted(table)} ({names}) VALUES ({places})"  # noqa: S608  # names of our own schema
        with files_translated():
            try:
                self._connection.executemany(text, rows)
            except sqlite3.IntegrityError:
                raise StoreCorruptError(f"a row of {table} holds what no store wrote", table=table) from None


@contextmanager
def new_file(path: Path, version: int, clock: Clock) -> Iterator[Loader]:
    """Makes an empty file a store of this schema version, to be filled."""
    with files_translated(), closing(file.connect(path, file.Connection)) as connection:
        connection.execute("PRAGMA synchronous = OFF")  # flushed below; without its end nobody gets to see it
        connection.execute("PRAGMA journal_mode = OFF").fetchall()
        run_pending(connection, schema.migrations("sqlite")[:version], clock)
        triggers = connection.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'").fetchall()
        connection.execute("BEGIN")
        for name, _ in triggers:
            connection.execute(f"DROP TRIGGER {_quoted(name)}")
        for table in columns_of(connection):
            connection.execute(f"DELETE FROM {_quoted(table)}")  # noqa: S608  # a name of our own schema
        yield Loader(connection)
        for _, text in triggers:
            connection.execute(text)
        connection.execute("COMMIT")
    file.sync(path)


@contextmanager
def rows_of(path: Path) -> Iterator["Rows"]:
    """A closed file's rows."""
    with files_translated(), closing(file.connect(path, file.Connection, mode="ro")) as connection:
        yield Rows(connection)


class Rows:
    """What a file holds."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.columns: Columns = columns_of(connection)

    def of(self, table: str, columns: Sequence[str], batch: int) -> Iterator[list[tuple[Any, ...]]]:
        """The rows of a table, a batch at a time."""
        names = ", ".join(map(_quoted, columns))
        cursor = self._connection.execute(
            f"SELECT {names} FROM {_quoted(table)}"  # noqa: S608  # names of our own schema
        )
        while rows := cursor.fetchmany(batch):
            yield rows


def columns_of(connection: sqlite3.Connection) -> Columns:
    """Our own tables but the ledger, those that others refer to first, with their columns."""
    found: dict[str, list[str]] = {}
    known = schema.tables("sqlite")
    for table, column in connection.execute(
        "SELECT t.name, c.name FROM sqlite_schema AS t JOIN pragma_table_info(t.name) AS c"
        " WHERE t.type = 'table' ORDER BY t.rowid, c.cid"
    ):
        if table in known and table != LEDGER:
            found.setdefault(table, []).append(column)
    return found


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
