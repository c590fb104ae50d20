"""Writing the rows of one table of PostgreSQL, by COPY, and reading them back as the source has them."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from operator import itemgetter
from typing import Any

import psycopg

from authstore.mover.batches import (
    PACK,
    Batch,
    CannotOverwriteError,
    Key,
    Keys,
    LineBatch,
    Pack,
    pack,
    plain,
    whole,
)
from authstore.mover.copies import TableCopy
from authstore.mover.errors import TargetError
from authstore.mover.layout import Layout
from authstore.mover.names import quote
from authstore.mover.postgres.connection import is_passing, said
from authstore.mover.postgres.named_queries import named_queries
from authstore.mover.postgres.queries import SourceQueries
from authstore.mover.postgres.spelling import Written
from authstore.mover.postgres.target import PostgresTarget

_ARRIVING = '"pg_temp"."authstore_arriving"'
Value = Callable[[Sequence[Any]], Any]
_REFUSALS = (psycopg.DataError, psycopg.IntegrityError)
_CANNOT = (*_REFUSALS, psycopg.ProgrammingError, psycopg.NotSupportedError, psycopg.errors.ProgramLimitExceeded)


@dataclass(slots=True)
class WritingTransaction:
    """The transaction that all writers share. `is_one`: everything is one, and what a writer begins is a part of it."""

    target: PostgresTarget
    is_one: bool = False
    is_open: bool = False

    def begin(self, *, joining: bool) -> None:
        if self.is_open and joining:
            return
        if self.is_open:
            self.commit()
        self.target.execute("SAVEPOINT a_table" if self.is_one else "BEGIN")
        self.is_open = True

    def commit(self) -> None:
        self.target.execute("RELEASE SAVEPOINT a_table" if self.is_one else "COMMIT")
        self.is_open = False

    def rollback(self) -> None:
        if self.is_one:
            self.target.execute("ROLLBACK TO SAVEPOINT a_table")
            self.target.execute("RELEASE SAVEPOINT a_table")
        else:
            self.target.execute("ROLLBACK")
        self.is_open = False

    def end(self) -> None:
        """What still waits is done."""
        if self.is_open:
            self.commit()


@dataclass(frozen=True)
class PostgresTable:
    """A table of the target. `copy`: what its rows are, as the source writes them; `names`: of the columns that are
    written, by their names in the layout; `written`: what makes COPY's text of a column's value."""

    schema: str
    name: str
    layout: Layout
    copy: TableCopy
    names: Mapping[str, str]
    written: Mapping[str, Written] = field(default_factory=dict)

    @property
    def at(self) -> str:
        return f"{quote(self.schema)}.{quote(self.name)}"


class PostgresWriter:
    """Writes one table and reads it back. Rows that the server refuses are put aside in `refused`, with its reason."""

    def __init__(self, transaction: WritingTransaction, table: PostgresTable) -> None:
        self.layout = table.layout
        self.table = table
        self.refused: dict[str, str] = {}  # by digest
        self._transaction = transaction
        self._target = transaction.target

    @cached_property
    def _queries(self) -> SourceQueries:
        return SourceQueries(self.table.copy, self.layout, is_utf8=True)

    @property
    def digest_query(self) -> str:
        """By which the ledger reads the table once nobody knows its layout any more."""
        return self._queries.digests(until=False)

    def begin(self, *, joining: bool = False) -> None:
        self._transaction.begin(joining=joining)

    def commit(self) -> None:
        self._transaction.commit()

    def rollback(self) -> None:
        self._transaction.rollback()

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """What `CannotOverwriteError` ends is taken back."""
        self._target.execute("SAVEPOINT overwriting")
        try:
            yield
        except CannotOverwriteError:
            self._target.execute("ROLLBACK TO SAVEPOINT overwriting")
            raise
        self._target.execute("RELEASE SAVEPOINT overwriting")

    @cached_property
    def _written(self) -> list[int]:
        """The places of the columns that are written."""
        return [number for number, column in enumerate(self.layout.columns) if column.name in self.table.names]

    @cached_property
    def _columns(self) -> list[str]:
        return [quote(self.table.names[self.layout.columns[number].name]) for number in self._written]

    @cached_property
    def _values(self) -> list[Value]:
        """What makes the value of a written column out of a row; of most it is the value in one place."""
        return [self._value(number) for number in self._written]

    def _value(self, number: int) -> Value:
        column, made = self.layout.columns[number], self.table.written.get(self.layout.columns[number].name)
        if column.constant is not None:
            constant = _constant(column.constant)
            return lambda _row: constant
        first, other = self.layout.first[number], self.layout.other.get(number)
        if other is not None:
            return lambda row: row[first] if row[first] is not None else row[other]
        return (lambda row: made(row[first])) if made else itemgetter(first)

    @cached_property
    def is_plain(self) -> bool:
        """Whether a row is written as it comes."""
        all_come = len(self._written) == len(self.layout.columns) == self.layout.width
        return all_come and not self.table.written

    def insert(self, batch: Batch) -> None:
        """All of these but those that the server refuses: they are taken out of the batch.

        Raises `TargetError` where two rows are one to a rule of the target.
        """
        self._target.execute("SAVEPOINT inserting")
        try:
            self._copy(self.table.at, batch, 0, len(batch))
        except _CANNOT as error:
            if not _is_of_a_row(error):
                raise
            self._target.execute("ROLLBACK TO SAVEPOINT inserting")
            if isinstance(error, psycopg.errors.UniqueViolation | psycopg.errors.ForeignKeyViolation):
                raise TargetError(f'a row of "{self.layout.table}" breaks a rule: {said(error)}') from error
            self._insert_but(batch, error)
        self._target.execute("RELEASE SAVEPOINT inserting")

    def _insert_but(self, batch: Batch, error: psycopg.Error) -> None:
        """Finds the rows that are refused, by halves."""
        refused: dict[int, str] = {}
        self._halve(batch, 0, len(batch), error, refused)
        for at in sorted(refused, reverse=True):
            self.refused[batch.digests[at]] = refused[at]
            batch.drop(at)

    def _halve(self, batch: Batch, first: int, end: int, error: psycopg.Error, refused: dict[int, str]) -> None:
        if end - first == 1:
            refused[first] = said(error)
            return
        middle = (first + end) // 2
        for start, stop in ((first, middle), (middle, end)):
            self._target.execute("SAVEPOINT half")
            try:
                self._copy(self.table.at, batch, start, stop)
                self._target.execute("RELEASE SAVEPOINT half")
            except _CANNOT as found:
                if not _is_of_a_row(found):
                    raise
                self._target.execute("ROLLBACK TO SAVEPOINT half")
                self._halve(batch, start, stop, found, refused)

    def _copy(self, into: str, batch: Batch, first: int, end: int) -> None:
        statement = f"COPY {into} ({', '.join(self._columns)}) FROM STDIN"
        with self._target.connection.cursor() as cursor, cursor.copy(statement.encode()) as copy:
            if isinstance(batch, LineBatch):
                copy.write(batch.lines(first, end))
                return
            rows = batch.rows(first, end)
            for row in rows if self.is_plain else ([value(row) for value in self._values] for row in rows):
                copy.write_row(row)

    def overwrite(self, batch: Batch) -> None:
        """Over the rows with their keys. Raises `CannotOverwriteError`, having written some."""
        try:
            self._target.execute(f"CREATE TEMP TABLE authstore_arriving (LIKE {self.table.at}) ON COMMIT DROP")
            self._copy(_ARRIVING, batch, 0, len(batch))
            key = [quote(self.table.names[name]) for name in self.layout.key]
            same = " AND ".join(f"t.{name} = a.{name}" for name in key)
            changed = ", ".join(f"{name} = a.{name}" for name in self._columns if name not in key)
            if changed:
                self._target.execute(f"UPDATE {self.table.at} AS t SET {changed} FROM {_ARRIVING} AS a WHERE {same}")
            columns = ", ".join(self._columns)
            self._target.execute(
                f"INSERT INTO {self.table.at} ({columns}) OVERRIDING SYSTEM VALUE"
                f" SELECT {columns} FROM {_ARRIVING} AS a"
                f" WHERE NOT EXISTS (SELECT FROM {self.table.at} AS t WHERE {same})"
            )
            self._target.execute(f"DROP TABLE {_ARRIVING}")
        except _CANNOT as error:
            if is_passing(error):
                raise
            raise CannotOverwriteError from error

    def delete(self, keys: Iterable[Key], *, unless_referred_to: bool = False) -> None:
        """The rows with these keys, where they are there; on demand not those that other rows refer to."""
        wanted = list(keys)
        if not wanted:
            return
        columns = [self.layout.columns[number] for number in self.layout.key_columns]
        landed = {column.name: column.expression for column in self.table.copy.columns}
        own = ", ".join(f"({landed[column.name]})" for column in columns)
        arrays = ", ".join(f"%s::{column.kind}[]" for column in columns)
        names = ", ".join(f"k{number}" for number in range(len(columns)))
        statement = (
            f"DELETE FROM {self.table.at} AS s WHERE ({own}) IN (SELECT {names} FROM unnest({arrays}) AS w ({names}))"
        )
        if unless_referred_to:
            statement += "".join(f" AND NOT EXISTS ({query})" for query in self._references())
        self._target.execute(statement, [list(column) for column in zip(*map(whole, wanted), strict=True)])

    def _references(self) -> Iterator[str]:
        found = self._target.rows(named_queries("target.sql")["references_to"], {"table": self.table.at})
        for child, columns, targets in found:
            same = (f"r.{quote(own)} = s.{quote(to)}" for own, to in zip(columns, targets, strict=True))
            yield f"SELECT FROM {child} AS r WHERE {' AND '.join(same)}"

    def packs(self) -> Iterator[Pack]:
        """Keys and digests in key order; other statements may come in between."""
        return packs_of(self._target, self.digest_query)

    def values(self, keys: Keys) -> dict[Any, tuple[Any, ...]]:
        """The rows with these keys, as the source would write them."""
        columns = tuple(list(column) for column in zip(*map(whole, keys), strict=True))
        with self._target.connection.cursor(binary=True) as cursor:
            cursor.execute(self._queries.some_rows().encode(), columns)
            return {plain(self.layout.key_of(row[1:])): row[1:] for row in cursor.fetchall()}

    def keys(self) -> Iterator[Any]:
        """All keys in their order, as `Keys` have them."""
        for keys, _ in self.packs():
            yield from keys

    def columns(self) -> frozenset[str]:
        """What may be asked for by name; empty where there is no such table."""
        found = self._target.rows(named_queries("target.sql")["columns"], {"table": self.table.at})
        there = {name for (name,) in found}
        names = {ours for ours, theirs in self.table.names.items() if theirs in there}
        hidden = {column.name for column in self.layout.columns if column.name not in self.table.names}
        return frozenset(names | hidden) if there else frozenset()

    def has(self, key: Key) -> bool:
        return bool(self.values([plain(key)]))

    def count(self) -> int:
        return int(self._target.rows(f"SELECT count(*) FROM {self.table.at}")[0][0])

    def clear(self) -> None:
        """Deletes every row."""
        self._target.execute(f"DELETE FROM {self.table.at}")


def _constant(text: str) -> Any:
    """A constant of the layout as a value: NULL, a text or a whole number."""
    if text.startswith("'"):
        return text[1:-1].replace("''", "'")
    return None if text == "NULL" else int(text)


def packs_of(target: PostgresTarget, query: str) -> Iterator[Pack]:
    """What a query of keys and digests gives, by a cursor of the server's."""
    with target.connection.cursor(name="authstore_packs", binary=True) as cursor:
        cursor.itersize = PACK
        cursor.execute(query.encode())
        found = iter(cursor)
        while rows := list(islice(found, PACK)):
            yield pack(rows)


def _is_of_a_row(error: psycopg.Error) -> bool:
    """Whether a value is refused, not the statement: some types say of one that its name, or its syntax, is none."""
    return isinstance(error, _REFUSALS) or (error.diag.context or "").startswith("COPY ")
