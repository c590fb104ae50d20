"""Options are spelt with dashes by the command line alone: everywhere else they go by their names."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

import authstore
from authstore.cli.app import app
from authstore.cli.arguments import as_typed, dashed

PACKAGE = Path(authstore.__file__).parent
ELSEWHERE = sorted(path for path in PACKAGE.rglob("*.py") if "cli" not in path.relative_to(PACKAGE).parts)


def _options(command: Any) -> Iterator[str]:
    for parameter in command.params:
        yield from (name for name in (*parameter.opts, *parameter.secondary_opts) if name.startswith("--"))
    for inner in getattr(command, "commands", {}).values():
        yield from _options(inner)


OPTIONS = sorted(set(_options(typer.main.get_command(app))), key=len, reverse=True)
COMMAND = re.compile(r"`\w+ [^`]*`")  # to be typed as it stands
SPELT = re.compile(rf"(?<![\w-])({'|'.join(map(re.escape, OPTIONS))})(?![\w-])")


def test_the_options_are_known() -> None:
    assert {"--on-orphan", "--schema", "--json", "--no-verify"} <= set(OPTIONS)


def test_no_text_outside_the_command_line_spells_an_option_with_dashes() -> None:
    found = [
        f"{path.relative_to(PACKAGE)}:{node.lineno} {said[0]}"
        for path in ELSEWHERE
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and (said := SPELT.search(COMMAND.sub("", node.value)))
    ]
    assert found == []


@pytest.mark.parametrize(
    ("text", "typed"),
    [
        ("`skip`: no table", "--skip: no table"),
        ("say which with `schemas`, `prefix` or `profile`", "say which with --schema, --prefix or --profile"),
        ("`on_orphan` and `naive_tz`", "--on-orphan and --naive-tz"),
        ("run `authstore move`, or `move`", "run `authstore move`, or `move`"),
        ("skip it", "skip it"),
    ],
)
def test_a_text_of_the_mover_names_options_as_they_are_typed(text: str, typed: str) -> None:
    assert as_typed(text) == typed


def test_a_decision_is_an_option_that_there_is() -> None:
    for decision in ("on_bad_row", "on_orphan", "on_duplicate", "secrets", "schemas", "profile", "replace"):
        assert dashed(decision) in OPTIONS
    assert dashed("") == ""
