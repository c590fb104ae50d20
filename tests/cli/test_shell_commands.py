"""shell, and sessions explain."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from authstore import Event, Session, connect
from tests.cli.running import events, run


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/auth.db"


def ask(url: str, typed: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "authstore.cli", "shell", url]
    return subprocess.run(command, input=typed, text=True, capture_output=True, timeout=60, check=False, env=os.environ)


async def _filled(url: str) -> Session:
    async with connect(url) as store:
        return await store.create_session((await store.create_user(id="u-1", email="ada@example.com")).id)


async def _events(url: str) -> list[Event]:
    async with connect(url) as store:
        return await store.events()


def test_what_is_typed_at_the_prompt_is_awaited_and_stands_in_the_log(url: str) -> None:
    asyncio.run(_filled(url))
    done = ask(
        url,
        "user = await store.get_user_by_email('ada@example.com')\n"
        "user.id\n"
        "for session in await store.list_sessions(user.id):\n"
        "    await store.revoke_session(session.id)\n"
        "\n"
        "1 / 0\n"
        "print('still here', UserNotFoundError.__name__, ops.acting.__name__)\n",
    )
    assert done.returncode == 0, done.stderr
    assert "'u-1'" in done.stdout
    assert "still here UserNotFoundError acting" in done.stdout
    assert "ZeroDivisionError" in done.stderr
    assert [(event.type, event.actor) for event in asyncio.run(_events(url))] == [("session.ended", "shell")]


def test_a_shell_makes_no_new_store(url: str, tmp_path: Path) -> None:
    assert ask(url, "1\n").returncode == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("token", [b"\xff\xfe\n", b"\0" * 20, b"x" * 100_000])
def test_whatever_comes_as_a_token_is_explained(url: str, token: bytes) -> None:
    asyncio.run(_filled(url))
    command = [sys.executable, "-m", "authstore.cli", "sessions", "explain", "--url", url]
    done = subprocess.run(command, input=token, capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (1, b"")
    assert b"nothing is known" in done.stdout


def test_a_session_is_explained_by_its_id_or_by_a_token_from_the_input(url: str) -> None:
    session = asyncio.run(_filled(url))
    assert session.token is not None
    command = [sys.executable, "-m", "authstore.cli", "sessions", "explain", "--url", url]
    alive = subprocess.run(command, input=session.token, text=True, capture_output=True, check=False)
    assert alive.returncode == 0, alive.stderr
    assert "alive; ends" in alive.stdout
    assert session.token not in alive.stdout + alive.stderr
    assert run("sessions", "revoke", session.id, "--url", url).returncode == 0
    [told] = events(run("sessions", "explain", session.id, "--url", url, "--json"))
    assert (told["state"], told["ended"]["reason"]) == ("ended", "revoked")
    assert "revoked" in run("sessions", "explain", session.id, "--url", url).stdout
    assert run("sessions", "explain", "nobody", "--url", url).returncode == 1
