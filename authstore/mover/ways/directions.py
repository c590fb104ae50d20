"""Which way a move goes, told by its two URLs, and what the commands do that way."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from authstore.errors import ConfigurationError
from authstore.mover.errors import SourceError
from authstore.mover.options import MoveOptions
from authstore.mover.plan import Plan, plan_of, scheme_of
from authstore.mover.postgres.snapshot import MORE_CONNECTIONS, NO_SECOND, Snapshot
from authstore.mover.reports import Event, MoveReport, Problem, VerifyReport
from authstore.mover.sqlite.source import is_store
from authstore.mover.sqlite.target_files import files_of
from authstore.mover.sync.move import run_move
from authstore.mover.sync.rebuild import RebuildRun, run_rebuild
from authstore.mover.sync.rebuild_plan import plan_rebuild, verify_rebuild
from authstore.mover.sync.target import target_problems
from authstore.mover.sync.verify import run_verify
from authstore.mover.tuning import Tuning
from authstore.mover.ways.across import Across
from authstore.mover.ways.aside import folder_aside
from authstore.mover.ways.from_file import FromFile


@dataclass(frozen=True, slots=True)
class Journey:
    """One call: from where to where, with which options, and who is told of it or stops it."""

    source: str
    target: str | Path
    options: MoveOptions
    emit: Callable[[Event], None]
    stop: threading.Event
    tuning: Tuning


class Direction(Protocol):
    """All of it blocks; errors are `MoverError`s."""

    def plan(self) -> Plan: ...
    def move(self, table: str | None = None, *, proves: bool = False) -> MoveReport:
        """`table`: only this one is made equal, and what refers to its rows stays."""
        ...

    def verify(self) -> VerifyReport: ...


def direction(journey: Journey) -> Direction:
    """By the URLs."""
    to_postgres = is_postgres(journey.target)
    if not journey.source.startswith("sqlite:"):
        return _Across(journey) if to_postgres else _Out(journey)
    path = files_of(journey.source).target
    try:
        is_there = path.is_file()
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror}") from error
    if not is_there:
        raise SourceError(f"there is no file {path}")
    if is_store(path):
        if to_postgres:
            return _Back(journey)
        raise ConfigurationError("the source is a store already: `authstore backup` makes a copy of it")
    return _Overland(journey) if to_postgres else _from_file(journey)


def is_postgres(url: str | Path) -> bool:
    """Whether it names a database of PostgreSQL."""
    return str(url).partition("://")[0].partition("+")[0] in ("postgresql", "postgres")


@dataclass(frozen=True, slots=True)
class _Way:
    journey: Journey

    @property
    def _there(self) -> str:
        return str(self.journey.target)


class _Out(_Way):
    """From PostgreSQL to a file."""

    def plan(self) -> Plan:
        our = self.journey
        files = files_of(our.target)
        with Snapshot(our.source, our.stop, tuning=our.tuning) as view:
            scheme = scheme_of(view.main, our.options)
            plan = _with_connections(plan_of(scheme, our.source, our.target, our.options), view, our.tuning)
        return replace(plan, problems=(*plan.problems, *target_problems(files, scheme, plan.bytes, our.options)))

    def move(self, table: str | None = None, *, proves: bool = False) -> MoveReport:
        our = self.journey
        return run_move(
            our.source, our.target, our.options, our.emit, our.stop, table=table, proves=proves, tuning=our.tuning
        )

    def verify(self) -> VerifyReport:
        our = self.journey
        return run_verify(our.source, our.target, our.options, our.emit, our.stop, our.tuning)


class _Back(_Way):
    """From a file to PostgreSQL."""

    def plan(self) -> Plan:
        our = self.journey
        return plan_rebuild(our.source, self._there, our.options, our.stop, our.tuning)

    def move(self, table: str | None = None, *, proves: bool = False) -> MoveReport:
        our = self.journey
        return run_rebuild(
            RebuildRun(our.source, self._there, our.options, our.emit, our.stop, table, proves, our.tuning)
        )

    def verify(self) -> VerifyReport:
        our = self.journey
        return verify_rebuild(our.source, self._there, our.options, our.emit, our.stop, our.tuning)


class _Across(_Way):
    """From PostgreSQL to PostgreSQL."""

    @property
    def _halves(self) -> Across:
        our = self.journey
        return Across(our.source, self._there, our.options, our.emit, our.stop, our.tuning)

    def plan(self) -> Plan:
        our = self.journey
        with Snapshot(our.source, our.stop, tuning=our.tuning) as view:
            first = plan_of(scheme_of(view.main, our.options), our.source, our.target, our.options)
            first = _with_connections(first, view, our.tuning)
        return self._halves.plan(first)

    def move(self, table: str | None = None, *, proves: bool = False) -> MoveReport:
        return self._halves.move(table, proves=proves)

    def verify(self) -> VerifyReport:
        return self._halves.verify()


def _with_connections(plan: Plan, view: Snapshot, tuning: Tuning) -> Plan:
    """The plan with as many connections as the source gives, where a role, a database or a pool has few."""
    wanted = min(tuning.connections, max(1, len(plan.tables)))
    found = view.spared(wanted)
    if found == wanted:
        return plan
    if found:
        return replace(plan, connections=1 + found)
    message = f"{NO_SECOND}: {MORE_CONNECTIONS}"
    return replace(plan, problems=(*plan.problems, Problem("connections", "", message, stops=True)))


def _from_file(journey: Journey) -> FromFile:
    """From a file of another application's to one of authstore's."""
    return FromFile(journey.source, journey.target, journey.options, journey.emit, journey.stop, journey.tuning)


class _Overland(_Way):
    """From a file of another application's to PostgreSQL."""

    @property
    def _halves(self) -> Across:
        our = self.journey
        return Across(our.source, self._there, our.options, our.emit, our.stop, our.tuning, self._bring)

    def _bring(self, options: MoveOptions, file: Path, moments: Mapping[str, str]) -> MoveReport:
        given: dict[str, Any] = dict(moments)
        return _from_file(replace(self.journey, target=file, options=replace(options, **given))).move()

    def plan(self) -> Plan:
        with folder_aside() as folder:
            first = _from_file(replace(self.journey, target=folder / "half-way.db")).plan()
        return self._halves.plan(first)

    def move(self, table: str | None = None, *, proves: bool = False) -> MoveReport:
        return self._halves.move(table, proves=proves)

    def verify(self) -> VerifyReport:
        return self._halves.verify()
