"""What a slot makes the source keep has its limits: also while everything is copied, and nobody reads the slot yet."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from authstore.mover import Event, MoveReport, ProblemEvent
from authstore.mover.following import run
from authstore.mover.sync.attempt import Run
from tests.mover.following.watching import equal, followed
from tests.mover.moving import people

pytestmark = [pytest.mark.postgres, pytest.mark.timeout(120)]

_Link = psycopg.Connection[Any]
KEPT = "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), restart_lsn) / 1048576 FROM pg_replication_slots"
SLOTS = "SELECT count(*) FROM pg_replication_slots"


def told(events: list[Event]) -> list[str]:
    return [
        event.problem.message for event in events if isinstance(event, ProblemEvent) and event.problem.kind == "slot"
    ]


async def test_in_the_first_move_too_it_goes_beyond_its_limit_and_nothing_is_missing_then(
    source: _Link, url: str, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    people(source)
    plain, seen = run.move_locked, list[int]()

    def move_slowly(order: Run) -> MoveReport:
        seen.append((source.execute(SLOTS).fetchone() or (0,))[0])
        if len(seen) > 1:
            return plain(order)
        source.execute("SELECT pg_logical_emit_message(false, 'somebody', repeat('x', 200000))")
        end = time.monotonic() + 20
        while source.execute(SLOTS).fetchone() != (0,) and time.monotonic() < end:
            time.sleep(0.05)
        seen.append((source.execute(SLOTS).fetchone() or (0,))[0])
        report = plain(order)
        source.execute("UPDATE note SET body = 'of which no log tells' WHERE id = 3")
        source.execute("""INSERT INTO "User" (id, email) VALUES ('v1', 'no address')""")
        return report

    monkeypatch.setattr(run, "move_locked", move_slowly)
    async with followed(url, target, max_slot_wal=100_000, on_bad_row="reject") as events:
        assert seen == [1, 0]
        assert any("is given up" in message for message in told(events))
        assert await equal(url, target)
        source.execute("UPDATE note SET body = 'followed again' WHERE id = 4")
        assert await equal(url, target)
        assert source.execute(SLOTS).fetchone() == (1,)


@pytest.fixture
def keeps_little(source: _Link) -> Iterator[None]:
    for setting in ("SET max_slot_wal_keep_size = '64MB'", "RESET max_slot_wal_keep_size"):
        source.execute(f"ALTER SYSTEM {setting}".encode())
        source.execute("SELECT pg_reload_conf()")
        if "RESET" not in setting:
            yield


async def test_that_the_source_is_about_to_drop_its_log_is_told_and_that_it_did(
    keeps_little: None, source: _Link, url: str, target: Path
) -> None:
    people(source)
    async with followed(url, target) as events:
        assert told(events) == []
    _let_the_log_grow(source, 70)
    async with followed(url, target) as events:
        (said,) = told(events)
        assert "raise max_slot_wal_keep_size" in said
        assert await equal(url, target)
    source.execute("UPDATE note SET body = 'in a log that is dropped' WHERE id = 5")
    _let_the_log_grow(source, 100)
    source.execute("CHECKPOINT")
    assert source.execute("SELECT wal_status FROM pg_replication_slots").fetchone() == ("lost",)
    async with followed(url, target) as events:
        (said,) = told(events)
        assert "gone, or the log that it kept; a new one is made" in said
        assert await equal(url, target)


def _let_the_log_grow(source: _Link, megabytes: int) -> None:
    """To so many behind the slot, at no cost: a segment that is switched counts as a whole one."""
    source.execute("CREATE TABLE IF NOT EXISTS elsewhere (a int)")
    while (source.execute(KEPT).fetchone() or (0,))[0] < megabytes:
        source.execute("INSERT INTO elsewhere VALUES (1)")
        source.execute("SELECT pg_switch_wal()")
