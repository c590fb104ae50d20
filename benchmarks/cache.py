"""`python -m benchmarks.cache`: what the cache saves and the log costs, and what it costs to be watched.

Writes results/cache.md. All the while a second process commits 50 sign-ins a second. Contestants alternate round by
round in one process; a cost is the processor time of the whole process for a call.
"""

import argparse
import asyncio
import os
import platform
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, closing, contextmanager
from datetime import UTC, datetime, timedelta
from hmac import compare_digest
from itertools import cycle
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

from authstore import Adapter, SessionPolicy, connect
from authstore.observers import Observer
from authstore.ops import SlowQueries, telemetry
from authstore.sql import queries
from authstore.store.sessions import kept
from authstore.tokens import hash_token, named_session
from benchmarks.rounds import Demand, times

RESULT = Path(__file__).parent / "results" / "cache.md"
SESSIONS = 2_000
TASKS = (1, 64)
SIGN_INS = 50  # a second, by the other process

Cost = Callable[[], Awaitable[float]]  # microseconds of processor time for a call


def costing(call: Callable[[], Awaitable[object]], tasks: int, count: int) -> Cost:
    """What a call costs this process."""

    async def measure() -> float:
        async def work() -> None:
            for _ in range(count // tasks):
                await call()

        before = time.process_time()
        await asyncio.gather(*(work() for _ in range(tasks)))
        return (time.process_time() - before) / (count // tasks * tasks) * 1e6

    return measure


async def alternating(costs: dict[str, Cost], rounds: int) -> dict[str, list[float]]:
    """What each costs in each round; who begins changes."""
    values: dict[str, list[float]] = {name: [] for name in costs}
    names = list(costs)
    for name in names:  # warm
        await costs[name]()
    for number in range(rounds):
        for name in names[number % len(names) :] + names[: number % len(names)]:
            values[name].append(await costs[name]())
    return values


async def sign_in_for_ever(path: str) -> None:
    """What the second process does."""
    async with connect(Path(path), durability="relaxed") as store:
        user = await store.create_user()
        print("ready", flush=True)
        while True:
            await store.create_session(user.id)
            await asyncio.sleep(1 / SIGN_INS)


@contextmanager
def signing_in(path: Path) -> Iterator[None]:
    """Somebody else signs people in."""
    command = [sys.executable, "-m", "benchmarks.cache", "--sign-in", str(path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        process.stdout.readline()
        yield
    finally:
        process.kill()
        process.wait()


async def filled(path: Path) -> list[str]:
    """The tokens of a file with sessions in it."""
    async with connect(path, durability="relaxed") as store:
        user = await store.create_user(email="ada@example.com", name="Ada")
        made = [await store.create_session(user.id, ip="127.0.0.1", user_agent="benchmark") for _ in range(SESSIONS)]
        return [session.token or "" for session in made]


def looking_up(store: Adapter, tokens: list[str]) -> Callable[[], Awaitable[object]]:
    """Asks for one session after another."""
    wanted = cycle(tokens)

    async def call() -> None:
        if await store.get_session_and_user(next(wanted)) is None:
            raise AssertionError("a session was not found")

    return call


def in_thread(path: Path, tokens: list[str]) -> tuple[Callable[[], Awaitable[object]], Callable[[], Awaitable[object]]]:
    """The same row by sqlite3 in the event loop's own thread: with nothing made of it; and with what a store does all
    the same, the token hashed and compared, the values checked, two models made."""
    connection, query = sqlite3.connect(path, isolation_level=None), queries.session_and_user_by_id.sqlite
    wanted = cycle(tokens)

    def found(token: str) -> tuple[Any, ...]:
        row: tuple[Any, ...] | None = connection.execute(query, {"key": named_session(token)}).fetchone()
        if row is None:
            raise AssertionError("a session was not found")
        return row

    async def raw() -> None:
        found(next(wanted))

    async def whole() -> None:
        token = next(wanted)
        row = found(token)
        if not compare_digest(row[0], hash_token(token)):
            raise AssertionError("another session was found")
        kept.session_and_user(kept.check(row), token)

    return raw, whole


async def look_ups(path: Path, tokens: list[str], rounds: int, count: int) -> tuple[list[str], list[Demand]]:
    """Cached against uncached and against sqlite3 by hand."""
    lines, demands = [], []
    async with connect(path, cache=10_000) as cached, connect(path) as uncached:
        for token in tokens:
            await cached.get_session_and_user(token)
        for tasks, wanted in zip(TASKS, (4.5, 2.2), strict=True):
            before = cached.cache_info()  # type: ignore[attr-defined]
            raw, whole = in_thread(path, tokens)
            calls = {
                "cached": looking_up(cached, tokens),
                "uncached": looking_up(uncached, tokens),
                "sqlite3 in the thread": whole,
                "its raw rows": raw,
            }
            values = await alternating({name: costing(call, tasks, count) for name, call in calls.items()}, rounds)
            after = cached.cache_info()  # type: ignore[attr-defined]
            hits, misses = after.hits - before.hits, after.misses - before.misses
            lines += [line(f"get_session_and_user, {tasks} tasks", values)]
            demands += [
                Demand(f"uncached, {tasks} tasks", times(values, "uncached", "cached"), wanted, "×"),
                Demand(f"hits, {tasks} tasks", hits / (hits + misses), 0.95, "of all"),
            ]
            if tasks > 1:
                got = times(values, "sqlite3 in the thread", "cached")
                demands += [Demand(f"sqlite3 by hand, {tasks} tasks, on one core", got, 1.5, "×")]
    return lines, demands


def observers() -> dict[str, list[Observer]]:
    """Who may watch a store."""
    meters = MeterProvider([InMemoryMetricReader()])
    spans = TracerProvider()
    spans.add_span_processor(SimpleSpanProcessor(InMemorySpanExporter()))
    return {
        "nobody": [],
        "SlowQueries": [SlowQueries()],
        "telemetry": [telemetry(meter_provider=meters, tracer_provider=TracerProvider(sampler=ALWAYS_OFF))],
        "telemetry, every span kept": [telemetry(meter_provider=meters, tracer_provider=spans)],
    }


async def watching(path: Path, tokens: list[str], rounds: int, count: int) -> tuple[list[str], list[Demand]]:
    """What it costs to be watched."""
    lines, demands = [], []
    async with AsyncExitStack() as stack:
        stores = {
            name: await stack.enter_async_context(connect(path, observers=watch)) for name, watch in observers().items()
        }
        for tasks in TASKS:
            calls = {name: looking_up(store, tokens) for name, store in stores.items()}
            values = await alternating({name: costing(call, tasks, count) for name, call in calls.items()}, rounds)
            lines += [line(f"get_session_and_user watched, {tasks} tasks", values)]
            for name, most in (("SlowQueries", 1.03), ("telemetry", 1.10)):
                got = times(values, name, "nobody")
                demands += [Demand(f"{name} against nobody, {tasks} tasks", got, most, "×", at_most=True)]
    return lines, demands


async def without_log(path: Path) -> None:
    """Takes the triggers of the change log away, so that the same calls write no rows of it."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        found = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger'").fetchall()
        for (name,) in found:
            connection.execute(f'DROP TRIGGER "{name}"')


@asynccontextmanager
async def writing(path: Path) -> AsyncIterator[tuple[Adapter, str]]:
    """A store for writers, and a user in it."""
    policy = SessionPolicy(touch_every=timedelta(0))
    async with connect(path, policy=policy, durability="relaxed") as store:
        yield store, (await store.create_user()).id


def writers(store: Adapter, user_id: str) -> dict[str, Callable[[int], Awaitable[float]]]:
    """Each kind of write: made ready, and then what a call cost."""

    async def cost(calls: list[Callable[[], Awaitable[object]]]) -> float:
        before = time.process_time()
        for first in range(0, len(calls), 64):
            await asyncio.gather(*(call() for call in calls[first : first + 64]))
        return (time.process_time() - before) / len(calls) * 1e6

    async def create(count: int) -> float:
        return await cost([lambda: store.create_session(user_id)] * count)

    async def touch(count: int) -> float:
        made = [await store.create_session(user_id) for _ in range(count)]
        return await cost([lambda token=each.token: store.touch_session(token) for each in made])  # type: ignore[misc]

    async def revoke(count: int) -> float:
        made = [await store.create_session(user_id) for _ in range(count)]
        return await cost([lambda id=each.id: store.revoke_session(id) for each in made])  # type: ignore[misc]

    async def delete(count: int) -> float:
        made = [await store.create_user() for _ in range(count)]
        for user in made:
            await store.create_session(user.id)
        return await cost([lambda id=each.id: store.delete_user(id) for each in made])  # type: ignore[misc]

    return {"create_session": create, "touch_session": touch, "revoke_session": revoke, "delete_user": delete}


async def writes(folder: Path, rounds: int, count: int) -> tuple[list[str], list[Demand]]:
    """What the log costs those who write."""
    wanted = {"create_session": 0.97, "touch_session": 0.7, "revoke_session": 0.8, "delete_user": 0.93}
    values: dict[str, dict[str, list[float]]] = {name: {"without": [], "with": []} for name in wanted}
    async with AsyncExitStack() as stack:
        sides = {}
        for side in ("with", "without"):
            path = folder / f"{side}.db"
            store, user_id = await stack.enter_async_context(writing(path))
            if side == "without":
                await without_log(path)
            sides[side] = writers(store, user_id)
        for number in range(rounds + 1):
            for name in wanted:
                for side in ("with", "without") if number % 2 else ("without", "with"):
                    spent = await sides[side][name](count)
                    if number:  # the first warms
                        values[name][side].append(spent)
    lines = [line(f"{name}, 64 tasks, the log's triggers", each) for name, each in values.items()]
    demands = [
        Demand(f"{name} with the log", times(values[name], "without", "with"), least, "×")
        for name, least in wanted.items()
    ]
    return lines, demands


def line(what: str, values: dict[str, list[float]]) -> str:
    """A line of the table of costs."""
    spent = "<br>".join(f"{name}: {median(rounds):.1f} µs" for name, rounds in values.items())
    return f"| {what} | {spent} |"


def text(lines: list[str], demands: list[Demand], rounds: int) -> str:
    """The figures as Markdown."""
    asked = [
        f"| {each.against} | {'≤' if each.at_most else '≥'} {each.wanted:g} {each.unit} | {each.got:.2f} | "
        f"{'reached' if each.reached else '**missed**'} |"
        for each in demands
    ]
    head = (
        f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, {os.cpu_count()} cores, "
        f"{datetime.now(UTC):%Y-%m-%d}; processor time of a call, medians of {rounds} alternating rounds; "
        f"load of the machine, others included: {os.getloadavg()[0]:.1f}. "
        f"A second process commits {SIGN_INS} sign-ins a second."
    )
    return "\n".join(
        [
            *("# The cache, the log and being watched", "", head, ""),
            *("| what | processor time of a call |", "|---|---|", *lines, ""),
            *("| against | asked | measured | |", "|---|---|---:|---|", *asked, ""),
        ]
    )


async def measure(rounds: int, count: int) -> str:
    """All of it."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "auth.db"
        tokens = await filled(path)
        with signing_in(path):
            results = [
                await look_ups(path, tokens, rounds, count),
                await watching(path, tokens, rounds, count),
                await writes(Path(folder), rounds, max(count // 20, 64)),
            ]
    lines = [each for found, _ in results for each in found]
    demands = [each for _, found in results for each in found]
    return text(lines, demands, rounds)


def main() -> None:
    """Measures, prints, writes."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cache", description=__doc__)
    parser.add_argument("--rounds", type=int, default=9, help="alternating rounds (9)")
    parser.add_argument("--count", type=int, default=20_000, help="look-ups of each in each round (20 000)")
    parser.add_argument("--sign-in", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.sign_in:
        asyncio.run(sign_in_for_ever(options.sign_in))
    result = asyncio.run(measure(options.rounds, options.count))
    print(result)
    RESULT.write_text(result)


if __name__ == "__main__":
    main()
