"""The list of findings, held against the page that tells of them."""

import re
from pathlib import Path

from authstore.ops.findings import KINDS

PAGE = (Path(__file__).parents[2] / "docs" / "doctor.md").read_text("utf-8")
# id, title, level, whether it is mended by machine, what it means, remedy
TOLD = re.findall(
    r"^### (authstore\.\w+)\n\n\*\*(.+)\*\* \((\w+)(, mended by `--fix`)?\)\n\n((?:.+\n)+)\nRemedy: (.+)$",
    PAGE,
    re.MULTILINE,
)


def test_the_page_tells_of_every_finding_what_the_code_says() -> None:
    told = [(id, title, level, bool(fix), remedy) for id, title, level, fix, _, remedy in TOLD]
    kinds = sorted(KINDS.values(), key=lambda kind: kind.id[-3:])
    assert told == [(kind.id, kind.title, kind.level, kind.fixable, kind.remedy) for kind in kinds]
    assert PAGE.count("\n### ") == len(KINDS)


def test_an_id_is_one_thing_and_says_how_bad_it_is() -> None:
    numbers = [kind.id[-3:] for kind in KINDS.values()]
    assert len(set(numbers)) == len(numbers)
    for kind in KINDS.values():
        assert kind.id == f"authstore.{kind.level[0].upper()}{kind.id[-3:]}"


# Once published, an id stays with its matter: a new line here for a new finding, none is ever changed.
MATTERS = {
    "missing": "E001", "foreign": "E002", "damaged": "E003", "unreachable": "E004", "locked": "E005",
    "read-only": "E006", "unknown-schema": "E007", "old-schema": "W008", "missing-table": "E009",
    "missing-index": "W010", "missing-trigger": "W011", "orphans": "E012", "unreadable": "E013", "long-log": "W014",
    "journal-mode": "W015", "file-mode": "W016", "folder-mode": "W017", "network": "E018", "shared-volume": "W019",
    "mounted-alone": "W020", "wal-reset": "I021", "relaxed": "I022", "no-foreign-keys": "W023", "dead-rows": "W024",
    "duplicate-address": "E025", "odd-address": "W026", "old-key": "W027", "unknown-key": "E028", "clock": "W029",
    "no-backup": "W030", "litestream": "I031", "no-statistics": "I032", "lost-file": "E033", "asynchronous": "I040",
    "no-standby": "I041", "bloat": "W042", "connections": "W043", "slot": "W044", "unflushed": "I045",
    "guarded": "W046", "litestream-behind": "W047",
}  # fmt: skip


def test_an_id_never_changes_its_meaning() -> None:
    assert {name: kind.id.removeprefix("authstore.") for name, kind in KINDS.items()} == MATTERS
