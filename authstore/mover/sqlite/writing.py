"""Writing the rows of one table, many with one statement."""

import sqlite3
from collections.abc import Iterable, Iterator

from authstore.backends.sqlite.errors import result_code
from authstore.mover.batches import Batch, Key
from authstore.mover.errors import TargetError
from authstore.mover.names import folded, quote
from authstore.mover.rows import Rows

MOST_ROWS_A_STATEMENT = 100
_MOST_PARAMETERS = 4000


class CannotOverwriteError(Exception):
    """Two rows exchange something unique, or the key has no unique index of its own."""


class Writer:
    """INSERTs into one table. Transactions are the caller's; one that fails is rolled back by SQLite itself."""

    def __init__(self, target: sqlite3.Connection, rows: Rows) -> None:
        self._target = target
        self._rows = rows
        self._many = _rows_a_statement(target, rows.width)
        self._insert_many = rows.insert(self._many)
        self._insert_one = rows.insert(1)

    def insert(self, batch: Batch) -> None:
        """All of these. Raises `TargetError` where the target's rules forbid one."""
        whole = len(batch) // self._many * self._many
        try:
            self._target.executemany(self._insert_many, batch.rows(0, whole, self._many))
            self._target.executemany(self._insert_one, batch.rows(whole, len(batch)))
        except sqlite3.IntegrityError as error:
            table = self._rows.copy.target
            raise TargetError(f'a row of "{table}" breaks a rule of the target: {error}') from error

    def upsert(self, batch: Batch) -> None:
        """Over the rows with their keys. Raises `CannotOverwriteError`, having written some.

        SQLite writes a row's entry in every index that holds a column which is set, be it to what it was. So first
        what no index holds is set, then the rest, of the few rows where that differs.
        """
        try:
            self._overwrite(batch, self._indexed())
        except sqlite3.DatabaseError as error:
            if result_code(error) & 0xFF not in (sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_ERROR):
                raise  # a full disk, say, which has rolled everything back already
            raise CannotOverwriteError from error

    def _overwrite(self, batch: Batch, indexed: frozenset[str]) -> None:
        if update := self._rows.update(indexed):
            rows = ([row[position] for position in update.values] for row in batch.rows(0, len(batch)))
            self._target.executemany(update.statement, rows)
        self._target.executemany(self._rows.upsert(indexed), batch.rows(0, len(batch)))

    def _indexed(self) -> frozenset[str]:
        """The columns of the key and of every index."""
        found = self._target.execute(
            "SELECT c.name FROM pragma_index_list(?) AS i, pragma_index_xinfo(i.name) AS c", (self._rows.copy.target,)
        )
        own = {column.name for column in self._rows.copy.columns}
        return frozenset(own & {name for (name,) in found} | set(self._rows.copy.key))

    def delete(self, keys: Iterable[Key], *, unless_referred_to: bool = False) -> None:
        """The rows with these keys, where they are there; on demand not those that other rows refer to."""
        statement = self._rows.delete()
        if unless_referred_to:
            statement += "".join(f" AND NOT EXISTS ({query})" for query in self._references())
        self._target.executemany(statement, keys)

    def _references(self) -> Iterator[str]:
        own = self._rows.copy.target
        for (child,) in self._target.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            links: dict[int, list[str]] = {}
            for number, _, parent, column, to, *_ in self._target.execute(f"PRAGMA foreign_key_list({quote(child)})"):
                if folded(parent) == folded(own):
                    to = to or self._rows.copy.key[0]
                    links.setdefault(number, []).append(f"r.{quote(column)} = {quote(own)}.{quote(to)}")
            for same in links.values():
                yield f"SELECT 1 FROM {quote(child)} AS r WHERE {' AND '.join(same)}"


def _rows_a_statement(target: sqlite3.Connection, width: int) -> int:
    """How many rows of so many values one INSERT can take."""
    # SQLite looks for each numbered parameter among all that came before it.
    most = min(_MOST_PARAMETERS, target.getlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER)) // width
    return max(1, min(MOST_ROWS_A_STATEMENT, most))
