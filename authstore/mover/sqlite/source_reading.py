"""Reading the rows of one table of the file: in batches behind one another, and as packs of keys and digests."""

import json
import sqlite3
from collections.abc import Collection, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from typing import Any

from authstore.backends.sqlite.texts import is_undecodable, undecodable
from authstore.mover.batches import PACK, Batch, Digests, Key, Keys, LineBatch, Pack, pack, whole
from authstore.mover.errors import SourceError
from authstore.mover.layout import Layout, in_groups
from authstore.mover.names import quote
from authstore.mover.reading_ahead import ReadAhead
from authstore.mover.sqlite.copy_lines import copy_lines, digested_texts, joined_texts, row_of
from authstore.mover.sqlite.queries import TargetQueries
from authstore.mover.sqlite.reading import row_digests
from authstore.mover.tuning import Tuning

_BATCH_BYTES = 8_000_000


@dataclass(frozen=True)
class SqliteReader:
    """One table. `kept`: the predicate of the rows that move. `is_numbered`: it has no key, and its rows count instead.

    `spelled`: what the target is known to make of some rows, by their digests: the digest that they have there, or
    None where it does not take them. `gives_lines`: rows come as lines for COPY, where `has_lines` allows it;
    `never_null`: columns of which no value is NULL in the file.
    """

    layout: Layout
    connection: sqlite3.Connection
    tuning: Tuning
    kept: str = "TRUE"
    is_numbered: bool = False
    spelled: Mapping[str, str | None] = field(default_factory=dict)
    gives_lines: bool = False
    never_null: Collection[str] = ()

    @cached_property
    def _queries(self) -> TargetQueries:
        return TargetQueries(self.layout)

    @cached_property
    def _from(self) -> str:
        table = self._queries.table
        if not self.is_numbered:
            return f"{table} AS s WHERE {self.kept}"
        order = ", ".join(_sorted(self.layout, number) for number in range(1, len(self.layout.columns)))
        numbered = f"row_number() OVER (ORDER BY {order}) AS {quote(self.layout.key[0])}"
        return f"(SELECT {numbered}, s.* FROM {table} AS s WHERE {self.kept}) AS s WHERE TRUE"

    @cached_property
    def _key(self) -> str:
        columns = [self.layout.columns[number] for number in self.layout.key_columns]
        return ", ".join(
            f"{quote(column.name)}{' COLLATE BINARY' if column.kind == 'text' else ''}" for column in columns
        )

    def _select(self, what: str, condition: str = "") -> str:
        return f"SELECT {what} FROM {self._from}{condition} ORDER BY {self._queries.order}"

    @cached_property
    def _row(self) -> str:
        """A row behind what its digest is made of, as the layout has it."""
        columns = self.layout.columns
        values = [_number(column.name) if column.has_other else quote(column.name) for column in columns]
        others = [_text(column.name) for column in columns if column.has_other]
        return ", ".join([self._queries.digested, *values, *others])

    def rows(self, after: Key | None = None) -> ReadAhead[Batch]:
        """Every row in key order, or those behind a key."""
        are_lines = self.gives_lines and not self.spelled
        return ReadAhead(lambda: (self._line_batches if are_lines else self._row_batches)(after))

    def _behind(self, after: Key | None) -> str:
        return f" AND ({self._key}) > ({', '.join('?' * len(after))})" if after is not None else ""

    def _row_batches(self, after: Key | None) -> Iterator[Batch]:
        return self._batches(self._select(self._row, self._behind(after)), after or ())

    def _line_batches(self, after: Key | None) -> Iterator[Batch]:
        """Rows as lines; from a stretch on of which no lines can be made, as values."""
        query = self._select(f"{self._queries.lined}, {self._nulls}", self._behind(after))
        with _readable(self.connection, self.layout.table):
            for rows in self._portions(self.connection.execute(query, after or ())):
                batch = self._in_lines(rows)
                if batch is None:
                    break
                yield batch
                after = self.layout.key_of(batch.last)
            else:
                return
        yield from self._row_batches(after)

    @cached_property
    def _nulls(self) -> str:
        """How many values of a row are NULL."""
        names = [column.name for column in self.layout.columns if column.name not in self.never_null]
        groups = in_groups([f"({quote(name)} IS NULL)" for name in names])
        return " + ".join(f"({' + '.join(group)})" for group in groups) or "0"

    def _in_lines(self, rows: Sequence[tuple[Any, ...]]) -> LineBatch | None:
        joined = joined_texts([text for text, _ in rows])
        lines = copy_lines(joined, len(rows), sum(count for _, count in rows), self.layout)
        if lines is None:
            return None
        texts = digested_texts(joined)
        return LineBatch(row_digests(texts), [lines], row_of(texts[-1], self.layout))

    def some_rows(self, keys: Keys) -> ReadAhead[Batch]:
        """The rows with these keys."""
        if not self.is_numbered and all(self._is_plain(key) for key in keys[:1]):
            wanted = json.dumps(keys)
            parts = ", ".join(f"value ->> {number}" for number in range(len(self.layout.key)))
            found = f"SELECT {parts if len(self.layout.key) > 1 else 'value'} FROM json_each(?)"
            return ReadAhead(
                lambda: self._batches(self._select(self._row, f" AND ({self._key}) IN ({found})"), (wanted,))
            )
        return ReadAhead(lambda: self._one_by_one(keys))

    def _is_plain(self, key: Any) -> bool:
        return all(isinstance(part, str | int) for part in whole(key))

    def _one_by_one(self, keys: Keys) -> Iterator[Batch]:
        query = self._select(self._row, f" AND ({self._key}) = ({', '.join('?' * len(self.layout.key))})")
        for key in keys:
            yield from self._batches(query, whole(key))

    def packs(self, until: Key | None = None) -> ReadAhead[Pack]:
        """Keys and digests in key order; `until`: the last key wanted."""
        upto = f" AND ({self._key}) <= ({', '.join('?' * len(until))})" if until is not None else ""
        keys = ", ".join(map(quote, self.layout.key))
        query = self._select(f"{keys}, {self._queries.digested}", upto)
        return ReadAhead(lambda: self._packs(query, until or ()))

    def _packs(self, query: str, parameters: Sequence[Any]) -> Iterator[Pack]:
        with _readable(self.connection, self.layout.table):
            cursor = self.connection.execute(query, tuple(parameters))
            while rows := cursor.fetchmany(PACK):
                keys, texts = pack(rows)
                digests = row_digests(texts)
                if self.spelled:
                    known = [(key, self.spelled.get(one, one)) for key, one in zip(keys, digests, strict=True)]
                    keys = [key for key, one in known if one is not None]
                    digests = [one for _, one in known if one is not None]
                if keys:
                    yield keys, digests

    def _batches(self, query: str, parameters: Sequence[Any]) -> Iterator[Batch]:
        for rows, digests in self._stretches(query, parameters):
            flat = list(chain.from_iterable(rows))
            flat[:: len(rows[0])] = digests
            yield Batch.of(flat, rows[-1])

    def _stretches(self, query: str, parameters: Sequence[Any]) -> Generator[tuple[list[tuple[Any, ...]], Digests]]:
        """A query's rows, a stretch at a time, and their digests; of those that the target is known not to take,
        none."""
        with _readable(self.connection, self.layout.table):
            cursor = self.connection.execute(query, tuple(parameters))
            for rows in self._portions(cursor):
                digests = row_digests(row[0] for row in rows)
                if self.spelled:
                    rows = [row for row, one in zip(rows, digests, strict=True) if self.spelled.get(one, one)]
                    digests = [spelt for one in digests if (spelt := self.spelled.get(one, one))]
                if rows:
                    yield rows, digests

    def _portions(self, cursor: sqlite3.Cursor) -> Iterator[list[tuple[Any, ...]]]:
        """At most a stretch, and not much more than 8 MB, at a time."""
        rows: list[tuple[Any, ...]] = []
        weight = 0
        for row in cursor:
            rows.append(row)
            weight += len(row[0])
            if len(rows) >= self.tuning.stretch_rows or weight > _BATCH_BYTES:
                yield rows
                rows, weight = [], 0
        if rows:
            yield rows


