"""The moments that a move writes into rows or judges them by: bound once, so that every run gives the same."""

from dataclasses import dataclass

from authstore.mover.options import MoveOptions
from authstore.mover.postgres.asking import Asking

UNKNOWN = "1970-01-01T00:00:00.000000Z"  # when a session was authenticated that does not say


@dataclass(frozen=True, slots=True)
class RunTimes:
    """ISO text of one width. `moved`: of the first move; `used`: when sessions count as used; `judged`: expiry."""

    moved: str
    used: str
    judged: str


def run_times(options: MoveOptions) -> Asking[RunTimes]:
    """The moments of the options; one that is not bound is the time of the snapshot."""
    now = "" if options.moved_at and options.sessions_at and options.judged_at else (yield from _now())
    return RunTimes(options.moved_at or now, options.sessions_at or options.moved_at or now, options.judged_at or now)


def _now() -> Asking[str]:
    ((now,),) = yield """SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')"""
    return str(now)
