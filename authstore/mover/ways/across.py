"""From PostgreSQL to PostgreSQL, by way of a file that is gone at the end: out of it, and into the other.

The file is the first direction's target and the way back's source, so nothing is read or judged in a second way. What
two runs of a move must give alike (when sessions count as used, say) is kept in the target's ledger.
"""

import os
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

from authstore.mover.errors import TargetError
from authstore.mover.names import OWN_TABLES
from authstore.mover.options import MoveOptions
from authstore.mover.plan import Plan, TablePlan
from authstore.mover.postgres.target import BUILDING, PostgresTarget, translated_target
from authstore.mover.postgres.target_ledger import PostgresLedger
from authstore.mover.reports import MoveReport, Problem, VerifyReport
from authstore.mover.sqlite.building import own_tables
from authstore.mover.sqlite.ledger import as_moved, notes_in
from authstore.mover.sync.attempt import Emit
from authstore.mover.sync.move import run_move
from authstore.mover.sync.rebuild import RebuildRun, run_rebuild
from authstore.mover.sync.rebuild_plan import plan_rebuild, verify_rebuild
from authstore.mover.sync.target import refuse_full
from authstore.mover.tuning import DEFAULT, Tuning
from authstore.mover.ways.aside import folder_aside

_MOMENTS = ("moved_at", "sessions_at", "judged_at")
_BOOKS = tuple(sorted(own_tables() - {*OWN_TABLES, "authstore_migrations"}))  # in the file they tell of nothing
_OF_SQLITE = ("type", "name", "weaker", "left-behind")  # kinds of problems that are about what SQLite can say


Bring = Callable[[MoveOptions, Path, Mapping[str, str]], MoveReport]


@dataclass(frozen=True, slots=True)
class Across:
    """One call, from `source` to `target`, both of PostgreSQL."""

    source: str
    target: str
    options: MoveOptions
    emit: Emit
    stop: threading.Event
    tuning: Tuning = DEFAULT
    bring: Bring | None = None  # what makes the file half-way, where that is not a move from PostgreSQL

    def plan(self, first: Plan) -> Plan:
        """`first`: what the first half would do. Where it would stop, nothing more can be said."""
        first = replace(first, target=self.target, problems=(*first.problems, *_without_room(first.bytes)))
        if any(problem.stops for problem in first.problems):
            return first
        with self._half_way(self._notes()) as half:
            second = plan_rebuild(half.url, self.target, self._of_second, self.stop, self.tuning, half.system)
        old = {table.table: table for table in first.tables}
        tables = (_through(old[table.source], table) for table in second.tables if table.source in old)
        return replace(
            second,
            source=self.source,
            options=self.options,
            tables=tuple(tables),
            problems=(*_kept(half.report.problems), *second.problems),
            recognised=first.recognised,
            connections=first.connections + second.connections,
        )

    def move(self, table: str | None = None, *, proves: bool = False) -> MoveReport:
        """Raises what both halves raise; run again, it goes on in the target where it was. `table`: only this one."""
        notes = self._notes()
        with self._half_way(notes, is_later=table is not None) as half:
            run = RebuildRun(
                half.url, self.target, self._of_second, self.emit, self.stop, table, proves, self.tuning,
                system=half.system, notes=half.notes,
            )  # fmt: skip
            done = run_rebuild(run)
            rejects = _gathered([half.file.with_name(f"{half.file.name}.rejects.jsonl"), run.rejects])
        return replace(
            done,
            rejected=half.report.rejected + done.rejected,
            rejects=rejects,
            problems=(*_kept(half.report.problems), *done.problems),
        )

    def verify(self) -> VerifyReport:
        """Compares every row with what the source would give now."""
        is_whole = not (self.options.only or self.options.skip)
        with self._half_way(self._notes(), is_later=True) as half:
            found = verify_rebuild(
                half.url,
                self.target,
                self._of_second,
                self.emit,
                self.stop,
                self.tuning,
                half.system,
                is_whole=is_whole,
            )
        tables = {name: one for name, one in found.tables.items() if is_whole or name in half.report.tables}
        return replace(found, tables=tables, problems=(*_kept(half.report.problems), *found.problems))

    @property
    def _of_second(self) -> MoveOptions:
        """Which rows and tables come has been decided by the first half; what is left is what the target refuses."""
        return MoveOptions(replace=self.options.replace, on_bad_row=self.options.on_bad_row, skip=_BOOKS)

    def _notes(self) -> Mapping[str, str]:
        """Of the move that goes on or was before; none where there was none."""
        with PostgresTarget(self.target, self.stop, self.tuning) as target, translated_target():
            return PostgresLedger(target, BUILDING).notes() or PostgresLedger(target, target.home).notes()

    @contextmanager
    def _half_way(self, notes: Mapping[str, str], *, is_later: bool = False) -> Iterator["_HalfWay"]:
        """The file. `is_later`: with the options and the moments of the move that was before."""
        options = as_moved(self.options, notes) if is_later else self.options
        tuning = replace(self.tuning, sessions_may_lag=timedelta.max) if is_later else self.tuning
        moments = {name: notes[name] for name in _MOMENTS if name in notes}
        if not is_later:
            moments.pop("judged_at", None)
        with folder_aside() as folder:
            file = folder / "half-way.db"
            plain = replace(options, replace=False)
            if self.bring is not None:
                report = self.bring(plain, file, moments)
            else:
                report = run_move(self.source, file, plain, self.emit, self.stop, tuning=tuning, moments=moments)
            yield _HalfWay(file, report, notes_in(file))


@dataclass(frozen=True, slots=True)
class _HalfWay:
    """The file, how it came about, and what its ledger says."""

    file: Path
    report: MoveReport
    ledger: Mapping[str, str]

    @property
    def url(self) -> str:
        return f"sqlite:///{self.file}"

    @property
    def system(self) -> str:
        """Which database the rows are from: the file is another every time."""
        return f"by way of a file/{self.ledger['source']}"

    @property
    def notes(self) -> Mapping[str, str]:
        """For the target's ledger."""
        return {name: self.ledger[name] for name in (*_MOMENTS, "options")}


def _through(first: TablePlan, second: TablePlan) -> TablePlan:
    """A table's way as a whole: what it and its columns are at the source, and become in the target."""
    data = {name: types for name, types in first.types.items() if name.startswith("data.")}
    types = {name: (first.types.get(name, ("", ""))[0], there) for name, (_, there) in second.types.items()}
    return replace(second, source=first.source, role=first.role, why=first.why, types={**types, **data})


def _without_room(size: int) -> list[Problem]:
    """That the folder for temporary files is too full for the file half-way."""
    try:
        refuse_full(Path(tempfile.gettempdir()), size, "make room, or name another folder in TMPDIR")
    except TargetError as error:
        return [Problem("target", "", f"{error} there for a while; {error.hint}", stops=True)]
    return []


def _kept(problems: Iterable[Problem]) -> list[Problem]:
    """Those of the first half that are not about what SQLite can say."""
    return [one for one in problems if one.count or one.stops or one.decision or one.kind not in _OF_SQLITE]


def _gathered(parts: Iterable[Path]) -> str | None:
    """The rows that stayed out in either half, in one file where one stands; None without any."""
    lines = "".join(part.read_text("utf-8") for part in parts if part.exists())
    if not lines:
        return None
    path = Path("authstore.rejects.jsonl").absolute()
    path.unlink(missing_ok=True)
    with open(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600), "w", encoding="utf-8") as file:
        file.write(lines)
    return str(path)
