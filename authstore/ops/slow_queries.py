"""How long the named queries of a store take, and which of them took too long."""

import logging
from collections import deque
from dataclasses import dataclass
from datetime import timedelta
from math import ceil, log2
from threading import Lock
from typing import Protocol, cast

from authstore.adapter import offers
from authstore.observers import Observer, Statistic

_log = logging.getLogger("authstore.slow")

_PARTS = 8  # buckets for each doubling: a percentile is exact to a twentieth
_SHORTEST = 2.0**-20  # seconds, a microsecond
_FIRST = log2(_SHORTEST) * _PARTS - 0.5  # where the first bucket begins
_TOGETHER = 64  # are counted at a time


@dataclass(frozen=True, slots=True)
class QueryStats:
    """What a query took so far, in seconds with all that it waited. `p50` and `p99` are exact to a twentieth."""

    count: int
    mean: float
    p50: float
    p99: float
    max: float
    errors: int


class Explains(Protocol):
    """A store of authstore's own."""

    async def explain(self, name: str) -> list[str]:
        """How the database goes about a named query."""
        ...


class SlowQueries(Observer):
    """Counts every query of the stores that it watches, and keeps the last `keep` that took `threshold` or longer.

    Each of those is logged through `authstore.slow`, by its name. Raises `ValueError` for a threshold that is negative
    or a `keep` below 1.
    """

    def __init__(self, threshold: timedelta = timedelta(milliseconds=100), keep: int = 200) -> None:
        if threshold < timedelta(0):
            raise ValueError("threshold must not be negative")
        if keep < 1:
            raise ValueError("keep must be at least 1")
        self._threshold = threshold.total_seconds()
        self._slow: deque[Statistic] = deque(maxlen=keep)
        self._times: dict[str, _Times] = {}
        self._uncounted: deque[Statistic] = deque()
        self._counting = Lock()  # who asks may be in another thread

    def on_statement(self, statistic: Statistic, /) -> None:
        """See `authstore.observers.Observer`."""
        self._uncounted.append(statistic)
        if statistic[1] >= self._threshold:
            self._note_slow(statistic)
        if len(self._uncounted) >= _TOGETHER:
            self._count()

    def slow(self) -> list[Statistic]:
        """The queries that took too long, oldest first."""
        return list(self._slow)

    def stats(self) -> dict[str, QueryStats]:
        """What each query took, by its name."""
        self._count()
        return {name: times.stats() for name, times in self._times.items()}

    async def explain(self, name: str, store: object) -> str:
        """How the database goes about the query of this name. Raises `ValueError` where there is none."""
        if not offers(store, Explains):
            raise TypeError("this store has no named queries of its own")
        return "\n".join(await cast(Explains, store).explain(name))

    def clear(self) -> None:
        """Forgets everything so far."""
        self._slow.clear()
        self._times.clear()
        self._uncounted.clear()

    def _note_slow(self, statistic: Statistic) -> None:
        self._slow.append(statistic)
        said = (statistic.name, *(seconds * 1000 for seconds in statistic[1:4]))
        _log.warning("%s took %.1f ms; it waited %.1f ms for a thread or a connection, %.1f ms to write", *said)

    def _count(self) -> None:
        """Of many together: for one at a time the processor would have to come back to it from something else."""
        with self._counting:
            for _ in range(len(self._uncounted)):
                name, seconds, _, _, _, error, _ = self._uncounted.popleft()
                times = self._times.get(name)
                if times is None:
                    times = self._times[name] = _Times()
                times.add(seconds, is_error=error is not None)


class _Times:
    """Of one query: how often it took about so long."""

    __slots__ = ("buckets", "errors", "longest", "total")

    def __init__(self) -> None:
        self.buckets: list[int] = []  # of how long it took, each a part of a doubling
        self.errors = 0
        self.total = 0.0
        self.longest = 0.0

    def add(self, seconds: float, *, is_error: bool) -> None:
        self.total += seconds
        self.errors += is_error
        self.longest = max(self.longest, seconds)
        bucket = int(log2(seconds) * _PARTS - _FIRST) if seconds > _SHORTEST else 0
        if bucket >= len(self.buckets):
            self.buckets += [0] * (bucket + 1 - len(self.buckets))
        self.buckets[bucket] += 1

    def stats(self) -> QueryStats:
        count = sum(self.buckets)
        p50, p99 = self._at_most(ceil(count * 0.5)), self._at_most(ceil(count * 0.99))
        return QueryStats(count, self.total / count, p50, p99, self.longest, self.errors)

    def _at_most(self, wanted: int) -> float:
        """What so many of them took at most."""
        seen = 0
        for bucket, count in enumerate(self.buckets):
            seen += count
            if seen >= wanted:
                return min(_SHORTEST * 2 ** (bucket / _PARTS), self.longest)
        return self.longest
