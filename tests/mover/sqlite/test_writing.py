"""Rows are written over those with their keys, whatever changes in them."""

import sqlite3
from contextlib import closing
from typing import Any

import pytest

from authstore.mover.batches import Batch, CannotOverwriteError
from authstore.mover.layout import ColumnLayout, Kind, Layout
from authstore.mover.sqlite.queries import TargetQueries
from authstore.mover.sqlite.writing import SqliteWriter

SCHEMA = """
    CREATE TABLE t (id TEXT PRIMARY KEY, folded TEXT COLLATE NOCASE UNIQUE, part INTEGER, plain TEXT) STRICT;
    CREATE INDEX t_part ON t (lower(plain)) WHERE part = 1;
    CREATE INDEX t_both ON t (part, folded);
    INSERT INTO t VALUES ('1', 'a', 1, 'x'), ('2', 'b', NULL, NULL), ('3', 'c', 0, 'z');
"""
KINDS: dict[str, Kind] = {"id": "text", "folded": "text", "part": "int8", "plain": "text"}
LAYOUT = Layout("t", tuple(ColumnLayout(name, kind) for name, kind in KINDS.items()), ("id",))


def batch(*rows: tuple[Any, ...]) -> Batch:
    flat = [value for row in rows for value in ("digest", *row)]
    return Batch.of(flat, ("digest", *rows[-1]))


@pytest.mark.parametrize(
    "row",
    [
        ("1", "a", 1, "changed"),
        ("1", "A", 1, "x"),
        ("1", "A", 1, None),
        ("1", "d", 0, "changed"),
        ("2", None, None, None),
        ("2", "b", 0, None),
        ("2", "b", None, "given"),
        ("4", "d", 1, "new"),
        ("3", "c", 0, "z"),
    ],
)
def test_a_row_is_afterwards_as_it_was_given(row: tuple[Any, ...]) -> None:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as target:
        target.executescript(SCHEMA)
        others = target.execute("SELECT * FROM t WHERE id <> ?", row[:1]).fetchall()
        SqliteWriter(target, LAYOUT).overwrite(batch(row))
        assert target.execute("SELECT * FROM t WHERE id = ?", row[:1]).fetchall() == [row]
        assert target.execute("SELECT * FROM t WHERE id <> ?", row[:1]).fetchall() == others
        assert target.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_rows_that_exchange_what_is_unique_are_refused() -> None:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as target:
        target.executescript(SCHEMA)
        writer = SqliteWriter(target, LAYOUT)
        with pytest.raises(CannotOverwriteError):
            writer.overwrite(batch(("1", "b", 1, "x"), ("2", "a", None, None)))


def test_what_no_index_holds_is_set_without_writing_an_index() -> None:
    asked: list[str] = []
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as target:
        target.executescript(SCHEMA + "DROP INDEX t_part;")
        target.set_trace_callback(asked.append)
        SqliteWriter(target, LAYOUT).overwrite(batch(("1", "a", 1, "changed")))
    update = next(statement for statement in asked if statement.startswith("UPDATE"))
    assert '"plain" = ' in update
    assert "folded" not in update.partition("WHERE")[0]


@pytest.mark.parametrize("collation", ["BINARY", "NOCASE", "RTRIM"])
def test_a_row_is_found_by_its_key_through_an_index_and_by_no_other_key(collation: str) -> None:
    queries = TargetQueries(LAYOUT)
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as target:
        target.execute(f"CREATE TABLE t (id TEXT COLLATE {collation} PRIMARY KEY, folded, part, plain)")
        target.execute("INSERT INTO t (id) VALUES ('a')")
        for sql in (queries.has_key, queries.delete):
            ((*_, how),) = target.execute(f"EXPLAIN QUERY PLAN {sql}", ("a",)).fetchall()
            assert how.startswith("SEARCH t USING")
        assert target.execute(queries.has_key, ("a",)).fetchone()
        for other in ("A", "a ", "b"):
            assert target.execute(queries.has_key, (other,)).fetchone() is None
            SqliteWriter(target, LAYOUT).delete([(other,)])
        SqliteWriter(target, LAYOUT).delete([("a",)])
        assert target.execute("SELECT count(*) FROM t").fetchone() == (0,)
