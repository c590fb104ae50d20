"""docs/mover.md speaks of the rooms as they are."""

import re
from importlib import import_module
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[2] / "docs" / "mover.md").read_text("utf-8")
MOVER = Path(__file__).parents[2] / "authstore" / "mover"
ROOMS = re.findall(r"^\| `(mover[a-z/]*)` \| .* \| ([`\w ]+) \|$", PAGE, re.MULTILINE)
NAMES = sorted(set(re.findall(r"`([a-z_]+(?:\.[a-z_]+)*\.[A-Za-z_]+)`", PAGE)))


def test_every_room_is_in_the_picture() -> None:
    there = {"mover", *(f"mover/{path.name}" for path in MOVER.iterdir() if (path / "__init__.py").is_file())}
    assert {room for room, _ in ROOMS} == there


@pytest.mark.parametrize(("room", "modules"), ROOMS)
def test_every_module_is_in_its_room(room: str, modules: str) -> None:
    files = {path.stem for path in (MOVER.parent / room).glob("*.py")} - {"__init__"}
    assert set(re.findall(r"\w+", modules)) == files


@pytest.mark.parametrize("name", [name for name in NAMES if not name.endswith((".md", ".py"))])
def test_what_is_named_is_there(name: str) -> None:
    module, _, attribute = name.rpartition(".")
    assert hasattr(import_module(f"authstore.mover.{module}"), attribute)


def test_there_is_something_to_check() -> None:
    assert len(ROOMS) >= 8
    assert len(NAMES) >= 20
