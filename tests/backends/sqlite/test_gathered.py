"""Sessions that are made at the same time are written by one statement, and each caller hears of its own alone."""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from authstore import (
    Session,
    StoreError,
    StoreNotFoundError,
    UnknownOutcomeError,
    UserDisabledError,
    UserNotFoundError,
    connect,
)
from authstore.backends.gathering import MAX_ROWS
from authstore.backends.sqlite.file import logs
from authstore.observers import Observer, Statistic
from authstore.store import Store
from authstore.store.ids import TimeOrderedIds

MANY = 64
TOO_MANY = 3 * MAX_ROWS  # for two statements
KEY = "a secret of at least 32 characters"
AGENT = "a \\ \" \x1f 'quoted' agent \N{SNOWMAN} \U0001f600"
DATA = {"a": [1, 2.5, None, True], "b": {"c": "\x7f\u2028 é"}}


class Statements(Observer):
    """What was said to the database."""

    def __init__(self) -> None:
        self.seen: list[Statistic] = []

    def on_statement(self, statistic: Statistic, /) -> None:
        self.seen.append(statistic)

    def rows(self, name: str) -> list[int]:
        return [statistic.rows for statistic in self.seen if statistic.name == name]

    @property
    def names(self) -> list[str]:
        return [statistic.name for statistic in self.seen]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "auth.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[Store]:
    async with connect(path) as opened:
        assert isinstance(opened, Store)
        await opened.create_user(id="ada")
        await opened.create_user(id="eve", email="eve@example.com")
        yield opened


def writer(store: Store) -> sqlite3.Connection:
    connection: sqlite3.Connection = store.database._writer._connection._conn  # type: ignore[attr-defined]
    return connection


async def made(store: Store, count: int = MANY, user: str = "ada", **values: Any) -> list[Session]:
    return await asyncio.gather(*(store.create_session(user, **values) for _ in range(count)))


