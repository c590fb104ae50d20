"""`authstore new`: what it writes works, and is worth keeping."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.running import run


def python(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """As in the folder's own environment."""
    env = {**os.environ, "PYTHONPATH": str(folder), **environment}
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.processes
def test_its_own_tests_pass_and_its_code_is_tidy(tmp_path: Path) -> None:
    folder = tmp_path / "Harbour Notes"
    done = run("new", str(folder))
    assert done.returncode == 0, done.stderr
    assert "uvicorn app.main:app --reload" in done.stdout
    tested = python(folder, "-m", "pytest", "-q", "-p", "no:cacheprovider")
    assert tested.returncode == 0, tested.stdout + tested.stderr
    assert " passed" in tested.stdout
    assert "skipped" not in tested.stdout
    tidy = python(folder, "-m", "ruff", "check", "--isolated", "--select", "E,F,I,B,UP", "--line-length", "130", ".")
    assert tidy.returncode == 0, tidy.stdout
    written = "".join(path.read_text("utf-8") for path in folder.rglob("*") if path.suffix in (".py", ".toml", ".md"))
    assert "@NAME@" not in written
    assert 'name = "harbour-notes"' in written
    assert 'name="Harbour Notes"' in written


@pytest.mark.processes
def test_it_runs_on_a_laptop_and_as_a_site(tmp_path: Path) -> None:
    folder = tmp_path / "notes"
    assert run("new", str(folder)).returncode == 0
    shown = "from app.main import app; print(app.url_path_for('notes'), app.state.authstore.site.address.origin)"
    laptop = python(folder, "-c", shown)
    assert laptop.returncode == 0, laptop.stderr
    assert laptop.stdout == "/notes http://localhost:8000\n"
    settings = dict(line.split("=") for line in (folder / ".env.example").read_text().splitlines() if "=" in line)
    settings |= {"GITHUB_ID": "id", "GITHUB_SECRET": "secret", "SMTP_HOST": "smtp.example", "ALLOW": "@example.com"}
    site = python(folder, "-c", shown, **settings)
    assert site.returncode == 0, site.stderr
    assert site.stdout == "/notes https://app.example\n"
    asking = (
        "import asyncio; from authstore.web import Identity; from app.main import app; "
        "allow = app.state.authstore.site.settings.allow; "
        "print([asyncio.run(allow(Identity('7', 'eve@example.com', proved))) for proved in (False, True)])"
    )
    asked = python(folder, "-c", asking, **settings)
    assert asked.stdout == "[False, True]\n", asked.stderr
    without = python(folder, "-c", shown, BASE_URL="https://app.example")
    assert "secrets" in without.stderr


def test_nothing_is_written_over_and_a_name_is_a_name(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("kept")
    for arguments in ((str(tmp_path),), (str(tmp_path / "mine"),), (str(tmp_path / "new"), "--name", '"; evil')):
        done = run("new", *arguments)
        assert done.returncode == 2, done.stdout
        assert "nothing is written over" in done.stderr or "no name" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


@pytest.mark.parametrize("folder", ["mine/new", "mine/deeper/new", "x" * 300], ids=len)
def test_a_folder_that_cannot_be_made_is_said_in_a_line(tmp_path: Path, folder: str) -> None:
    (tmp_path / "mine").write_text("kept")
    done = run("new", str(tmp_path / folder), "--name", "Notes")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "cannot be made" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


@pytest.mark.parametrize("is_there", [True, False])
def test_what_cannot_be_written_whole_is_not_written(tmp_path: Path, is_there: bool) -> None:
    folder = tmp_path / "notes"
    if is_there:
        folder.mkdir()

    def lack_room() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (600, 600))

    command = [sys.executable, "-m", "authstore.cli", "new", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, preexec_fn=lack_room)
    assert (done.returncode, done.stderr) == (2, f"authstore: {folder} cannot be made: File too large\n")
    assert list(tmp_path.rglob("*")) == ([folder] if is_there else [])
