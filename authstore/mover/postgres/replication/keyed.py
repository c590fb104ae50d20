"""The rows of one table of the target, asked for by the keys that the log gives."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import psycopg

from authstore.mover.batches import Batch, Key
from authstore.mover.copies import TableCopy
from authstore.mover.names import quote
from authstore.mover.postgres.connection import SourceConnection, translated
from authstore.mover.postgres.queries import PARAMETER, base_query, escaped
from authstore.mover.postgres.reading import PostgresReader
from authstore.mover.postgres.replication.changes import Identity


@dataclass(frozen=True)
class KeyedRows:
    """`identity`: the columns of the source's replica identity, each with its type as the server writes it."""

    copy: TableCopy
    reader: PostgresReader
    identity: tuple[tuple[str, str], ...]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(name for name, _ in self.identity)

    def on(self, connection: SourceConnection) -> "KeyedRows":
        """The same in another snapshot."""
        return replace(self, reader=self.reader.on(connection))

    def is_possible(self) -> bool:
        """Whether the target's key is made of the identity alone."""
        connection = self.reader.connection
        try:
            with connection.transaction():
                connection.execute(self._keys.encode(), self._parameters([]))
        except (psycopg.ProgrammingError, psycopg.DataError):  # it speaks of other columns, or of other tables
            return False
        return True

    def keys(self, identities: Collection[Identity]) -> set[Key]:
        """The target's keys of these, be there such rows or not."""
        with translated(), self.reader.connection.cursor(binary=True) as cursor:
            found = cursor.execute(self._keys.encode(), self._parameters(identities)).fetchall()
        return {key for key in found if None not in key}

    def rows(self, identities: Collection[Identity]) -> Iterator[Batch]:
        """Those that are there, and move."""
        return self.reader.batches(self._rows, self._parameters(identities))

    def is_watched(self, identities: Collection[Identity]) -> bool:
        """Whether one of these is a row for which the plan has to be made anew."""
        return _are_some_watched(self.reader, self._among, self._parameters(identities))

    def _parameters(self, identities: Collection[Identity]) -> tuple[Any, ...]:
        listed = list(identities)
        return tuple([one[place] for one in listed] for place in range(len(self.identity)))

    @cached_property
    def _wanted(self) -> str:
        arrays = ", ".join(f"{PARAMETER}::text[]" for _ in self.identity)
        names = ", ".join(f"k{place}" for place in range(len(self.identity)))
        return f"unnest({arrays}) AS w({names})"

    @cached_property
    def _among(self) -> str:
        own = ", ".join(f'"s".{quote(name)}' for name in self.names)
        values = ", ".join(f"k{place}::{type_}" for place, (_, type_) in enumerate(self.identity))
        return f"({own}) IN (SELECT {values} FROM {self._wanted})"

    @cached_property
    def _rows(self) -> str:
        narrowed = replace(self.copy, where=f"{self._among} AND ({self.copy.where})")
        return replace(self.reader.queries, copy=narrowed).all_rows()

    @cached_property
    def _keys(self) -> str:
        expressions = {column.name: column.expression for column in self.copy.columns}
        key = ", ".join(expressions[name] for name in self.copy.key)
        values = ", ".join(f"k{place}::{type_} AS {quote(name)}" for place, (name, type_) in enumerate(self.identity))
        return escaped(f'SELECT DISTINCT {key} FROM (SELECT {values} FROM {self._wanted}) AS "s"')


def is_plan_outgrown(reader: PostgresReader) -> bool:
    """Whether the table, of which nobody knows which rows have changed, holds one for which the plan may have to be
    made anew: one that is watched, or two that come to one key."""
    if _are_some_watched(reader, "TRUE", ()):
        return True
    copy = reader.queries.copy
    if copy.is_told_apart:
        return False
    key = ", ".join(f"c{number}" for number in reader.layout.key_columns)
    return _is_so(reader, f"EXISTS (SELECT FROM ({base_query(copy)}) AS b GROUP BY {key} HAVING count(*) > 1)", ())


def _are_some_watched(reader: PostgresReader, among: str, parameters: tuple[Any, ...]) -> bool:
    copy = reader.queries.copy
    predicates = [*copy.watched, *(reject.where for reject in copy.rejects)]
    if not predicates:
        return False
    any_ = " OR ".join(f"({predicate})" for predicate in predicates)
    common = f"WITH {copy.common} " if copy.common else ""
    query = f"{common}SELECT FROM {copy.source_from} WHERE {among} AND ({any_})"
    return _is_so(reader, f"EXISTS ({query})", parameters)


def _is_so(reader: PostgresReader, predicate: str, parameters: tuple[Any, ...]) -> bool:
    with translated():
        row = reader.connection.execute(escaped(f"SELECT {predicate}").encode(), parameters or None).fetchone()
    return bool(row and row[0])


def count_rows(reader: PostgresReader) -> int:
    """How many rows the source says must stand in the target."""
    with translated():
        row = reader.connection.execute(f"SELECT count(*) FROM ({base_query(reader.queries.copy)}) AS b".encode())
        return int((row.fetchone() or (0,))[0])
