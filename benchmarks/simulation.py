"""`python -m benchmarks.simulation`: what so many users ask of a store; writes results/simulation.md.

A day is reckoned from how people use a site, its busiest second is simulated: calls come at random, each keeps a core
of the server busy for what it was measured to cost. No network and no disk: it tells the least that must be there.
"""

import heapq
import random
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

RESULT = Path(__file__).parent / "results" / "simulation.md"
SIZES = (10_000, 100_000, 1_000_000, 10_000_000, 100_000_000)
DAY = 86_400
PEAK = 4  # the busiest second of a day against its mean
ACTIVE = 0.2  # of all users, on a day
SESSIONS_A_USER = 2
CALLS = 100_000  # simulated, at most
PATIENCE_MS = 5.0  # how long 99 of 100 calls may wait for a core
CORES = (1, 2, 4, 8, 16, 32, 64, 96)


class Cost(NamedTuple):
    """Of one call: µs of CPU of client and server, bytes of the log, µs on SQLite; how often an active user calls."""

    client: float
    server: float
    wal: float
    on_sqlite: float
    a_day: float


# Measured one by one on two cores, PostgreSQL 18 of the embedded wheel; the last of each, how often, is assumed.
COSTS: Mapping[str, Cost] = {
    "look-up": Cost(27, 25, 0, 26, 60),
    "sign-in": Cost(329 + 176, 350 + 150, 542 + 593, 124 + 51, 0.25),
    "first sign-in": Cost(347 + 176, 475 + 150, 1403 + 593, 98 + 51, 0.01),
    "touch": Cost(249, 200, 270, 69, 8),
    "letter used": Cost(228, 250, 97, 45, 0.05),
    "sign-out": Cost(210, 325, 117, 50, 0.05),
}
BYTES_A_USER = 233 + 326 + SESSIONS_A_USER * 287  # a user, an account, sessions, with their indexes


def at_peak(users: int) -> dict[str, float]:
    """Calls a second."""
    return {name: users * ACTIVE * cost.a_day / DAY * PEAK for name, cost in COSTS.items()}


def slowest_wait(rates: Mapping[str, float], cores: int) -> float:
    """Milliseconds that 99 of 100 calls wait for a core at most."""
    chance = random.Random(1)  # the same calls for every number of cores
    names, total = list(rates), sum(rates.values())
    free = [0.0] * cores
    now, waits = 0.0, []
    for name in chance.choices(names, list(rates.values()), k=min(CALLS, max(int(total * 60), 1000))):
        now += chance.expovariate(total)
        begins = max(now, heapq.heappop(free))
        heapq.heappush(free, begins + chance.expovariate(1e6 / COSTS[name].server))
        waits.append(begins - now)
    waits.sort()
    return waits[len(waits) * 99 // 100] * 1000


def cores_needed(rates: Mapping[str, float]) -> int | None:
    """The least that keeps waits short; `None` where one server is too small."""
    busy = sum(rate * COSTS[name].server for name, rate in rates.items()) / 1e6
    return next((cores for cores in CORES if cores > busy and slowest_wait(rates, cores) <= PATIENCE_MS), None)


def advice(file: float, cores: int | None) -> str:
    """What to run. A file's writer works on one core, and shares it with the application."""
    if file < 0.3:
        return "one file, or one PostgreSQL"
    if cores is None or cores > CORES[-2]:
        return "partitioned by tenant"
    return "one PostgreSQL" if cores <= 16 else "one PostgreSQL; look-ups from a standby (`read_url`)"


def line(users: int) -> str:
    """One row of the table."""
    rates = at_peak(users)
    wal = sum(users * ACTIVE * cost.a_day * cost.wal for cost in COSTS.values())
    file = sum(rate * COSTS[name].on_sqlite for name, rate in rates.items()) / 1e6
    client = sum(rate * COSTS[name].client for name, rate in rates.items()) / 1e6
    server = sum(rate * COSTS[name].server for name, rate in rates.items()) / 1e6
    cores = cores_needed(rates)
    signing_in = rates["sign-in"] + rates["first sign-in"]
    return (
        f"| {users:,} | {rates['look-up']:,.1f} | {signing_in:,.2f} | {rates['touch']:,.1f} | {wal / 2**30:,.2f}"
        f" | {users * BYTES_A_USER / 2**30:,.2f} | {file:.1%} | {client:,.2f} + {server:,.2f}"
        f" | {cores or 'more than 96'} | {advice(file, cores)} |"
    )


def main() -> None:
    """Writes the page."""
    often = ", ".join(f"{cost.a_day:g} × {name}" for name, cost in COSTS.items())
    lines = [
        "# What so many users ask of a store",
        "",
        f"Reckoned by `python -m benchmarks.simulation`: {ACTIVE:.0%} of all users come on a day; each of them:",
        f"{often}.",
        f"The busiest second has {PEAK} times the mean. Cores of the server: the least with which 99 of 100 calls",
        f"wait {PATIENCE_MS:g} ms for one at most. Costs are those of calls one by one; where many wait together,",
        "look-ups and sign-ins share statements and cost a quarter ([postgres.md](postgres.md)).",
        "The log is told without full pages.",
        "",
        "| users | look-ups/s | sign-ins/s | touches/s | log, GB a day | data, GB | a file's thread is busy"
        " | cores busy, client + server | cores of the server | run |",
        "|---:|---:|---:|---:|---:|---:|---:|---:|---:|---|",
        *map(line, SIZES),
        "",
    ]
    RESULT.write_text("\n".join(lines))
    print(RESULT.read_text())


if __name__ == "__main__":
    main()