def stored(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        (count,) = connection.execute("SELECT count(*) FROM sessions").fetchone()
        return int(count)


async def test_many_are_one_statement_for_each_of_two_hops_and_nothing_besides(store: Store) -> None:
    statements, said = Statements(), list[str]()
    store.observe(statements)
    writer(store).set_trace_callback(said.append)
    sessions = await made(store)
    writer(store).set_trace_callback(None)
    assert statements.rows("insert_session") == [MANY // 2, MANY // 2]
    assert set(statements.names) == {"insert_session"}
    assert not [text for text in said if text.startswith(("BEGIN", "COMMIT", "SAVEPOINT"))]
    assert len({session.id for session in sessions}) == MANY


async def test_what_was_said_for_many_is_stored_as_for_one(store: Store, path: Path) -> None:
    values: dict[str, Any] = {"ip": None, "user_agent": AGENT, "data": DATA}
    sessions = await made(store, **values)
    async with store.transaction() as transaction:
        alone = await transaction.create_session("ada", **values)
    for session in [*sessions, alone]:
        found = await store.get_session_and_user(str(session.token))
        assert found is not None
        assert found[0] == session
        assert found[0].data == DATA
    with closing(sqlite3.connect(path)) as connection:
        kinds = connection.execute(
            "SELECT DISTINCT typeof(token_hash), length(token_hash), token_indexed, ip, user_agent, data FROM sessions"
        ).fetchall()
    assert len(kinds) == 1


async def test_no_token_is_told_to_the_database(store: Store) -> None:
    said = list[str]()
    writer(store).set_trace_callback(said.append)
    sessions = await made(store)
    writer(store).set_trace_callback(None)
    assert said
    assert not [text for text in said for session in sessions if str(session.token) in text]


async def test_who_is_refused_is_refused_alone(store: Store, path: Path) -> None:
    await store.update_user("eve", disabled=True)
    calls = [made(store, 30), made(store, 1, "nobody"), made(store, 1, "eve"), made(store, 30)]
    first, unknown, disabled, last = await asyncio.gather(*calls, return_exceptions=True)
    assert isinstance(unknown, UserNotFoundError)
    assert isinstance(disabled, UserDisabledError)
    assert isinstance(first, list)
    assert isinstance(last, list)
    for session in first + last:
        assert await store.get_session(str(session.token)) is not None
    assert stored(path) == 60


async def test_of_two_with_one_id_the_other_fails_alone(store: Store, path: Path) -> None:
    class Twice(TimeOrderedIds):
        def next(self, now: Any) -> str:
            self.last = getattr(self, "last", "") or super().next(now)
            return self.last

    store._ids = Twice()
    found = await asyncio.gather(*(store.create_session("ada") for _ in range(2)), return_exceptions=True)
    assert sorted(type(each).__name__ for each in found) == ["ConflictError", "Session"]
    assert stored(path) == 1


async def test_a_transaction_that_is_open_takes_nobody_else_along(store: Store, path: Path) -> None:
    outside: list[asyncio.Future[list[Session]]] = []

    async def undone() -> None:
        async with store.transaction() as transaction:
            await transaction.create_user(id="undone")
            outside.append(asyncio.ensure_future(made(store)))
            await asyncio.sleep(0.05)
            assert not outside[0].done()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await undone()
    assert len(await outside[0]) == MANY
    assert stored(path) == MANY
    assert await store.get_user("undone") is None


async def test_who_is_cancelled_finds_what_stays(store: Store, path: Path) -> None:
    tasks = [asyncio.ensure_future(store.create_session("ada")) for _ in range(MANY)]
    for _ in range(4):  # both hops are under way
        await asyncio.sleep(0)
    for task in tasks:
        task.cancel()
    found = await asyncio.gather(*tasks, return_exceptions=True)
    assert {type(each) for each in found} == {asyncio.CancelledError}
    assert stored(path) == MANY
    assert len(await made(store)) == MANY


async def test_who_waits_behind_two_hops_and_is_cancelled_never_began(store: Store, path: Path) -> None:
    free = threading.Event()
    database: Any = store.database
    holding = asyncio.ensure_future(database._writer.run(lambda _: free.wait(10)))
    tasks = [asyncio.ensure_future(store.create_session("ada")) for _ in range(MANY)]
    for _ in range(4):
        await asyncio.sleep(0)
    late = asyncio.ensure_future(store.create_session("ada"))
    await asyncio.sleep(0)
    late.cancel()
    await asyncio.sleep(0)
    free.set()
    await asyncio.gather(holding, *tasks)
    await store.create_session("ada")  # whatever was left of it would have been written by now
    assert stored(path) == MANY + 1
    assert late.cancelled()


async def test_who_closes_waits_for_them(path: Path) -> None:
    store = await connect(path)
    await store.create_user(id="ada")
    waiting = [asyncio.ensure_future(store.create_session("ada")) for _ in range(TOO_MANY)]
    await asyncio.sleep(0)
    await store.close()
    assert len(await asyncio.gather(*waiting)) == TOO_MANY
    assert stored(path) == TOO_MANY


async def test_a_file_that_is_gone_acknowledges_nothing(store: Store, path: Path) -> None:
    path.unlink()
    found = await asyncio.gather(*(store.create_session("ada") for _ in range(MANY)), return_exceptions=True)
    assert {type(each) for each in found} == {StoreNotFoundError}


async def test_a_file_that_was_moved_gets_nothing_of_what_nobody_acknowledges(
    store: Store, path: Path, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for each in (path, *logs(path)):
        if each.exists():
            each.rename(elsewhere / each.name)
    found = await asyncio.gather(*(store.create_session("ada") for _ in range(MANY)), return_exceptions=True)
    assert {type(each) for each in found} == {StoreNotFoundError}
    assert stored(elsewhere / path.name) == 0


async def test_where_the_database_refuses_them_together_each_hears_why(store: Store, path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(
            "CREATE TRIGGER refused BEFORE INSERT ON sessions WHEN NEW.ip = '192.0.2.1' BEGIN"
            " SELECT raise(ABORT, 'refused'); END"
        )
    found = await asyncio.gather(
        made(store, 20), made(store, 1, ip="192.0.2.1"), made(store, 20), return_exceptions=True
    )
    assert isinstance(found[1], StoreError)
    assert stored(path) == 40


async def test_where_a_trigger_let_some_pass_nobody_is_told_that_it_was_written(store: Store, path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(
            "CREATE TRIGGER passed BEFORE INSERT ON sessions WHEN NEW.ip = '192.0.2.1' BEGIN SELECT raise(IGNORE); END"
        )
    calls = [*(store.create_session("ada") for _ in range(9)), store.create_session("ada", ip="192.0.2.1")]
    found = await asyncio.gather(*calls, return_exceptions=True)
    assert {type(each) for each in found} == {UnknownOutcomeError}


async def test_where_a_trigger_let_all_pass_nobody_need_doubt_it(store: Store, path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TRIGGER passed BEFORE INSERT ON sessions BEGIN SELECT raise(IGNORE); END")
    found = await asyncio.gather(*(store.create_session("ada") for _ in range(9)), return_exceptions=True)
    assert UnknownOutcomeError not in {type(each) for each in found}
    assert stored(path) == 0


async def test_under_an_audit_each_has_its_event(path: Path) -> None:
    async with connect(path, audit=timedelta(days=1)) as store:
        await store.create_user(id="ada")
        sessions = await asyncio.gather(*(store.create_session("ada") for _ in range(MANY)))
        noted = [event.session_id for event in await store.events(limit=1000) if event.type == "session.created"]
    assert sorted(noted, key=str) == sorted(session.id for session in sessions)


async def arrive(store: Store, name: str) -> object:
    return await store.sign_in_with_account(provider="github", provider_account_id=name, email=f"{name}@example.com")


async def test_those_who_arrive_after_another_are_one_statement_for_each_of_two_hops(store: Store) -> None:
    await arrive(store, "before")
    statements, said = Statements(), list[str]()
    store.observe(statements)
    writer(store).set_trace_callback(said.append)
    await asyncio.gather(*(arrive(store, f"new{number}") for number in range(MANY)))
    writer(store).set_trace_callback(None)
    assert statements.rows("insert_arrivals") == [MANY // 2, MANY // 2]
    assert set(statements.names) == {"insert_arrivals"}
    assert not [text for text in said if text.startswith(("BEGIN", "COMMIT", "SAVEPOINT"))]


async def test_of_several_who_bring_one_new_account_one_makes_the_user(store: Store) -> None:
    await arrive(store, "before")
    arriving = [arrive(store, f"new{number // 2}") for number in range(MANY)]
    signed_in: list[Any] = await asyncio.gather(*arriving)
    assert [each.created_user for each in signed_in].count(True) == MANY // 2
    for first, second in zip(signed_in[::2], signed_in[1::2], strict=True):
        assert first.user.id == second.user.id
        assert first.account.id == second.account.id


async def test_who_comes_back_among_those_who_arrive_is_who_they_were(store: Store) -> None:
    known: Any = await arrive(store, "known")
    moved = await store.update_user(known.user.id, email="elsewhere@example.com")
    await arrive(store, "before")
    statements = Statements()
    store.observe(statements)
    signed_in: list[Any] = await asyncio.gather(*(arrive(store, name) for name in ("a", "known", "b")))
    assert statements.rows("insert_arrivals") == [2]
    assert [each.created_user for each in signed_in] == [True, False, True]
    assert signed_in[1].user == moved


async def test_who_comes_back_after_one_who_came_back_asks_for_no_arrival(store: Store) -> None:
    for _ in range(2):
        await arrive(store, "known")
    statements = Statements()
    store.observe(statements)
    await asyncio.gather(*(arrive(store, "known") for _ in range(MANY)))
    assert "insert_arrivals" not in statements.names
    await arrive(store, "new")
    assert statements.rows("insert_user_and_account") == [1]


async def test_what_many_bring_is_stored_as_for_one(path: Path) -> None:
    given: dict[str, Any] = {
        "email_verified": True,
        "name": AGENT,
        "image": None,
        "type": "oauth",
        "tokens": {
            "access_token": AGENT,
            "id_token": "",
            "scope": "a b",
            "expires_at": datetime(2027, 1, 1, tzinfo=UTC),
            "data": DATA,
        },
    }
    async with connect(path, keys=[KEY]) as store:

        async def bring(to: Store, name: str) -> Any:
            address = f"{name}@example.com"
            return await to.sign_in_with_account(provider="x", provider_account_id=name, email=address, **given)

        assert isinstance(store, Store)
        await bring(store, "before")
        together = await asyncio.gather(*(bring(store, f"new{number}") for number in range(MANY)))
        async with store.transaction() as transaction:
            alone = await bring(transaction, "alone")
        for each in [*together, alone]:
            assert await store.get_user(each.user.id) == each.user
            assert await store.list_accounts(each.user.id) == [each.account]
            assert each.account.access_token == AGENT
    with closing(sqlite3.connect(path)) as connection:
        kinds = connection.execute(
            "SELECT DISTINCT access_token, typeof(access_token_encrypted), length(access_token_encrypted),"
            " refresh_token, refresh_token_encrypted, typeof(id_token_encrypted), scope, expires_at, accounts.data,"
            " name, image, typeof(email_verified) FROM accounts JOIN users ON users.id = user_id"
        ).fetchall()
    assert len(kinds) == 1


async def test_what_plain_sql_does_after_an_arrival_is_plain_sqls(store: Store, path: Path) -> None:
    arrived: Any = await arrive(store, "new")
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("DELETE FROM accounts WHERE user_id = ?", (arrived.user.id,))
    assert [event.actor for event in await store.events() if event.user_id == arrived.user.id] == [None, "sql"]


async def test_whose_address_is_taken_is_refused_alone(store: Store) -> None:
    arriving = [arrive(store, "a"), arrive(store, "eve"), arrive(store, "b")]
    first, refused, last = await asyncio.gather(*arriving, return_exceptions=True)
    assert type(refused).__name__ == "AccountNotLinkedError"
    assert [type(each).__name__ for each in (first, last)] == ["SignIn", "SignIn"]
    assert await store.get_user_by_account("github", "eve") is None
    actors = {event.actor for event in await store.events() if event.type == "account.linked"}
    assert actors == {None}
