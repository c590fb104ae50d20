"""The table and the plot."""

import argparse
from pathlib import Path

from benchmarks.dataset import Size
from benchmarks.rounds import Demand, Figure

RESULTS = Path(__file__).parent / "results"


def text(figures: list[Figure]) -> str:
    """What was measured, for a terminal."""
    lines = []
    for figure in figures:
        lines.append(figure.what)
        lines += [f"  {name:40} {value:12,.4g} {figure.unit}" for name, value in figure.values.items()]
        lines += [f"  → {_demand(demand)}" for demand in figure.demands]
    return "\n".join(lines)


def _demand(demand: Demand) -> str:
    sign = "≤" if demand.at_most else "≥"
    verdict = "reached" if demand.reached else "MISSED" + (f": {demand.reason}" if demand.reason else "")
    return f"{demand.against}: {demand.got:.3g} {demand.unit} (asked {sign} {demand.wanted:g} {demand.unit}) {verdict}"


def write(figures: list[Figure], size: Size, options: argparse.Namespace) -> None:
    """results/store.md and results/store.svg."""
    RESULTS.mkdir(exist_ok=True)
