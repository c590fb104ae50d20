"""Counting rows of the source."""

from collections.abc import Sequence

from authstore.mover.copies import TableCopy
from authstore.mover.postgres.connection import SourceConnection, translated
from authstore.mover.postgres.statements import rows


def count_where(connection: SourceConnection, source_from: str, predicates: Sequence[str]) -> list[int]:
    """How many rows each predicate holds for, in one pass."""
    if not predicates:
        return []
    counts = ", ".join(f"count(*) FILTER (WHERE {predicate})" for predicate in predicates)
    return list(rows(connection, f"SELECT {counts} FROM {source_from}")[0])


def count_copy(connection: SourceConnection, copy: TableCopy) -> int:
    """How many source rows are meant to move, rejects included."""
    common = f"WITH {copy.common} " if copy.common else ""
    with translated():
        return int(rows(connection, f"{common}SELECT count(*) FROM {copy.source_from} WHERE {copy.where}")[0][0])
