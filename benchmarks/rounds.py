"""Alternating rounds: every contestant runs once a round, so that the machine's moods fall on all alike."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from statistics import median
from typing import NamedTuple

TASKS = 64

Round = Callable[[float], Awaitable[float]]  # seconds → what was measured


class Demand(NamedTuple):
    """One figure to reach: `got` against `wanted`, both in `unit`."""

    against: str
    got: float
    wanted: float
    unit: str
    at_most: bool = False
    reason: str = ""  # why it is missed, where it is

    @property
    def reached(self) -> bool:
        return self.got <= self.wanted if self.at_most else self.got >= self.wanted


class Figure(NamedTuple):
    """A measured line of the table: each contestant's median, and what was to be reached."""

    what: str
    unit: str
    values: Mapping[str, float]
    demands: list[Demand]


async def alternate(contestants: Mapping[str, Round], rounds: int, seconds: float) -> dict[str, list[float]]:
    """One value a round of each contestant; who begins changes from round to round."""
    values: dict[str, list[float]] = {name: [] for name in contestants}
    names = list(contestants)
    for name in names:  # warm
        await contestants[name](min(seconds, 0.3))
    for number in range(rounds):
        for name in names[number % len(names) :] + names[: number % len(names)]:
            values[name].append(await contestants[name](seconds))
    return values


def medians(values: Mapping[str, list[float]]) -> dict[str, float]:
    """The median of each contestant's rounds."""
    return {name: median(rounds) for name, rounds in values.items()}


def times(values: Mapping[str, list[float]], ours: str, theirs: str) -> float:
    """How many times theirs ours is: the median of the rounds' ratios."""
    return median(mine / other for mine, other in zip(values[ours], values[theirs], strict=True))


def per_second(call: Callable[[], Awaitable[object]], tasks: int = TASKS) -> Round:
    """Calls a second, of `tasks` tasks that call again as soon as they are answered."""

    async def run(seconds: float) -> float:
        count = 0
        started = time.perf_counter()
        end = started + seconds

        async def work() -> None:
            nonlocal count
            while time.perf_counter() < end:
                await call()
                count += 1

        await asyncio.gather(*[work() for _ in range(tasks)])
        return count / (time.perf_counter() - started)

    return run


def in_thread(call: Callable[[], object]) -> Round:
    """Calls a second, one after another without an event loop between."""

    async def run(seconds: float) -> float:
        count = 0
        started = time.perf_counter()
        end = started + seconds
        while time.perf_counter() < end:
            call()
            count += 1
        return count / (time.perf_counter() - started)

    return run


def typical(call: Callable[[], Awaitable[object]]) -> Round:
    """The median time of one call, in microseconds, of a single task."""

    async def run(seconds: float) -> float:
        spent = []
        end = time.perf_counter() + seconds
        while (started := time.perf_counter()) < end:
            await call()
            spent.append(time.perf_counter() - started)
        return median(spent) * 1e6

    return run
