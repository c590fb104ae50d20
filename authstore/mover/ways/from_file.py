"""From a SQLite file of another application (Auth.js, Better Auth, Lucia) to a store: into a file, or a PostgreSQL.

The file is read in one pass, each row made what it is in the store. That is quick enough to be done anew each time:
moving again is how the target catches up, and a comparison makes the store once more and lays both side by side.
"""

import json
import os
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from authstore.backends.sqlite import file
from authstore.errors import ConfigurationError
from authstore.expiry import utc_now
from authstore.mover.errors import MoveStoppedError, TargetChangedError, TargetError
from authstore.mover.foreign.conversion import Conversion, LeftOut
from authstore.mover.foreign.convert import Converter
from authstore.mover.foreign.roles import Moments
from authstore.mover.layout import ColumnLayout, Kind, Layout
from authstore.mover.options import MoveOptions
from authstore.mover.plan import Plan, TablePlan, iso
from authstore.mover.problems import refuse_undecided
from authstore.mover.recognition.concealed import concealed
from authstore.mover.reports import (
    MoveReport,
    Problem,
    ProblemEvent,
    ProgressEvent,
    TableDifference,
    TableReport,
    VerifyReport,
)
from authstore.mover.sqlite.building import lay_schema, make_indexes, open_building, tables_of
from authstore.mover.sqlite.errors import translated
from authstore.mover.sqlite.integrity import check
from authstore.mover.sqlite.ledger import Backup, Ledger, as_moved, backups_note, options_note
from authstore.mover.sqlite.reading import opened_for_reading
from authstore.mover.sqlite.seal import is_sealed, seal
from authstore.mover.sqlite.source import SqliteSource, opened_source
from authstore.mover.sqlite.source_reading import SqliteReader
from authstore.mover.sqlite.target_files import (
    TargetFiles,
    check_target,
    drop_building,
    files_of,
    locked,
    new_building,
)
from authstore.mover.sqlite.writing import SqliteWriter
from authstore.mover.sync.attempt import Emit
from authstore.mover.sync.start import Start, refuse_foreign
from authstore.mover.sync.verify import Comparison
from authstore.mover.tuning import Tuning
from authstore.mover.ways.aside import folder_aside

_ROWS_A_SECOND = 60_000


