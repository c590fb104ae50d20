"""Users with very many sessions, and tables with very many rows: work goes in slices, and goes on where it stopped."""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from authstore import Session, StoreCorruptError, StoreNotFoundError, connect
from authstore.backends.sqlite.units import iso
from authstore.backends.tuning import Tuning as Waits
from authstore.observers import Observer, Statistic
from authstore.store import Store, pruning
from authstore.store.notes import PRUNING
from authstore.store.tuning import Tuning
from authstore.testing import Clock
from tests.stores import tuned_store

NOW = datetime(2031, 5, 6, 7, 8, 9, tzinfo=UTC)


def insert(path: Path, user: str, made: list[tuple[str, datetime]], *, expires: datetime) -> None:
    """Sessions by plain SQL, in the order given."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executemany(
            "INSERT INTO sessions (id, token_hash, user_id, expires, created_at, last_used_at, authenticated_at)"
            " VALUES (?1, zeroblob(32), ?2, ?3, ?4, ?4, ?4)",
            [(id, user, iso(expires), iso(at)) for id, at in made],
        )


async def test_a_page_is_the_newest_of_very_many_in_whatever_order_they_came(tmp_path: Path) -> None:
    path, clock = tmp_path / "auth.db", Clock(NOW)
    async with connect(path, clock=clock) as store:
        await store.create_user(id="ada")
        made = [(f"s{number:04}", NOW - timedelta(seconds=number * 7 % 1009)) for number in range(1009)]
        insert(path, "ada", made, expires=NOW + timedelta(days=1))
        insert(path, "ada", [(f"dead{n}", NOW) for n in range(300)], expires=NOW)
        expected = [id for id, at in sorted(made, key=lambda each: (each[1], each[0]), reverse=True)]
        seen: list[str] = []
        last: Session | None = None
        while page := await store.list_sessions("ada", after=last, limit=400):
            seen += [session.id for session in page]
            last = page[-1]
        assert seen == expected
        assert [session.id for session in await store.list_sessions("ada", limit=10**6)] == expected


class Reads(Observer):
    """How many rows each read of a user's sessions gave."""

    def __init__(self) -> None:
        self.rows: list[int] = []

    def on_statement(self, statistic: Statistic, /) -> None:
        if statistic.name == "list_sessions":
            self.rows.append(statistic.rows)


@pytest.mark.parametrize("apart", [timedelta(0), timedelta(seconds=1)])
async def test_a_page_costs_a_page_however_many_there_are(tmp_path: Path, apart: timedelta) -> None:
    path, reads = tmp_path / "auth.db", Reads()
    async with connect(path, clock=Clock(NOW), observers=[reads]) as store:
        await store.create_user(id="ada")
        insert(path, "ada", [(f"s{n:05}", NOW - n * apart) for n in range(5000)], expires=NOW + timedelta(days=1))
        page = await store.list_sessions("ada")
        for _ in range(3):
            page = await store.list_sessions("ada", after=page[-1])
        assert reads.rows == [100] * 4
        assert len(await store.list_sessions("ada", limit=250)) == 250
        assert reads.rows == [100] * 7  # a long one gives way to others in between


async def test_of_very_many_that_are_dead_nobody_reads_more_than_a_stretch_at_once(tmp_path: Path) -> None:
    path, reads = tmp_path / "auth.db", Reads()
    async with connect(path, clock=Clock(NOW), observers=[reads]) as store:
        await store.create_user(id="ada")
        insert(path, "ada", [(f"dead{n:05}", NOW) for n in range(950)], expires=NOW)
        insert(path, "ada", [("alive", NOW - timedelta(days=1))], expires=NOW + timedelta(days=1))
        assert [session.id for session in await store.list_sessions("ada", limit=1)] == ["alive"]
        assert reads.rows == [100] * 9 + [51]


async def test_an_id_that_is_no_text_ends_no_walk_in_silence(tmp_path: Path) -> None:
    path = tmp_path / "auth.db"
    async with connect(path, clock=Clock(NOW)) as store:
        await store.create_user(id="ada")
        insert(path, "ada", [(f"dead{n:05}", NOW - timedelta(seconds=n)) for n in range(150)], expires=NOW)
        insert(path, "ada", [("alive", NOW - timedelta(days=1))], expires=NOW + timedelta(days=1))
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("UPDATE sessions SET id = CAST(x'64ff' AS TEXT) WHERE id = 'dead00099'")
        with pytest.raises(StoreCorruptError) as corrupt:
            await store.list_sessions("ada")
        assert corrupt.value.table == "sessions"


