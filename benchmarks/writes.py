"""Durable writes of 64 tasks: against sqlite3 that commits each by itself, and against asyncpg."""

import sqlite3
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from itertools import count, cycle

from authstore import connect
from benchmarks import peers, servers
from benchmarks.dataset import USER_AGENT, Dataset, insert, iso, remove, verification_tokens
from benchmarks.rounds import TASKS, Demand, Figure, Round, alternate, in_thread, medians, per_second, times

RAW = "sqlite3 in the thread, a commit each"

TURNS = (
    "gathering saves the flush alone, about 0.4 ms on this disk; pages, checks and triggers cost both sides the same,"
    " and callers and the writer's thread take turns for Python's lock"
)

HALVES = (
    "a session costs the process 0.06 to 0.15 ms without any disk, and of those made at once each half has a flush of"
    " its own"
)


async def create(data: Dataset, rounds: int, seconds: float) -> list[Figure]:
    """`create_session`."""
    users = cycle(data.user_ids(100_000))
    ours, theirs = data.copy("ours"), data.copy("theirs")
    with servers.postgres() as folder, peers.raw_sqlite(theirs) as raw:
        async with connect(ours) as store, peers.open_postgres(folder, data, connections=32) as postgres:
            contestants = {
                "authstore": per_second(
                    lambda: store.create_session(next(users), ip="198.51.100.7", user_agent=USER_AGENT)
                ),
                RAW: in_thread(_insert_session(raw, users)),
                "asyncpg": per_second(lambda: postgres.create(next(users))),
            }
            values = await alternate(contestants, rounds, seconds)
    remove(ours), remove(theirs)
    demands = [
        Demand(RAW, times(values, "authstore", RAW), 3.0, "×", reason=HALVES),
        Demand("asyncpg", times(values, "authstore", "asyncpg"), 1.5, "×", reason=HALVES),
    ]
    return [Figure(f"create_session, {TASKS} tasks, durable", "calls/s", medians(values), demands)]


def _insert_session(raw: sqlite3.Connection, users: Iterator[str]) -> Callable[[], object]:
    columns = [name for name in peers.new_session("") if name != "token"]
    statement = f"INSERT INTO sessions ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"

    def call() -> None:
        values = peers.new_session(next(users))
        raw.execute(statement, [_stored(values[column]) for column in columns])

    return call


def _stored(value: object) -> object:
    if isinstance(value, datetime):
        return iso(value)
    return "{}" if isinstance(value, dict) else value


async def sign_up(data: Dataset, rounds: int, seconds: float) -> list[Figure]:
    """A new user with an account, in one step."""
    numbers = count()
    ours, theirs = data.copy("ours"), data.copy("theirs")
    with peers.raw_sqlite(theirs) as raw:
        async with connect(ours) as store:

            def step() -> Awaitable[object]:
                number = next(numbers)
                return store.sign_in_with_account(
                    provider="github",
                    provider_account_id=f"new{number}",
                    email=f"new{number}@example.com",
                    email_verified=True,
                    name=f"New Number {number}",
                    tokens={"access_token": f"gho_{number:036d}", "scope": "read:user user:email"},
                )

            contestants = {"authstore": per_second(step), RAW: in_thread(_insert_user(raw))}
            values = await alternate(contestants, rounds, seconds)
    remove(ours), remove(theirs)
    demand = Demand(RAW, times(values, "authstore", RAW), 2.0, "×", reason=TURNS)
    return [
        Figure(f"create_user + link_account in one step, {TASKS} tasks, durable", "calls/s", medians(values), [demand])
    ]


def _insert_user(raw: sqlite3.Connection) -> Callable[[], object]:
    numbers = count()

    def call() -> None:
        number, moment = next(numbers), datetime.now(UTC)
        user_id, now = peers.new_id(moment), iso(moment)
        raw.execute("BEGIN IMMEDIATE")
        raw.execute(
            "INSERT INTO users (id, email, email_verified, name, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?)",
            (user_id, f"new{number}@example.com", now, f"New Number {number}", now, now),
        )
        raw.execute(
            "INSERT INTO accounts (id, user_id, provider, provider_account_id, type, access_token, scope, created_at,"
            " updated_at) VALUES (?, ?, 'github', ?, 'oidc', ?, 'read:user user:email', ?, ?)",
            (peers.new_id(moment), user_id, f"new{number}", f"gho_{number:036d}", now, now),
        )
        raw.execute("COMMIT")

    return call


async def use(data: Dataset, rounds: int, seconds: float) -> list[Figure]:
    """`use_verification_token`: each is used once, so every round brings its own."""
    ours, theirs = data.copy("ours"), data.copy("theirs")
    supply = int(40_000 * max(seconds, 0.3))
    with peers.raw_sqlite(theirs) as raw:
        async with connect(ours) as store:
            ready: dict[str, Iterator[str]] = {}

            async def spend() -> None:
                address = next(ready["authstore"])
                if await store.use_verification_token(address, address) is None:
                    raise AssertionError("a token of the data set was not found")

            contestants = {
                "authstore": _supplied("authstore", ours, ready, supply, per_second(spend)),
                RAW: _supplied(RAW, theirs, ready, supply, in_thread(_spend_raw(raw, ready))),
            }
            values = await alternate(contestants, rounds, seconds)
    remove(ours), remove(theirs)
    demand = Demand(RAW, times(values, "authstore", RAW), 3.0, "×", reason=TURNS)
    return [Figure(f"use_verification_token, {TASKS} tasks, durable", "calls/s", medians(values), [demand])]


_numbers = count()


def _supplied(name: str, path, ready: dict[str, Iterator[str]], supply: int, run: Round) -> Round:
    """Before each round, outside its time: tokens that nobody has used."""

    async def supplied(seconds: float) -> float:
        prefix = f"r{next(_numbers)}-"
        tokens = list(verification_tokens(datetime.now(UTC), supply, prefix))
        with closing(sqlite3.connect(path)) as connection, connection:
            insert(connection, "verification_tokens", iter(tokens))
        ready[name] = (token["identifier"] for token in tokens)
        return await run(seconds)

    return supplied


def _spend_raw(raw: sqlite3.Connection, ready: dict[str, Iterator[str]]) -> Callable[[], object]:
    from hashlib import sha256

    statement = (
        "DELETE FROM verification_tokens WHERE identifier = ? AND purpose = 'sign-in' AND token_hash = ? RETURNING *"
    )

    def call() -> None:
        address = next(ready[RAW])
        if not raw.execute(statement, (address, sha256(address.encode()).digest())).fetchall():
            raise AssertionError("a token of the data set was not found")

    return call
