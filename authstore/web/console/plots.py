"""Bars over time, as numbers that a template makes an SVG of: no script, no style, no picture from elsewhere."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Final

from authstore.ops.overview import Hour

HEIGHT: Final = 100
_GAP: Final = 0.2  # of a bar's width


@dataclass(frozen=True, slots=True)
class Bar:
    """One span of time. Of a hundred parts of the plot's height: where the whole and its lower part begin."""

    start: datetime
    total: int
    living: int
    x: float
    width: float
    top: float
    living_top: float


@dataclass(frozen=True, slots=True)
class Plot:
    """Bars side by side, each one unit wide. `is_exact`: whether all was counted."""

    bars: Sequence[Bar]
    most: int
    total: int
    is_exact: bool

    @property
    def width(self) -> int:
        """In units."""
        return len(self.bars)


def by_hour(hours: Sequence[Hour]) -> Plot:
    """A bar for each hour."""
    return _plot([(hour.start, hour.begun, hour.living) for hour in hours], is_exact=_are_exact(hours))


def by_day(hours: Sequence[Hour]) -> Plot:
    """Days in UTC, the first of them not whole."""
    days = [(day, list(found)) for day, found in groupby(hours, lambda hour: hour.start.date())]
    sums = [
        (found[0].start, sum(hour.begun for hour in found), sum(hour.living for hour in found)) for _, found in days
    ]
    return _plot(sums, is_exact=_are_exact(hours))


def of_counts(counts: Iterable[tuple[datetime, int]]) -> Plot:
    """What was counted by itself, without a lower part."""
    return _plot([(start, total, total) for start, total in counts], is_exact=True)


def _are_exact(hours: Iterable[Hour]) -> bool:
    return all(hour.is_exact for hour in hours)


def _plot(counts: Sequence[tuple[datetime, int, int]], *, is_exact: bool) -> Plot:
    most = max((total for _, total, _ in counts), default=0)
    scale = HEIGHT / most if most else 0.0
    bars = [
        Bar(
            start,
            total,
            living,
            number + _GAP / 2,
            1 - _GAP,
            round(HEIGHT - total * scale, 2),
            round(HEIGHT - living * scale, 2),
        )
        for number, (start, total, living) in enumerate(counts)
    ]
    return Plot(bars, most, sum(total for _, total, _ in counts), is_exact)
