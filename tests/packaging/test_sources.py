"""What the sources hold: all of it, and it works where it is unpacked."""

import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("authstore", "benchmarks", "docs", "examples", "migrations", "tests", ".ci")
FILES = ("Makefile", "README.md", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "SECURITY.md", "pyproject.toml")
SUFFIXES = {
    ".py",
    ".md",
    ".sql",
    ".toml",
    ".html",
    ".css",
    ".js",
    ".svg",
    ".txt",
    ".json",
    ".typed",
    ".example",
    ".zip",
}


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sources, as somebody finds them who fetched them."""
    folder = tmp_path_factory.mktemp("sources")
    command = [sys.executable, "-m", "build", "--sdist", "--no-isolation", "--outdir", folder, ROOT]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (archive,) = folder.glob("*.tar.gz")
    with tarfile.open(archive) as sources:
        sources.extractall(folder, filter="data")
    (found,) = (path for path in folder.iterdir() if path.is_dir())
    return found


@pytest.mark.slow
def test_the_sources_are_whole(unpacked: Path) -> None:
    here = {path.relative_to(ROOT) for folder in FOLDERS for path in (ROOT / folder).rglob("*")}
    here = {path for path in here if path.suffix in SUFFIXES and not {"data", "node_modules"} & set(path.parts)}
    here |= {Path(name) for name in FILES}
    there = {path.relative_to(unpacked) for path in unpacked.rglob("*")}
    assert sorted(here - there) == []


@pytest.mark.slow
def test_a_piece_of_the_sources_runs_its_own_tests(unpacked: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "tests/test_imports.py",
        "tests/test_tokens.py",
    ]
    done = subprocess.run(command, cwd=unpacked, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout
