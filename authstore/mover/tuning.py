"""The sizes and waits of a move: one frozen set that is passed in, so that tests can have small ones."""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuning:
    """Rows, seconds. The defaults were measured with `python -m benchmarks.move`."""

    stretch_rows: int = 5000  # under one digest
    commit_rows: int = 50_000  # in one transaction
    small_rows: int = 1000  # in a table that waits for the next ones to be put onto the disk
    most_keys: int = 100_000  # that differ; beyond it the table is copied anew
    connections: int = 3  # tables read at the same time: while the source sorts a big one, small ones are written
    waits: tuple[float, ...] = (0.5, 1, 2, 4, 8, 15, 15)  # before a lost source is asked again
    silence_seconds: float = 15.0  # of the server, before somebody looks whether it is at work
    connect_seconds: int = 10
    slot_seconds: int = 300  # that transactions of the source may stay open while a replication slot is made
    slot_busy_seconds: float = 30.0  # that somebody else may hold a slot that is to go
    compare_share: int = 10  # of a follower's time, at most one part goes into comparing tables as a whole
    compare_rest: float = 2.0  # at least, between two comparisons of the tables that no log tells of
    sessions_may_lag: timedelta = timedelta(minutes=5)  # behind the moment at which sessions count as used


DEFAULT = Tuning()
