"""Rows that point to nothing are found, whatever the foreign key looks like, and none is found where there is none."""

import sqlite3
from contextlib import closing

import pytest

from authstore.mover.sqlite.references import broken_references

PARENTS = """
    CREATE TABLE parent (id TEXT PRIMARY KEY) STRICT;
    CREATE TABLE pair (a INTEGER, b TEXT, PRIMARY KEY (a, b)) STRICT;
    CREATE TABLE folded (id TEXT COLLATE NOCASE PRIMARY KEY) STRICT;
    INSERT INTO parent VALUES ('1'), ('2');
    INSERT INTO pair VALUES (1, 'x');
    INSERT INTO folded VALUES ('a');
"""


@pytest.mark.parametrize(
    ("child", "rows", "broken"),
    [
        ("p TEXT REFERENCES parent (id)", "('1'), ('2'), (NULL)", {}),
        ("p TEXT REFERENCES parent (id)", "('1'), ('3'), ('4')", {("child", "parent"): 2}),
        ("p TEXT REFERENCES parent", "('1'), ('3')", {("child", "parent"): 1}),
        ("p TEXT REFERENCES parent", "('1')", {}),
        ("p INTEGER REFERENCES parent (id)", "(1), (2)", {}),
        ("p INTEGER REFERENCES parent (id)", "(3)", {("child", "parent"): 1}),
        ("p TEXT REFERENCES folded (id)", "('A'), ('a')", {}),
        ("p TEXT COLLATE NOCASE REFERENCES parent (id)", "('1')", {}),
        ("p TEXT REFERENCES nowhere (id)", "('1')", {("child", "nowhere"): 1}),
        ("a INTEGER, b TEXT, FOREIGN KEY (a, b) REFERENCES pair (a, b)", "(1, 'x'), (1, NULL), (NULL, 'y')", {}),
        ("a INTEGER, b TEXT, FOREIGN KEY (a, b) REFERENCES pair (a, b)", "(1, 'x'), (1, 'y')", {("child", "pair"): 1}),
        ("p TEXT REFERENCES parent (id), q TEXT REFERENCES folded (id)", "('3', 'b')",
         {("child", "parent"): 1, ("child", "folded"): 1}),
        ('"a ""b" TEXT REFERENCES PARENT (ID)', "('1'), ('3')", {("child", "PARENT"): 1}),
    ],
)  # fmt: skip
def test_rows_that_point_to_nothing_are_counted(child: str, rows: str, broken: dict[tuple[str, str], int]) -> None:
    with closing(sqlite3.connect(":memory:")) as reader:
        reader.executescript(f"{PARENTS} CREATE TABLE child ({child}) STRICT; INSERT INTO child VALUES {rows};")
        assert broken_references(reader, "child") == broken


def test_a_letter_in_another_case_is_another_parent_where_the_parent_says_so() -> None:
    with closing(sqlite3.connect(":memory:")) as reader:
        reader.executescript("""
            CREATE TABLE parent (id TEXT PRIMARY KEY) STRICT;
            CREATE TABLE child (p TEXT COLLATE NOCASE REFERENCES parent (id)) STRICT;
            INSERT INTO parent VALUES ('a'); INSERT INTO child VALUES ('a'), ('A');
        """)
        assert broken_references(reader, "child") == {("child", "parent"): 1}


def test_where_every_row_points_to_one_the_check_row_after_row_is_spared() -> None:
    asked: list[str] = []
    with closing(sqlite3.connect(":memory:")) as reader:
        reader.executescript(f"{PARENTS} CREATE TABLE child (p TEXT REFERENCES parent (id)) STRICT;")
        reader.set_trace_callback(asked.append)
        assert broken_references(reader, "child") == {}
    assert not [query for query in asked if "foreign_key_check" in query]
