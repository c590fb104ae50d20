"""The rows of a file that do not get into PostgreSQL: as problems, and in a file that only its owner may read."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from authstore.mover.copies import Reject
from authstore.mover.options import MoveOptions
from authstore.mover.postgres.target_ledger import PostgresLedger
from authstore.mover.problems import SAMPLES, rejected, sample
from authstore.mover.rebuilding.incoming import Incoming
from authstore.mover.recognition.concealed import concealed, named_by
from authstore.mover.reports import Problem
from authstore.mover.sqlite.source import SqliteSource
from authstore.mover.sqlite.source_reading import SqliteReader
from authstore.mover.sync.rejects import write_lines
from authstore.mover.tuning import Tuning


@dataclass(frozen=True, slots=True)
class Refusal:
    """A row that the server refused, or whose values it would change."""

    table: str
    key: str
    reason: str
    row: dict[str, Any]


def refusals(
    source: SqliteSource, ledger: PostgresLedger, tables: Sequence[Incoming], tuning: Tuning
) -> Iterator[Refusal]:
    """Those that the file still has."""
    for one in tables:
        if reasons := ledger.refused(one.target):
            reader = SqliteReader(one.layout, source.connection, tuning, one.kept, one.is_numbered)
            yield from _found(one, reader, reasons)


def _found(one: Incoming, reader: SqliteReader, reasons: Mapping[str, str]) -> Iterator[Refusal]:
    with closing(reader.rows()) as batches:
        for batch in batches:
            for digest, row in zip(batch.digests, batch.rows(0, len(batch)), strict=True):
                if digest in reasons:
                    yield Refusal(
                        one.target, _shown(one.layout.key, one.layout.key_of(row)), reasons[digest], _named(one, row)
                    )


def _named(one: Incoming, row: Sequence[Any]) -> dict[str, Any]:
    layout = one.layout
    return {
        column.name: row[layout.first[number]] if row[layout.first[number]] is not None else _other(one, row, number)
        for number, column in enumerate(layout.columns)
        if column.name in one.names
    }


def _other(one: Incoming, row: Sequence[Any], number: int) -> Any:
    at = one.layout.other.get(number)
    return None if at is None else row[at]


def _shown(names: Sequence[str], key: Sequence[Any]) -> str:
    return ", ".join(named_by(names, key))


def as_problems(found: Sequence[Refusal], options: MoveOptions) -> list[Problem]:
    """By table and reason, with the keys of a few."""
    grouped: dict[tuple[str, str], list[str]] = {}
    for one in found:
        grouped.setdefault((one.table, one.reason), []).append(one.key)
    return [
        rejected(table, Reject(reason, "TRUE"), len(keys), [sample(key) for key in keys[:SAMPLES]], options)
        for (table, reason), keys in grouped.items()
    ]


def write_refusals(
    source: SqliteSource, tables: Sequence[Incoming], refused: Sequence[Refusal], path: Path
) -> dict[str, int]:
    """Writes all rows that stay out, one JSON object a line, and counts them by table. Without any there is no file."""
    found = _all(source, tables, refused)
    return write_lines(path, ((one.target, json.dumps(_entry(one, each), ensure_ascii=False)) for one, each in found))


def _all(
    source: SqliteSource, tables: Sequence[Incoming], refused: Sequence[Refusal]
) -> Iterator[tuple[Incoming, Refusal]]:
    for one in tables:
        yield from ((one, refusal) for refusal in refused if refusal.table == one.target)
        if one.rejects:
            yield from ((one, refusal) for refusal in _rejected(source, one))


def _rejected(source: SqliteSource, one: Incoming) -> Iterator[Refusal]:
    for why, values in source.rejected(one.file, [reject.where for reject in one.rejects]):
        key = _shown(one.file.primary, [values[name] for name in one.file.primary])
        yield Refusal(one.target, key, one.rejects[why].reason, values)


def _entry(one: Incoming, refusal: Refusal) -> dict[str, Any]:
    row = concealed(refusal.row, one.secrets)
    return {"table": one.target, "key": refusal.key, "reason": refusal.reason, "row": row}
