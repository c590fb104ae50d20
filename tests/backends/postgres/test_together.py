"""What PostgreSQL says in one statement, the store does elsewhere by several: both leave the same behind, and the one
statement saves the round trips."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, NamedTuple

import psycopg
import pytest

from authstore import Adapter, StoreCorruptError, connect
from authstore.acting import acting
from authstore.backends.postgres.driver import AsyncpgConnection
from authstore.expiry import utc_now
from authstore.sql import queries
from authstore.testing import Clock

TOGETHER = ("delete_user_and_tokens", "insert_user_and_account", "rotate_session", "use_verification_token")


class Left(NamedTuple):
    answers: list[object]
    events: list[tuple[object, ...]]
    ended: list[tuple[object, ...]]
    tokens: list[tuple[object, ...]]
    counts: list[object]


def sign_in(store: Adapter, name: str) -> Awaitable[object]:
    return store.sign_in_with_account(
        provider="github", provider_account_id=name, email=f"{name}@example.com", tokens={"access_token": "t"}
    )


async def all_of_it(store: Adapter, clock: Clock) -> list[object]:
    """First sign-ins, rotations, tokens and deletions: those that succeed and those that are refused."""
    answers: list[object] = []
    with acting("admin"):
        for name in ("ada", "bob", "ada"):
            await sign_in(store, name)
    clock.advance(timedelta(seconds=1))
    ada, bob = await store.list_users()
    first = await store.create_session(ada.id, data={"theme": "dark"})
    await store.create_session(bob.id, expires=clock() + timedelta(seconds=1))
    tokens = [first.token or ""]
    for grace in (None, timedelta(seconds=30), None):
        clock.advance(timedelta(seconds=1))
        with acting("operator"):
            rotated = await store.rotate_session(tokens[-1], grace=grace)
        assert rotated is not None
        answers.append((rotated.data, rotated.expires - clock()))
        tokens.append(rotated.token or "")
    answers += [await store.why_ended(token) for token in tokens]
    answers.append(await store.rotate_session("x" * 40))
    for name, purpose in (("a", "sign-in"), ("b", "sign-in"), ("c", "reset")):
        await store.create_verification_token("ada@example.com", token=name * 20, purpose=purpose, data={"n": name})
    for name in ("x", "b", "a", "c"):
        answers.append(await store.use_verification_token("ada@example.com", name * 20))
    await store.create_verification_token("bob@example.com", token="d" * 20)
    clock.advance(timedelta(days=1))
    answers.append(await store.use_verification_token("bob@example.com", "d" * 20))
    with acting("support"):
        for user in (ada, bob, bob):
            answers.append(await store.delete_user(user.id))
    answers += [await store.why_ended(token) for token in tokens]
    return answers


async def left_behind(url: str, clock: Clock, *, audit: timedelta | None) -> Left:
    """What all of it answers, which events tell of it, and what stands in the tables, without ids and hashes."""
    async with connect(url, clock=clock, audit=audit) as store:
        answers = await all_of_it(store, clock)
        events = [(event.type, event.at, event.reason, event.actor) for event in await store.events()]
    with psycopg.connect(url) as sql:
        ended = sql.execute(
            "SELECT reason, at, actor, session_id IS NULL FROM ended_tokens ORDER BY at, 1, 3"
        ).fetchall()
        tokens = sql.execute("SELECT identifier, purpose FROM verification_tokens ORDER BY 1, 2").fetchall()
        counts = [
            sql.execute(f"SELECT count(*) FROM {table}".encode()).fetchone()
            for table in ("users", "accounts", "sessions")
        ]
    return Left(answers, events, ended, tokens, counts)


@pytest.mark.parametrize("audit", [None, timedelta(days=1)])
async def test_one_statement_leaves_behind_what_several_do(
    pooled_url: str, emptied_url: str, audit: timedelta | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    began = utc_now()
    together = await left_behind(pooled_url, Clock(began), audit=audit)
    for name in TOGETHER:
        monkeypatch.setattr(getattr(queries, name), "postgres", "")
    apart = await left_behind(emptied_url, Clock(began), audit=audit)
    assert together == apart
    assert {("account.linked", "admin"), ("session.rotated", "operator"), ("user.deleted", "support")} <= {
        (event[0], event[3]) for event in together.events
    }


@pytest.mark.parametrize(
    ("trips", "prepare", "deed"),
    [
        (4, None, lambda store, _: sign_in(store, "ada")),
        (3, "session", lambda store, session: store.rotate_session(session.token)),
        (3, "token", lambda store, _: store.use_verification_token("ada@example.com", "a" * 20)),
        (5, "user", lambda store, user: store.delete_user(user.id)),
    ],
    ids=["first sign-in", "rotate_session", "use_verification_token", "delete_user"],
)
async def test_how_often_a_unit_goes_to_the_server(
    emptied_url: str, trips: int, prepare: str | None, deed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with connect(emptied_url) as store:
        user = await store.create_user(email="eve@example.com")
        await store.create_verification_token("ada@example.com", token="a" * 20)
        given = {"user": user, "session": await store.create_session(user.id) if prepare == "session" else None}
        sent: list[str] = []
        for verb in ("run", "fetch_tuples", "script"):
            monkeypatch.setattr(AsyncpgConnection, verb, counted(getattr(AsyncpgConnection, verb), sent))
        assert await deed(store, given.get(prepare or ""))
    assert len(sent) == trips, sent


def counted(verb: Callable[..., Awaitable[object]], sent: list[str]) -> Callable[..., Awaitable[object]]:
    def call(connection: AsyncpgConnection, sql: str, *given: object) -> Awaitable[object]:
        sent.append(sql)
        return verb(connection, sql, *given)

    return call


async def test_what_is_refused_for_an_unreadable_row_did_not_happen(emptied_url: str) -> None:
    async with connect(emptied_url) as store:
        user = await store.create_user()
        token = (await store.create_session(user.id)).token or ""
        await store.create_verification_token("ada@example.com", token="a" * 20)
        with psycopg.connect(emptied_url, autocommit=True) as sql:
            for table in ("sessions", "verification_tokens"):
                sql.execute(f"""UPDATE {table} SET data = '{{"half": "\\ud800"}}'""".encode())
            before = sql.execute("SELECT token_hash FROM sessions").fetchall()
            with pytest.raises(StoreCorruptError):
                await store.rotate_session(token)
            with pytest.raises(StoreCorruptError):
                await store.use_verification_token("ada@example.com", "a" * 20)
            assert sql.execute("SELECT token_hash FROM sessions").fetchall() == before
            assert sql.execute("SELECT count(*) FROM ended_tokens").fetchone() == (0,)
            assert sql.execute("SELECT count(*) FROM verification_tokens").fetchone() == (1,)
