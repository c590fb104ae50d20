"""Counting rows of the source."""

from collections.abc import Sequence

from authstore.mover.postgres.connection import SourceConnection
from authstore.mover.postgres.statements import rows


def count_where(connection: SourceConnection, source_from: str, predicates: Sequence[str]) -> list[int]:
    """How many rows each predicate holds for, in one pass."""
    if not predicates:
        return []
    counts = ", ".join(f"count(*) FILTER (WHERE {predicate})" for predicate in predicates)
    return list(rows(connection, f"SELECT {counts} FROM {source_from}")[0])
