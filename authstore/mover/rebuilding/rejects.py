"""The file's rows that cannot come, counted over all of its connections before anything is written."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace

from authstore.mover.copies import Reject
from authstore.mover.names import quote
from authstore.mover.options import MoveOptions
from authstore.mover.problems import SAMPLES, rejected, sample
from authstore.mover.rebuilding.grown import misfits
from authstore.mover.rebuilding.incoming import ROW_NUMBER, STORED, Incoming
from authstore.mover.recognition.concealed import named_by
from authstore.mover.reports import Problem
from authstore.mover.sqlite.references import broken_references
from authstore.mover.sqlite.source import SqliteSource


def with_rejects(
    source: SqliteSource, tables: Sequence[Incoming], options: MoveOptions
) -> tuple[list[Incoming], list[Problem]]:
    """The tables with the predicates of the rows that cannot come, as far as there are such rows."""
    decided: dict[str, Incoming] = {}
    problems: list[Problem] = []
    misfits_of, broken_of = source.asked_of_each(_count_misfits, tables), source.asked_of_each(_broken, tables)
    for one, misfits_there, broken in zip(tables, misfits_of, broken_of, strict=True):
        orphans = list(_orphans(one, decided, broken))
        asked = (*_misfits(one), *orphans)
        counts = (*misfits_there, *source.counts(one.target, [reject.where for reject in orphans]))
        found = [(reject, count) for reject, count in zip(asked, counts, strict=True) if count]
        for reject, count in found:
            samples = source.samples(one.target, one.file.primary, reject.where, SAMPLES)
            named = [sample(", ".join(named_by(one.file.primary or ("",), key))) for key in samples]
            problems.append(rejected(one.target, reject, count, named, options))
        decided[one.target] = replace(one, rejects=tuple(reject for reject, _ in found))
    return list(decided.values()), problems


def _count_misfits(source: SqliteSource, one: Incoming) -> list[int]:
    """For each of `_misfits`, in one pass."""
    return source.counts(one.target, [reject.where for reject in _misfits(one)])


def _broken(source: SqliteSource, one: Incoming) -> frozenset[str]:
    """The tables in which rows are missing to which this one points."""
    return frozenset(parent for _, parent in broken_references(source.connection, one.target))


def _misfits(one: Incoming) -> Iterator[Reject]:
    """Values that are none of their column's kind, and keys that are not there."""
    for column in one.layout.columns:
        if column.name == ROW_NUMBER or (one.file.is_strict and one.file.column(column.name).declared != "ANY"):
            continue
        if not column.has_other:
            where = misfits(column.name, STORED[column.kind])
            yield Reject(f'column "{column.name}" holds values that are no {STORED[column.kind]}', where)
    for name in one.file.primary:
        if not one.file.counted:
            yield Reject(f'column "{name}" of the key is empty', f'("s".{quote(name)} IS NULL)')
    for column in one.layout.columns:
        if column.kind == "text" and column.name != ROW_NUMBER:
            where = f'(coalesce(instr("s".{quote(column.name)}, char(0)), 0) > 0)'
            yield Reject(f'column "{column.name}" holds NUL, which no text in Postgres may', where)


def _orphans(one: Incoming, decided: Mapping[str, Incoming], broken: Collection[str]) -> Iterator[Reject]:
    """Rows that point to nothing, or to a row that does not come."""
    for link in one.file.references:
        parent = decided.get(link.table)
        if link.table not in broken and not (parent and parent.rejects):
            continue
        own = ", ".join(f'"s".{quote(name)}' for name in link.columns)
        there = ", ".join(f'"s".{quote(name)}' for name in link.target_columns)
        given = " AND ".join(f'"s".{quote(name)} IS NOT NULL' for name in link.columns)
        rows = f'SELECT {there} FROM {quote(link.table)} AS "s" WHERE {parent.kept if parent else "TRUE"}'
        follows = link.table not in broken
        reason = f"points to no row of {link.table}" + (" that comes" if follows else "")
        yield Reject(reason, f"({given} AND ({own}) NOT IN ({rows}))", "on_orphan", follows=follows)
