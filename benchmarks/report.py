"""The table and the plot. What earlier runs measured is kept, so that measures can be run one by one."""

import argparse
import json
import math
import os
import platform
import sqlite3
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.dataset import Size
from benchmarks.rounds import Demand, Figure

RESULTS = Path(__file__).parent / "results"
MEASURED = RESULTS / "store.json"
OURS, THEIRS = "#2f6f4f", "#b8bfc6"


def text(figures: list[Figure]) -> str:
    """What was measured, for a terminal."""
    lines = []
    for figure in figures:
        lines.append(figure.what)
        lines += [f"  {name:40} {value:12,.4g} {figure.unit}" for name, value in figure.values.items()]
        lines += [f"  → {demand.against}: {_got(demand)}, {_verdict(demand)}" for demand in figure.demands]
    return "\n".join(lines)


def write(measured: dict[str, list[Figure]], size: Size, options: argparse.Namespace, order: list[str]) -> None:
    """results/store.md, results/store.svg, and the numbers themselves in results/store.json."""
    RESULTS.mkdir(exist_ok=True)
    kept: dict[str, Any] = json.loads(MEASURED.read_text()) if MEASURED.exists() else {}
    run = {
        "at": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "rows": dict(size._asdict()),
        "rounds": f"{options.rounds} × {options.seconds:g} s",
        "load": round(os.getloadavg()[0], 1),
    }
    for name, figures in measured.items():
        kept[name] = {"run": run, "figures": [_plain(figure) for figure in figures]}
    kept = {name: kept[name] for name in order if name in kept}
    MEASURED.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n")
    (RESULTS / "store.md").write_text(_table(kept))
    _plot([(_figure(plain)) for entry in kept.values() for plain in entry["figures"]])


def _plain(figure: Figure) -> dict[str, Any]:
    return {**figure._asdict(), "demands": [demand._asdict() for demand in figure.demands]}


def _figure(plain: dict[str, Any]) -> Figure:
    return Figure(plain["what"], plain["unit"], plain["values"], [Demand(**demand) for demand in plain["demands"]])


def _table(kept: dict[str, Any]) -> str:
    lines = [
        "# The store against its peers",
        "",
        f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, {os.cpu_count()} cores.",
        "Ratios are medians of the rounds' ratios; contestants alternate. *Load*: of the machine, others included.",
        "",
        "| what | medians | against | asked | measured | | rounds, load |",
        "|---|---|---|---|---|---|---|",
    ]
    for entry in kept.values():
        for plain in entry["figures"]:
            lines += _lines(_figure(plain), entry["run"])
    return "\n".join(lines) + "\n\n![medians](store.svg)\n"


def _lines(figure: Figure, run: dict[str, Any]) -> list[str]:
    values = "<br>".join(f"{name}: {value:,.4g} {figure.unit}" for name, value in figure.values.items())
    return [
        f"| {figure.what if not number else ''} | {values if not number else ''} | {demand.against} "
        f"| {'≤' if demand.at_most else '≥'} {demand.wanted:g} {demand.unit} | {demand.got:.3g} {demand.unit} "
        f"| {_verdict(demand, run['load'])} | {run['rounds']}, {run['load']} |"
        for number, demand in enumerate(figure.demands)
    ]


def _got(demand: Demand) -> str:
    sign = "≤" if demand.at_most else "≥"
    return f"{demand.got:.3g} {demand.unit} (asked {sign} {demand.wanted:g} {demand.unit})"


def _verdict(demand: Demand, load: float = 0) -> str:
    if demand.reached:
        return "reached"
    busy = f" (load {load:g} on {os.cpu_count()} cores)" if load > (os.cpu_count() or 1) else ""
    return f"**missed**{busy}" + (f": {demand.reason}" if demand.reason else "")


def _plot(figures: list[Figure]) -> None:
    import matplotlib as mpl

    mpl.use("svg")
    import matplotlib.pyplot as plt

    columns = 2
    height = math.ceil(len(figures) / columns)
    _, axes = plt.subplots(height, columns, figsize=(13, 1.9 * height), squeeze=False, layout="constrained")
    for axis in axes.flat[len(figures) :]:
        axis.set_visible(False)
    for axis, figure in zip(axes.flat, figures, strict=False):
        names = list(figure.values)[::-1]
        values = [figure.values[name] for name in names]
        mine = [OURS if name.startswith("authstore") or "sessions" in name else THEIRS for name in names]
        bars = axis.barh(names, values, color=mine)
        axis.bar_label(bars, labels=[f"{value:,.4g}" for value in values], padding=3, fontsize=8)
        axis.set_title(f"{figure.what} ({figure.unit})", fontsize=9, loc="left")
        axis.margins(x=0.15)
        axis.tick_params(labelsize=8)
        axis.spines[["top", "right"]].set_visible(False)
    plt.savefig(RESULTS / "store.svg", metadata={"Date": None})
