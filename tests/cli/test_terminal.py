"""What somebody at a terminal sees: on a real terminal, with the process on its other side."""

import asyncio
import os
import pty
import re
import select
import signal
import sqlite3
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator
from contextlib import closing, suppress
from fcntl import ioctl
from pathlib import Path
from typing import Any

import psycopg
import pytest

from authstore import connect
from tests.cli.running import run
from tests.mover.moving import people

_Link = psycopg.Connection[Any]
_CONTROL = re.compile(r"\x1b\[[?0-9;]*[A-Za-z]")


class Terminal:
    """A command in a terminal."""

    def __init__(self, *arguments: str, columns: int = 110) -> None:
        self.pid, self._side = pty.fork()
        if self.pid == 0:
            ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
            env = {name: value for name, value in os.environ.items() if not name.startswith("AUTHSTORE_")}
            command = [sys.executable, "-m", "authstore.cli", *arguments]
            os.execve(sys.executable, command, {**env, "TERM": "xterm-256color"})

    def lines(self) -> Iterator[str]:
        """Every line that was ever shown, as it was shown."""
        shown = ""
        with suppress(OSError):  # nobody is on the other side any more
            while read := os.read(self._side, 65536).decode("utf-8", "replace"):
                *whole, shown = re.split(r"[\r\n]+", shown + _CONTROL.sub("", read))
                yield from whole
        yield shown

    def type(self, text: str, when: str) -> str:
        """Types a text once this is shown; what was shown till then."""
        said = ""
        while when not in said:
            said += os.read(self._side, 65536).decode()
        os.write(self._side, text.encode())
        return said

    def interrupt(self, when: str, until: str) -> None:
        """Ctrl-C once this is shown, and again until it is heard: whoever has just asked may not listen yet."""
        said = self.type("\x03", when)
        while until not in said:
            if select.select([self._side], [], [], 0.5)[0]:
                said += os.read(self._side, 65536).decode()
            else:
                os.write(self._side, b"\x03")

    def exit_code(self) -> int:
        os.close(self._side)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def test_the_bars_of_a_database_that_nobody_analysed_know_where_they_end(
    source: _Link, source_url: str, tmp_path: Path
) -> None:
    people(source, users=300)
    source.execute("CREATE TABLE nothing (id int PRIMARY KEY)")
    terminal = Terminal("move", source_url, f"sqlite:///{tmp_path}/auth.db")
    lines = list(terminal.lines())
    assert terminal.exit_code() == 0
    bars = [line for line in lines if "━" in line]
    tables = {name: [bar for bar in bars if bar.split()[0] == name] for name in ("all", "users", "sessions", "nothing")}
    for name, end in {"users": "300/300", "sessions": "900/900", "nothing": "0/0"}.items():
        assert tables[name], name
        assert end in tables[name][-1]
        assert all(re.search(rf"\d+/{end.partition('/')[2]} ", bar) for bar in tables[name]), name
    assert "1800/1800" in tables["all"][-1]
    assert not [bar for bar in bars if "?" in bar and bar.split()[0] != "all"]


def test_who_stops_it_when_it_is_in_place_is_told_that_it_is(source: _Link, source_url: str, tmp_path: Path) -> None:
    people(source, users=300)
    terminal = Terminal("move", source_url, f"sqlite:///{tmp_path}/auth.db")
    lines = []
    is_stopped = False
    for line in terminal.lines():
        lines.append(line)
        if "putting it in place" in line and not is_stopped:
            os.kill(terminal.pid, signal.SIGINT)
            is_stopped = True
    assert is_stopped
    assert terminal.exit_code() == 0
    assert (tmp_path / "auth.db").exists()
    said = "\n".join(lines)
    assert "run the same command again" not in said
    assert "rows in 3 tables" in said


LATE = """
import os, signal, sys
from authstore.cli import main, {module}
told = {module}.{shown}
def interrupted(*given, **named):
    os.kill(os.getpid(), signal.SIGINT)
    return told(*given, **named)
{module}.{shown} = interrupted
main()
"""