async def test_a_user_with_very_many_sessions_is_deleted_whole(tmp_path: Path) -> None:
    path = tmp_path / "auth.db"
    async with connect(path, clock=Clock(NOW)) as store:
        await store.create_user(id="ada", email="ada@example.com")
        other = await store.create_session((await store.create_user(id="eve")).id)
        insert(path, "ada", [(f"s{number:05}", NOW) for number in range(12_345)], expires=NOW + timedelta(days=1))
        assert await store.delete_user("ada") is True
        assert await store.delete_user("ada") is False
        assert await store.get_session(str(other.token)) == other
        with closing(sqlite3.connect(path)) as connection:
            assert connection.execute("SELECT count(*) FROM sessions").fetchone() == (1,)


@pytest.mark.parametrize("table_first", ["living", "dead"])
async def test_pruning_in_short_times_ends_whatever_comes_first(
    tmp_path: Path, table_first: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, clock = tmp_path / "auth.db", Clock(NOW)
    moments = iter(range(10**9))
    # A tenth of a second passes between two looks at the clock.
    monkeypatch.setattr(pruning, "time", SimpleNamespace(monotonic=lambda: next(moments) / 10))
    async with tuned_store(path, Tuning(counting_seconds=10**9), clock=clock) as store:
        await store.create_user(id="ada")
        living, dead = ("a", "b") if table_first == "living" else ("b", "a")
        insert(path, "ada", [(f"{living}{n:05}", NOW) for n in range(3000)], expires=NOW + timedelta(days=1))
        insert(path, "ada", [(f"{dead}{n:05}", NOW) for n in range(1200)], expires=NOW)
        for number in range(50):
            await store.create_verification_token(f"someone-{number}", expires=NOW)
        left, calls = 1250, 0
        while left:
            calls += 1
            assert calls < 10
            report = await store.prune(max_seconds=0.35)  # three stretches
            assert report.remaining == left - sum(report.deleted.values())
            left = report.remaining
        assert sum((await store.prune()).deleted.values()) == 0
        assert len(await store.list_sessions("ada", limit=10_000)) == 3000


@pytest.mark.parametrize("backend", ["sqlite", "postgres"])
async def test_whoever_prunes_in_short_times_goes_on_where_another_stopped(
    tmp_path: Path, backend: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A command that is run again and again is another process each time."""
    moments = iter(range(10**9))
    monkeypatch.setattr(pruning, "time", SimpleNamespace(monotonic=lambda: next(moments) / 10))
    url = tmp_path / "auth.db" if backend == "sqlite" else request.getfixturevalue("source_url")
    async with connect(url, clock=Clock(NOW)) as store:
        ada = await store.create_user()
        for _ in range(900):  # living ones come first
            await store.create_session(ada.id)
        dead = await store.create_session(ada.id, expires=NOW)
        await store.create_verification_token("ada", expires=NOW)
        await store.open_visit(expires=NOW)
    deleted: dict[str, int] = {"sessions": 0, "visits": 0, "verification_tokens": 0}
    for _ in range(10):
        async with connect(url, clock=Clock(NOW)) as store:
            for table, count in (await store.prune(max_seconds=0.35)).deleted.items():
                deleted[table] += count
    assert deleted == {"sessions": 1, "visits": 1, "verification_tokens": 1}
    async with connect(url, clock=Clock(NOW)) as store:
        assert await store.get_session(str(dead.token)) is None
        assert (await store.prune()).remaining == 0
        note = await cast(Store, store).get_note(PRUNING)
        assert note is not None
        assert note.data == {"legs": []}


@pytest.mark.parametrize(("batch", "transactions"), [(1000, [100, 100, 50, 100, 45]), (30, [30] * 10 + [5] + [30] * 3)])
async def test_what_is_dead_far_apart_is_deleted_in_few_transactions_and_none_of_them_is_large(
    tmp_path: Path, batch: int, transactions: list[int]
) -> None:
    class Deletions(Observer):
        def __init__(self) -> None:
            self.rows: list[int] = []

        def on_statement(self, statistic: Statistic, /) -> None:
            if statistic.name == "delete_dead_sessions":
                self.rows.append(statistic.rows)

    path, deletions = tmp_path / "auth.db", Deletions()
    async with connect(path, clock=Clock(NOW), observers=[deletions]) as store:
        await store.create_user(id="ada")
        dead = [n for n in range(3000) if n % 10 == 0 or n >= 2895]
        insert(path, "ada", [(f"s{n:05}", NOW) for n in dead], expires=NOW)
        living = sorted(set(range(3000)) - set(dead))
        insert(path, "ada", [(f"s{n:05}", NOW) for n in living], expires=NOW + timedelta(days=1))
        assert (await store.prune(batch=batch)).deleted["sessions"] == len(dead) == sum(transactions)
        assert deletions.rows == transactions
        assert len(await store.list_sessions("ada", limit=10_000)) == len(living)


async def test_in_short_times_it_is_forgotten_too_why_tokens_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, clock = tmp_path / "auth.db", Clock(NOW)
    moments = iter(range(10**9))
    monkeypatch.setattr(pruning, "time", SimpleNamespace(monotonic=lambda: next(moments) / 10))
    async with connect(path, clock=clock) as store:
        await store.create_user(id="ada")
        insert(path, "ada", [(f"s{n:05}", NOW) for n in range(2000)], expires=NOW + timedelta(days=1))
        with closing(sqlite3.connect(path)) as connection:
            long_ago, lately = iso(NOW - timedelta(days=31)), iso(NOW - timedelta(days=29))
            ended = [(n.to_bytes(32, "big"), long_ago if n % 3 else lately) for n in range(2400)]
            with connection:
                connection.executemany(
                    "INSERT INTO ended_tokens (token_hash, reason, at) VALUES (?, 'revoked', ?)", ended
                )
            left = []
            while not left or left[-1] > 800:
                assert len(left) < 30
                await store.prune(max_seconds=0.35)  # three stretches: no round ends in one call
                [count] = connection.execute("SELECT count(*) FROM ended_tokens").fetchone()
                left.append(count)
            assert left[0] > 800
            lately_ended = connection.execute("SELECT count(*) FROM ended_tokens WHERE at = ?", (lately,)).fetchone()
            assert lately_ended == (800,)
        assert len(await store.list_sessions("ada", limit=10_000)) == 2000


async def test_a_count_that_takes_long_says_at_least_how_many(tmp_path: Path) -> None:
    path = tmp_path / "auth.db"
    async with tuned_store(path, Tuning(counting_seconds=0), clock=Clock(NOW)) as store:
        await store.create_user(id="ada")
        insert(path, "ada", [(f"s{n:05}", NOW) for n in range(1200)], expires=NOW)
        assert (await store.prune(max_seconds=0)).remaining == 1
        assert (await store.prune()).deleted["sessions"] == 1200


async def test_health_writes(tmp_path: Path) -> None:
    path = tmp_path / "auth.db"
    async with connect(path) as store:
        with closing(sqlite3.connect(path)) as connection:
            before = connection.execute("PRAGMA data_version").fetchone()
            assert (await store.health()).status == "pass"
            written = connection.execute("PRAGMA data_version").fetchone()
            assert written != before
            for _ in range(5):  # within five seconds one write is shared
                assert (await store.health()).status == "pass"
            assert connection.execute("PRAGMA data_version").fetchone() == written


async def test_health_answers_in_time_while_somebody_holds_the_lock(tmp_path: Path) -> None:
    path = tmp_path / "auth.db"
    async with connect(path) as store:
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            health = await store.health(timeout=timedelta(seconds=0.3))
            assert (health.ok, health.status) == (True, "warn")
            assert health.latency < timedelta(seconds=1)
            assert health.detail["write_waited"] is True
            connection.execute("ROLLBACK")
        assert (await store.health(timeout=timedelta(seconds=10))).status == "pass"


async def test_health_answers_warn_where_its_write_waited_in_vain(tmp_path: Path) -> None:
    path = tmp_path / "auth.db"
    async with tuned_store(path, waits=Waits(busy_seconds=0.3)) as store:
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            health = await store.health(timeout=timedelta(seconds=30))
            assert (health.ok, health.status, health.detail["write_waited"]) == (True, "warn", True)
            connection.execute("ROLLBACK")


async def test_health_fails_where_the_file_is_gone(tmp_path: Path) -> None:
    path = tmp_path / "auth.db"
    async with connect(path) as store:
        (tmp_path / "auth.db").rename(tmp_path / "elsewhere.db")
        health = await store.health()
        assert (health.ok, health.status) == (False, "fail")
        assert health.detail["error"] == StoreNotFoundError.__name__


async def test_health_warns_of_a_log_that_grows_while_somebody_reads(tmp_path: Path) -> None:
    path = tmp_path / "auth.db"
    async with connect(path) as store:
        await store.create_user(id="ada")
        with closing(sqlite3.connect(path, isolation_level=None)) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT * FROM users").fetchall()
            for number in range(36):
                await store.update_user("ada", data={"large": f"{number:02}" * 1_000_000})
            health = await store.health()
            assert health.ok is True
            assert health.status == "warn"
            assert int(str(health.detail["wal_bytes"])) > 64 * 2**20


@pytest.mark.parametrize("timeout", [timedelta(0), -timedelta(seconds=1), 1.0])
async def test_a_timeout_that_is_none_is_refused(timeout: timedelta) -> None:
    async with connect("sqlite://") as store:
        with pytest.raises((ValueError, TypeError)):
            await store.health(timeout=timeout)
