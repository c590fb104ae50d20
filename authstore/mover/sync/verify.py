"""The comparison alone: every row of the target against the source, under one snapshot. Writes nothing."""

import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from authstore.mover.batches import Pack
from authstore.mover.errors import TargetError
from authstore.mover.options import MoveOptions
from authstore.mover.plan import Scheme, scheme_of
from authstore.mover.postgres.reading import reader_of
from authstore.mover.postgres.snapshot import Snapshot
from authstore.mover.postgres.target_ledger import PostgresLedger
from authstore.mover.reading_ahead import ReadAhead, read_tables_ahead
from authstore.mover.recognition.concealed import named_by
from authstore.mover.reports import Event, Problem, ProgressEvent, TableDifference, TableEvent, VerifyReport
from authstore.mover.sqlite.building import tables_of
from authstore.mover.sqlite.connection import TargetConnection
from authstore.mover.sqlite.errors import translated
from authstore.mover.sqlite.integrity import references_of
from authstore.mover.sqlite.ledger import Ledger, as_moved
from authstore.mover.sqlite.reading import opened_for_reading
from authstore.mover.sqlite.target_files import TargetFiles, files_of
from authstore.mover.sqlite.writing import SqliteWriter
from authstore.mover.sync.pieces import pieces
from authstore.mover.sync.sides import Writer
from authstore.mover.tuning import DEFAULT, Tuning

_MOST_SAMPLES = 5

Emit = Callable[[Event], None]


def run_verify(
    url: str, target: str | Path, options: MoveOptions, emit: Emit, stop: threading.Event, tuning: Tuning = DEFAULT
) -> VerifyReport:
    """Compares. Blocks; errors are `MoverError`s. The options of the move hold where none are given."""
    files = files_of(target)
    with translated(), opened_for_reading(files) as connection, Snapshot(url, stop, tuning=tuning) as view:
        notes = _notes(connection, files)
        scheme = scheme_of(view.main, as_moved(options, notes))
        tables = dict(_compared(connection, view, scheme, emit, tuning))
        if not (options.only or options.skip):
            tables |= no_longer_filled(Ledger(connection), tables, tables_of(connection))
        # Inside, so that of all connections the one that may write is the last to go.
        return VerifyReport(tables, _findings(files, tables_of(connection), emit), scheme.problems)


def _notes(connection: TargetConnection, files: TargetFiles) -> dict[str, str]:
    ledger = Ledger(connection)
    if not ledger.is_there():
        raise TargetError(f"{files.target} was not made by a move", hint="run `authstore move` first")
    return ledger.notes()


def _compared(
    target: TargetConnection, view: Snapshot, scheme: Scheme, emit: Emit, tuning: Tuning
) -> Iterator[tuple[str, TableDifference]]:
    readers = [reader_of(copy, view.main, scheme.widths[copy.target], tuning) for copy in scheme.copies]
    connections = view.others(min(tuning.connections, len(readers)))
    emit(ProgressEvent("", "compare", 0, sum(scheme.rows[copy.target] for copy in scheme.copies)))
    with closing(read_tables_ahead(readers, connections, lambda reader, on: reader.on(on).packs())) as turns:
        for reader, packs, _ in turns:
            table = reader.layout.table
            comparison = Comparison(SqliteWriter(target, reader.layout), scheme.rows[table], emit)
            yield table, comparison.of(packs, tuning.stretch_rows)


def no_longer_filled(
    ledger: Ledger | PostgresLedger, compared: Collection[str], there: Collection[str]
) -> dict[str, TableDifference]:
    """Tables of the target that a move filled, and that nothing in the source fills by now."""
    found = {}
    for name in sorted({*ledger.tables()} & {*there} - {*compared}):
        rows = sum(stretch.rows for stretch in ledger.stretches(name))
        found[name] = TableDifference(0, rows, extra=rows, samples=("the source has nothing for it any more",))
    return found


@dataclass(slots=True)
class _Counts:
    source_rows: int = 0
    target_rows: int = 0
    missing: int = 0
    extra: int = 0
    changed: int = 0


class Comparison:
    """One table of the target against the source's."""

    def __init__(self, target: Writer, expected_rows: int, emit: Emit) -> None:
        self._target = target
        self._total = expected_rows
        self._emit = emit
        self._counts = _Counts()
        self._samples: list[str] = []

    def of(self, packs: ReadAhead[Pack], rows_at_once: int) -> TableDifference:
        """Every row of it."""
        name, counts = self._target.layout.table, self._counts
        self._emit(TableEvent(name, "begin", self._total))
        target = self._target.packs() if self._is_readable() else iter(())
        for piece in pieces(packs, target, [], rows_at_once):
            counts.source_rows += len(piece.source[0])
            counts.target_rows += len(piece.target[0])
            if not piece.is_same:
                self._differ(piece.source, piece.target)
            self._emit(ProgressEvent(name, "compare", counts.source_rows, self._total))
        self._emit(TableEvent(name, "done", counts.target_rows))
        return TableDifference(
            counts.source_rows, counts.target_rows, counts.missing, counts.extra, counts.changed, tuple(self._samples)
        )

    def _is_readable(self) -> bool:
        """A table or column that is gone from the target: then all its rows are missing."""
        known = self._target.columns()
        lost = [column.name for column in self._target.layout.columns if column.name not in known]
        if known:
            self._samples += [f"the target has no column {name}" for name in lost]
        return not lost

    def _differ(self, source: Pack, target: Pack) -> None:
        wanted, have = dict(zip(*source, strict=True)), dict(zip(*target, strict=True))
        for key, digest in wanted.items():
            if key not in have:
                self._counts.missing += 1
                self._sample("missing", key)
            elif have[key] != digest:
                self._counts.changed += 1
                self._sample("changed", key)
        for key in have.keys() - wanted.keys():
            self._counts.extra += 1
            self._sample("extra", key)
        # A key that stands twice in the target has lost its uniqueness.
        self._counts.extra += len(target[0]) - len(have)

    def _sample(self, what: str, key: object) -> None:
        if len(self._samples) < _MOST_SAMPLES:
            self._samples.append(f"{what}: {shown_key(self._target.layout.key, key)}")


def shown_key(names: Sequence[str], key: object) -> str:
    """A key for a report; of verification tokens only its hash, since the identifier is an address."""
    shown = zip(names, named_by(names, key if isinstance(key, tuple) else (key,)), strict=True)
    return ", ".join(f"{name} {'…' if name == 'identifier' else value}" for name, value in shown)


def _findings(files: TargetFiles, tables: list[str], emit: Emit) -> tuple[Problem, ...]:
    emit(ProgressEvent("", "check", 0, 1))
    broken = references_of(files.target, tables)
    found = [
        Problem("orphan", table, f"{count} rows point to no {parent}", count)
        for (table, parent), count in broken.items()
    ]
    emit(ProgressEvent("", "check", 1, 1))
    return tuple(found)
