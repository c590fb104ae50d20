"""Taking the last move back: what was at the target before has its name again; what is there now is set aside."""

from dataclasses import dataclass
from pathlib import Path

from authstore.backends.sqlite import file
from authstore.expiry import utc_now
from authstore.mover.errors import TargetError
from authstore.mover.sqlite.errors import translated
from authstore.mover.sqlite.ledger import backups_in, notes_in
from authstore.mover.sqlite.target_files import TargetFiles, check_target, files_of, locked


@dataclass(frozen=True, slots=True)
class RollbackReport:
    """`restored`: the backup that has its name again, or None where nothing was there before the move."""

    target: str
    restored: str | None
    set_aside: str


def run_rollback(target: str | Path) -> RollbackReport:
    """Blocks. Raises `TargetError` where no move made the target or its backup is gone, `TargetBusyError`."""
    files = files_of(target)
    with translated():
        if not files.target.parent.is_dir():
            raise TargetError(f"there is no file {files.target}")
        with locked(files):
            if not check_target(files):
                raise TargetError(f"there is no file {files.target}", hint="there is nothing to roll back")
            return _back(files, _backup(files))


def _backup(files: TargetFiles) -> Path | None:
    """The newest state before this one that is kept; `None` where nothing was there."""
    notes = notes_in(files.target)
    if "finished_at" not in notes:
        raise TargetError(f"{files.target} was not made by a move", hint="there is nothing to roll back")
    for backup in reversed(backups_in(notes)):
        path = files.target.with_name(backup.name) if backup.name else None
        if path is None or path.is_file() or not backup.is_moved:
            return path
    return None


def _back(files: TargetFiles, backup: Path | None) -> RollbackReport:
    aside = files.set_aside(utc_now())
    if backup is None:
        files.target.rename(aside)
        file.sync(files.target.parent)
        return RollbackReport(str(files.target), None, str(aside))
    if not backup.is_file():
        raise TargetError(f"the backup {backup} is gone", hint="nothing was changed")
    file.put_over(backup, files.target, aside)
    return RollbackReport(str(files.target), str(backup), str(aside))
