"""The worked example does what it says."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg

from tests.mover.moving import people

EXAMPLE = Path(__file__).parents[2] / "examples" / "move_from_postgres.py"


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(EXAMPLE), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_the_example_moves_catches_up_and_finds_the_old_session(
    source: psycopg.Connection[Any], source_url: str, tmp_path: Path
) -> None:
    people(source, users=5)
    target = f"sqlite:///{tmp_path}/auth.db"
    first = _run(source_url, target, "token-of-session-3")
    assert (first.returncode, first.stderr) == (0, "")
    assert "public.User becomes users: 5 rows" in first.stdout
    assert first.stdout.endswith("that session is u4's\n")
    source.execute("UPDATE note SET body = 'later' WHERE id = 1")
    assert "note: 10 rows, 1 copied, 0 deleted" in _run(source_url, target).stdout
