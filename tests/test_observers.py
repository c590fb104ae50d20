"""Whoever watches a store is told of every query and every call: how long, what it waited for, how it ended."""

import asyncio
import logging
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

import authstore
from authstore import Adapter, ConfigurationError, EmailTakenError, StoreBusyError, StoreError, connect
from authstore.observers import Observer, Opened, Statistic
from authstore.ops import SlowQueries, telemetry
from tests.calls import Calls
from tests.postgres import fresh_database


class Notes(Observer):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.statements: list[Statistic] = []
        self.operations: list[Statistic] = []
        self.places: list[Opened] = []

    def on_open(self, opened: Opened, /) -> None:
        self.places.append(opened)

    def on_statement(self, statistic: Statistic, /) -> None:
        self.statements.append(statistic)

    def on_operation(self, statistic: Statistic, /) -> None:
        self.operations.append(statistic)

    def clear(self) -> None:
        self.statements, self.operations = [], []

    def named(self, name: str) -> list[Statistic]:
        return [each for each in self.statements + self.operations if each.name == name]


@pytest.fixture(params=["file", "memory", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A store of each kind."""
    if request.param == "postgres":
        with fresh_database(request.getfixturevalue("postgres_url")) as fresh:
            yield fresh
    else:
        yield "sqlite://" if request.param == "memory" else f"sqlite:///{tmp_path / 'auth.db'}"


async def test_every_query_and_every_call_is_told(url: str) -> None:
    notes = Notes()
    async with connect(url, observers=[notes]) as store:
        notes.clear()
        user = await store.create_user(email="ada@example.com")
        session = await store.create_session(user.id)
        assert await store.get_session_and_user(session.token or "")
        assert await store.get_user("nobody") is None
        assert len(await store.list_users()) == 1
        told = [(each.name, each.rows, each.error) for each in notes.operations]
        assert told == [
            ("create_user", 1, None),
            ("create_session", 1, None),
            ("get_session_and_user", 1, None),
            ("get_user", 0, None),
            ("list_users", 1, None),
        ]
        asked = [(each.name, each.rows) for each in notes.statements]
        assert asked == [
            ("insert_user", 1),
            ("insert_session", 1),
            ("session_and_user_by_id", 1),
            ("get_user", 0),
            ("list_users", 1),
        ]
    for each in notes.statements + notes.operations:
        assert each.seconds >= each.waited + each.locked >= 0
        assert isinstance(each.seconds, float)
    for operation, statement in zip(notes.operations, notes.statements, strict=False):
        assert operation.seconds >= statement.seconds
    assert [place.system for place in notes.places] == ["postgresql" if url.startswith("postgres") else "sqlite"]


async def test_an_error_is_told_by_its_name(url: str) -> None:
    notes = Notes()
    async with connect(url, observers=[notes]) as store:
        await store.create_user(email="ada@example.com")
        notes.clear()
        with pytest.raises(EmailTakenError):
            await store.create_user(email="ada@example.com")
        assert [(each.name, each.rows, each.error) for each in notes.operations] == [
            ("create_user", 0, "EmailTakenError")
        ]
        with pytest.raises(EmailTakenError):
            await taken_in_a_transaction(store)
        assert [each.error for each in notes.named("transaction")] == ["EmailTakenError"]
        assert not any("ada" in str(each) for each in notes.statements + notes.operations)


async def taken_in_a_transaction(store: Adapter) -> None:
    async with store.transaction() as inside:
        await inside.create_user(email="ada@example.com")


async def test_a_statement_that_fails_is_told_with_its_error(tmp_path: Path) -> None:
    notes, path = Notes(), tmp_path / "auth.db"
    async with connect(path, observers=[notes]) as store:
        user = await store.create_user()
        with closing(sqlite3.connect(path, isolation_level=None)) as plain:
            plain.execute("CREATE TRIGGER no BEFORE INSERT ON accounts BEGIN SELECT raise(ABORT, 'no'); END")
        notes.clear()
        with pytest.raises(StoreError):
            await store.link_account(user.id, "github", "1")
        assert notes.named("insert_account")[-1].error is not None
        assert notes.operations[-1].error is not None


async def test_look_ups_that_are_answered_together_are_each_a_call_and_one_query(url: str) -> None:
    notes = Notes()
    async with connect(url, observers=[notes]) as store:
        user = await store.create_user()
        tokens = [(await store.create_session(user.id)).token or "" for _ in range(20)]
        notes.clear()
        assert all(await asyncio.gather(*(store.get_session_and_user(token) for token in tokens)))
        assert len(notes.named("get_session_and_user")) == 20
        together = notes.named("sessions_and_users_by_ids")
        assert 1 <= len(together) <= 3
        assert sum(each.rows for each in notes.statements) == 20
        assert all(each.waited > 0 for each in notes.named("get_session_and_user"))
        assert all(each.seconds >= each.waited for each in notes.operations)


async def test_what_is_done_in_a_transaction_is_told_too(url: str) -> None:
    notes = Notes()
    async with connect(url, observers=[notes]) as store:
        async with store.transaction() as outer, outer.transaction() as inner:
            user = await inner.create_user()
            assert await inner.get_user(user.id)
        names = [each.name for each in notes.operations]
        assert names == ["create_user", "get_user", "transaction", "transaction"]
        assert {"insert_user", "get_user"} <= {each.name for each in notes.statements}


async def test_what_waits_for_the_right_to_write_says_so(url: str) -> None:
    notes = Notes()
    async with connect(url, observers=[notes]) as store:
        is_held, release = asyncio.Event(), asyncio.Event()

        async def hold() -> None:
            async with store.transaction():
                is_held.set()
                await release.wait()

        holding = asyncio.create_task(hold())
        await is_held.wait()
        writing = asyncio.create_task(store.create_role("admin"))
        await asyncio.sleep(0.5)
        release.set()
        await asyncio.gather(holding, writing)
        [operation] = notes.named("create_role")
        assert operation.locked >= 0.15
        assert operation.seconds >= operation.locked
        told = [each for each in notes.statements if each.locked >= 0.15]
        assert len(told) == 1
        assert told[0].seconds >= told[0].locked


async def test_another_process_that_writes_is_waited_for_too(tmp_path: Path) -> None:
    notes, path = Notes(), tmp_path / "auth.db"
    async with connect(path, observers=[notes]) as store:
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            writing = asyncio.create_task(store.create_user())
            await asyncio.sleep(0.4)
            other.execute("ROLLBACK")
            await writing
            assert 0.3 <= notes.named("create_user")[0].locked <= notes.named("create_user")[0].seconds
            assert notes.named("insert_user")[0].locked >= 0.3
            store._db._writes._busy_seconds = 0.3  # type: ignore[attr-defined]
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(StoreBusyError):
                await store.create_user()
            refused = notes.operations[-1]
            assert (refused.name, refused.error) == ("create_user", "StoreBusyError")
            assert refused.locked >= 0.2


async def test_who_waits_for_a_connection_says_so(postgres_url: str) -> None:
    notes = Notes()
    with fresh_database(postgres_url) as url:
        async with connect(url, observers=[notes], pool_size=1) as store:
            async with store.transaction():
                waiting = asyncio.create_task(store.list_users())
                await asyncio.sleep(0.2)
            await waiting
            assert notes.named("list_users")[0].waited >= 0.15
            assert all(each.waited >= 0.15 for each in notes.named("list_users"))


async def test_one_that_raises_is_logged_once_and_left_out(caplog: pytest.LogCaptureFixture) -> None:
    class Failing(Observer):
        count = 0

        def on_operation(self, statistic: Statistic, /) -> None:
            self.count += 1
            raise RuntimeError("broken")

    notes, failing = Notes(), Failing()
    async with connect("sqlite://", observers=[failing, notes]) as store:
        for _ in range(3):
            await store.create_user()
    assert failing.count == 1
    assert len(notes.named("create_user")) == 3
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert "Failing" in caplog.text


async def test_one_that_raises_at_once_keeps_no_store_from_opening(caplog: pytest.LogCaptureFixture) -> None:
    class Failing(Observer):
        def on_open(self, opened: Opened, /) -> None:
            raise RuntimeError("broken")

        def on_statement(self, statistic: Statistic, /) -> None:
            raise AssertionError("left out")

    notes = Notes()
    async with connect("sqlite://", observers=[Failing(), notes]) as store:
        await store.create_user()
    assert len(notes.named("create_user")) == 1
    assert [record.levelname for record in caplog.records] == ["ERROR"]


async def test_it_may_hear_of_one_kind_alone() -> None:
    class Operations:
        def __init__(self) -> None:
            self.names: list[str] = []

        def on_operation(self, statistic: Statistic) -> None:
            self.names.append(statistic.name)

    heard = Operations()
    async with connect("sqlite://", observers=[heard]) as store:  # type: ignore[list-item]
        await store.create_user()
    assert heard.names == ["create_user", "close"]


@pytest.mark.parametrize("observer", [object(), Notes, lambda statistic: None])
def test_what_hears_of_nothing_is_refused(observer: object) -> None:
    with pytest.raises(ConfigurationError):
        connect("sqlite://", observers=[observer])  # type: ignore[list-item]


async def test_a_cancelled_call_is_told(url: str) -> None:
    notes = Notes()
    async with connect(url, observers=[notes]) as store:
        asking = asyncio.create_task(store.list_users())
        await asyncio.sleep(0)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert [each.error for each in notes.named("list_users") if each in notes.operations] == ["CancelledError"]
        assert await store.list_users() == []


async def test_the_log_names_queries_and_no_values(url: str, caplog: pytest.LogCaptureFixture) -> None:
    async with connect(url) as store:
        user = await store.create_user(email="ada@example.com")
        assert caplog.records == []
        with caplog.at_level(logging.DEBUG, "authstore.store"):
            await store.get_user(user.id)
            await store.create_user(email="bob@example.com")
        said = [record.getMessage() for record in caplog.records]
        assert any(line.startswith("get_user: ") and line.endswith(" ms") for line in said)
        assert any(line.startswith("insert_user: ") for line in said)
        assert "example.com" not in caplog.text
        assert user.id not in caplog.text


async def calls_of_a_look_up(path: Path, *observers: Observer) -> Counter[str]:
    """What authstore calls on the way to a look-up, in all threads."""
    calls = Calls(Path(authstore.__file__).parent)
    with calls.within():
        async with connect(path, observers=observers) as store:
            session = await store.create_session((await store.create_user()).id)
            for _ in range(2):
                with calls.counted() as names:
                    assert await store.get_session_and_user(session.token or "")
    return Counter(names)


async def test_watching_a_look_up_takes_a_handful_of_calls(tmp_path: Path) -> None:
    """No lock is taken, and nothing put into its bucket."""
    alone = await calls_of_a_look_up(tmp_path / "alone.db")
    watched = await calls_of_a_look_up(tmp_path / "watched.db", SlowQueries())
    more = watched - alone
    assert more["SlowQueries.on_statement"] == 1
    assert more.total() <= 15
    assert not {"log2", "lock.__enter__"} & set(more)


async def test_telemetry_of_a_look_up_is_recorded_with_others(tmp_path: Path) -> None:
    spans, meters = TracerProvider(sampler=ALWAYS_OFF), MeterProvider([InMemoryMetricReader()])
    alone = await calls_of_a_look_up(tmp_path / "alone.db")
    telling = telemetry(meter_provider=meters, tracer_provider=spans)
    more = await calls_of_a_look_up(tmp_path / "watched.db", telling) - alone
    assert more["Telemetry.on_statement"] == more["Telemetry.on_operation"] == 1
    assert more["Histogram.record"] == more["Tracer.start_span"] == 0
    assert more.total() <= 40
