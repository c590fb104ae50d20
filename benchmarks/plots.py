"""Plots of what was measured, from results/ into docs/pictures/: small SVG, for light and dark, that loads nothing.

    python -m benchmarks.plots

Each bar is one contestant of one run; what was missed is drawn as what was reached is.
"""

import json
import re
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

RESULTS = Path(__file__).parent / "results"
PICTURES = Path(__file__).parents[1] / "docs" / "pictures"

WIDTH, LABELS, FIGURES, BAR, STEP, TOP = 720, 280, 80, 18, 30, 54
STYLE = """
text { font: 14px system-ui, sans-serif; fill: #15211c }
.title { font-weight: 600; font-size: 15px }
.quiet { fill: #55635c; font-size: 12px }
.ours { fill: #14563c }
.theirs { fill: #b5c2bb }
@media (prefers-color-scheme: dark) {
  text { fill: #e9f0ec }
  .quiet { fill: #a3b2aa }
  .ours { fill: #7fd8ae }
  .theirs { fill: #45544c }
}"""


class Plot(NamedTuple):
    """Bars of one run, the longest being the most."""

    title: str
    unit: str
    values: Mapping[str, float]


def plots() -> dict[str, Plot]:
    """By the name of the file that each becomes."""
    look_up, create = _measured("get"), _measured("create")
    return {
        "look-ups": Plot("Sessions looked up with their users, 64 tasks", "a second", look_up),
        "sign-ins": Plot("Sessions created, each on the disk before it is answered, 64 tasks", "a second", create),
        "requests": Plot("GET /me through FastAPI, 64 connections", "requests a second", _requests()),
        "move": Plot("Moving 1.55 million rows from PostgreSQL to SQLite", "seconds; less is better", _move()),
    }


def svg(plot: Plot) -> str:
    """One plot."""
    room = WIDTH - LABELS - FIGURES
    most = max(plot.values.values())
    height = TOP + STEP * len(plot.values) + 6
    said = "; ".join(f"{name}: {_figure(value)}" for name, value in plot.values.items())
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"'
        ' role="img">',
        f"<title>{escape(plot.title)}, {escape(plot.unit)}: {escape(said)}</title>",
        f"<style>{STYLE}\n</style>",
        f'<text class="title" x="0" y="18">{escape(plot.title)}</text>',
        f'<text class="quiet" x="0" y="38">{escape(plot.unit)}</text>',
    ]
    for number, (name, value) in enumerate(plot.values.items()):
        top, kind = TOP + STEP * number, "ours" if name.startswith("authstore") else "theirs"
        long = max(2.0, room * value / most)
        lines += [
            f'<text x="0" y="{top + 14}">{escape(name)}</text>',
            f'<rect class="{kind}" x="{LABELS}" y="{top}" width="{long:.1f}" height="{BAR}" rx="3"/>',
            f'<text x="{LABELS + long + 8:.1f}" y="{top + 14}">{_figure(value)}</text>',
        ]
    return "\n".join([*lines, "</svg>", ""])


def drawn() -> dict[str, str]:
    """What stands in docs/pictures/ when it is what stands in results/."""
    return {f"{name}.svg": svg(plot) for name, plot in plots().items()}


def _measured(measure: str) -> dict[str, float]:
    """The medians of a measure of results/store.json."""
    kept: dict[str, Any] = json.loads((RESULTS / "store.json").read_text("utf-8"))
    return dict(kept[measure]["figures"][0]["values"])


def _requests() -> dict[str, float]:
    """Application and requests a second, of results/web.md."""
    rows = re.findall(r"^\| ([\w -]+?) \| ([\d,]+) \| [\d.]+ \|", (RESULTS / "web.md").read_text("utf-8"), re.MULTILINE)
    names = {"hard coded": "the user hard-coded", "fastapi users": "fastapi-users, same file"}
    return {names.get(name, name): float(figure.replace(",", "")) for name, figure in rows}


def _move() -> dict[str, float]:
    """Contender and seconds, of results/move.json."""
    kept: dict[str, Any] = json.loads((RESULTS / "move.json").read_text("utf-8"))
    names = {"move": "authstore move", "naive": "a script by hand", "db-to-sqlite": "db-to-sqlite"}
    return {said: kept[name]["seconds"] for name, said in names.items()}


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


if __name__ == "__main__":
    PICTURES.mkdir(exist_ok=True)
    for name, text in drawn().items():
        (PICTURES / name).write_text(text, "utf-8")
        print(PICTURES / name)