@dataclass(frozen=True, slots=True)
class FromFile:
    """One call. `source` is a file of another application's."""

    source: str
    target: str | Path
    options: MoveOptions
    emit: Emit
    stop: threading.Event
    tuning: Tuning

    def plan(self) -> Plan:
        """What would come, found by making it in a folder that goes at once; nothing else is written."""
        files = files_of(self.target)
        with self._aside() as there:
            conversion, size = self._build(there, self._moments({}))
        problems = [*conversion.problems, *self._target_problems(files)]
        roles = {one.role: one for one in conversion.recognised if one.moved}
        tables = tuple(
            TablePlan(
                table,
                table if table in roles else None,
                conversion.sources[table],
                rows,
                roles[table].why if table in roles else "",
                conversion.types[table],
            )
            for table, rows in conversion.rows.items()
        )
        seconds = 1 + sum(conversion.rows.values()) / _ROWS_A_SECOND
        return Plan(
            self.source, self.target, self.options, tables, tuple(problems), conversion.recognised, seconds=seconds,
            bytes=size,
        )  # fmt: skip

    def move(self, table: str | None = None, *, proves: bool = False) -> MoveReport:
        """Makes the store beside the target, and gives it the target's name. It is read back by SQLite's own check."""
        del proves
        if table is not None:
            raise ConfigurationError("from another application's file all tables come at once: run move again")
        began, files = time.monotonic(), files_of(self.target)
        with locked(files):
            there = check_target(files)
            start = Start.look(files, there)
            self._refuse(files, start)
            conversion, _ = self._build(files, self._moments(start.target))
            self._refuse_undecided(files, conversion)
            rejected = _write(conversion.left_out, files.rejects)
            backup = files.backup(utc_now()) if there else None
            start.is_copy = start.target.get("source") == self._system and is_sealed(files.target)
            backups = (*start.earlier(), Backup(backup.name if backup else "", is_moved=start.is_copy))
            self._finish(files, {"finished_at": iso(utc_now()), **backups_note(backups)})
            start.refuse_touched(files, there)
            file.put_over(files.building, files.target, backup)
            start.drop_old_backup(files)
        return self._report(files, conversion, rejected, backup, time.monotonic() - began)

    def verify(self) -> VerifyReport:
        """Makes the store once more, with the moments and options of the move, and lays both side by side."""
        files = files_of(self.target)
        with translated(), opened_for_reading(files) as target:
            ledger = Ledger(target)
            notes = ledger.notes() if ledger.is_there() else {}
            if notes.get("source") != self._system:
                raise TargetError(f"{files.target} was not moved from this file", hint="run `authstore move` first")
            again = replace(self, options=as_moved(self.options, notes))
            with self._aside() as there:
                conversion, _ = again._build(there, again._moments(notes))
                with opened_source(TargetFiles(there.building)) as store:
                    tables = {name: self._compared(store, target, name) for name in conversion.rows}
        return VerifyReport(tables, (), tuple(conversion.problems))

    def _compared(self, store: SqliteSource, target: Any, name: str) -> TableDifference:
        facts = store.table(name)
        kinds: dict[str, Kind] = {"INTEGER": "int8", "REAL": "float8", "BLOB": "bytea"}
        columns = [
            ColumnLayout(column.name, kinds.get(column.declared, "text") if facts.is_strict else "text")
            for column in facts.columns
        ]
        key = facts.primary or ("rowid",)
        columns += [] if facts.primary else [ColumnLayout("rowid", "int8")]
        own = [column for column in columns if name != "verification_tokens" or column.name != "id"]
        key = ("identifier", "purpose", "token_hash") if name == "verification_tokens" else key
        layout = Layout(name, tuple(own), key)
        reader = SqliteReader(layout, store.connection, self.tuning)
        return Comparison(SqliteWriter(target, layout), 0, self.emit).of(reader.packs(), self.tuning.stretch_rows)

    @property
    def _system(self) -> str:
        return f"sqlite/{files_of(self.source).target}"

    def _moments(self, notes: Mapping[str, str]) -> Moments:
        """Those of the move before, or of now; `judged` is always now, but in a comparison."""
        now, given = iso(utc_now()), self.options
        judged = given.judged_at or now
        used = notes.get("sessions_at", "") or given.sessions_at
        lag = utc_now() - datetime.fromisoformat(used) if used else None
        if not self.options.judged_at and (lag is None or lag > self.tuning.sessions_may_lag):
            used = now
        return Moments(notes.get("moved_at") or given.moved_at or now, used or now, judged)

    def _build(self, files: TargetFiles, moments: Moments) -> tuple[Conversion, int]:
        """The store as the building of these files, and its size."""

        def say(table: str, rows: int) -> None:
            if self.stop.is_set():
                raise MoveStoppedError("stopped", hint="run the same command again")
            self.emit(ProgressEvent(table, "copy", rows, 0))

        new_building(files)
        with (
            translated(),
            opened_source(files_of(self.source), is_store=False) as source,
            closing(open_building(files.building)) as building,
        ):
            lay_schema(building, ())
            building.execute("BEGIN IMMEDIATE")
            conversion = Converter(source, building, self.options, moments, say).convert()
            notes = {"moved_at": moments.moved, "sessions_at": moments.used, "judged_at": moments.judged}
            Ledger(building).note({"source": self._system, **notes, **options_note(self.options)})
            building.execute("COMMIT")
            make_indexes(building, (), lambda _done, _all: None, ())
        return conversion, files.building.stat().st_size

    def _finish(self, files: TargetFiles, notes: Mapping[str, str]) -> None:
        """Proves what was made, and seals it."""
        with closing(open_building(files.building)) as building:
            damage, broken = check(files.building, tables_of(building), thorough=True)
            if damage or broken:
                raise TargetError(f"the new file does not stand SQLite's check: {(*damage, *broken)[0]}")
            Ledger(building).note(notes)
            building.execute("PRAGMA ignore_check_constraints = OFF")
            building.execute("ANALYZE")
            building.execute("PRAGMA journal_mode = WAL").fetchall()
        seal(files.building)

    @contextmanager
    def _aside(self) -> Iterator[TargetFiles]:
        with folder_aside() as folder:
            yield TargetFiles(folder / "store.db")

    def _refuse(self, files: TargetFiles, start: Start) -> None:
        if not self.options.replace:
            refuse_foreign(start, self._system)
            if start.target and not is_sealed(files.target):
                raise TargetChangedError(
                    "the target was written to since it was moved",
                    hint="keep it, or give `replace` to move over it (what is there becomes the backup)",
                )

    def _target_problems(self, files: TargetFiles) -> list[Problem]:
        try:
            self._refuse(files, Start.look(files, check_target(files)))
        except TargetError as error:
            decision = "replace" if isinstance(error, TargetChangedError) else ""
            return [Problem("target", "", f"{error}; {error.hint}", decision=decision, stops=True)]
        return []

    def _refuse_undecided(self, files: TargetFiles, conversion: Conversion) -> None:
        for problem in conversion.problems:
            self.emit(ProblemEvent(problem))
        if any(problem.stops for problem in conversion.problems):
            drop_building(files)
        refuse_undecided(conversion.problems)

    def _report(
        self,
        files: TargetFiles,
        conversion: Conversion,
        rejected: Mapping[str, int],
        backup: Path | None,
        seconds: float,
    ) -> MoveReport:
        tables = {name: TableReport(rows, rows, 0, rejected.get(name, 0)) for name, rows in conversion.rows.items()}
        return MoveReport(
            str(files.target), tables, sum(rejected.values()), str(files.rejects) if rejected else None,
            str(backup) if backup else None, tuple(conversion.problems), seconds,
        )  # fmt: skip


def _write(left_out: Iterable[LeftOut], path: Path) -> dict[str, int]:
    """The rows that do not come, one JSON object a line; without any there is no file."""
    counts: dict[str, int] = {}
    path.unlink(missing_ok=True)
    rows = list(left_out)
    if not rows:
        return counts
    with open(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600), "w", encoding="utf-8") as out:
        for one in rows:
            counts[one.table] = counts.get(one.table, 0) + 1
            row = concealed(one.row, one.secrets)
            entry = {"table": one.table, "source": one.source, "key": one.key, "reason": one.reason, "row": row}
            out.write(json.dumps(entry, ensure_ascii=False) + "\n")
    return counts
