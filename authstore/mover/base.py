"""What a run begins from: a half-made file of an earlier run, a copy of the finished target, or nothing."""

import sqlite3
from collections.abc import Iterable, Mapping
from concurrent.futures import Executor, Future
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from authstore.mover.building import lay_schema, open_building, tables_of
from authstore.mover.failures import TargetChangedError, TargetError
from authstore.mover.ledger import TABLES, Ledger
from authstore.mover.names import quote
from authstore.mover.place import Place, connect_file, copy_to_building, drop_building, fingerprint, new_building
from authstore.mover.plan import Scheme
from authstore.mover.seal import is_sealed
from authstore.mover.shapes import MoveOptions
from authstore.mover.streams import Side, count_foreign, target_packs


@dataclass(slots=True)
class Base:
    """`notes`: of the run that this one goes on from. `target`: the notes in the finished target, if a move made it."""

    notes: Mapping[str, str]
    target: Mapping[str, str]
    touched: str  # what the target looked like, "" where there was none
    resumes: bool
    is_copy: bool = field(default=False)  # the building began as a copy of the target
    is_sealed: bool = field(default=False)  # to which nobody had written since its move
    seal: Future[bool] | None = field(default=None)  # whether that is so, as soon as it is known

    @classmethod
    def look(cls, place: Place, there: bool, table: str | None = None) -> "Base":
        """Looks at the files; changes nothing."""
        touched = fingerprint(place.target) if there else ""
        target = _notes(place.target) if there else {}
        target = target if "finished_at" in target else {}
        building = _notes(place.building) if place.building.exists() else {}
        resumes = bool(building) and building.get("target") == touched and building.get("table", "") == (table or "")
        return cls(building if resumes else target, target, touched, resumes)

    def look_at_seal(self, place: Place, aside: Executor) -> None:
        """Begins to read the whole target, which takes as long as asking the source what there is to move."""
        if self.target and not self.resumes:
            self.seal = aside.submit(is_sealed, place.target)

    def refuse_touched(self, place: Place, there: bool) -> None:
        """Somebody wrote to the target, or put one there, while the run was at work."""
        if (fingerprint(place.target) if there else "") != self.touched:
            raise TargetChangedError("the target was written to while the move was at work", hint="move again")

    def rows_elsewhere(self, building: sqlite3.Connection, moved: Iterable[str]) -> dict[str, int]:
        """Rows in tables that no move fills."""
        known = {*moved, *TABLES, "authstore_migrations"}
        counts = {
            table: building.execute(f"SELECT count(*) FROM {quote(table)}").fetchone()[0]
            for table in tables_of(building)
            if table not in known
        }
        return {table: count for table, count in counts.items() if count}

    def drop_old_backup(self, place: Place) -> None:
        """The backup of a backup, where both are states of one move: only the last is worth its room."""
        if self.is_copy and self.target.get("backup_is_moved") and self.target.get("backup"):
            place.target.with_name(self.target["backup"]).unlink(missing_ok=True)


def _notes(path: Path) -> dict[str, str]:
    """The notes in a file; none where it is no file of a move."""
    try:
        with closing(connect_file(path)) as connection:
            ledger = Ledger(connection)
            return ledger.notes() if ledger.is_there() else {}
    except sqlite3.DatabaseError:
        return {}


def begin(
    place: Place, base: Base, scheme: Scheme, options: MoveOptions, *, table: str | None = None
) -> sqlite3.Connection:
    """The building, open, with every table there. Raises `TargetChangedError`, `TargetError`."""
    system = scheme.source.system
    if base.target and base.target.get("source") != system and not options.replace:
        raise TargetChangedError(
            "the target was moved from another source", hint="choose another target, or give --replace to move over it"
        )
    fits = base.notes.get("source") == system and base.notes.get("scheme") == scheme.fingerprint
    if base.resumes and fits:
        base.is_copy = base.notes.get("is_copy") == "yes"
        return _catching_up(place) if base.is_copy else open_building(place.building)
    if table is not None and not (base.target and fits):
        raise TargetError("the target was not moved from this source as it is now", hint="run `authstore move` first")
    drop_building(place)
    if base.target and fits:
        return _from_target(place, base, table)
    if base.target and not options.replace:
        _refuse_written(place)
    base.notes = {}
    return _anew(place, base, scheme)


def _from_target(place: Place, base: Base, table: str | None) -> sqlite3.Connection:
    copy_to_building(place)
    base.is_copy, base.is_sealed = True, base.seal is not None and base.seal.result()
    building = _catching_up(place)
    building.execute("BEGIN IMMEDIATE")
    Ledger(building).note({"target": base.touched, "is_copy": "yes", "table": table or ""})
    building.execute("DELETE FROM authstore_move WHERE name IN ('finished_at', 'backup', 'backup_is_moved')")
    building.execute("COMMIT")
    return building


def _catching_up(place: Place) -> sqlite3.Connection:
    """Few rows will come, so every CHECK looks at them at once, and at no other row again."""
    building = open_building(place.building)
    building.execute("PRAGMA ignore_check_constraints = OFF")
    return building


def _anew(place: Place, base: Base, scheme: Scheme) -> sqlite3.Connection:
    new_building(place)
    building = open_building(place.building)
    lay_schema(building, scheme.copies)
    notes = {"source": scheme.source.system, "scheme": scheme.fingerprint, "target": base.touched, "is_copy": ""}
    Ledger(building).note(notes)
    return building


def _refuse_written(place: Place) -> None:
    """For a target whose tables the source no longer has so: nothing may be lost with them."""
    with closing(connect_file(place.target)) as connection:
        ledger = Ledger(connection)
        changes = {}
        for name, query in ledger.queries().items():
            foreign = count_foreign(Side(target_packs(connection, query)), ledger.stretches(name))
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
        hint="keep it, or give --replace to move over it (what is there becomes the backup)",
    )
