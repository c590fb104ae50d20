"""Who is called when, and that it is one process which calls."""

import asyncio
import logging
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from authstore import CounterError, StoreFullError, connect, ops
from authstore.models import Health
from authstore.ops.alerts import STATES, CheckState, Look, State, states_of
from authstore.store import Store
from authstore.testing import Clock

START = datetime(2031, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def clock() -> Clock:
    """A clock that a test moves."""
    return Clock(START)


def noted(*states: State) -> list[tuple[int, str]]:
    """The alerts of a check that found these states: at which look, and the new state."""
    check, told = CheckState(), []
    for number, state in enumerate(states):
        alert = check.note("log", Look(state, START + number * MINUTE, ""))
        if alert is not None:
            told.append((number, alert.state))
    return told


def test_two_bad_looks_call_and_three_good_ones_call_off() -> None:
    assert noted("ok", "warning", "ok", "warning") == []
    assert noted("failing", "failing", "failing") == [(1, "failing")]
    assert noted("failing", "warning", "failing") == [(1, "warning")]
    assert noted("warning", "warning", "failing", "failing") == [(1, "warning"), (3, "failing")]
    assert noted("failing", "failing", "ok", "ok", "failing", "ok", "ok", "ok") == [(1, "failing"), (7, "ok")]
    assert noted("failing", "failing", "warning", "warning", "warning") == [(1, "failing"), (4, "warning")]


def test_an_alert_tells_since_when() -> None:
    check = CheckState()
    for number in range(2):
        check.note("log", Look("ok", START + number * MINUTE, ""))
    check.note("log", Look("failing", START + 2 * MINUTE, "first"))
    alert = check.note("log", Look("failing", START + 3 * MINUTE, "second"))
    assert alert == ops.Alert("log", "failing", START + 2 * MINUTE, "second")


@pytest.mark.parametrize(
    "kept", [None, 3, [], {"log": 1}, {"log": {"state": "odd", "looks": []}}, {"log": {"state": "ok", "looks": [1]}}]
)
def test_what_cannot_be_read_of_an_earlier_look_counts_as_nothing(kept: object) -> None:
    assert all(check.state == "ok" for check in states_of(kept).values())


def test_what_a_look_keeps_is_read_again() -> None:
    check = CheckState()
    check.note("log", Look("failing", START, "a"))
    again = states_of({"log": check.kept()})["log"]
    alert = again.note("log", Look("failing", START + MINUTE, "b"))
    assert alert is not None
    assert (alert.state, alert.since) == ("failing", START)


async def looks(monitor: ops.Monitor, clock: Clock, count: int) -> list[tuple[str, str]]:
    """Looks so often, a minute apart: check and state of what was told."""
    told = []
    for _ in range(count):
        told += [(alert.check, alert.state) for alert in await monitor.look()]
        clock.advance(MINUTE)
    return told


async def test_a_healthy_store_calls_nobody(tmp_path: Path, clock: Clock) -> None:
    async with connect(tmp_path / "auth.db", clock=clock) as store:
        monitor = ops.Monitor(store)
        assert await looks(monitor, clock, 4) == []
        assert set(monitor.states.values()) == {STATES[0]}
        assert set(monitor.states) == {
            "health", "log", "backup", "dead-rows", "counter-errors", "failed-sign-ins",
        }  # fmt: skip


async def test_a_store_that_cannot_be_written_fails_and_is_well_again(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with connect(tmp_path / "auth.db", clock=clock) as store:
        monitor = ops.Monitor(store)

        async def full(*_: Any, **__: Any) -> Health:
            return Health(
                ok=False, status="fail", latency=timedelta(seconds=1), detail={"error": StoreFullError.__name__}
            )

        with monkeypatch.context() as patch:
            patch.setattr(Store, "health", full)
            assert await looks(monitor, clock, 3) == [("health", "failing")]
        assert await looks(monitor, clock, 3) == [("health", "ok")]


async def test_dead_rows_and_a_missing_backup_are_told(tmp_path: Path, clock: Clock) -> None:
    async with connect(tmp_path / "auth.db", clock=clock) as store:
        user = await store.create_user()
        await asyncio.gather(*(store.create_session(user.id) for _ in range(1200)))
        monitor = ops.Monitor(store)
        assert await looks(monitor, clock, 2) == []
        clock.advance(timedelta(days=8))
        assert await looks(monitor, clock, 3) == [("backup", "warning"), ("dead-rows", "warning")]
        pruning = ops.Monitor(store, prune=True)
        await monitor.hand_over()
        assert ("dead-rows", "ok") in await looks(pruning, clock, 5)
        assert await store.list_sessions(user.id) == []


async def test_a_long_log_is_told(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "auth.db"
    async with connect(path, clock=clock) as store:
        monitor = ops.Monitor(store)
        assert await looks(monitor, clock, 2) == []
        with closing(sqlite3.connect(path)) as stranger, closing(sqlite3.connect(path, isolation_level=None)) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM users").fetchone()  # nothing of the log can go
            stranger.executescript("CREATE TABLE theirs (x); INSERT INTO theirs VALUES (zeroblob(70000000))")
            assert ("log", "warning") in await looks(monitor, clock, 2)


async def test_what_was_added_since_yesterday_is_known(tmp_path: Path, clock: Clock) -> None:
    async with connect(tmp_path / "auth.db", clock=clock) as store:

        async def added() -> tuple[datetime, int]:
            growth = (await ops.inspect(store)).growth
            assert growth is not None
            return growth.since, growth.rows["users"]

        monitor = ops.Monitor(store)
        await monitor.look()
        await store.create_user()
        clock.advance(timedelta(hours=23))
        await monitor.look()
        assert await added() == (START, 1)
        clock.advance(timedelta(hours=1))
        await monitor.look()
        await store.create_user()
        assert await added() == (START + timedelta(days=1), 1)


async def test_copies_of_passkeys_are_told(tmp_path: Path, clock: Clock) -> None:
    async with connect(tmp_path / "auth.db", clock=clock) as store:
        user = await store.create_user()
        await store.create_authenticator(user.id, "Y3JlZA", b"key", counter=5)
        monitor, told = ops.Monitor(store), []

        async def cloned() -> None:
            with pytest.raises(CounterError):
                await store.update_authenticator_counter("Y3JlZA", 3)

        await cloned()
        assert await looks(monitor, clock, 1) == []  # of what was before the first look nobody is called
        for _ in range(2):
            await cloned()
            told += await looks(monitor, clock, 1)
        assert told == [("counter-errors", "warning")]


async def test_a_log_that_was_taken_back_is_read_from_where_it_begins(tmp_path: Path, clock: Clock) -> None:
    async with connect(tmp_path / "auth.db", clock=clock) as store:
        user, monitor = await store.create_user(), ops.Monitor(store)
        for name in "abc":
            await store.update_user(user.id, name=name)
        await looks(monitor, clock, 1)
        with closing(sqlite3.connect(tmp_path / "auth.db", isolation_level=None)) as other:
            other.execute("DELETE FROM changes WHERE type IS NOT NULL")
        assert await looks(monitor, clock, 3) == []
        assert monitor.states["counter-errors"] == "ok"


async def test_many_sign_ins_that_fail_are_told(tmp_path: Path, clock: Clock) -> None:
    async with connect(tmp_path / "auth.db", clock=clock) as store:
        monitor, told = ops.Monitor(store), []
        for _ in range(2):
            for number in range(25):
                assert await store.use_verification_token(f"u{number}@example.com", "1" * 16) is None
            told += await looks(monitor, clock, 1)
        assert told == [("failed-sign-ins", "warning")]


async def test_one_process_looks_and_another_takes_over_without_telling_twice(tmp_path: Path, clock: Clock) -> None:
    async with connect(tmp_path / "auth.db", clock=clock) as one, connect(tmp_path / "auth.db", clock=clock) as two:
        user = await one.create_user()
        await asyncio.gather(*(one.create_session(user.id) for _ in range(1200)))
        clock.advance(timedelta(days=8))
        first, second = ops.Monitor(one), ops.Monitor(two)
        told = await looks(first, clock, 1)
        assert await second.look() == []
        assert second.states == {}
        told += await looks(first, clock, 1)
        assert told == [("backup", "warning"), ("dead-rows", "warning")]
        clock.advance(timedelta(minutes=10))  # the first is gone
        assert await looks(second, clock, 2) == []
        assert second.states["dead-rows"] == "warning"
        assert await first.look() == []
        assert await looks(second, clock, 1) == []


async def test_a_lease_from_a_clock_that_was_ahead_holds_nobody_off(tmp_path: Path, clock: Clock) -> None:
    async with connect(tmp_path / "auth.db", clock=clock) as one, connect(tmp_path / "auth.db", clock=clock) as two:
        clock.advance(timedelta(days=1))
        await ops.Monitor(one).look()
        clock.set(START)
        monitor = ops.Monitor(two)
        await monitor.look()
        assert monitor.states["health"] == "ok"


async def test_where_no_lease_can_be_written_each_process_tells(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "auth.db"
    async with connect(path, clock=clock) as one, connect(path, clock=clock) as two:
        monitors = [ops.Monitor(one), ops.Monitor(two)]
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute(
                "CREATE TRIGGER refuse BEFORE INSERT ON authstore_notes BEGIN SELECT raise(ABORT, 'no notes'); END"
            )
        for monitor in monitors:
            await monitor.look()
            assert monitor.states["health"] == "ok"


async def test_a_monitor_runs_beside_the_application_and_hands_over_at_its_end(tmp_path: Path) -> None:
    told: list[ops.Alert] = []

    async def later(alert: ops.Alert) -> None:
        told.append(alert)

    def fails(_: ops.Alert) -> None:
        raise RuntimeError("on purpose")

    async with connect(tmp_path / "auth.db") as store:
        await store.create_user()
        every = timedelta(milliseconds=10)
        async with ops.Monitor(store, every=every, on_alert=[fails, later]) as monitor:
            store._tally.failed_sign_ins = 0
            while not told:
                store._tally.failed_sign_ins += 30
                await asyncio.sleep(0.005)
        assert (told[0].check, told[0].state) == ("failed-sign-ins", "warning")
        other = ops.Monitor(store)
        await other.look()
        assert set(other.states) == set(monitor.states)


async def test_the_log_is_told_in_its_own_levels(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "authstore.monitor"):
        for state in STATES:
            ops.log_alert(ops.Alert("log", state, START, "70 MB"))
    assert [record.levelname for record in caplog.records] == ["INFO", "WARNING", "ERROR"]


async def test_what_is_no_store_or_no_pause_is_refused() -> None:
    wrong: Any = object()
    with pytest.raises(TypeError, match="connect"):
        ops.Monitor(wrong)
    async with connect("sqlite://") as store:
        with pytest.raises(ValueError, match="every"):
            ops.Monitor(store, every=timedelta(0))
