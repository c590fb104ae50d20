"""A section of docs/troubleshooting.md: what it shows, what it lets people type, and whether both were tried."""

import ast
import asyncio
import inspect
import io
import re
import shlex
from collections.abc import Awaitable, Callable, Mapping
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from types import CodeType
from typing import Any
from unittest.mock import patch

import pytest

from authstore.cli import app

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "troubleshooting.md").read_text("utf-8")


def sections() -> dict[str, str]:
    """The page's text by its headings, where it shows something."""
    parts = re.split(r"^###? (.+)$", PAGE, flags=re.MULTILINE)
    return {heading: text for heading, text in zip(parts[1::2], parts[2::2], strict=True) if "```" in text}


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


class Trouble:
    """A section of the page; at the end all that it shows was seen, and all that it lets people type was done."""

    def __init__(self, heading: str) -> None:
        text = SECTIONS[heading]
        self.blocks = blocks(text, "python")
        self.statements = blocks(text, "sql")
        self.shown = [line.strip() for block in blocks(text, "text") for line in block.splitlines()]
        typed = [line[2:] for block in blocks(text, "console") for line in block.splitlines()]
        self.commands = [command for command in typed if command.startswith("authstore ")]
        self.left: set[str] = {*self.shown, *self.commands, *self.blocks, *self.statements}

    def sees(self, told: str) -> None:
        """What is told has at least one of the lines that the page shows."""
        lines = [line.strip() for line in told.splitlines()]
        found = {shown for shown in self.shown for line in lines if re.fullmatch(_pattern(shown), line)}
        assert found, f"the page does not show {told!r}"
        self.left -= found

    async def meets(self, kind: type[Exception], call: Callable[[], Awaitable[object]]) -> None:
        """The call raises, and the page shows it."""
        with pytest.raises(kind) as raised:
            await call()
        self.sees(f"{type(raised.value).__name__}: {raised.value}")

    async def types(
        self, command: str, *, exits: int = 0, stdin: str = "", instead: Mapping[str, str] | None = None
    ) -> str:
        """Runs a command of the page as it stands there, and gives what it printed."""
        assert command in self.commands
        self.left.discard(command)
        words = [(instead or {}).get(word, word) for word in shlex.split(command)]
        told = io.StringIO()
        with redirect_stdout(told), redirect_stderr(told), patch("sys.stdin", io.StringIO(stdin)):
            exited = await asyncio.to_thread(app.run, words[1:])  # it runs an event loop of its own
        assert exited == exits, told.getvalue()
        return told.getvalue()

    async def runs(self, block: str) -> dict[str, Any]:
        """Runs a program of the page; gives its names."""
        self.left.discard(block)
        code = compile(block, "troubleshooting.md", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        assert isinstance(code, CodeType)
        names: dict[str, Any] = {"__name__": "__main__"}
        if code.co_flags & inspect.CO_COROUTINE:
            await eval(code, names)
        else:
            exec(code, names)
        return names


def _pattern(shown: str) -> str:
    return ".*".join(map(re.escape, shown.split("…")))


SECTIONS = sections()
