"""monitor."""

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from authstore import SessionPolicy, connect, utc_now
from tests.cli.running import events, run


@pytest.fixture
def url(tmp_path: Path) -> str:
    """Of a healthy store."""
    url = f"sqlite:///{tmp_path}/auth.db"
    assert run("init", url).returncode == 0
    return url


def test_monitor_looks_so_often_and_says_what_it_found(url: str) -> None:
    done = run("monitor", url, "--looks", "2", "--every", "0.1")
    assert done.returncode == 0
    assert "  health: ok" in done.stdout.splitlines()
    told = events(run("monitor", url, "--looks", "1", "--json"))[-1]
    assert (told["event"], told["ok"], told["looks"], told["states"]["log"]) == ("done", True, 1, "ok")


def test_one_look_is_enough_to_say_what_is_wrong(url: str, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "auth.db", isolation_level=None)) as locked:
        locked.execute("BEGIN IMMEDIATE")
        done = run("monitor", url, "--looks", "1")
    assert (done.returncode, "  health: warning" in done.stdout.splitlines()) == (1, True)


@pytest.mark.parametrize("command", ["prune {}", "monitor {} --looks 1 --prune"])
def test_sessions_that_the_application_lets_live_stay(url: str, command: str) -> None:
    policy, long_ago = SessionPolicy(lifetime=None, idle=None), utc_now() - timedelta(days=100)

    async def sign_in() -> str:
        async with connect(url, policy=policy, clock=lambda: long_ago) as store:
            session = await store.create_session((await store.create_user(id="ada")).id)
            return session.token or ""

    async def is_signed_in(token: str) -> bool:
        async with connect(url, policy=policy) as store:
            return await store.get_session(token) is not None

    token = asyncio.run(sign_in())
    assert events(run("sessions", "list", "ada", "--url", url, "--json"))[-1]["count"] == 1
    run(*command.format(url).split())
    assert asyncio.run(is_signed_in(token))


def test_monitor_runs_until_it_is_stopped(url: str) -> None:
    command = [sys.executable, "-m", "authstore.cli", "monitor", url, "--every", "0.1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ}) as process:
        assert process.stdout is not None
        assert "Ctrl-C" in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
