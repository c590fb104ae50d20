"""One attempt at a move with everything open: fills a new file, proves it, puts it in place."""

import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from authstore.backends.sqlite import file
from authstore.errors import ConfigurationError
from authstore.expiry import utc_now
from authstore.mover.copies import TableCopy
from authstore.mover.errors import MoveStoppedError, TargetError
from authstore.mover.options import MoveOptions
from authstore.mover.plan import Scheme, iso
from authstore.mover.postgres.connection import SourceConnection
from authstore.mover.postgres.definitions import read_definitions
from authstore.mover.postgres.reading import PostgresReader, last_value, reader_of
from authstore.mover.postgres.snapshot import Identity, Snapshot
from authstore.mover.reading_ahead import read_tables_ahead
from authstore.mover.reports import Event, MoveReport, Phase, ProgressEvent, TableEvent, TableReport
from authstore.mover.sqlite.building import make_indexes, sequences_note, set_sequence, tables_of
from authstore.mover.sqlite.connection import TargetConnection
from authstore.mover.sqlite.integrity import check
from authstore.mover.sqlite.ledger import Backup, Ledger, backups_note, options_note
from authstore.mover.sqlite.reading import target_packs
from authstore.mover.sqlite.seal import seal
from authstore.mover.sqlite.target_files import TargetFiles, check_target, drop_building
from authstore.mover.sqlite.writing import SqliteWriter
from authstore.mover.sync.equalise import FirstRead, Outcome, Table, equalise
from authstore.mover.sync.pieces import Side, count_foreign
from authstore.mover.sync.rejects import write_rejects
from authstore.mover.sync.sides import Reader
from authstore.mover.sync.start import Start, changed_error
from authstore.mover.tuning import DEFAULT, Tuning

_SAID = 5  # kinds of damage
_LEAVE_BEHIND = (
    "a row that breaks a CHECK: Postgres judged it otherwise; drop that CHECK in the source,"
    " or leave the table behind with `skip`, and run the same command again"
)

Emit = Callable[[Event], None]


@dataclass(slots=True)
class Run:
    """One call of `move` or `recover`. `table`: the only one to be made equal, by the name of the target."""

    url: str
    files: TargetFiles
    options: MoveOptions
    emit: Emit
    stop: threading.Event
    table: str | None = None
    proves: bool = False
    tuning: Tuning = DEFAULT
    started: float = field(default_factory=time.monotonic)
    identity: Identity | None = None
    judged_at: str = field(default_factory=lambda: iso(utc_now()))
    moved_rows: int = 0
    moments: Mapping[str, str] = field(default_factory=dict)

    def heed_stop(self) -> None:
        if self.stop.is_set():
            raise MoveStoppedError("stopped", hint="run the same command again to go on")


