"""Work that grows with rows, and how long others wait for it: a user with very many sessions, and pruning millions."""

import asyncio
import gc
import os
import random
import sqlite3
import time
from collections.abc import Awaitable, Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import cycle
from pathlib import Path
from typing import Any, NamedTuple

from authstore import SessionPolicy, connect
from benchmarks.dataset import Dataset, iso, remove
from benchmarks.rounds import Demand, Figure

SESSIONS = 100_000  # of one user
LARGE = 4_000_000
USER = "somebody-with-very-many-sessions"
LOOKUP_MS = 5
WRITER_MS = 100

_INSERT = """
INSERT INTO sessions (id, token_hash, user_id, expires, created_at, last_used_at, authenticated_at)
WITH RECURSIVE n (n) AS (SELECT :first UNION ALL SELECT n + 1 FROM n WHERE n < :last)
SELECT printf('%s-%09d', :kind, n), randomblob(32), :user, iif(:dead_each > 0 AND n % :dead_each = 0, :made, :expires),
    :made, :made, :made
FROM n
"""


class Waits(NamedTuple):
    """How long others waited, in milliseconds. `elsewhere`: look-ups in another store of the same event loop, which
    wait for the machine, the loop and Python's lock alone."""

    lookups: list[float]
    writers: list[float]
    elsewhere: list[float]


async def many_sessions(data: Dataset, rounds: int, seconds: float) -> list[Figure]:
    """The longest waits of somebody else's look-up and writer beside what is done to a user with 100 000 sessions."""
    policy = SessionPolicy(max_per_user=5)
    waits = {
        "nothing": await _waits(data, lambda _: asyncio.sleep(2.0)),
        "list_sessions, 20 pages": await _waits(data, _list_pages),
        "update_user(disabled=True)": await _waits(data, lambda store: store.update_user(USER, disabled=True)),
        "revoke_sessions": await _waits(data, lambda store: store.revoke_sessions(USER)),
        "delete_user": await _waits(data, lambda store: store.delete_user(USER)),
        "create_session, max_per_user=5": await _waits(data, lambda store: store.create_session(USER), policy),
    }
    return _figures(f"beside a user with {SESSIONS:,} sessions", waits)


async def _list_pages(store: Any) -> None:
    page: list[Any] = []
    for _ in range(20):
        page = await store.list_sessions(USER, after=page[-1] if page else None)
        assert len(page) == 100


async def prune_large(data: Dataset, rounds: int, seconds: float) -> list[Figure]:
    """The same while `prune(max_seconds=1)` is called until nothing dead is left: 4 million sessions at scale 1, every
    twentieth dead."""
    count = int(LARGE * data.size.sessions / 500_000)
    spent = []

    async def prune(store: Any) -> None:
        remaining = 1
        while remaining:
            started = time.perf_counter()
            remaining = (await store.prune(max_seconds=1.0)).remaining
            spent.append(time.perf_counter() - started)

    nothing = await _waits(data, lambda _: asyncio.sleep(5.0))
    pruning = await _waits(data, prune, count=count, dead_each=20)
    figures = _figures(f"among {count:,} sessions", {"nothing": nothing, "prune(max_seconds=1)": pruning})
    demand = Demand("its second", max(spent), 1.5, "s", at_most=True)
    return [*figures, Figure(f"prune(max_seconds=1), {len(spent)} calls", "s", {"the longest": max(spent)}, [demand])]


async def _waits(
    data: Dataset,
    work: Callable[[Any], Awaitable[object]],
    policy: SessionPolicy | None = None,
    *,
    count: int = SESSIONS,
    dead_each: int = 0,
) -> Waits:
    path = data.copy("many")
    async with connect(path, policy=policy or SessionPolicy()) as store, connect(data.path) as another:
        await store.create_user(id=USER)
        await asyncio.to_thread(_insert, path, count, dead_each)
        await asyncio.to_thread(os.sync)  # or the first checkpoint would wait for all that the kernel has to write
        tokens, users = cycle(data.session_tokens(20_000)), cycle(data.user_ids(1000))
        calls = (
            lambda: store.get_session_and_user(next(tokens)),
            lambda: store.create_session(next(users)),
            lambda: another.get_session_and_user(next(tokens)),
        )
        await asyncio.gather(*(_each(asyncio.ensure_future(asyncio.sleep(0.5)), call) for call in calls))  # warm
        gc.collect()
        gc.freeze()  # what the benchmark itself holds is nobody's business any more
        task = asyncio.ensure_future(work(store))
        waits = await asyncio.gather(*(_each(task, call) for call in calls))
        task.result()
        gc.unfreeze()
    remove(path)
    return Waits(*waits)


def _insert(path: Path, count: int, dead_each: int) -> None:
    """The sessions of one user by plain SQL, and the log put away, so that nobody waits for that."""
    now = datetime.now(UTC)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        for first in range(0, count, 100_000):
            values = {"kind": random.randbytes(4).hex(), "first": first, "last": min(first + 100_000, count) - 1}
            instants = {"made": iso(now - timedelta(hours=1)), "expires": iso(now + timedelta(days=1))}
            connection.execute(_INSERT, {**values, **instants, "user": USER, "dead_each": dead_each})
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


async def _each(task: "asyncio.Future[Any]", call: Callable[[], Awaitable[object]]) -> list[float]:
    waited = []
    while not task.done():
        started = time.perf_counter()
        await call()
        waited.append((time.perf_counter() - started) * 1000)
        await asyncio.sleep(0.002)
    return waited


def _figures(where: str, waits: dict[str, Waits]) -> list[Figure]:
    """The longest waits, and what 99 % wait at most. Of look-ups counts what they wait longer than those in another
    store at the same time, which a busy machine makes wait as well."""
    figures = []
    for how, of in (("longest wait", max), ("99 % wait at most,", _p99)):
        values, beyond = {}, []
        for name, each in waits.items():
            values |= {name: of(each.lookups), f"{name}: in another store": of(each.elsewhere)}
            beyond.append(of(each.lookups) - of(each.elsewhere))
        demand = Demand("the most beyond another store's", max(beyond), LOOKUP_MS, "ms", at_most=True)
        figures.append(Figure(f"{how} of other lookups, {where}", "ms", values, [demand]))
        values = {name: of(each.writers) for name, each in waits.items()}
        worst = max(value for name, value in values.items() if name != "nothing")
        demand = Demand("the longest of all", worst, WRITER_MS, "ms", at_most=True)
        figures.append(Figure(f"{how} of other writers, {where}", "ms", values, [demand]))
    return figures


def _p99(waited: list[float]) -> float:
    return sorted(waited)[len(waited) * 99 // 100]
