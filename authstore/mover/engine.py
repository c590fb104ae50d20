"""The move itself: everything that is written, attempt after attempt until the source has stayed to the end."""

import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from authstore.backends.sqlite.errors import result_code
from authstore.expiry import utc_now
from authstore.mover.attempt import Attempt, Emit, Run
from authstore.mover.base import Base, begin
from authstore.mover.events import MoveReport, ProblemEvent, RetryEvent
from authstore.mover.failures import MoverError, SourceUnavailableError, TargetError, UndecidedError
from authstore.mover.ledger import as_moved
from authstore.mover.place import Place, check_target, drop_building, locked, place_of
from authstore.mover.plan import Scheme, scheme_of
from authstore.mover.shapes import MoveOptions
from authstore.mover.source import Snapshot

SESSIONS_MAY_LAG = timedelta(minutes=5)  # behind the moment that sessions count as used
_WAITS = (0.5, 1, 2, 4, 8, 15, 15)  # seconds, before the source is asked again


def run_move(
    url: str,
    target: str | Path,
    options: MoveOptions,
    emit: Emit,
    stop: threading.Event,
    *,
    table: str | None = None,
    proves: bool = False,
) -> MoveReport:
    """Moves, or (with `table`) makes one table equal again. Blocks; errors are `MoverError`s.

    `proves`: what was written is read back and compared with the digests that the source computed.
    """
    run = Run(url, place_of(target), options, emit, stop, table, proves)
    with _files_said(), locked(run.place), dropped_if_useless(run.place):
        return _persistently(run)


@contextmanager
def _files_said() -> Iterator[None]:
    """No error of the file system or of SQLite leaves the mover."""
    try:
        yield
    except sqlite3.Error as error:
        raise _about_sqlite(error) from error
    except OSError as error:
        raise TargetError(f"{error.filename or 'the target'}: {error.strerror or error}") from error


@contextmanager
def dropped_if_useless(place: Place) -> Iterator[None]:
    """The half-made file stays where the same command can go on from it, and only there."""
    try:
        yield
    except (MoverError, OSError):
        raise
    except Exception as error:
        if not (isinstance(error, sqlite3.Error) and _is_of_disk(error)):
            drop_building(place)
        raise


def _about_sqlite(error: sqlite3.Error) -> TargetError:
    if _is_of_disk(error):
        return TargetError(
            f"the disk is full or fails: {error}", hint="make room and run the same command again to go on"
        )
    return TargetError(f"SQLite refuses: {error}")


def _is_of_disk(error: sqlite3.Error) -> bool:
    return result_code(error) & 0xFF in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)


def _persistently(run: Run) -> MoveReport:
    """Tries again, under a new snapshot, when the source was lost on the way."""
    waits = iter(_WAITS)
    while True:
        before = run.moved_rows
        try:
            return _attempt(run)
        except SourceUnavailableError as error:
            if run.identity is None:
                raise
            waits = iter(_WAITS) if run.moved_rows > before else waits
            _wait(run, next(waits, None), error)


def _wait(run: Run, seconds: float | None, error: SourceUnavailableError) -> None:
    if seconds is None:
        raise error
    run.emit(RetryEvent(str(error), seconds))
    run.stop.wait(seconds)
    run.heed_stop()


def _attempt(run: Run) -> MoveReport:
    there = check_target(run.place)
    with Snapshot(run.url, run.stop, run.identity) as view, ThreadPoolExecutor(1) as aside:
        run.identity = view.identity
        base = Base.look(run.place, there, run.table)
        if run.table is None:  # whoever recovers a table has reason to look at its rows themselves
            base.look_at_seal(run.place, aside)
        options = _bound(run, base)
        scheme = scheme_of(view.main, options)
        _refuse_undecided(run, scheme)
        with closing(begin(run.place, base, scheme, options, table=run.table)) as building:
            return Attempt(run, options, view, base, scheme, building).do()


def _bound(run: Run, base: Base) -> MoveOptions:
    """The options with the moments that make this run give what the one before gave."""
    notes = base.notes
    if run.table is not None:
        return as_moved(run.options, notes)
    sessions_at = notes.get("sessions_at", "")
    if not sessions_at or utc_now() - datetime.fromisoformat(sessions_at) > SESSIONS_MAY_LAG:
        sessions_at = run.judged_at
    moved_at = notes.get("moved_at") or run.judged_at
    return replace(run.options, moved_at=moved_at, sessions_at=sessions_at, judged_at=run.judged_at)


def _refuse_undecided(run: Run, scheme: Scheme) -> None:
    for problem in scheme.problems:
        run.emit(ProblemEvent(problem))
    if scheme.undecided:
        options = sorted({problem.option for problem in scheme.undecided if problem.option})
        raise UndecidedError(
            f"{len(scheme.undecided)} problems must be decided first; nothing was written",
            problems=scheme.undecided,
            hint=f"decide with {', '.join(options)}; `authstore plan` shows the rows"
            if options
            else "see `authstore plan`",
        )
