"""`python -m benchmarks.store`: measures the store against its peers and writes results/store.md and its plot."""

import argparse
import asyncio
import gc
from collections.abc import Awaitable, Callable

from benchmarks import life, many, reads, report, writes
from benchmarks.dataset import FULL, Dataset, dataset
from benchmarks.rounds import Figure

Measure = Callable[[Dataset, int, float], Awaitable[list[Figure]]]

MEASURES: dict[str, Measure] = {
    "get": reads.get,
    "one": reads.one,
    "create": writes.create,
    "sign-up": writes.sign_up,
    "use": writes.use,
    "prune": life.prune,
    "processes": life.processes,
    "open": life.opening,
    "import": life.imports,
    "memory": life.memory,
    "large": life.large,
    "many-sessions": many.many_sessions,
    "prune-large": many.prune_large,
}

LONG = {"memory", "large", "prune-large"}  # minutes; only when asked for


def main() -> None:
    """Runs what was asked for, one measure after another, each in an event loop of its own."""
    options = _options()
    data = dataset(FULL.scaled(options.scale))
    measured: dict[str, list[Figure]] = {}
    for name in options.only or [name for name in MEASURES if name not in LONG]:
        print(f"{name} …", flush=True)
        measured[name] = asyncio.run(MEASURES[name](data, options.rounds, options.seconds))
        gc.collect()
        print(report.text(measured[name]), flush=True)
        report.write(measured, data.size, options, list(MEASURES))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.store", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="alternating rounds (5)")
    parser.add_argument("--seconds", type=float, default=2.0, help="of each contestant in each round (2)")
    parser.add_argument("--scale", type=float, default=1.0, help="of the data set: 1 is 500 000 sessions")
    parser.add_argument("--only", action="append", choices=MEASURES, help="may be repeated")
    return parser.parse_args()


if __name__ == "__main__":
    main()