class Attempt:
    """An attempt with everything open."""

    def __init__(
        self,
        run: Run,
        options: MoveOptions,
        view: Snapshot,
        start: Start,
        scheme: Scheme,
        building: TargetConnection,
    ) -> None:
        self._run = run
        self._options = options
        self._view = view
        self._start = start
        self._scheme = scheme
        self._building = building
        self._ledger = Ledger(building)
        self._outcomes: dict[str, Outcome] = {}
        self._rows: dict[str, int] = {}

    def do(self) -> MoveReport:
        self._ledger.note({"moved_at": self._options.moved_at, "sessions_at": self._options.sessions_at})
        if self._run.table is None:
            self._ledger.note({"contents": json.dumps(self._scheme.contents)})
        self._fill(self._wanted())
        self._refuse_changed()
        rejected = self._reject()
        self._sequences()
        self._note_sources()
        self._index()
        self._check()
        if self._run.proves:
            self._prove()
        return self._finish(rejected)

    def _wanted(self) -> Sequence[TableCopy]:
        if self._run.table is None:
            return self._scheme.copies
        names = {copy.target: (copy.target, copy.source[1], ".".join(copy.source)) for copy in self._scheme.copies}
        if wanted := [copy for copy in self._scheme.copies if self._run.table in names[copy.target]]:
            return wanted
        raise ConfigurationError(f"no table {self._run.table} is moved; there are {', '.join(sorted(names))}")

    def _fill(self, copies: Sequence[TableCopy]) -> None:
        """Table after table, the next ones' reading begun while the one before is written."""
        tables = [self._table(copy) for copy in copies]
        self._run.emit(ProgressEvent("", "copy", 0, sum(self._scheme.rows[copy.target] for copy in copies)))
        connections = self._view.others(min(self._run.tuning.connections, len(tables)))
        with closing(read_tables_ahead(tables, connections, _begin)) as turns:
            for (table, reader), first, connection in turns:
                self._fill_one(table, first, reader.on(connection))
        if self._building.in_transaction:
            self._building.execute("COMMIT")

    def _table(self, copy: TableCopy) -> "_Turn":
        def say(phase: Phase, rows: int) -> None:
            self._run.heed_stop()
            self._run.emit(ProgressEvent(copy.target, phase, rows, self._scheme.rows[copy.target]))

        reader = reader_of(copy, self._view.main, self._scheme.widths[copy.target], self._run.tuning)
        writer, recovers = SqliteWriter(self._building, reader.layout), self._run.table is not None
        return Table(writer, self._ledger, say, self._run.tuning, recovers, self._start.is_sealed), reader

    def _fill_one(self, table: Table, first: FirstRead, reader: Reader) -> None:
        self._run.heed_stop()
        self._run.emit(TableEvent(table.name, "begin", self._scheme.rows[table.name]))
        mine = self._start.is_sealed or not self._start.is_copy
        judge = not mine and self._run.table is None and not self._options.replace
        try:
            outcome = equalise(table, first, reader, judge=judge)
        finally:
            self._run.moved_rows += table.outcome.copied
        self._outcomes[table.name] = outcome
        rows = self._count(table.name)
        self._run.emit(TableEvent(table.name, "done", rows, outcome.copied, outcome.deleted))

    def _count(self, table: str) -> int:
        stretches = self._ledger.stretches(table)
        return sum(one.rows for one in stretches)

    def _refuse_changed(self) -> None:
        """Rows that no move put into the target: nothing of it may be lost."""
        changes = self._foreign()
        if self._start.is_copy and self._run.table is None and not self._options.replace:
            changes |= self._start.rows_elsewhere(self._building, self._ledger.tables())
        if changes:
            self._building.close()
            drop_building(self._run.files)
            raise changed_error(changes)

    def _foreign(self) -> dict[str, int]:
        return {name: outcome.foreign for name, outcome in self._outcomes.items() if outcome.foreign}

    def _reject(self) -> dict[str, int]:
        copies = [copy for copy in self._scheme.copies if copy.rejects]
        if self._run.table is not None:
            return {}
        counts = write_rejects(self._view.main, copies, self._run.files.rejects)
        for copy in self._scheme.copies:
            self._ledger.set_rejected(copy.target, counts.get(copy.target, 0))
        return counts

    def _sequences(self) -> None:
        for copy in self._scheme.copies:
            if copy.sequence is not None:
                set_sequence(self._building, copy.target, last_value(self._view.main, copy.sequence[1]))
        self._ledger.note(sequences_note(self._building))

    def _note_sources(self) -> None:
        """What every table is in the source: by it the way back can make it again."""
        if self._run.table is None:
            targets = {copy.source: copy.target for copy in self._scheme.copies}
            found = read_definitions(self._view.main, targets)
            self._building.execute("BEGIN IMMEDIATE")
            self._ledger.set_sources({targets[at] if at else "": text for at, text in found.items()})
            self._building.execute("COMMIT")

    def _index(self) -> None:
        def say(done: int, total: int) -> None:
            self._run.heed_stop()
            self._run.emit(ProgressEvent("", "index", done, total))

        make_indexes(self._building, self._scheme.copies, say, self._scheme.views)

    def _check(self) -> None:
        tables = sorted(tables_of(self._building), key=self._count, reverse=True)
        self._run.emit(ProgressEvent("", "check", 0, 1))
        damage, broken = check(self._run.files.building, tables, thorough=not self._start.is_copy)
        if damage:
            said = "; ".join(list(dict.fromkeys(damage))[:_SAID])
            raise TargetError(f"the new file does not stand SQLite's check: {said}", hint=_LEAVE_BEHIND)
        # Of a target in use, what else is broken may be recovered next: `verify` tells.
        if broken and self._run.table is None:
            said = "; ".join(f"{count} of {table} point to no {parent}" for (table, parent), count in broken.items())
            raise TargetError(f"orphans are left: {said}", hint="`authstore plan` counts them: `on_orphan` decides")
        self._run.emit(ProgressEvent("", "check", 1, 1))

    def _prove(self) -> None:
        """Reads the tables back that rows were written to; what was only compared has been read already."""
        written = [name for name, outcome in self._outcomes.items() if outcome.copied]
        queries = self._ledger.queries()
        for number, name in enumerate(written):
            self._run.heed_stop()
            self._run.emit(ProgressEvent("", "verify", number, len(written)))
            side = Side(target_packs(self._building, name, queries[name]))
            if differing := count_foreign(side, self._ledger.stretches(name)):
                raise TargetError(f"{differing} rows of {name} do not read as the source gave them")
        self._run.emit(ProgressEvent("", "verify", len(written), len(written)))

    def _finish(self, rejected: dict[str, int]) -> MoveReport:
        files, now = self._run.files, utc_now()
        self._run.emit(ProgressEvent("", "finish", 0, 1))
        there = check_target(files)
        self._start.refuse_touched(files, there)
        backup = files.backup(now) if there else None
        self._ledger.note(
            {
                "judged_at": self._options.judged_at,
                **({} if self._run.table else {**options_note(self._options), "made": json.dumps(self._scheme.made)}),
                "finished_at": iso(now),
                **backups_note((*self._start.earlier(), self._backup_of(backup))),
            }
        )
        self._building.execute("PRAGMA ignore_check_constraints = OFF")
        self._rows = {copy.target: self._count(copy.target) for copy in self._scheme.copies}
        self._building.execute("PRAGMA analysis_limit = 1000")  # entries of an index, as SQLite recommends
        self._building.execute("ANALYZE")
        self._building.execute("PRAGMA journal_mode = WAL").fetchall()
        self._building.close()
        if self._run.table is None:  # of one table alone nobody can say that all others are as they were moved
            seal(files.building)
        file.put_over(files.building, files.target, backup)
        self._start.drop_old_backup(files)
        self._run.emit(ProgressEvent("", "finish", 1, 1))
        return self._report(rejected, backup)

    def _backup_of(self, backup: Path | None) -> Backup:
        return Backup(backup.name if backup else "", is_moved=self._start.is_copy and not self._foreign())

    def _report(self, rejected: dict[str, int], backup: Path | None) -> MoveReport:
        tables = {}
        for copy in self._scheme.copies:
            outcome = self._outcomes.get(copy.target, Outcome())
            rows = self._rows[copy.target]
            tables[copy.target] = TableReport(rows, outcome.copied, outcome.deleted, rejected.get(copy.target, 0))
        return MoveReport(
            target=str(self._run.files.target),
            tables=tables,
            rejected=sum(rejected.values()),
            rejects=str(self._run.files.rejects) if rejected else None,
            backup=str(backup) if backup else None,
            problems=self._scheme.problems,
            seconds=time.monotonic() - self._run.started,
        )


_Turn = tuple[Table, PostgresReader]


def _begin(turn: _Turn, connection: SourceConnection) -> FirstRead:
    table, reader = turn
    return FirstRead(table, reader.on(connection))