@pytest.mark.parametrize(
    ("module", "shown", "arguments", "said"),
    [
        ("move_commands", "_show_move", ("move", "{source}", "{target}"), "rows in 3 tables"),
        ("store_commands", "counted", ("prune", "{store}"), "deleted"),
        ("backup_commands", "human_bytes", ("backup", "{store}", "{copy}"), "copy.db"),
    ],
)
def test_who_stops_it_while_it_reports_is_not_told_to_run_it_again(
    module: str, shown: str, arguments: tuple[str, ...], said: str, source: _Link, source_url: str, tmp_path: Path
) -> None:
    people(source, users=3)
    places = {"source": source_url} | {name: f"sqlite:///{tmp_path}/{name}.db" for name in ("target", "store")}
    places["copy"] = str(tmp_path / "copy.db")
    subprocess.run([sys.executable, "-m", "authstore.cli", "init", places["store"]], check=True)
    code = LATE.format(module=module, shown=shown)
    command = [sys.executable, "-c", code, *(argument.format(**places) for argument in arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert said in done.stdout
    assert "stopped" not in done.stderr


EARLY = """
import os, signal, sys
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "authstore.cli.app":
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Finder())
from authstore.cli import main
main()
"""


def test_who_stops_it_before_it_has_begun_gets_no_traceback() -> None:
    done = subprocess.run([sys.executable, "-c", EARLY, "--version"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


async def _signed_in(path: Path) -> tuple[str, str]:
    """A store in which somebody signed in; the session's id and its token."""
    async with connect(path) as store:
        user = await store.create_user(email="ada@example.com", name="Ada\nroles: admin")
        session = await store.create_session(user.id, ip="192.0.2.1", user_agent="Mozilla/5.0 (X11; Linux) Firefox/140")
        return session.id, session.token or ""


@pytest.mark.parametrize("columns", [80, 200])
@pytest.mark.parametrize("command", [("users", "list"), ("sessions", "list", "ada@example.com")])
def test_an_id_is_shown_whole(tmp_path: Path, command: tuple[str, ...], columns: int) -> None:
    session_id, _ = asyncio.run(_signed_in(tmp_path / "auth.db"))
    wanted = _user_id(tmp_path) if command[0] == "users" else session_id
    terminal = Terminal(*command, "--url", f"sqlite:///{tmp_path}/auth.db", columns=columns)
    lines = list(terminal.lines())
    assert terminal.exit_code() == 0
    assert [line for line in lines if wanted in line]
    assert max(map(len, lines)) <= columns
    assert not [line for line in lines if line.startswith("roles: ")]


def _user_id(folder: Path) -> str:
    with closing(sqlite3.connect(folder / "auth.db")) as connection:
        [(id,)] = connection.execute("SELECT id FROM users")
    return str(id)


def test_a_name_is_no_line_of_its_own(tmp_path: Path) -> None:
    asyncio.run(_signed_in(tmp_path / "auth.db"))
    terminal = Terminal("users", "show", "ada@example.com", "--url", f"sqlite:///{tmp_path}/auth.db")
    roles = [line for line in terminal.lines() if line.startswith("roles: ")]
    assert (terminal.exit_code(), roles) == (0, ["roles: none"])


@pytest.mark.parametrize("command", [("users", "delete", "ada@example.com"), ("roles", "delete", "admin")])
def test_who_is_asked_may_stop_it(tmp_path: Path, command: tuple[str, ...]) -> None:
    url = f"sqlite:///{tmp_path}/auth.db"
    asyncio.run(_signed_in(tmp_path / "auth.db"))
    assert run("roles", "create", "admin", "--url", url).returncode == 0
    terminal = Terminal(*command, "--url", url)
    terminal.interrupt(when="[y/N]", until="stopped")
    assert list(terminal.lines())
    assert terminal.exit_code() == 130
    assert "admin" in run("roles", "list", "--url", url).stdout
    assert _user_id(tmp_path)


def test_a_token_that_is_typed_is_not_shown(tmp_path: Path) -> None:
    session_id, token = asyncio.run(_signed_in(tmp_path / "auth.db"))
    terminal = Terminal("sessions", "explain", "--url", f"sqlite:///{tmp_path}/auth.db")
    said = terminal.type(f"{token}\n", when="token: ") + "\n".join(terminal.lines())
    assert terminal.exit_code() == 0
    assert f"session {session_id}" in said
    assert token not in said


def test_nothing_typed_as_a_token_is_nothing_known(tmp_path: Path) -> None:
    asyncio.run(_signed_in(tmp_path / "auth.db"))
    terminal = Terminal("sessions", "explain", "--url", f"sqlite:///{tmp_path}/auth.db")
    terminal.type("\x04", when="token: ")
    said = "\n".join(terminal.lines())
    assert (terminal.exit_code(), "nothing is known" in said) == (1, True)
