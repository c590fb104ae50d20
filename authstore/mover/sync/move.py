"""The move itself: everything that is written, attempt after attempt until the source has stayed to the end."""

import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from authstore.mover.errors import SourceUnavailableError
from authstore.mover.options import MoveOptions
from authstore.mover.plan import scheme_of
from authstore.mover.postgres.snapshot import Snapshot
from authstore.mover.problems import refuse_undecided
from authstore.mover.reports import MoveReport, ProblemEvent, RetryEvent
from authstore.mover.sqlite.errors import dropped_if_useless, translated
from authstore.mover.sqlite.followed import absorb_followed
from authstore.mover.sqlite.ledger import as_moved, sessions_moment
from authstore.mover.sqlite.target_files import check_target, files_of, locked
from authstore.mover.sync.attempt import Attempt, Emit, Run
from authstore.mover.sync.start import Start, begin
from authstore.mover.tuning import DEFAULT, Tuning


def run_move(
    url: str,
    target: str | Path,
    options: MoveOptions,
    emit: Emit,
    stop: threading.Event,
    *,
    table: str | None = None,
    proves: bool = False,
    tuning: Tuning = DEFAULT,
    moments: Mapping[str, str] | None = None,
) -> MoveReport:
    """Moves, or (with `table`) makes one table equal again. Blocks; errors are `MoverError`s.

    `proves`: what was written is read back and compared with the digests that the source computed. `moments`: those
    that the move before had, where its file is gone.
    """
    run = Run(url, files_of(target), options, emit, stop, table, proves, tuning, moments=moments or {})
    with translated(), locked(run.files):
        return move_locked(run)


def move_locked(run: Run) -> MoveReport:
    """As `run_move`, where the caller keeps others from this target already."""
    with translated(), dropped_if_useless(run.files):
        if run.files.target.is_file():
            absorb_followed(run.files.target)
        return _persistently(run)


def _persistently(run: Run) -> MoveReport:
    """Tries again, under a new snapshot, when the source was lost on the way."""
    waits = iter(run.tuning.waits)
    while True:
        before = run.moved_rows
        try:
            return _attempt(run)
        except SourceUnavailableError as error:
            if run.identity is None:
                raise
            waits = iter(run.tuning.waits) if run.moved_rows > before else waits
            _wait(run, next(waits, None), error)


def _wait(run: Run, seconds: float | None, error: SourceUnavailableError) -> None:
    if seconds is None:
        raise error
    run.emit(RetryEvent(str(error), seconds))
    run.stop.wait(seconds)
    run.heed_stop()


def _attempt(run: Run) -> MoveReport:
    there = check_target(run.files)
    with Snapshot(run.url, run.stop, run.identity, run.tuning) as view, ThreadPoolExecutor(1) as aside:
        run.identity = view.identity
        start = Start.look(run.files, there, run.table)
        if run.table is None:  # whoever recovers a table has reason to look at its rows themselves
            start.look_at_seal(run.files, aside)
        options = _bound(run, start)
        scheme = scheme_of(view.main, options)
        for problem in scheme.problems:
            run.emit(ProblemEvent(problem))
        refuse_undecided(scheme.problems)
        begun = begin(run.files, start, scheme, options, table=run.table, tuning=run.tuning)
        with closing(begun) as building:
            return Attempt(run, options, view, start, scheme, building).do()


def _bound(run: Run, start: Start) -> MoveOptions:
    """The options with the moments that make this run give what the one before gave."""
    notes = {**run.moments, **start.notes}
    if run.table is not None:
        return as_moved(run.options, notes)
    sessions_at = sessions_moment(notes, run.judged_at, run.tuning.sessions_may_lag)
    moved_at = notes.get("moved_at") or run.judged_at
    return replace(
        run.options, moved_at=moved_at, sessions_at=sessions_at, judged_at=run.moments.get("judged_at") or run.judged_at
    )
