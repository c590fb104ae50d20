"""What carried tables are asked at the source: what their values are, and how many rows stay behind."""

from collections.abc import Sequence
from dataclasses import replace

from authstore.mover.carried.columns import CarriedTable, Values, source_value
from authstore.mover.catalog import Source, SourceKey, SourceTable
from authstore.mover.copies import TableCopy
from authstore.mover.names import label, relation
from authstore.mover.options import MoveOptions
from authstore.mover.postgres.asking import Asking
from authstore.mover.postgres.counting import count_where, first_rows
from authstore.mover.postgres.types import is_no_text, land
from authstore.mover.problems import SAMPLES, rejected, sample
from authstore.mover.reports import Problem


def read_values(table: CarriedTable) -> Asking[Values]:
    """What the values of a table are, as far as its columns depend on it."""
    asked = [(name, odd) for name, column in table.columns.items() for odd in column.landing.oddities]
    counts = yield from count_where(relation(table.source), [odd.where for _, odd in asked])
    odd = tuple((name, odd, count) for (name, odd), count in zip(asked, counts, strict=True) if count)
    unseen = tuple(odd.where for (_, odd), count in zip(asked, counts, strict=True) if not count)
    colliding = []
    folding = {name for name, column in table.columns.items() if column.landing.collation == "NOCASE"}
    for key in table.source.keys:
        names = tuple(name for name in key.columns if name in folding)
        if names and (yield from _collides(table.source, key, names)):
            colliding.append((key.name, names))
            folding -= set(names)
    return Values(odd, tuple(colliding), unseen)


def _collides(table: SourceTable, key: SourceKey, names: Sequence[str]) -> Asking[bool]:
    """Whether rows that the key tells apart differ in the case of ASCII letters only."""
    parts = [
        f'lower({source_value(name)}::text COLLATE "C")' if name in names else source_value(name)
        for name in key.columns
    ]
    given = " AND ".join(f"{source_value(name)} IS NOT NULL" for name in key.columns)
    groups = f"SELECT FROM {relation(table)} WHERE {given} GROUP BY {', '.join(parts)} HAVING count(*) > 1"
    return bool((yield f"{groups} LIMIT 1"))


def counted(table: CarriedTable, copy: TableCopy, options: MoveOptions) -> Asking[tuple[TableCopy, list[Problem]]]:
    """The copy with those of its rejects that hold for any row of the snapshot, and a problem for each; for the others
    it watches, but for those that only follow from what is watched elsewhere."""
    counts = yield from count_where(copy.source_from, [reject.where for reject in copy.rejects])
    found = [(reject, count) for reject, count in zip(copy.rejects, counts, strict=True) if count]
    problems = []
    for reject, count in found:
        samples = yield from _samples(copy, reject.where)
        problems.append(rejected(table.label, reject, count, samples, options))
    pairs = zip(copy.rejects, counts, strict=True)
    watched = [reject.where for reject, count in pairs if not count and not reject.follows]
    rejects = tuple(reject for reject, _ in found)
    return replace(copy, rejects=rejects, watched=(*copy.watched, *watched)), problems


def unreadable_texts(source: Source, tables: Sequence[SourceTable]) -> Asking[list[Problem]]:
    """Columns with texts that Postgres would give to no client, not even as rejects: to be mended in the source first.

    Only a database in SQL_ASCII has such: there nobody checks what comes in.
    """
    problems = []
    for table in tables if source.encoding == "SQL_ASCII" else ():
        names = [one.name for one in table.columns if land(one, source_value(one.name)).storage == "TEXT"]
        counts = yield from count_where(relation(table), [is_no_text(source_value(name)) for name in names])
        problems += [
            Problem("bad-row", label(table.schema, table.name), f'column "{name}" is not UTF-8', count, stops=True)
            for name, count in zip(names, counts, strict=True)
            if count
        ]
    return problems


def _samples(copy: TableCopy, where: str) -> Asking[list[str]]:
    named = f"COALESCE({copy.row_id}, '') COLLATE \"C\""
    found = yield from first_rows(named, copy.source_from, where, SAMPLES)
    return [sample(row_id) for (row_id,) in found]
