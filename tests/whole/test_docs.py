"""Every code block of the documentation runs."""

import ast
import asyncio
import inspect
import logging
import re
import sqlite3
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import CodeType
from typing import NamedTuple
from xml.etree import ElementTree

import pytest

from authstore import connect

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")]
PAGES += [*sorted((ROOT / "docs").rglob("*.md")), *sorted((ROOT / "benchmarks").glob("*.md"))]
KNOWN = {"python", "console", "sql", "toml", "text"}


class Block(NamedTuple):
    page: Path
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks() -> Iterator[Block]:
    for page in PAGES:
        text = page.read_text("utf-8")
        for match in re.finditer(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
            yield Block(page, text.count("\n", 0, match.start()) + 1, match[1], match[2])


ALL = list(blocks())
# What needs Litestar runs where the site is built, `make docs`: what comes with it would slow every start of pytest.
PYTHON = [block for block in ALL if block.language == "python" and "from litestar" not in block.text]
TESTS = [block for block in PYTHON if re.search(r"^(async )?def test_|^class Test", block.text, re.MULTILINE)]
PROGRAMS = [block for block in PYTHON if block not in TESTS]


def test_every_block_says_what_it_is() -> None:
    assert [str(block) for block in ALL if block.language not in KNOWN] == []
    assert PROGRAMS
    assert TESTS


@pytest.fixture
def quiet() -> Iterator[None]:
    """What a program sets of the log is taken back: the tests after it share it."""
    loggers = [logging.getLogger(), logging.getLogger("authstore")]
    before = [(logger.level, list(logger.handlers)) for logger in loggers]
    yield
    for logger, (level, handlers) in zip(loggers, before, strict=True):
        logger.setLevel(level)
        logger.handlers[:] = handlers


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("block", PROGRAMS, ids=str)
def test_a_program_runs(block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    # Blank lines before it, so that a traceback names the line of the page.
    source = "\n" * block.line + block.text
    code = compile(source, str(block.page), "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    assert isinstance(code, CodeType)
    names: dict[str, object] = {"__name__": "__main__"}
    if code.co_flags & inspect.CO_COROUTINE:
        asyncio.run(eval(code, names))
    else:
        exec(code, names)


@pytest.fixture(scope="module")
def tried(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What was said of the tests of each block that did not pass. One pytest for all, since starting one takes long."""
    folder = tmp_path_factory.mktemp("blocks")
    for number, block in enumerate(TESTS):
        (folder / f"test_block_{number}.py").write_text(block.text)
    options = [
        "-q",
        "-o",
        "asyncio_mode=auto",
        "-p",
        "no:cacheprovider",
        "--continue-on-collection-errors",
        "--junitxml=report.xml",
    ]
    subprocess.run([sys.executable, "-m", "pytest", *options, folder], cwd=folder, capture_output=True, check=False)
    told: dict[str, str] = {}
    for case in ElementTree.parse(folder / "report.xml").iter("testcase"):
        module = re.findall(r"test_block_\d+", case.attrib["classname"] + case.attrib["name"])[0]
        told[module] = told.get(module, "") + "".join(f"{case.attrib['name']}: {each.tag} {each.text}" for each in case)
    return told


@pytest.mark.slow
@pytest.mark.timeout(900)  # the first waits for all
@pytest.mark.parametrize("block", TESTS, ids=str)
def test_a_test_passes(block: Block, tried: dict[str, str]) -> None:
    assert tried[f"test_block_{TESTS.index(block)}"] == ""


@pytest.mark.parametrize("block", [block for block in ALL if block.language == "sql"], ids=str)
async def test_a_query_runs_on_a_store(block: Block, tmp_path: Path) -> None:
    async with connect(tmp_path / "auth.db"):
        pass
    connection = sqlite3.connect(tmp_path / "auth.db")
    try:
        for statement in filter(str.strip, block.text.split(";")):
            connection.execute(statement).fetchall()
    finally:
        connection.close()


@pytest.mark.parametrize("block", [block for block in ALL if block.language == "toml"], ids=str)
def test_settings_parse(block: Block) -> None:
    assert tomllib.loads(block.text)


def commands() -> list[tuple[str, str]]:
    found = []
    for block in ALL:
        if block.language == "console":
            joined = block.text.replace("\\\n", " ")
            found += [(str(block), line[2:]) for line in joined.splitlines() if line.startswith("$ ")]
    return found


def test_what_is_typed_exists() -> None:
    """Targets of make and extras of pip; commands of authstore are run in tests/cli."""
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    extras = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"])
    for where, command in commands():
        words = command.split("#")[0].split()
        if words[0] == "make":
            assert words[1] in targets, f"{where}: {command}"
        for bracket in re.findall(r"authstore\[([\w,]+)\]", command):
            assert set(bracket.split(",")) <= extras, f"{where}: {command}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"(?:\]\(|\bsrc=\"|\bsrcset=\")(?!https?:|mailto:|#)([^)#\"]+)", page.read_text("utf-8")):
        assert (page.parent / target).exists(), f"{page.name} → {target}"


def test_the_page_that_an_index_shows_has_links_that_work_there() -> None:
    urls = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["urls"]
    text = (ROOT / "README.md").read_text("utf-8")
    pictures = f"{urls['Source']}/main/".replace("github.com", "raw.githubusercontent.com")
    targets = re.findall(r"(?:\]\(|\bsrc=\"|\bsrcset=\")([^)#\"]+)", text)
    assert targets
    for target in targets:
        within = target.removeprefix(f"{urls['Source']}/blob/main/").removeprefix(pictures)
        assert within != target, f"README.md → {target}: an index page shows it without the files beside it"
        assert (ROOT / within).exists(), f"README.md → {target}"
