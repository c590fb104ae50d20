"""Reading the rows of one table: in batches, and as packs of keys and digests."""

from collections.abc import Iterator
from itertools import islice
from typing import Any

from authstore.mover.batches import PACK, Batch, Key, Pack, pack
from authstore.mover.copies import TableCopy
from authstore.mover.postgres.connection import SourceConnection, streamed, translated
from authstore.mover.reading_ahead import ReadAhead
from authstore.mover.rows import Rows

_TYPES = {20: "int8", 701: "float8", 25: "text", 17: "bytea"}


def rows_of(copy: TableCopy, connection: SourceConnection) -> Rows:
    """The queries of a table, once the source has said what type each expression has."""
    with translated():
        cursor = connection.execute(Rows(copy, ()).heading.encode())
    kinds = [column.type_code for column in cursor.description or ()]
    types = tuple(_TYPES.get(kind, "text") for kind in kinds[: len(copy.columns)])
    return Rows(copy, types, connection.info.parameter_status("server_encoding") == "UTF8")


def source_packs(rows: Rows, connection: SourceConnection, until: Key | None = None) -> ReadAhead[Pack]:
    """The source's side, read ahead in a thread; `until`: the last key wanted."""
    query = rows.digests(until is not None)

    def produce() -> Iterator[Pack]:
        with translated(), connection.cursor(binary=True) as cursor:
            found = streamed(cursor, query.encode(), until or None, size=PACK)
            while batch := list(islice(found, PACK)):
                yield pack(batch)

    return ReadAhead(produce)


def rows_in_batches(
    connection: SourceConnection, query: str, parameters: tuple[Any, ...], *, width: int, most: int
) -> ReadAhead[Batch]:
    """A query's rows, at most `most` (and about 8 MB) at a time. `width`: bytes of a row, roughly."""
    size = max(1, min(1000, 1_000_000 // max(1, width)))
    batch_rows = max(1, min(most, 8_000_000 // max(1, width)))

    def produce() -> Iterator[Batch]:
        flat: list[Any] = []
        row: tuple[Any, ...] = ()
        waiting = weight = 0
        with translated(), connection.cursor(binary=True) as cursor:
            for row in streamed(cursor, query.encode(), parameters or None, size=size):
                flat += row
                waiting += 1
                weight += 0 if size == 1000 else _weight(row)
                if waiting >= batch_rows or weight > 8_000_000:
                    yield Batch.of(flat, row)
                    flat, waiting, weight = [], 0, 0
        if flat:
            yield Batch.of(flat, row)

    return ReadAhead(produce)


def _weight(row: tuple[Any, ...]) -> int:
    return sum(len(value) for value in row if isinstance(value, str | bytes))
