"""What is printed: one JSON object a line for machines, tables and bars for people, plain lines for files."""

import json
import os
import re
import sys
from collections.abc import Iterable, Mapping
from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table

from authstore.errors import AuthStoreError

# To the last @ of this URL: a password may hold some itself, and spaces too.
_PASSWORD = re.compile(r"(?<=://)([^/@\s:]*):(?:(?!://).)*@")
_PASSWORD_PARAMETER = re.compile(r"(?i)\b((?:ssl)?password)=[^&\s'\"]*")
_WHOLE_PARAMETER = re.compile(r"(?i)\b((?:ssl)?password)=[^&]*")


def masked(text: str) -> str:
    """The text without the passwords of the URLs in it."""
    return _PASSWORD_PARAMETER.sub(r"\1=…", _PASSWORD.sub(r"\1:…@", text))


def masked_url(url: str) -> str:
    """A URL, and nothing else, without its password, whatever that is made of."""
    return _WHOLE_PARAMETER.sub(r"\1=…", _PASSWORD.sub(r"\1:…@", url))


# What a terminal obeys, or is misled by: controls other than tabs and line ends, and what turns the writing around.
_OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def shown(text: str) -> str:
    """The text as a terminal may be given it: whatever somebody called themselves."""
    return _OBEYED.sub("\N{REPLACEMENT CHARACTER}", text)


class OutputLostError(AuthStoreError):
    """What is printed cannot be written: the disk is full on which it lands."""

    hint = "make room, and run the same command again"


class _Console(Console):
    def on_broken_pipe(self) -> None:
        hang_up()

    def print(self, *objects: Any, **how: Any) -> None:
        try:
            super().print(*objects, **how)
        except OSError as error:
            raise OutputLostError(f"what is printed cannot be written: {error.strerror}") from error


def hang_up() -> None:
    """Nobody reads any more (`| head`): the work goes on to its end, in silence."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


class Output:
    """Where a command speaks to: standard output, for people `to_stderr` where a file goes there."""

    def __init__(self, *, is_json: bool, to_stderr: bool = False) -> None:
        self.is_json = is_json
        self.console = _Console(highlight=False, soft_wrap=True, markup=False, emoji=False, stderr=to_stderr)

    @property
    def is_lively(self) -> bool:
        """Whether somebody watches."""
        return not self.is_json and self.console.is_terminal

    def event(self, name: str, **content: Any) -> None:
        """For machines; silent otherwise."""
        if self.is_json:
            self.line(json.dumps({"event": name, **content}, default=str))

    def say(self, text: str = "") -> None:
        """A line for people; silent with --json."""
        if not self.is_json:
            self.console.print(_line_of(masked(text)))

    def table(self, head: Iterable[str], rows: Iterable[Iterable[object]], *, numbers: int = 0) -> None:
        """Columns for people; the last `numbers` of them hold numbers."""
        if self.is_json:
            return
        names = list(head)
        lines = [[_cell(value) for value in row] for row in rows]
        if not self.is_lively:
            self._plain(names, lines)
            return
        if names[0] == "id" and _width(names, lines) > self.console.width:  # an id is to be copied, so it stays whole
            self._each_by_itself(names, lines)
            return
        table = Table(box=None, pad_edge=False, header_style="bold")
        for position, name in enumerate(names):
            table.add_column(name, justify="right" if position >= len(names) - numbers else "left", overflow="fold")
        for line in lines:
            table.add_row(*line)
        self.console.print(table)

    def _each_by_itself(self, names: list[str], lines: list[list[str]]) -> None:
        for id, *others in lines:
            self.console.print(id)
            for name, value in zip(names[1:], others, strict=True):
                if value:
                    self.console.print(f"  {name}: {value}" if name else f"  {value}")

    def _plain(self, names: list[str], lines: list[list[str]]) -> None:
        widths = [max(len(line[column]) for line in (names, *lines)) for column in range(len(names))]
        for line in (names, *lines):
            padded = (text.ljust(width) for text, width in zip(line, widths, strict=True))
            self.line("  ".join(padded).rstrip())

    def line(self, text: str) -> None:
        """A line as it stands, for machines."""
        try:
            self.console.file.write(text + "\n")
            self.console.file.flush()
        except BrokenPipeError:
            hang_up()
        except OSError as error:
            raise OutputLostError(f"what is printed cannot be written: {error.strerror}") from error


def _cell(value: object) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return _line_of(str(value))


def _line_of(text: str) -> str:
    """One line, for a stranger's text is not to make more."""
    return shown(" ".join(text.splitlines()))


def _width(names: list[str], lines: list[list[str]]) -> int:
    """How many columns of a terminal a table takes."""
    columns = zip(names, *lines, strict=True)
    return sum(max(map(cell_len, column)) for column in columns) + 2 * (len(names) - 1)


def human_bytes(size: float) -> str:
    """1536 → "1.5 KB"."""
    for unit in ("B", "KB", "MB", "GB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TB"


def human_seconds(seconds: float) -> str:
    """75 → "1 min 15 s"."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def one_or_many(count: int, what: str) -> str:
    """(1, "problem") → "1 problem", (2, "problem") → "2 problems"."""
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"


def counted(counts: Mapping[str, int]) -> str:
    """{"verification_tokens": 3} → "3 verification tokens"."""
    return ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in counts.items()) or "nothing"
