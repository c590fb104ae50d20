"""results/move.md: the move against its peers. What an earlier run measured is kept, so that `large` can run alone."""

import json
import os
import platform
import sqlite3
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
MEASURED = RESULTS / "move.json"

Results = dict[str, dict[str, float]]

_RATIOS = [
    ("db-to-sqlite", "move", "db-to-sqlite / move", ">= 6"),
    ("naive", "move", "naive / move", ">= 2.2"),
    ("verify", "move", "verify / move", "<= 0.8"),
    ("again", "move", "second move / move", "<= 0.6"),
    ("move", "back", "move / the way back", ">= 1"),
    ("back-naive", "back", "naive way back / the way back", ">= 2"),
    ("back-pgloader", "back", "pgloader / the way back", ">= 2"),
]
_NAIVE = (
    "- naive inserts, indexes and checks as `move` does, one after the other; `move` lets the source work meanwhile,"
    " and has it digest every row"
)
_PGLOADER = (
    "- pgloader makes text of instants and numbers of flags, brings no CHECK and no ledger, begins anew after a kill;"
    " `back` and `back-naive` fill the store's own tables with all of their rules"
)


def ratios(results: Results) -> list[str]:
    """What is asked of the seconds, as far as the contenders ran; and of the memory."""
    took = {name: result["seconds"] for name, result in results.items()}
    lines = [f"{text}: {took[a] / took[b]:.2f} ({goal})" for a, b, text, goal in _RATIOS if a in took and b in took]
    if "many" in took:
        lines.append(f"{results['many']['rows']:,.0f} tables of one row: {took['many']:.1f} s (<= 20 s)")
    if "many-back" in took:
        lines.append(f"their way back: {took['many-back']:.1f} s")
    if "move" in results:
        lines.append(f"peak memory of the move: {results['move']['peak']:.0f} MB (<= 300 MB)")
    if "back" in results:
        lines.append(f"peak memory of the way back: {results['back']['peak']:.0f} MB (<= 300 MB)")
    if "move" in results and "large" in results:
        grown = results["large"]["peak"] / results["move"]["peak"]
        times = results["large"]["rows"] / results["move"]["rows"]
        lines.append(f"peak memory with {times:.1f} times the rows: {grown:.2f} times (0.9 to 1.1)")
    return lines


def write(results: Results) -> None:
    """The table, with what was measured now in place of what was measured before."""
    kept: Results = json.loads(MEASURED.read_text()) if MEASURED.exists() else {}
    kept |= {name: result | {"load": round(os.getloadavg()[0], 1)} for name, result in results.items()}
    MEASURED.write_text(json.dumps(kept, indent=1) + "\n")
    lines = [
        "# The move against its peers",
        "",
        "One run, of `move` the median of three; "
        f"{os.cpu_count()} cores, Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}; "
        f"last run {datetime.now(UTC):%Y-%m-%d %H:%M} UTC. *Load*: of the machine at the end, the contenders included.",
        "",
        "| contender | rows | seconds | rows/s | peak MB | load |",
        "|---|---|---|---|---|---|",
        *(_line(name, result) for name, result in kept.items()),
        "",
        *(f"- {ratio}" for ratio in ratios(kept)),
        *([_NAIVE] if "naive" in kept else []),
        *([_PGLOADER] if "back-pgloader" in kept else []),
        "",
    ]
    (RESULTS / "move.md").write_text("\n".join(lines))


def _line(name: str, result: dict[str, Any]) -> str:
    rows, seconds = result["rows"], result["seconds"]
    return (
        f"| {name} | {rows:,.0f} | {seconds:.1f} | {rows / seconds:,.0f} | {result['peak']:.0f} | {result['load']:g} |"
    )
