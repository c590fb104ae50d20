"""What every command has in common: help, version, plain words, passwords that are not shown, readers who leave."""

import os
import re
import subprocess
import sys
from dataclasses import fields
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import typer.main
from typer.testing import CliRunner

from authstore.cli import app as application
from authstore.cli.app import app
from authstore.cli.output import masked, one_or_many
from authstore.mover import MoveOptions
from tests.cli.running import run

pytestmark = pytest.mark.processes

_COMMAND = typer.main.get_command(app)


def _all_commands(command: Any = _COMMAND, path: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], Any]]:
    found = [(path, command)]
    for name, sub in getattr(command, "commands", {}).items():
        found += _all_commands(sub, (*path, name))
    return found


@pytest.mark.parametrize(("path", "command"), _all_commands())
def test_every_option_and_argument_says_what_it_is(path: tuple[str, ...], command: Any) -> None:
    assert command.help or command.callback.__doc__
    for parameter in command.params:
        assert parameter.help, (path, parameter.name)


@pytest.mark.parametrize("path", [path for path, _ in _all_commands()])
def test_help_breaks_no_word_at_80_columns(path: tuple[str, ...]) -> None:
    done = CliRunner(env={"COLUMNS": "80", "TERMINAL_WIDTH": "80"}).invoke(app, [*path, "--help"])
    assert done.exit_code == 0
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert "<bool>" not in done.stdout
    assert "─" not in done.stdout


def test_the_options_of_a_move_are_those_of_the_mover() -> None:
    moments = {"moved_at", "sessions_at", "judged_at"}  # set by whoever runs the move
    wanted = {field.name for field in fields(MoveOptions)} - moments
    for name in ("plan", "move", "verify", "recover"):
        command = {path[-1]: command for path, command in _all_commands() if path}[name]
        assert wanted <= {parameter.name for parameter in command.params}


def test_help_of_verify_and_recover_names_the_defaults_that_hold() -> None:
    for command, default in (("move", "stop"), ("verify", "as in the move"), ("recover", "as in the move")):
        shown = " ".join(run(command, "--help").stdout.split())
        assert re.search(rf"--on-orphan .*?default: \(?{default}", shown)


def test_version() -> None:
    done = run("--version")
    assert (done.returncode, done.stdout) == (0, f"authstore {version('authstore')}\n")


def test_shell_completion_can_be_had() -> None:
    assert "--show-completion" in run("--help").stdout


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("to postgresql://ada:geheim@h/db now", "to postgresql://ada:…@h/db now"),
        ("postgresql://ada:ge@heim@h/db", "postgresql://ada:…@h/db"),
        ("postgresql://ada:ge/heim@h/db", "postgresql://ada:…@h/db"),
        ("postgresql://ada:ge:heim?@h/db", "postgresql://ada:…@h/db"),
        ("postgresql://ada:ge heim@h/db now", "postgresql://ada:…@h/db now"),
        ("postgresql://ada:x y@h to postgresql://eve:z@i", "postgresql://ada:…@h to postgresql://eve:…@i"),
        ("host=h password=geheim", "host=h password=…"),
        ("postgresql://h/db?sslpassword=geheim&x=1", "postgresql://h/db?sslpassword=…&x=1"),
        ("postgresql://h/db", "postgresql://h/db"),
    ],
)
def test_passwords_are_masked_whole(text: str, shown: str) -> None:
    assert masked(text) == shown


def test_one_is_not_many() -> None:
    assert [one_or_many(count, "row") for count in (0, 1, 2, 1000)] == ["0 rows", "1 row", "2 rows", "1,000 rows"]


def test_an_ascii_terminal_gets_text_and_no_traceback(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/Zürich—ü.db"
    for arguments in (("init", url), ("inspect", url), ("users", "list", "--url", url), ("inspect", "sqlite:///ü.db")):
        done = run(*arguments, LC_ALL="C", PYTHONCOERCECLOCALE="0", PYTHONUTF8="0", PYTHONIOENCODING="ascii")
        assert "Traceback" not in done.stderr
        assert done.returncode == (1 if arguments[1] == "sqlite:///ü.db" else 0)


@pytest.mark.parametrize("is_json", [True, False])
def test_a_reader_who_leaves_ends_nothing_with_a_traceback(tmp_path: Path, is_json: bool) -> None:
    url = f"sqlite:///{tmp_path}/auth.db"
    assert run("init", url).returncode == 0
    reading, writing = os.pipe()
    os.close(reading)
    arguments = [sys.executable, "-m", "authstore.cli", "inspect", url, *(["--json"] if is_json else [])]
    done = subprocess.run(arguments, stdout=writing, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("command", "closed", "status"),
    [
        ("inspect {url}", ">&-", 0),
        ("users list --url {url}", "<&- >&- 2>&-", 0),
        ("sessions explain --url {url}", "<&-", 1),
        ("users delete nobody --url {url}", "<&- >&-", 1),
        ("nonsense", "2>&-", 2),
    ],
)
def test_what_is_closed_from_the_start_is_not_missed(tmp_path: Path, command: str, closed: str, status: int) -> None:
    url = f"sqlite:///{tmp_path}/auth.db"
    assert application.run(["init", url]) == 0
    line = f"exec {sys.executable} -m authstore.cli {command.format(url=url)} {closed}"
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, input="", timeout=60, check=False)
    assert (done.returncode, "Traceback" in done.stderr) == (status, False)


@pytest.mark.parametrize(
    "command",
    [
        "inspect {url}",
        "inspect {url} --json",
        "inspect {url}.none --json",
        "migrate {url}.none --sql",
        "--version",
        "-h",
    ],
)
def test_a_full_disk_under_what_is_printed_is_said_in_one_line(tmp_path: Path, command: str) -> None:
    url = f"sqlite:///{tmp_path}/auth.db"
    assert application.run(["init", url]) == 0
    with open("/dev/full", "wb") as full:
        arguments = [sys.executable, "-m", "authstore.cli", *command.format(url=url).split()]
        done = subprocess.run(arguments, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("authstore: what is printed cannot be written: No space left on device\n")
    assert "Traceback" not in done.stderr
