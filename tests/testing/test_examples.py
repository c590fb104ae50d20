"""The examples for people who test run as they stand."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.processes

EXAMPLES = Path(__file__).parents[2] / "examples"


def _run(example: str, *options: str) -> str:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(EXAMPLES / example), *options]
    done = subprocess.run(command, cwd=EXAMPLES.parent, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_test_of_an_application():
    assert "1 passed" in _run("test_with_authstore.py")


def test_the_third_party_adapter_keeps_the_contract():
    summary = _run("third_party_adapter.py").splitlines()[-1]
    assert int(summary.split(" passed")[0].split()[-1]) > 800
