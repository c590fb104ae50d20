"""What SQLite's own check finds in a new file, and what it is told to leave out."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from authstore.mover.sqlite.integrity import check, references_of
from tests.mover.moving import traced

_LOADED_BLINDLY = (
    "PRAGMA ignore_check_constraints = ON",
    "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, b TEXT NOT NULL, CONSTRAINT is_positive CHECK (id > 0)) STRICT",
    "CREATE TABLE u (id INTEGER PRIMARY KEY, t INTEGER REFERENCES t (id)) STRICT",
    "INSERT INTO t VALUES (1, 'x', 'y'), (2, 'v', 'w')",
    "INSERT INTO u VALUES (1, 1), (2, NULL)",
    "CREATE INDEX by_a ON t (a)",
    "CREATE INDEX by_b ON t (b)",
)
_SWAPPED = (
    "PRAGMA writable_schema = ON",
    "UPDATE sqlite_master SET rootpage = (SELECT sum(rootpage) FROM sqlite_master WHERE name LIKE 'by%') - rootpage"
    " WHERE name LIKE 'by%'",
)
_NULLED = (
    "PRAGMA writable_schema = ON",
    "UPDATE sqlite_master SET sql = replace(sql, 'a TEXT', 'a TEXT NOT NULL') WHERE name = 't'",
    "UPDATE t SET a = NULL WHERE id = 2",
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "new?.db"
    run(path, *_LOADED_BLINDLY)
    return path


def run(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement).fetchall()


@pytest.mark.parametrize("thorough", [True, False])
def test_nothing_is_said_of_a_sound_file(file: Path, thorough: bool) -> None:
    before = file.read_bytes()

    assert check(file, ["t", "u"], thorough=thorough) == ([], {})
    assert file.read_bytes() == before


def test_a_row_that_breaks_a_check_is_found(file: Path) -> None:
    run(file, "PRAGMA ignore_check_constraints = ON", "INSERT INTO t VALUES (-1, 'r', 's')")

    assert check(file, ["t", "u"], thorough=True) == (["CHECK constraint failed in t"], {})
    assert check(file, ["u"], thorough=True) == ([], {})
    assert check(file, ["t", "u"], thorough=False) == ([], {})


def test_an_index_that_lost_its_rows_is_found(file: Path) -> None:
    run(file, *_SWAPPED)

    said, broken = check(file, ["t", "u"], thorough=True)

    assert [line for line in said if "missing from index by_a" in line]
    assert [line for line in said if "missing from index by_b" in line]
    assert broken == {}
    assert check(file, ["t", "u"], thorough=False) == ([], {})


@pytest.mark.parametrize("thorough", [True, False])
def test_a_null_where_there_may_be_none_is_found(file: Path, thorough: bool) -> None:
    run(file, *_NULLED)

    assert check(file, ["t", "u"], thorough=thorough) == (["NULL value in t.a"], {})


@pytest.mark.parametrize("thorough", [True, False])
def test_rows_that_point_to_nothing_are_counted_and_are_no_damage(file: Path, thorough: bool) -> None:
    run(file, "INSERT INTO u VALUES (3, 7), (4, 8)")

    assert check(file, ["t", "u"], thorough=thorough) == ([], {("u", "t"): 2})
    assert references_of(file, ["t", "u"]) == {("u", "t"): 2}


def test_the_biggest_table_is_looked_at_in_halves_each_of_which_counts(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with traced(monkeypatch) as asked:
        check(file, ["t", "u"], thorough=True)
    looks = [words.removeprefix("PRAGMA ") for words in asked if "_check(" in words and "foreign" not in words]
    assert sorted(looks) == ['integrity_check("t")', 'integrity_check("u")', 'quick_check("t")']
    run(file, *_SWAPPED, "PRAGMA ignore_check_constraints = ON", "INSERT INTO t VALUES (-1, 'r', 's')")
    said, _ = check(file, ["t", "u"], thorough=True)
    assert "CHECK constraint failed in t" in said
    assert [line for line in said if "missing from index" in line]
