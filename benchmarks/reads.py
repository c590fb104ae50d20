"""`get_session_and_user`: against raw sqlite3, asyncpg, Redis and an ORM; at 64 tasks and at one."""

import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import cycle

import aiosqlite

from authstore import connect
from benchmarks import peers, servers
from benchmarks.dataset import Dataset
from benchmarks.rounds import TASKS, Demand, Figure, Round, alternate, in_thread, medians, per_second, times, typical

SAMPLE = 200_000
RAW, ORM = "sqlite3 in the thread, raw rows", "SQLAlchemy ORM + aiosqlite"

LOCK = (
    "a call takes 7 µs on the event loop (hash, two models, waiting) and 12 on the reading thread (four B-trees, most"
    " leaves in the kernel's cache only), where raw sqlite3 takes 17: how far the two overlap depends on the two cores"
)
ALONE = (
    "hashing, checking and making two models come on top of the same hop: about 10 µs warm, twice that after a sleep"
)


async def get(data: Dataset, rounds: int, seconds: float) -> list[Figure]:
    """64 tasks, each asking again as soon as it is answered."""
    async with _contestants(data) as contestants:
        values = await alternate(contestants, rounds, seconds)
    ratio = {peer: times(values, "authstore", peer) for peer in contestants}
    wanted = {
        "sqlite3 in the thread, raw rows": 1.0,
        "asyncpg": 5.0,
        "redis-py": 5.0,
        "SQLAlchemy ORM + aiosqlite": 40.0,
    }
    demands = [Demand(peer, ratio[peer], least, "×", reason=LOCK) for peer, least in wanted.items()]
    return [Figure(f"get_session_and_user, {TASKS} tasks", "calls/s", medians(values), demands)]


@asynccontextmanager
async def _contestants(data: Dataset) -> AsyncIterator[dict[str, Round]]:
    tokens = data.session_tokens(SAMPLE)
    async with AsyncExitStack() as open_things:
        store = await open_things.enter_async_context(connect(data.path))
        raw = open_things.enter_context(peers.raw_sqlite(data.path))
        postgres = await open_things.enter_async_context(
            peers.open_postgres(open_things.enter_context(servers.postgres()), data, connections=16)
        )
        redis = await open_things.enter_async_context(
            peers.open_redis(open_things.enter_context(servers.redis()), data, TASKS)
        )
        alchemy = await open_things.enter_async_context(peers.open_alchemy(data.path))
        os.sync()  # or the kernel would still be writing the servers' data when the rounds begin
        yield {
            "authstore": per_second(_asking(store, tokens)),
            RAW: in_thread(_raw(raw, tokens)),
            "asyncpg": per_second(_asking(postgres, tokens)),
            "redis-py": per_second(_asking(redis, tokens)),
            ORM: per_second(_asking(alchemy, tokens)),
        }


def _asking(store, tokens):
    wanted = cycle(tokens)
    ask = store.get if hasattr(store, "get") else store.get_session_and_user

    async def call() -> None:
        if await ask(next(wanted)) is None:
            raise AssertionError("a session of the data set was not found")

    return call


def _raw(connection, tokens):
    wanted = cycle([peers.named(token) for token in tokens])
    query = peers.BY_ID + "?"

    def call() -> None:
        if connection.execute(query, (next(wanted),)).fetchone() is None:
            raise AssertionError("a session of the data set was not found")

    return call


async def one(data: Dataset, rounds: int, seconds: float) -> list[Figure]:
    """A single task: what one call costs against one of aiosqlite's."""
    tokens = data.session_tokens(SAMPLE)
    wanted = cycle([peers.named(token) for token in tokens])
    async with connect(data.path) as store, aiosqlite.connect(data.path, isolation_level=None) as plain:

        async def fetch() -> None:
            await plain.execute_fetchall(peers.BY_ID + "?", (next(wanted),))

        contestants = {"authstore": typical(_asking(store, tokens)), "aiosqlite": typical(fetch)}
        values = await alternate(contestants, rounds, seconds)
    got = times(values, "authstore", "aiosqlite")
    demand = Demand("aiosqlite.execute_fetchall", got, 1.4, "×", at_most=True, reason=ALONE)
    return [Figure("get_session_and_user, 1 task, p50", "µs", medians(values), [demand])]
