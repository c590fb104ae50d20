"""The table of clauses names tests that exist."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
TABLE = (ROOT / "docs" / "security-asvs.md").read_text(encoding="utf-8")


def exists(named: str) -> bool:
    file, _, test = named.partition("::")
    path = ROOT / file if file.startswith("tests/") else ROOT / "tests" / "web" / file
    return path.exists() and (not test or f"def {test}(" in path.read_text(encoding="utf-8"))


def test_every_test_that_is_named_exists() -> None:
    named = re.findall(r"`((?:tests/|[a-z]+/test_|test_)[^`]*)`", TABLE)
    assert len(named) > 50
    assert [name for name in named if not exists(name)] == []
