"""An editable install, as the tests run on, seen by type checkers from somebody else's project."""

import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = """
from authstore import User, connect
from authstore.web import Auth


async def main() -> User:
    async with connect("sqlite://") as store:
        return await store.create_user(email=1)


def of(auth: Auth) -> None:
    print(auth.no_such_thing)
"""
CHECKERS = {
    "mypy": ["mypy", "--strict", "--python-executable", sys.executable],
    "pyright": ["pyright", "--pythonpath", sys.executable],
}


@pytest.mark.slow
@pytest.mark.parametrize("checker", CHECKERS)
def test_types_are_found_outside_of_the_checkout(checker: str, tmp_path: Path) -> None:
    """What is wrong is found, and nothing else is."""
    (tmp_path / "project.py").write_text(PROJECT)
    done = subprocess.run(
        [sys.executable, "-m", *CHECKERS[checker], "project.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert "no_such_thing" in done.stdout
    assert "2 errors" in done.stdout, done.stdout
