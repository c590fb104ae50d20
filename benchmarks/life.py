"""What else a store costs: importing, opening, pruning, company on its file, many calls, many rows."""

import asyncio
import resource
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from itertools import cycle
from pathlib import Path
from statistics import median
from typing import Any

from authstore import connect
from benchmarks.dataset import Dataset, Size, dataset, remove
from benchmarks.rounds import TASKS, Demand, Figure, alternate, medians, per_second, times

MEGABYTE = 1024 * 1024


async def imports(data: Dataset, rounds: int, seconds: float) -> list[Figure]:
    """`import authstore` in a fresh interpreter, in processor time, against `import pydantic`."""
    programs = {"authstore": "import authstore", "pydantic": "import pydantic"}
    values: dict[str, list[float]] = {name: [] for name in programs}
    for _ in range(max(rounds, 15)):
        for name, program in programs.items():
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            await asyncio.to_thread(subprocess.run, [sys.executable, "-c", program], check=True)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            values[name].append(spent * 1000)
    demand = Demand("import pydantic", times(values, "authstore", "pydantic"), 1.25, "×", at_most=True)
    return [Figure("import in a fresh interpreter", "ms", medians(values), [demand])]


async def opening(data: Dataset, rounds: int, seconds: float) -> list[Figure]:
    """A fresh memory store, schema included."""
    spent = []
    for _ in range(max(rounds, 50)):
        started = time.perf_counter()
        store = await connect("sqlite://")
        spent.append((time.perf_counter() - started) * 1000)
        await store.close()
    demand = Demand("itself", median(spent), 5, "ms", at_most=True)
    return [Figure("opening a memory store", "ms", {"authstore": median(spent)}, [demand])]


async def prune(data: Dataset, rounds: int, seconds: float) -> list[Figure]:
    """The longest that one other writer waits while 100 000 dead sessions are pruned; without pruning, too."""
    alone, meanwhile, gone = [], [], 0
    for _ in range(3):
        path = data.copy("prune")
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("UPDATE sessions SET expires = created_at WHERE rowid % 5 = 0 AND rowid <= 500000")
        async with connect(path) as store:
            users = cycle(data.user_ids(1000))
            alone.append(await _longest_wait(store, users, asyncio.sleep(2.0)))
            pruning = asyncio.ensure_future(store.prune())
            meanwhile.append(await _longest_wait(store, users, pruning))
            gone = pruning.result().deleted["sessions"]
        remove(path)
    values = {"authstore, pruning": median(meanwhile), "authstore, not pruning": median(alone)}
    demand = Demand(f"{gone} dead rows", median(meanwhile), 100, "ms", at_most=True)
    return [Figure("prune: the longest wait of another writer, durable", "ms", values, [demand])]


async def _longest_wait(store: Any, users: Iterator[str], work: Any) -> float:
    longest = 0.0
    task = asyncio.ensure_future(work)
    while not task.done():
        started = time.perf_counter()
        await store.create_session(next(users))
        longest = max(longest, time.perf_counter() - started)
    return longest * 1000


async def processes(data: Dataset, rounds: int, seconds: float) -> list[Figure]:
    """1, 2 and 4 processes on one file, 64 tasks each, 95 % reads, durable."""
    path = data.copy("company")
    values: dict[str, list[float]] = {"1 process": [], "2 processes": [], "4 processes": []}
    for _ in range(rounds):
        for name in values:
            values[name].append(await asyncio.to_thread(_together, path, data, int(name[0]), seconds))
    remove(path)
    demands = [
        Demand(f"1 process, by {name}", times(values, name, "1 process"), 1.4, "×")
        for name in ("2 processes", "4 processes")
    ]
    return [Figure("one file, 95 % reads, durable, all calls together", "calls/s", medians(values), demands)]


def _together(path: Path, data: Dataset, count: int, seconds: float) -> float:
    command = [sys.executable, "-m", "benchmarks.companion", str(path), str(data.path), *map(str, data.size)]
    start = time.time() + 1.5 + 0.5 * count
    running = [
        subprocess.Popen([*command, str(start), str(seconds), str(number)], stdout=subprocess.PIPE, text=True)
        for number in range(count)
    ]
    answers = [process.communicate()[0] for process in running]
    if any(process.returncode for process in running):
        raise AssertionError("a process on a shared file failed")
    return sum(map(float, answers))


async def memory(data: Dataset, rounds: int, seconds: float) -> list[Figure]:
    """Resident memory after each quarter of 10⁶ look-ups, one in twenty a write."""
    path = data.copy("memory")
    tokens = cycle(data.session_tokens(20_000))
    sizes = []
    async with connect(path, durability="relaxed") as store:

        async def work(count: int) -> None:
            for number in range(count):
                if number % 20:
                    await store.get_session_and_user(next(tokens))
                else:
                    session = await store.create_session((await store.get_session(next(tokens))).user_id)
                    await store.delete_session(session.token)

        for _ in range(5):
            await asyncio.gather(*[work(200_000 // TASKS) for _ in range(TASKS)])
            sizes.append(_resident())
    remove(path)
    values = {f"after {(number + 1) * 200_000} calls": size for number, size in enumerate(sizes)}
    demand = Demand("growth from 2·10⁵ to 10⁶ calls", sizes[-1] - sizes[0], 5, "MB", at_most=True)
    return [Figure("resident memory", "MB", values, [demand])]


def _resident() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / MEGABYTE


async def large(data: Dataset, rounds: int, seconds: float) -> list[Figure]:
    """`get_session_and_user` among 10 000 sessions and among 10 million, 64 tasks, warm: the same number of sessions
    is asked for in both, over and over."""
    small = await asyncio.to_thread(dataset, Size(2_000, 2_000, 10_000, 1_000))
    big = await asyncio.to_thread(dataset, Size(2_000_000, 1_000, 10_000_000, 1_000))
    contestants = {}
    async with connect(small.path) as few, connect(big.path) as many:
        for name, store, source in (("10 000 sessions", few, small), ("10 million sessions", many, big)):
            tokens = source.session_tokens(10_000)
            for start in range(0, len(tokens), TASKS):  # warm: each was asked for before
                await asyncio.gather(*map(store.get_session_and_user, tokens[start : start + TASKS]))
            wanted = cycle(tokens)
            contestants[name] = per_second(lambda store=store, wanted=wanted: store.get_session_and_user(next(wanted)))
        values = await alternate(contestants, rounds, seconds)
    slower = times(values, "10 000 sessions", "10 million sessions")
    demand = Demand("the time among 10 000", slower, 1.5, "×", at_most=True)
    return [Figure("get_session_and_user by size", "calls/s", medians(values), [demand])]
