"""What a move into PostgreSQL would do, and a file compared with what was moved there; neither leaves a trace."""

import threading
from dataclasses import replace
from pathlib import Path

from authstore.mover.errors import MoverError, TargetChangedError, TargetError
from authstore.mover.options import MoveOptions
from authstore.mover.plan import Plan, TablePlan
from authstore.mover.postgres.target import BUILDING, PostgresTarget, translated_target
from authstore.mover.postgres.target_ledger import PostgresLedger
from authstore.mover.postgres.writing import PostgresWriter, WritingTransaction
from authstore.mover.rebuilding.incoming import Incoming
from authstore.mover.rebuilding.scheme import RebuildScheme, rebuild_scheme
from authstore.mover.rebuilding.trial import lay_own
from authstore.mover.reports import Event, Problem, ProgressEvent, VerifyReport
from authstore.mover.sqlite.ledger import recorded_options
from authstore.mover.sqlite.source import SqliteSource, opened_source
from authstore.mover.sqlite.target_files import files_of
from authstore.mover.sync.filling import Emit, Filling
from authstore.mover.sync.refusals import as_problems, refusals
from authstore.mover.sync.rollback import RollbackReport
from authstore.mover.sync.takeover import give_back, judge_target, refuse_foreign
from authstore.mover.sync.verify import Comparison, no_longer_filled
from authstore.mover.tuning import DEFAULT, Tuning

_ROWS_A_SECOND = 90_000  # of a move, on a small machine
_DECISIONS = ("on_bad_row", "on_orphan")
_MORE = 1.6  # times what the rows take in SQLite


def plan_rebuild(
    source: str, target: str, options: MoveOptions, stop: threading.Event, tuning: Tuning = DEFAULT, system: str = ""
) -> Plan:
    """Everything is tried on the target, and taken back: types, keys, and the values of carried tables."""
    files = files_of(source)
    with opened_source(files, system) as file, PostgresTarget(target, stop, tuning) as there, translated_target():
        scheme = rebuild_scheme(file, there, options)
        problems = [*scheme.problems, *_target_problems(there, scheme, options)]
        if not scheme.undecided:
            problems += _refused(file, there, scheme, options, stop, tuning)
    rows = sum(scheme.rows.values())
    return Plan(
        source,
        target,
        options,
        tuple(_table_plan(one, scheme) for one in scheme.tables),
        tuple(problems),
        (),
        seconds=1 + rows / _ROWS_A_SECOND,
        bytes=int(files.target.stat().st_size * _MORE),
        connections=2,
    )


def _table_plan(one: Incoming, scheme: RebuildScheme) -> TablePlan:
    there = {column.name: column.type for column in scheme.tried.tables[one.name].columns}
    types = {
        column.name: (column.declared or "any", there.get(one.names.get(column.name, column.name), "—"))
        for column in one.file.columns
    }
    role, why = (one.name, "authstore's own") if one.is_own else (None, "")
    return TablePlan(one.name, role, one.target, scheme.rows[one.target], why, types)


def _target_problems(target: PostgresTarget, scheme: RebuildScheme, options: MoveOptions) -> list[Problem]:
    try:
        judge_target(target, scheme, options)
    except MoverError as error:
        decision = "replace" if isinstance(error, TargetChangedError) else ""
        return [Problem("target", "", f"{error}; {error.hint}", decision=decision, stops=True)]
    return []


def _refused(
    source: SqliteSource,
    target: PostgresTarget,
    scheme: RebuildScheme,
    options: MoveOptions,
    stop: threading.Event,
    tuning: Tuning,
) -> list[Problem]:
    """The rows of carried tables that the server does not take: found by having it take them all."""
    tables = [one for one in scheme.tables if not one.is_own]
    ledger = PostgresLedger(target, BUILDING)
    with target.trial():
        target.drop_building()
        target.make_building()
        lay_own(target, ())
        for step in scheme.tried.steps.first:
            target.execute(step.sql)
        ledger.create()
        filling = Filling(source, WritingTransaction(target, is_one=True), ledger, BUILDING, _silent, stop, tuning)
        filling.fill(tables, scheme.rows)
        return as_problems(list(refusals(source, ledger, tables, tuning)), options)


def _silent(_event: Event) -> None:
    """A plan reports at its end."""


def verify_rebuild(
    source: str,
    target: str,
    options: MoveOptions,
    emit: Emit,
    stop: threading.Event,
    tuning: Tuning = DEFAULT,
    system: str = "",
    *,
    is_whole: bool = True,
) -> VerifyReport:
    """Compares every row, under one snapshot on either side. The options of the move hold where none are given.
    `is_whole`: the file holds all that was moved, as far as it is there still."""
    with (
        opened_source(files_of(source), system) as file,
        PostgresTarget(target, stop, tuning) as there,
        translated_target(),
    ):
        ledger = PostgresLedger(there, there.home)
        notes = ledger.notes()
        if "finished_at" not in notes:
            raise TargetError("no move made what is at the target", hint="run `authstore move` first")
        refuse_foreign(ledger, file.system)
        recorded = recorded_options(notes)
        only, skip = options.only or recorded.only, options.skip or recorded.skip
        if system:  # the file holds no more than was chosen
            only, skip = (), options.skip
        decided = {name: getattr(recorded, name) for name in _DECISIONS if options.is_undecided(name)}
        scheme = rebuild_scheme(file, there, replace(options, only=only, skip=skip, **decided))
        emit(ProgressEvent("", "compare", 0, sum(scheme.rows.values())))
        with there.trial():
            there.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            filling = Filling(file, WritingTransaction(there, is_one=True), ledger, there.home, emit, stop, tuning)
            tables = {}
            for one in scheme.tables:
                writer = PostgresWriter(filling.transaction, one.in_schema(there.home))
                comparison = Comparison(writer, scheme.rows[one.target], emit)
                tables[one.name] = comparison.of(filling.reader(one).packs(), tuning.stretch_rows)
            if is_whole and not options.only:
                targets = {one.target for one in scheme.tables} | {*options.skip}
                tables |= no_longer_filled(ledger, targets, ledger.tables())
        return VerifyReport(tables, (), scheme.problems)


def roll_rebuild_back(target: str | Path) -> RollbackReport:
    """Takes the last move into this database back."""
    with PostgresTarget(str(target), threading.Event()) as there, translated_target():
        there.lock()
        restored, aside = give_back(there)
        return RollbackReport(there.label, f"schema {restored}" if restored else None, f"in schema {aside}")
