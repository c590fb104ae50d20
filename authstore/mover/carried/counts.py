"""How many rows of a carried table stay behind, and a few of them by name."""

from collections.abc import Sequence
from dataclasses import replace

from authstore.mover.carried.columns import CarriedTable, source_value
from authstore.mover.catalog import Source, SourceTable
from authstore.mover.copies import Reject, TableCopy
from authstore.mover.names import label, relation
from authstore.mover.options import MoveOptions
from authstore.mover.postgres.connection import SourceConnection
from authstore.mover.postgres.counting import count_where
from authstore.mover.postgres.statements import rows
from authstore.mover.postgres.types import is_no_text, land
from authstore.mover.reports import KINDS, SAMPLES, Problem


def counted(
    table: CarriedTable, copy: TableCopy, connection: SourceConnection, options: MoveOptions
) -> tuple[TableCopy, list[Problem]]:
    """The copy with those of its rejects that hold for any row of the snapshot, and a problem for each."""
    counts = count_where(connection, copy.source_from, [reject.where for reject in copy.rejects])
    found = [(reject, count) for reject, count in zip(copy.rejects, counts, strict=True) if count]
    problems = [_problem(table, copy, reject, count, connection, options) for reject, count in found]
    return replace(copy, rejects=tuple(reject for reject, _ in found)), problems


def unreadable_texts(source: Source, tables: Sequence[SourceTable], connection: SourceConnection) -> list[Problem]:
    """Columns with texts that Postgres would give to no client, not even as rejects: to be mended in the source first.

    Only a database in SQL_ASCII has such: there nobody checks what comes in.
    """
    problems = []
    for table in tables if source.encoding == "SQL_ASCII" else ():
        names = [one.name for one in table.columns if land(one, source_value(one.name)).storage == "TEXT"]
        counts = count_where(connection, relation(table), [is_no_text(source_value(name)) for name in names])
        problems += [
            Problem("bad-row", label(table.schema, table.name), f'column "{name}" is not UTF-8', count, stops=True)
            for name, count in zip(names, counts, strict=True)
            if count
        ]
    return problems


def _problem(
    table: CarriedTable,
    copy: TableCopy,
    reject: Reject,
    count: int,
    connection: SourceConnection,
    options: MoveOptions,
) -> Problem:
    of = f" ({reject.column})" if reject.column else ""
    number = "1 row" if count == 1 else f"{count} rows"
    return Problem(
        kind=KINDS[reject.decision],
        table=table.label,
        message=f"{number} of {table.label} cannot move: {reject.reason}{of}",
        count=count,
        samples=tuple(row_id for (row_id,) in _samples(copy, reject, connection)),
        decision=reject.decision,
        stops=not reject.follows and options.is_undecided(reject.decision),
    )


def _samples(copy: TableCopy, reject: Reject, connection: SourceConnection) -> Sequence[tuple[str]]:
    named = f"COALESCE({copy.row_id}, '') COLLATE \"C\""
    statement = f"SELECT {named} FROM {copy.source_from} WHERE {reject.where} ORDER BY 1 LIMIT {SAMPLES}"
    return rows(connection, statement)
