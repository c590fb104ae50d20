"""Reading the rows of one table of the source: in batches, and as packs of keys and digests."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from authstore.mover.batches import PACK, Batch, Key, Keys, Pack, pack, whole
from authstore.mover.copies import TableCopy
from authstore.mover.decoding import Decoding
from authstore.mover.layout import Kind, Layout
from authstore.mover.postgres.connection import SourceConnection, streamed, translated
from authstore.mover.postgres.queries import SourceQueries, heading_query, layout_of
from authstore.mover.reading_ahead import ReadAhead
from authstore.mover.tuning import Tuning

_KINDS: dict[int, Kind] = {20: "int8", 701: "float8", 25: "text", 17: "bytea"}
_BATCH_BYTES, _FETCH_BYTES, _FETCH_ROWS = 8_000_000, 1_000_000, 1000


@dataclass(frozen=True, slots=True)
class PostgresReader:
    """One table. `row_bytes`: of a row, roughly."""

    queries: SourceQueries
    connection: SourceConnection
    row_bytes: int
    tuning: Tuning
    decoding: Decoding | None = None

    @property
    def layout(self) -> Layout:
        return self.queries.layout

    def on(self, connection: SourceConnection) -> "PostgresReader":
        """The same table over another connection."""
        return replace(self, connection=connection)

    def rows(self, after: Key | None = None) -> ReadAhead[Batch]:
        """Every row in key order, or those behind a key."""
        return ReadAhead(lambda: self.batches(self.queries.all_rows(after=after is not None), after or ()))

    def some_rows(self, keys: Keys) -> ReadAhead[Batch]:
        """The rows with these keys."""
        columns = tuple(list(column) for column in zip(*map(whole, keys), strict=True))
        return ReadAhead(lambda: self.batches(self.queries.some_rows(), columns))

    def packs(self, until: Key | None = None) -> ReadAhead[Pack]:
        """Keys and digests in key order; `until`: the last key wanted."""
        return ReadAhead(lambda: self._packs(until))

    def _packs(self, until: Key | None) -> Iterator[Pack]:
        decoding = self.decoding
        is_bounded = until is not None
        wanted = self.queries.digests(is_bounded) if decoding is None else self.queries.all_rows(until=is_bounded)
        with translated(), self.connection.cursor(binary=True) as cursor:
            found: Iterator[tuple[Any, ...]] = streamed(cursor, wanted.encode(), until or None, size=PACK)
            if decoding is not None:
                found = ((*self.layout.key_of(row[1:]), row[0]) for row in decoding.rows(found))
            while rows := list(islice(found, PACK)):
                yield pack(rows)

    def batches(self, query: str, parameters: tuple[Any, ...]) -> Iterator[Batch]:
        """A query's rows, at most a stretch (and about 8 MB) at a time."""
        size = max(1, min(_FETCH_ROWS, _FETCH_BYTES // max(1, self.row_bytes)))
        batch_rows = max(1, min(self.tuning.stretch_rows, _BATCH_BYTES // max(1, self.row_bytes)))
        flat: list[Any] = []
        row: tuple[Any, ...] = ()
        waiting = weight = 0
        with translated(), self.connection.cursor(binary=True) as cursor:
            found: Iterator[tuple[Any, ...]] = streamed(cursor, query.encode(), parameters or None, size=size)
            for row in found if self.decoding is None else self.decoding.rows(found):
                flat += row
                waiting += 1
                weight += 0 if size == _FETCH_ROWS else _weight(row)
                if waiting >= batch_rows or weight > _BATCH_BYTES:
                    yield Batch.of(flat, row)
                    flat, waiting, weight = [], 0, 0
        if flat:
            yield Batch.of(flat, row)


def reader_of(copy: TableCopy, connection: SourceConnection, row_bytes: int, tuning: Tuning) -> PostgresReader:
    """The reader of a table, once the source has said what type each expression has."""
    with translated():
        cursor = connection.execute(heading_query(copy).encode())
    types = [column.type_code for column in cursor.description or ()]
    kinds: tuple[Kind, ...] = tuple(_KINDS.get(type_, "text") for type_ in types[: len(copy.columns)])
    is_utf8 = connection.info.parameter_status("server_encoding") == "UTF8"
    layout = layout_of(copy, kinds)
    decoders = {number: column.decode for number, column in enumerate(copy.columns) if column.decode is not None}
    decoding = Decoding(layout, decoders) if decoders else None
    return PostgresReader(SourceQueries(copy, layout, is_utf8), connection, row_bytes, tuning, decoding)


def _weight(row: tuple[Any, ...]) -> int:
    return sum(len(value) for value in row if isinstance(value, str | bytes))


def last_value(connection: SourceConnection, sequence: str) -> int:
    """The last number that a sequence gave; 0 where it gave none."""
    with translated():
        row = connection.execute(
            f"SELECT CASE WHEN is_called THEN last_value ELSE last_value - 1 END FROM {sequence}".encode()
        ).fetchone()
    return max(0, int(row[0])) if row else 0
