"""The moments of a run are given once; what nobody gives is the time of the snapshot."""

from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg

from authstore.mover.auth.run_times import RunTimes, run_times
from authstore.mover.options import MoveOptions
from authstore.mover.postgres.asking import answered

FIRST, NOW = "2026-01-01T00:00:00.000000Z", "2026-02-01T00:00:00.000000Z"


def test_given_moments_are_taken(emptied_database: psycopg.Connection[Any]) -> None:
    options = MoveOptions(moved_at=FIRST, sessions_at=NOW, judged_at=NOW)
    assert answered(emptied_database, run_times(options)) == RunTimes(FIRST, NOW, NOW)


def test_what_is_not_given_is_the_time_of_the_transaction(emptied_database: psycopg.Connection[Any]) -> None:
    with emptied_database.transaction():
        once, again = (answered(emptied_database, run_times(MoveOptions())) for _ in range(2))
    assert once == again
    assert abs(datetime.fromisoformat(once.judged) - datetime.now(UTC)) < timedelta(minutes=1)


def test_sessions_are_as_old_as_the_move_where_only_that_is_given(emptied_database: psycopg.Connection[Any]) -> None:
    assert answered(emptied_database, run_times(MoveOptions(moved_at=FIRST))).used == FIRST
