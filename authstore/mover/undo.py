"""Taking the last move back: what was at the target before has its name again; what is there now is set aside."""

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from authstore.expiry import utc_now
from authstore.mover.failures import TargetError
from authstore.mover.ledger import Ledger
from authstore.mover.place import Place, check_target, connect_file, install, locked, place_of, sync


@dataclass(frozen=True, slots=True)
class RollbackReport:
    """`restored`: the backup that has its name again, or None where nothing was there before the move."""

    target: str
    restored: str | None
    set_aside: str


def run_rollback(target: str | Path) -> RollbackReport:
    """Blocks. Raises `TargetError` where no move made the target or its backup is gone, `TargetBusyError`."""
    place = place_of(target)
    if not place.target.parent.is_dir():
        raise TargetError(f"there is no file {place.target}")
    with locked(place):
        if not check_target(place):
            raise TargetError(f"there is no file {place.target}", hint="there is nothing to roll back")
        return _back(place, _backup(place))


def _backup(place: Place) -> Path | None:
    try:
        with closing(connect_file(place.target)) as connection:
            ledger = Ledger(connection)
            notes = ledger.notes() if ledger.is_there() else {}
    except sqlite3.DatabaseError:
        notes = {}
    if "finished_at" not in notes:
        raise TargetError(f"{place.target} was not made by a move", hint="there is nothing to roll back")
    return place.target.with_name(notes["backup"]) if notes.get("backup") else None


def _back(place: Place, backup: Path | None) -> RollbackReport:
    aside = place.set_aside(utc_now())
    if backup is None:
        place.target.rename(aside)
        sync(place.target.parent)
        return RollbackReport(str(place.target), None, str(aside))
    if not backup.is_file():
        raise TargetError(f"the backup {backup} is gone", hint="nothing was changed")
    install(backup, place.target, aside)
    return RollbackReport(str(place.target), str(backup), str(aside))
