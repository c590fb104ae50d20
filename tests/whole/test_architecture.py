"""The picture of the rooms and the walks through them, held against the tree."""

import ast
import re
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "authstore"
PAGE = (ROOT / "docs" / "architecture.md").read_text("utf-8")
PICTURE, *WALKS = re.findall(r"^```text\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
MOST_MODULES, MOST_LINES = 20, 350
STEPS = [line.split() for walk in WALKS for line in walk.splitlines()]


def drawn() -> set[str]:
    """Everything in the picture, as paths within the package."""
    found, room = set(), ""
    for indent, entry in re.findall(r"^(│   |    |)[├└]── (.*)$", PICTURE, re.MULTILINE):
        names = re.split(" {2,}", entry)[0].split()
        found |= {(room if indent else "") + name for name in names}
        room = room if indent else names[0]
    return found


def there() -> set[str]:
    """Modules on the package's floor, and rooms down to two floors."""
    modules = {path.name for path in PACKAGE.iterdir() if path.suffix in (".py", ".sql")} - {"__init__.py"}
    rooms = {f"{path.parent.relative_to(PACKAGE)}/" for path in PACKAGE.glob("*/**/*.py")}
    return modules | {room for room in rooms if room.count("/") <= 2}


def test_the_picture_shows_every_room_and_no_other() -> None:
    assert sorted(there() - drawn()) == []
    assert sorted(drawn() - there()) == []


@pytest.mark.parametrize("step", STEPS, ids=lambda step: " ".join(step[:2]))
def test_each_step_of_a_walk_is_where_it_is_said_to_be(step: list[str]) -> None:
    path = PACKAGE / step[0]
    tree = ast.parse(path.read_text("utf-8"))
    defined = {
        node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assert step[1] in defined, f"{step[0]} has no {step[1]}"


def test_there_are_three_walks() -> None:
    assert len(WALKS) == 3
    assert all(len(walk.splitlines()) >= 5 for walk in WALKS)


def test_tests_lie_in_the_folders_of_what_they_test() -> None:
    beside = {"whole", "packaging", "typing"}
    folders = {path.parent.relative_to(ROOT / "tests") for path in (ROOT / "tests").rglob("test_*.py")}
    rooms = {folder.parts[0] for folder in folders if folder.parts} - beside
    assert sorted(room for room in rooms if not (PACKAGE / room).is_dir()) == []
    alone = {path.stem.removeprefix("test_") for path in (ROOT / "tests").glob("test_*.py")} - {"imports"}
    assert sorted(name for name in alone if not (PACKAGE / f"{name}.py").is_file()) == []


def test_no_room_is_crowded_and_no_module_long() -> None:
    modules = list(PACKAGE.rglob("*.py"))
    rooms = Counter(path.parent.relative_to(PACKAGE) for path in modules)
    assert sorted(str(room) for room, count in rooms.items() if count > MOST_MODULES) == []
    lines = {path.relative_to(PACKAGE): len(path.read_text("utf-8").splitlines()) for path in modules}
    assert sorted(str(path) for path, count in lines.items() if count > MOST_LINES) == ["adapter.py"]  # the contract


def test_sizes_and_waits_are_passed_in_never_patched() -> None:
    def patched(path: Path) -> list[str]:
        """The constants that a test file gives other values."""
        calls = [node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Call)]
        of_constants = [call for call in calls if isinstance(call.func, ast.Attribute) and call.func.attr == "setattr"]
        names = [each.value for call in of_constants for each in call.args[:2] if isinstance(each, ast.Constant)]
        return [f"{path.name}: {name}" for name in names if re.search(r"(^|\.)_?[A-Z][A-Z_]+$", str(name))]

    tests = [path for path in (ROOT / "tests").rglob("*.py") if path.parent.name != "testing"]  # which break the store
    assert [name for path in tests for name in patched(path)] == []