def _sorted(layout: Layout, number: int) -> str:
    """As the target sorts what it numbers: nulls last, texts by code point, numbers before the text 'NaN'."""
    column = layout.columns[number]
    name = quote(column.name)
    if column.has_other:
        return f"{_number(column.name)} NULLS LAST, {_text(column.name)} COLLATE BINARY NULLS LAST"
    return f"{name}{' COLLATE BINARY' if column.kind == 'text' else ''} NULLS LAST"


def _number(name: str) -> str:
    """What a column of numbers holds that is one; `_text`: what it holds that is none, the text 'NaN'."""
    return f"CASE WHEN typeof({quote(name)}) <> 'text' THEN {quote(name)} END"


def _text(name: str) -> str:
    return f"CASE WHEN typeof({quote(name)}) = 'text' THEN {quote(name)} END"


@contextmanager
def _readable(file: sqlite3.Connection, table: str) -> Iterator[None]:
    """SQLite's refusals to read a table, in the mover's words; text that is none is named by its row."""
    try:
        yield
    except sqlite3.Error as error:
        if is_undecodable(error):
            key = next(undecodable(file, table), None)
            hint = "mend or delete it, and run the command again"
            raise SourceError(f"{table}: the row {key!r} holds text that is not UTF-8", hint=hint) from error
        raise SourceError(
            f"table {table} cannot be read: {error}", hint="look at it: PRAGMA integrity_check"
        ) from error
