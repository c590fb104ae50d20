"""The bars that a terminal shows: one for each table, and one for all of them that knows where it ends."""

import io
import re

from rich.console import Console

from authstore.cli.output import Output
from authstore.cli.progress import ProgressView
from authstore.mover import ProgressEvent, TableEvent


def test_the_bar_of_all_tables_counts_towards_the_rows_of_all() -> None:
    shown = io.StringIO()
    output = Output(is_json=False)
    output.console = Console(file=shown, force_terminal=True, width=100, color_system=None)
    with ProgressView(output) as view:
        view(ProgressEvent("", "copy", 0, 300))
        view(TableEvent("users", "begin", 100))
        view(ProgressEvent("users", "copy", 40, 100))
        view(TableEvent("users", "done", 100, 100))
        view(TableEvent("sessions", "begin", 200))
        view(ProgressEvent("sessions", "copy", 50, 200))
        view(ProgressEvent("", "index", 1, 2))
    plain = re.sub(r"\x1b\[[?0-9;]*[A-Za-z]", "", shown.getvalue()).replace("\r", "\n")
    lines = {line.split()[0]: line for line in plain.splitlines() if "━" in line}
    assert "150/300" in lines["all"]
    assert "rows/s" in lines["all"]
    assert "100/100" in lines["users"]
    assert "50/200" in lines["sessions"]
    assert "1/2" in next(line for name, line in lines.items() if name.endswith("building"))


def test_a_file_gets_lines() -> None:
    shown = io.StringIO()
    output = Output(is_json=False)
    output.console = Console(file=shown, force_terminal=False)
    with ProgressView(output) as view:
        view(ProgressEvent("", "copy", 0, 31_000))
        view(TableEvent("users", "done", 100, 100))
        view(ProgressEvent("", "index", 0, 2))
    assert shown.getvalue().splitlines() == [
        "31,000 rows",
        "users: 100 rows, 100 copied, 0 deleted",
        "building indexes",
    ]
