"""Counting rows of the source, and picking a few of them."""

from collections.abc import Sequence
from typing import Any

from authstore.mover.copies import TableCopy
from authstore.mover.postgres.asking import Asking


def count_rows(source_from: str, where: str = "TRUE") -> Asking[int]:
    """How many rows a predicate holds for."""
    ((count,),) = yield f"SELECT count(*) FROM {source_from} WHERE {where}"
    return int(count)


def count_where(source_from: str, predicates: Sequence[str]) -> Asking[list[int]]:
    """How many rows each predicate holds for, in one pass."""
    if not predicates:
        return []
    counts = ", ".join(f"count(*) FILTER (WHERE {predicate})" for predicate in predicates)
    return list((yield f"SELECT {counts} FROM {source_from}")[0])


def count_first(source_from: str, predicates: Sequence[str]) -> Asking[list[int]]:
    """How many rows each predicate is the first to hold for, in one pass."""
    branches = [f"WHEN {where} THEN {place}" for place, where in enumerate(predicates) if where != "FALSE"]
    if not branches:
        return [0] * len(predicates)
    # OFFSET: PostgreSQL 18 searches constant arrays in an expression that is grouped by without a hash table.
    seen = f"SELECT CASE {' '.join(branches)} END AS which FROM {source_from} OFFSET '0'"
    counts: dict[int, int] = dict((yield f"SELECT which, count(*) FROM ({seen}) AS seen GROUP BY which"))
    return [counts.get(place, 0) for place in range(len(predicates))]


def first_rows(columns: str, source_from: str, where: str, count: int) -> Asking[list[tuple[Any, ...]]]:
    """A few rows for which a predicate holds, in the order of the first column."""
    return (yield f"SELECT {columns} FROM {source_from} WHERE {where} ORDER BY 1 LIMIT {count}")


def count_copy(copy: TableCopy) -> Asking[int]:
    """How many source rows are meant to move, rejects included."""
    common = f"WITH {copy.common} " if copy.common else ""
    ((count,),) = yield f"{common}SELECT count(*) FROM {copy.source_from} WHERE {copy.where}"
    return int(count)
