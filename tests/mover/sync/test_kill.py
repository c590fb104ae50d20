"""Killed at any moment, run again, the target is what one undisturbed move makes of it."""

import asyncio
import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.mover.moving import actual, expected, names, people, verified

pytestmark = pytest.mark.slow

_Link = psycopg.Connection[Any]
KILLS = 22


def _start(url: str, target: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "authstore.cli", "move", url, f"sqlite:///{target}", "--json"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def _wait_for_start(process: subprocess.Popen[bytes]) -> None:
    """The first event: from here on there is something to disturb."""
    assert process.stdout is not None
    process.stdout.readline()


@pytest.mark.timeout(240)
async def test_killed_more_than_twenty_times_it_still_arrives(source: _Link, source_url: str, tmp_path: Path) -> None:
    people(source, users=1500, sessions=6, notes=6)
    target, moments = tmp_path / "auth.db", random.Random(5)
    killed = 0
    while killed < KILLS:
        process = _start(source_url, target)
        _wait_for_start(process)
        await asyncio.sleep(moments.random() * 0.5)
        assert process.poll() is None or target.exists()
        process.kill()
        process.communicate()
        killed += process.returncode == -signal.SIGKILL
        # The source lives on in between.
        source.execute("UPDATE note SET pages = pages + 1 WHERE id % 97 = 0")
        source.execute("DELETE FROM note WHERE id = %s", (killed,))
        assert not target.exists() or actual(target)["users"]
    process = _start(source_url, target)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, (out, err)
    assert actual(target) == expected(source)
    assert (await verified(source_url, target)).ok
    assert [name for name in names(tmp_path) if name.startswith(".")] == []


async def test_an_interrupt_stops_cleanly_and_says_how_to_go_on(source: _Link, source_url: str, tmp_path: Path) -> None:
    people(source, users=1500, sessions=6, notes=6)
    target = tmp_path / "auth.db"
    process = _start(source_url, target)
    _wait_for_start(process)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, (out, err)
    assert b'"event": "error"' in out
    assert b"run the same command again" in out
    assert b"Traceback" not in err
    assert not target.exists()
    assert _start(source_url, target).communicate(timeout=120)[1] == b""
    assert actual(target) == expected(source)
