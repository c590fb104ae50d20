"""Moving a file into PostgreSQL: tables are built aside and take their place at the end, or, where a move has been
before, what differs is mended in one transaction."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from authstore.errors import ConfigurationError
from authstore.expiry import utc_now
from authstore.mover.errors import MoveStoppedError, TargetError, TargetUnavailableError
from authstore.mover.names import quote
from authstore.mover.options import MoveOptions
from authstore.mover.plan import iso
from authstore.mover.postgres.target import BEFORE, BUILDING, PostgresTarget, translated_target
from authstore.mover.postgres.target_ledger import PostgresLedger
from authstore.mover.postgres.writing import WritingTransaction
from authstore.mover.problems import refuse_undecided
from authstore.mover.rebuilding.incoming import Incoming
from authstore.mover.rebuilding.scheme import RebuildScheme, rebuild_scheme
from authstore.mover.rebuilding.steps import Step, placed
from authstore.mover.rebuilding.trial import drop_later, lay_own, switch_triggers
from authstore.mover.reports import MoveReport, Problem, ProblemEvent, ProgressEvent, RetryEvent, TableReport
from authstore.mover.sqlite.ledger import as_moved, options_note
from authstore.mover.sqlite.source import SqliteSource, opened_source
from authstore.mover.sqlite.target_files import files_of
from authstore.mover.sync.equalise import Outcome
from authstore.mover.sync.filling import Emit, Filling
from authstore.mover.sync.helper import Helper, analysis, made_in
from authstore.mover.sync.positions import set_positions
from authstore.mover.sync.refusals import Refusal, as_problems, refusals, write_refusals
from authstore.mover.sync.start import changed_error
from authstore.mover.sync.takeover import is_moved, judge_target, refuse_foreign, take_over
from authstore.mover.tuning import DEFAULT, Tuning


@dataclass(slots=True)
class RebuildRun:
    """One call. `table`: the only one to be made equal again. `system`: from where the rows are, where that is not the
    file; `notes`: for the ledger, then."""

    source: str
    target: str
    options: MoveOptions
    emit: Emit
    stop: threading.Event
    table: str | None = None
    proves: bool = False
    tuning: Tuning = DEFAULT
    started: float = field(default_factory=time.monotonic)
    was_there: bool = False  # the target answered once, so it is worth waiting for
    system: str = ""
    notes: Mapping[str, str] = field(default_factory=dict)

    @property
    def rejects(self) -> Path:
        """Beside the file, and not under the name that the rejects of the way here have."""
        path = files_of(self.source).target
        return path.with_name(f"{path.name}.back.rejects.jsonl")


def run_rebuild(run: RebuildRun) -> MoveReport:
    """Moves. Blocks; errors are `MoverError`s. A target that was lost is tried again, and the move goes on there."""
    waits = iter(run.tuning.waits)
    while True:
        try:
            return _attempt(run)
        except TargetUnavailableError as error:
            seconds = next(waits, None) if run.was_there else None
            if seconds is None:
                raise
            run.emit(RetryEvent(str(error), seconds))
            if run.stop.wait(seconds):
                raise MoveStoppedError("stopped", hint="run the same command again to go on") from error


def _attempt(run: RebuildRun) -> MoveReport:
    with (
        opened_source(files_of(run.source), run.system) as source,
        PostgresTarget(run.target, run.stop, run.tuning) as target,
        translated_target(),
    ):
        run.was_there = True
        target.lock()
        if run.table is not None:
            run.options = _of_the_move(run, target)
        scheme = rebuild_scheme(source, target, run.options)
        _tell(run, scheme.problems)
        return Rebuild(run, source, target, scheme).do()


def _of_the_move(run: RebuildRun, target: PostgresTarget) -> MoveOptions:
    """One table is made equal by what decided about it; which tables come by way of a file, was decided before."""
    moved = as_moved(run.options, PostgresLedger(target, target.home).notes())
    return replace(run.options, on_bad_row=moved.on_bad_row, on_orphan=moved.on_orphan) if run.system else moved


def _tell(run: RebuildRun, problems: Sequence[Problem]) -> None:
    """Says what there is, and raises `UndecidedError` where something of it must be decided first."""
    for problem in problems:
        run.emit(ProblemEvent(problem))
    refuse_undecided(problems)


class Rebuild:
    """An attempt with everything open."""

    def __init__(self, run: RebuildRun, source: SqliteSource, target: PostgresTarget, scheme: RebuildScheme) -> None:
        self._run = run
        self._source = source
        self._target = target
        self._scheme = scheme
        self._home = PostgresLedger(target, target.home)
        self._refused: list[Refusal] = []

    def do(self) -> MoveReport:
        """Builds anew, or catches up with what a move has brought before."""
        options = self._run.options
        notes = self._home.notes()
        fits = notes.get("source") == self._scheme.system and notes.get("scheme") == self._scheme.fingerprint
        if self._run.table is not None:
            if not (is_moved(self._home) and fits):
                raise TargetError(
                    "the target was not moved from this file as it is now", hint="run `authstore move` first"
                )
            return self._catch_up([self._wanted(self._run.table)])
        if is_moved(self._home) and not options.replace:
            refuse_foreign(self._home, self._scheme.system)
            if fits:
                return self._catch_up(self._scheme.tables)
        judge_target(self._target, self._scheme, options)
        return self._build()

    @property
    def _notes(self) -> dict[str, str]:
        return {**options_note(self._run.options), **self._run.notes}

    def _wanted(self, name: str) -> Incoming:
        for one in self._scheme.tables:
            if name in (one.target, one.name):
                return one
        there = ", ".join(sorted(one.target for one in self._scheme.tables))
        raise ConfigurationError(f"no table {name} is moved; there are {there}")

    # A target that stands already

    def _catch_up(self, tables: Sequence[Incoming]) -> MoveReport:
        """All in one transaction: whoever reads the target sees it before or after."""
        recovers = self._run.table is not None
        with self._target.transaction():
            self._target.execute("SET LOCAL synchronous_commit = on")
            filling = self._filling(self._home, self._target.home, is_one=True)
            filling.judges, filling.keeps_referred = not recovers and not self._run.options.replace, recovers
            foreign = [] if recovers else self._foreign_keys()
            self._drop(foreign, self._target.home)
            self._switch_triggers(tables, "DISABLE")
            filling.fill(tables, self._scheme.rows)
            self._refuse_changed(filling.outcomes)
            rejected = self._reject(self._home, tables, undo=lambda: None)
            set_positions(self._target, self._source, self._scheme, self._target.home)
            for number, step in enumerate(foreign):
                self._run.emit(ProgressEvent("", "check", number, len(foreign)))
                self._target.execute(placed(step.sql, self._target.home))
            self._switch_triggers(tables, "ENABLE")
            self._home.note({"finished_at": iso(utc_now()), **({} if recovers else self._notes)})
        return self._report(filling.outcomes, rejected, self._home)

    def _alter(self, schema: str, table: str, words: str) -> None:
        self._target.execute(f"ALTER TABLE {quote(schema)}.{quote(self._names[table])} {words}")

    def _drop(self, constraints: Sequence[Step], schema: str) -> None:
        for step in constraints:
            self._alter(schema, step.table, f"DROP CONSTRAINT IF EXISTS {quote(step.name)}")

    @property
    def _names(self) -> Mapping[str, str]:
        return {one.target: one.name for one in self._scheme.tables}

    def _foreign_keys(self) -> list[Step]:
        return [step for step in self._scheme.finishing if step.is_foreign_key and step.table in self._names]

    def _switch_triggers(self, tables: Sequence[Incoming], how: str) -> None:
        """Of authstore's own tables: what is moved is no event."""
        for one in tables:
            if one.is_own:
                self._alter(self._target.home, one.target, f"{how} TRIGGER USER")

    def _refuse_changed(self, outcomes: Mapping[str, Outcome]) -> None:
        if foreign := {name: outcome.foreign for name, outcome in outcomes.items() if outcome.foreign}:
            raise changed_error(foreign)

    # A target that is made

    def _build(self) -> MoveReport:
        ledger = PostgresLedger(self._target, BUILDING)
        if self._goes_on(ledger):
            self._drop(self._foreign_keys(), BUILDING)  # tables are filled in any order, and rows deleted by themselves
        else:
            self._lay(ledger)
        with Helper(self._run.target, self._scheme, self._run.tuning) as helper:
            filling = self._filling(ledger, BUILDING, is_one=False)
            rows = self._scheme.rows
            filling.fill(sorted(self._scheme.tables, key=lambda one: -rows[one.target]), rows, helper.take)
            helper.finish(self._say_made)
        rejected = self._reject(ledger, self._scheme.tables, undo=self._target.drop_building)
        self._finish_tables()
        set_positions(self._target, self._source, self._scheme, BUILDING)
        self._run.emit(ProgressEvent("", "finish", 0, 1))
        for one in self._scheme.tables:
            if one.target not in helper.analysed:
                self._target.execute(analysis(one))
        report = self._report(filling.outcomes, rejected, ledger)
        replaced = take_over(self._target, self._notes)
        self._run.emit(ProgressEvent("", "finish", 1, 1))
        return replace(report, backup=f"schema {BEFORE}" if replaced else None)

    def _goes_on(self, ledger: PostgresLedger) -> bool:
        """Whether what was begun before is this move."""
        notes = ledger.notes()
        return notes.get("source") == self._scheme.system and notes.get("scheme") == self._scheme.fingerprint

    def _lay(self, ledger: PostgresLedger) -> None:
        """Every table, without what rows are judged by together."""
        with self._target.transaction():
            self._target.drop_building()
            self._target.make_building()
            lay_own(self._target, [one.target for one in self._scheme.tables])
            drop_later(self._target, self._scheme.tried.own)
            for step in self._scheme.tried.steps.first:
                self._target.execute(step.sql)
            ledger.create()
            ledger.note({"source": self._scheme.system, "scheme": self._scheme.fingerprint, **self._notes})

    def _finish_tables(self) -> None:
        """Keys, indexes, foreign keys, views: each that is not there yet."""
        made = made_in(self._target)
        names = self._names
        for number, step in enumerate(self._scheme.finishing):
            self._say_made(number)
            if (names.get(step.table, step.table) or step.name, step.name) not in made:
                self._make(step)
        switch_triggers(self._target, "ENABLE")

    def _say_made(self, steps: int) -> None:
        self._heed_stop()
        self._run.emit(ProgressEvent("", "index", steps, len(self._scheme.finishing)))

    def _make(self, step: Step) -> None:
        if refused := self._target.broken_by(step.sql):
            raise TargetError(
                f"{step.what} of {step.table}: {refused}",
                hint="the rows break it: mend them in the file, or leave the table behind with `skip`, and move again",
            )

    def _heed_stop(self) -> None:
        if self._run.stop.is_set():
            raise MoveStoppedError("stopped", hint="run the same command again to go on")

    # Both

    def _filling(self, ledger: PostgresLedger, schema: str, *, is_one: bool) -> Filling:
        transaction = WritingTransaction(self._target, is_one)
        self._run.emit(ProgressEvent("", "copy", 0, sum(self._scheme.rows.values())))
        run = self._run
        return Filling(self._source, transaction, ledger, schema, run.emit, run.stop, run.tuning, proves=run.proves)

    def _reject(
        self, ledger: PostgresLedger, tables: Sequence[Incoming], undo: Callable[[], None]
    ) -> Mapping[str, int]:
        self._refused = list(refusals(self._source, ledger, tables, self._run.tuning))
        problems = as_problems(self._refused, self._run.options)
        if any(problem.stops for problem in problems):
            undo()
        _tell(self._run, problems)
        if self._run.table is not None:
            return {}
        counts = write_refusals(self._source, tables, self._refused, self._run.rejects)
        for one in tables:
            ledger.set_rejected(one.target, counts.get(one.target, 0))
        return counts

    def _report(
        self, outcomes: Mapping[str, Outcome], rejected: Mapping[str, int], ledger: PostgresLedger
    ) -> MoveReport:
        tables = {}
        for one in self._scheme.tables:
            outcome = outcomes.get(one.target, Outcome())
            rows = sum(stretch.rows for stretch in ledger.stretches(one.target))
            tables[one.name] = TableReport(rows, outcome.copied, outcome.deleted, rejected.get(one.target, 0))
        return MoveReport(
            target=self._target.label,
            tables=tables,
            rejected=sum(rejected.values()),
            rejects=str(self._run.rejects) if rejected else None,
            problems=self._scheme.problems,
            seconds=time.monotonic() - self._run.started,
        )
