"""Writing the rows of one table, many with one statement."""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any

from authstore.backends.sqlite.errors import result_code
from authstore.mover.batches import Batch, CannotOverwriteError, Key, Pack
from authstore.mover.errors import TargetError
from authstore.mover.layout import Layout
from authstore.mover.names import ROW_IDS, folded, quote
from authstore.mover.sqlite.building import drop_indexes
from authstore.mover.sqlite.queries import TargetQueries
from authstore.mover.sqlite.reading import target_packs

MOST_ROWS_A_STATEMENT = 100
_MOST_PARAMETERS = 4000


class SqliteWriter:
    """Writes one table and reads it back. A statement that fails rolls the transaction back by itself."""

    def __init__(self, target: sqlite3.Connection, layout: Layout) -> None:
        self.layout = layout
        self._target = target
        self._queries = TargetQueries(layout)
        self._many = _rows_a_statement(target, layout.width)

    @cached_property
    def _insert_many(self) -> str:
        """Long, and of no use to a table of few rows."""
        return self._queries.insert(self._many)

    @cached_property
    def _insert_one(self) -> str:
        return self._queries.insert(1)

    @property
    def digest_query(self) -> str:
        """By which the ledger reads the table once nobody knows its layout any more."""
        return self._queries.digests

    def begin(self, *, joining: bool = False) -> None:
        if self._target.in_transaction:
            if joining:
                return
            self.commit()
        self._target.execute("BEGIN IMMEDIATE")

    def commit(self) -> None:
        self._target.execute("COMMIT")

    def rollback(self) -> None:
        self._target.execute("ROLLBACK")

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """What `CannotOverwriteError` ends is taken back."""
        self._target.execute("SAVEPOINT overwriting")
        try:
            yield
        except CannotOverwriteError:
            self._target.execute("ROLLBACK TO overwriting")
            raise

    def insert(self, batch: Batch) -> None:
        """All of these. Raises `TargetError` where the target's rules forbid one."""
        whole = len(batch) // self._many * self._many
        try:
            if whole:
                self._target.executemany(self._insert_many, batch.rows(0, whole, self._many))
            self._target.executemany(self._insert_one, batch.rows(whole, len(batch)))
        except sqlite3.IntegrityError as error:
            table = self.layout.table
            raise TargetError(f'a row of "{table}" breaks a rule of the target: {error}') from error

    def overwrite(self, batch: Batch) -> None:
        """Over the rows with their keys. Raises `CannotOverwriteError`, having written some.

        SQLite writes a row's entry in every index that holds a column which is set, be it to what it was. So first
        what no index holds is set, then the rest, of the few rows where that differs.
        """
        try:
            self._update_or_insert(batch, self._indexed())
        except sqlite3.DatabaseError as error:
            if result_code(error) & 0xFF not in (sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_ERROR):
                raise  # a full disk, say, which has rolled everything back already
            raise CannotOverwriteError from error

    def _update_or_insert(self, batch: Batch, indexed: frozenset[str]) -> None:
        if update := self._queries.update(indexed):
            rows = ([row[position] for position in update.values] for row in batch.rows(0, len(batch)))
            self._target.executemany(update.statement, rows)
        self._target.executemany(self._queries.upsert(indexed), batch.rows(0, len(batch)))

    def _indexed(self) -> frozenset[str]:
        """The columns of the key and of every index."""
        found = self._target.execute(
            "SELECT c.name FROM pragma_index_list(?) AS i, pragma_index_xinfo(i.name) AS c", (self.layout.table,)
        )
        own = {column.name for column in self.layout.columns}
        return frozenset(own & {name for (name,) in found} | set(self.layout.key))

    def delete(self, keys: Iterable[Key], *, unless_referred_to: bool = False) -> None:
        """The rows with these keys, where they are there; on demand not those that other rows refer to."""
        statement = self._queries.delete
        if unless_referred_to:
            statement += "".join(f" AND NOT EXISTS ({query})" for query in self._references())
        self._target.executemany(statement, keys)

    def _references(self) -> Iterator[str]:
        own = self.layout.table
        for (child,) in self._target.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            links: dict[int, list[str]] = {}
            for number, _, parent, column, to, *_ in self._target.execute(f"PRAGMA foreign_key_list({quote(child)})"):
                if folded(parent) == folded(own):
                    to = to or self.layout.key[0]
                    links.setdefault(number, []).append(f"r.{quote(column)} = {quote(own)}.{quote(to)}")
            for same in links.values():
                yield f"SELECT 1 FROM {quote(child)} AS r WHERE {' AND '.join(same)}"

    def packs(self) -> Iterator[Pack]:
        """Keys and digests in key order."""
        return target_packs(self._target, self.layout.table, self._queries.digests)

    def keys(self) -> Iterator[Any]:
        """All keys in their order, as `Keys` have them."""
        found = self._target.execute(self._queries.keys)
        return (row[0] for row in found) if len(self.layout.key) == 1 else found

    def columns(self) -> frozenset[str]:
        """What may be asked for by name; empty where there is no such table."""
        found = self._target.execute("SELECT name FROM pragma_table_xinfo(?)", (self.layout.table,)).fetchall()
        return frozenset({*(name for (name,) in found), *ROW_IDS}) if found else frozenset()

    def has(self, key: Key) -> bool:
        return self._target.execute(self._queries.has_key, key).fetchone() is not None

    def count(self) -> int:
        return int(self._target.execute(f"SELECT count(*) FROM {self._queries.table}").fetchone()[0])

    def clear(self) -> None:
        """Deletes every row, and the indexes with them: they are made again once the rows are there."""
        drop_indexes(self._target, self.layout.table)
        self._target.execute(f"DELETE FROM {self._queries.table}")


def _rows_a_statement(target: sqlite3.Connection, width: int) -> int:
    """How many rows of so many values one INSERT can take."""
    # SQLite looks for each numbered parameter among all that came before it.
    most = min(_MOST_PARAMETERS, target.getlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER)) // width
    return max(1, min(MOST_ROWS_A_STATEMENT, most))
