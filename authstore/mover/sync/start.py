"""What a run begins from: a half-made file of an earlier run, a copy of the finished target, or nothing."""

from collections.abc import Iterable, Mapping
from concurrent.futures import Executor, Future
from contextlib import closing
from dataclasses import dataclass, field

from authstore.backends.sqlite import file
from authstore.mover.errors import TargetChangedError, TargetError
from authstore.mover.names import OWN_TABLES, quote
from authstore.mover.options import MoveOptions
from authstore.mover.plan import Scheme
from authstore.mover.sqlite.building import drop_triggers, lay_schema, open_building, own_tables, tables_of
from authstore.mover.sqlite.connection import TargetConnection
from authstore.mover.sqlite.ledger import TABLES, Backup, Ledger, backups_in, notes_in
from authstore.mover.sqlite.reading import target_packs
from authstore.mover.sqlite.seal import is_sealed
from authstore.mover.sqlite.target_files import (
    TargetFiles,
    copy_to_building,
    drop_building,
    fingerprint,
    new_building,
)
from authstore.mover.sync.folding import fold, unfolded
from authstore.mover.sync.pieces import Side, count_foreign
from authstore.mover.tuning import DEFAULT, Tuning


@dataclass(slots=True)
class Start:
    """`notes`: of the run that this one goes on from. `target`: the notes in the finished target, if a move made it."""

    notes: Mapping[str, str]
    target: Mapping[str, str]
    touched: str  # what the target looked like, "" where there was none
    resumes: bool
    is_copy: bool = field(default=False)  # the building began as a copy of the target
    is_sealed: bool = field(default=False)  # to which nobody had written since its move
    seal: Future[bool] | None = field(default=None)  # whether that is so, as soon as it is known

    @classmethod
    def look(cls, files: TargetFiles, there: bool, table: str | None = None) -> "Start":
        """Looks at the files; changes nothing."""
        touched = fingerprint(files.target) if there else ""
        target = notes_in(files.target) if there else {}
        target = target if "finished_at" in target else {}
        building = notes_in(files.building) if files.building.exists() else {}
        resumes = bool(building) and building.get("target") == touched and building.get("table", "") == (table or "")
        return cls(building if resumes else target, target, touched, resumes)

    def look_at_seal(self, files: TargetFiles, aside: Executor) -> None:
        """Begins to read the whole target, which takes as long as asking the source what there is to move."""
        if self.target and not self.resumes:
            self.seal = aside.submit(is_sealed, files.target)

    def refuse_touched(self, files: TargetFiles, there: bool) -> None:
        """Somebody wrote to the target, or put one there, while the run was at work."""
        if (fingerprint(files.target) if there else "") != self.touched:
            raise TargetChangedError("the target was written to while the move was at work", hint="move again")

    def rows_elsewhere(self, building: TargetConnection, moved: Iterable[str]) -> dict[str, int]:
        """Rows in tables that no move fills."""
        known = {*moved, *TABLES, *(own_tables() - set(OWN_TABLES))}
        counts = {
            table: building.execute(f"SELECT count(*) FROM {quote(table)}").fetchone()[0]
            for table in tables_of(building)
            if table not in known
        }
        return {table: count for table, count in counts.items() if count}

    def earlier(self) -> tuple[Backup, ...]:
        """What was at the target before the moves that led to what is there."""
        return backups_in(self.target)

    def drop_old_backup(self, files: TargetFiles) -> None:
        """The backup of a backup, where both are states of one move: only the last is worth its room."""
        if self.is_copy and (earlier := self.earlier()) and earlier[-1].is_moved:
            files.target.with_name(earlier[-1].name).unlink(missing_ok=True)


def begin(
    files: TargetFiles,
    start: Start,
    scheme: Scheme,
    options: MoveOptions,
    *,
    table: str | None = None,
    tuning: Tuning = DEFAULT,
) -> TargetConnection:
    """The building, open, with every table there. Raises `TargetChangedError`, `TargetError`."""
    system = scheme.source.system
    if not options.replace:
        refuse_foreign(start, system)
    fits = start.notes.get("source") == system and start.notes.get("scheme") == scheme.fingerprint
    if start.resumes and fits:
        start.is_copy = start.notes.get("is_copy") == "yes"
        return _catching_up(files) if start.is_copy else open_building(files.building)
    if table is not None and not (start.target and fits):
        raise TargetError("the target was not moved from this source as it is now", hint="run `authstore move` first")
    drop_building(files)
    if start.target and fits:
        return _from_target(files, start, table, tuning)
    if start.target and not options.replace:
        refuse_written(files)
    start.notes = {}
    return _anew(files, start, scheme)


def refuse_foreign(start: Start, system: str) -> None:
    """What no move from this source made. Raises `TargetChangedError`."""
    if start.touched and not start.target:
        raise TargetChangedError(
            "no move made what is at the target",
            hint="choose another target, or give `replace` to move over it (what is there becomes the backup)",
        )
    if start.target and start.target.get("source") != system:
        raise TargetChangedError(
            "the target was moved from another source", hint="choose another target, or give `replace` to move over it"
        )


def _from_target(files: TargetFiles, start: Start, table: str | None, tuning: Tuning) -> TargetConnection:
    copy_to_building(files)
    start.is_copy, start.is_sealed = True, start.seal is not None and start.seal.result()
    building = _catching_up(files)
    building.execute("BEGIN IMMEDIATE")
    Ledger(building).note({"target": start.touched, "is_copy": "yes", "table": table or ""})
    building.execute("DELETE FROM authstore_move WHERE name IN ('finished_at', 'backups')")
    building.execute("COMMIT")
    fold(building, tuning.stretch_rows)
    return building


def _catching_up(files: TargetFiles) -> TargetConnection:
    """Few rows will come, so every CHECK looks at them at once, and at no other row again."""
    building = open_building(files.building)
    building.execute("PRAGMA ignore_check_constraints = OFF")
    drop_triggers(building)
    return building


def _anew(files: TargetFiles, start: Start, scheme: Scheme) -> TargetConnection:
    new_building(files)
    building = open_building(files.building)
    lay_schema(building, scheme.copies)
    notes = {"source": scheme.source.system, "scheme": scheme.fingerprint, "target": start.touched, "is_copy": ""}
    Ledger(building).note(notes)
    return building


def refuse_written(files: TargetFiles) -> None:
    """Rows that no move put there. Raises `TargetChangedError` with their counts."""
    with closing(file.connect(files.target, file.Connection)) as connection:
        ledger = Ledger(connection)
        changes = {}
        followed = unfolded(ledger.notes())  # nobody else could open it for writing
        for name, query in ledger.queries().items():
            if name in followed:
                continue
            foreign = count_foreign(Side(target_packs(connection, name, query)), ledger.stretches(name))
            if foreign:
                changes[name] = foreign
    if changes:
        raise changed_error(changes)


def changed_error(changes: Mapping[str, int]) -> TargetChangedError:
    """The refusal, with what would be lost."""
    said = ", ".join(f"{table} ({count})" for table, count in changes.items())
    return TargetChangedError(
        f"the target was written to since it was moved; rows that differ: {said}",
        changes=changes,
        hint="keep it, or give `replace` to move over it (what is there becomes the backup)",
    )
