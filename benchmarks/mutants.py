"""Whether the tests notice a wrong line: each mutant of `mutant_list` in a copy of the project, with its tests.

    make mutants

Each runs in a fork of this process, which has loaded what the project depends on, so that a mutant costs its tests
alone. Survivors fail, by name; what was found is written to benchmarks/results/mutants.md.
"""

import compileall
import os
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path

import pytest

from benchmarks.mutant_list import EQUIVALENT, MUTANTS, Mutant

PROJECT = Path(__file__).parents[1]
RESULT = PROJECT / "benchmarks" / "results" / "mutants.md"
LIMIT = 300.0  # seconds for the tests of one mutant; whoever hangs is noticed
_NONE_FAILED = (pytest.ExitCode.OK,)
_SOME_FAILED = (pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.INTERRUPTED, pytest.ExitCode.INTERNAL_ERROR)


@pytest.fixture(scope="session")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project, to be broken."""
    place = tmp_path_factory.mktemp("mutants") / "project"
    left_out = shutil.ignore_patterns(".git", ".venv*", "__pycache__", ".*_cache", "*.egg-info", "node_modules", "dist")
    shutil.copytree(PROJECT, place, symlinks=True, ignore=left_out)
    compileall.compile_dir(place / "authstore", quiet=2)
    for room in ("authstore.connect", "authstore.web", "authstore.testing.web", "authstore.testing.contract",
                 "authstore.testing.model", "authstore.mover", "tests.postgres"):  # fmt: skip
        import_module(room)  # with what they stand on; the forks load the project's own anew
    return place


@pytest.fixture(scope="session", autouse=True)
def report() -> Iterator[dict[Mutant, str]]:
    """What became of each."""
    fates: dict[Mutant, str] = {}
    yield fates
    if len(fates) == len(MUTANTS):
        RESULT.write_text(_as_page(fates), encoding="utf-8")


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: f"{mutant.file}: {' '.join(mutant.old.split())}")
@pytest.mark.timeout(0)
def test_a_mutant_is_noticed(mutant: Mutant, copy: Path, report: dict[Mutant, str]) -> None:
    file = copy / mutant.file
    whole = file.read_text(encoding="utf-8")
    assert mutant.old in whole, "the list is out of date"
    report[mutant] = "survived"
    file.write_text(whole.replace(mutant.old, mutant.new, 1), encoding="utf-8")
    os.utime(file, (0, MUTANTS.index(mutant)))  # Python tells a changed file from its compiled form by this
    try:
        code = _tested(copy, mutant.tests)
    finally:
        file.write_text(whole, encoding="utf-8")
        os.utime(file, (0, len(MUTANTS)))
    assert code is None or code in (*_NONE_FAILED, *_SOME_FAILED), f"the tests did not run: {code}"
    if code is None or code in _SOME_FAILED:
        report[mutant] = "noticed"
    elif (mutant.file, mutant.old) in EQUIVALENT:
        report[mutant] = EQUIVALENT[mutant.file, mutant.old]
    assert report[mutant] != "survived"


def _tested(copy: Path, tests: tuple[str, ...]) -> int | None:
    """The exit code of the tests; `None` where they did not come to an end."""
    child = os.fork()
    if child == 0:
        _become_the_tests(copy, tests)
    deadline = time.monotonic() + LIMIT
    while time.monotonic() < deadline:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.05)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None


def _become_the_tests(copy: Path, tests: tuple[str, ...]) -> None:
    code = int(pytest.ExitCode.INTERNAL_ERROR)
    try:
        ours = ("authstore", "tests", "benchmarks", "conftest")
        for name in [name for name in sys.modules if name.partition(".")[0] in ours]:
            del sys.modules[name]
        sys.path.insert(0, str(copy))
        os.chdir(copy)
        silence = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silence, 1)
        os.dup2(silence, 2)
        code = int(pytest.main(["-x", "-q", "-p", "no:cacheprovider", f"--rootdir={copy}", *tests]))
    finally:
        os._exit(code)


def _as_page(fates: dict[Mutant, str]) -> str:
    noticed = sum(fate == "noticed" for fate in fates.values())
    lines = [
        "# Mutants",
        "",
        f"`make mutants`, {datetime.now(UTC):%d %B %Y}: of {len(fates)} wrong lines the tests noticed {noticed}.",
        "",
        "| where | instead of | stood | it was |",
        "|---|---|---|---|",
    ]
    for mutant, fate in fates.items():
        old, new = (" ".join(text.split()).replace("|", "\\|") or "nothing" for text in (mutant.old, mutant.new))
        lines.append(f"| {mutant.file} | `{old}` | `{new}` | {fate} |")
    return "\n".join(lines) + "\n"
