"""Tables that grew in a store's file, of every kind that SQLite knows, on their way into PostgreSQL."""

from contextlib import closing
from pathlib import Path
from sqlite3 import connect as open_file
from typing import Any

import psycopg
import pytest

from authstore import connect
from authstore.mover import make_plan, move, recover, verify


async def grown(folder: Path, *statements: str) -> str:
    path = folder / "auth.db"
    async with connect(path):
        pass
    with closing(open_file(path)) as connection, connection:
        for statement in statements:
            connection.execute(statement)
    return f"sqlite:///{path}"


@pytest.mark.parametrize(
    "table",
    [
        "t (id INT PRIMARY KEY, n INT, v TEXT) STRICT",
        "t (id INTEGER PRIMARY KEY, n int, v ANY) STRICT",
        "t (id Int, n INTEGER, v TEXT, PRIMARY KEY (v, id)) STRICT, WITHOUT ROWID",
    ],
)
async def test_a_strict_table_s_two_words_for_whole_numbers_are_one(
    tmp_path: Path, there: psycopg.Connection[Any], url: str, table: str
) -> None:
    source = await grown(tmp_path, f"CREATE TABLE {table}", f"INSERT INTO t VALUES (1, {2**62}, 'x'), (2, -5, 'y')")
    await move(await make_plan(source, url))
    assert there.execute("SELECT id, n, v FROM t ORDER BY id").fetchall() == [(1, 2**62, "x"), (2, -5, "y")]
    assert (await verify(source, url)).ok


async def test_what_is_left_behind_is_said_with_its_rows(
    tmp_path: Path, there: psycopg.Connection[Any], url: str
) -> None:
    source = await grown(
        tmp_path,
        "CREATE TABLE note (id INTEGER PRIMARY KEY)",
        "INSERT INTO note VALUES (1), (2)",
        "CREATE VIRTUAL TABLE docs USING fts5 (body)",
        "INSERT INTO docs VALUES ('found')",
        "CREATE TABLE docs_archive AS SELECT 'kept' AS x",
    )
    report = await move(await make_plan(source, url, skip=("note",)))
    for problems in (report.problems, (await verify(source, url)).problems):
        said = [(each.table, each.count) for each in problems if each.kind == "left-behind" and each.count]
        assert sorted(said) == [("", 1), ("note", 2)]
    assert there.execute("SELECT x FROM docs_archive").fetchall() == [("kept",)]


LONG, OTHER, WIDE = "a" * 70, "a" * 64, "ü" * 40


async def test_names_that_are_too_long_there_are_cut_and_nothing_is_lost(
    tmp_path: Path, there: psycopg.Connection[Any], url: str
) -> None:
    source = await grown(
        tmp_path,
        f'CREATE TABLE "{LONG}" ("{LONG}" INTEGER PRIMARY KEY, "{OTHER}" TEXT NOT NULL CHECK ("{OTHER}" <> 1))',
        f'CREATE TABLE "{OTHER}" (id INTEGER PRIMARY KEY, "{WIDE}" INTEGER REFERENCES "{LONG}", UNIQUE ("{WIDE}"))',
        f'CREATE INDEX "{LONG}_i" ON "{LONG}" ("{OTHER}" DESC)',
        f"INSERT INTO \"{LONG}\" VALUES (1, 'x')",
        f'INSERT INTO "{OTHER}" VALUES (5, 1)',
    )
    plan = await make_plan(source, url)
    assert plan.ok, plan.problems
    assert sum("63 bytes" in each.message for each in plan.problems) == 5
    await move(plan)
    cut, second = "a" * 63, "a" * 61 + "_2"
    assert there.execute(f'SELECT "{cut}", "{second}" FROM "{second}"'.encode()).fetchall() == [(1, "x")]
    assert there.execute(f'SELECT id, "{WIDE[:31]}" FROM "{cut}"'.encode()).fetchall() == [(5, 1)]
    kinds = "SELECT contype FROM pg_constraint WHERE conrelid = %s::regclass AND contype <> 'n'"
    assert sorted(kind for (kind,) in there.execute(kinds, (f'"{cut}"',))) == ["f", "p", "u"]
    assert (await verify(source, url)).ok
    await move(await make_plan(source, url))
    assert (await recover(source, url, LONG)).tables[second].rows == 1


async def test_one_table_is_mended_by_what_the_move_decided(
    tmp_path: Path, there: psycopg.Connection[Any], url: str
) -> None:
    source = await grown(
        tmp_path,
        "CREATE TABLE note (id INTEGER PRIMARY KEY, n INTEGER)",
        "INSERT INTO note VALUES (1, 5), (2, 'none'), (3, 7)",
        "CREATE TABLE tag (note INTEGER REFERENCES note (id))",
        "INSERT INTO tag VALUES (1), (99)",
    )
    await move(await make_plan(source, url, on_bad_row="reject", on_orphan="reject"))
    there.execute("DELETE FROM tag")
    there.execute("UPDATE note SET n = 0")
    for table in ("note", "tag"):
        await recover(source, url, table)
    assert there.execute("SELECT array_agg(n ORDER BY n), (SELECT array_agg(note) FROM tag) FROM note").fetchone() == (
        [5, 7],
        [1],
    )
    assert (await verify(source, url)).ok


async def test_a_column_of_any_kind_becomes_what_its_values_are(
    tmp_path: Path, there: psycopg.Connection[Any], url: str
) -> None:
    source = await grown(
        tmp_path,
        "CREATE TABLE t (id INTEGER PRIMARY KEY, n ANY, b ANY, mixed ANY) STRICT",
        "INSERT INTO t VALUES (1, 5, x'00ff', 'text'), (2, 6, x'', 7), (3, NULL, NULL, 'more'), (4, 7, x'01', x'ff')",
    )
    plan = await make_plan(source, url)
    assert [(each.count, each.decision) for each in plan.problems if each.stops] == [(2, "on_bad_row")]
    await move(await make_plan(source, url, on_bad_row="reject"))
    assert there.execute("SELECT id, n, b, mixed FROM t ORDER BY id").fetchall() == [
        (1, 5, b"\x00\xff", "text"),
        (3, None, None, "more"),
    ]
    assert (await verify(source, url)).ok


async def test_defaults_that_sqlite_writes_its_own_way_come(
    tmp_path: Path, there: psycopg.Connection[Any], url: str
) -> None:
    source = await grown(
        tmp_path,
        """CREATE TABLE t (id INTEGER PRIMARY KEY, a BOOLEAN NOT NULL DEFAULT true, b INT DEFAULT FALSE,
           c BLOB DEFAULT x'00fF', d BLOB DEFAULT X'', e TEXT DEFAULT 'true')""",
    )
    plan = await make_plan(source, url)
    assert [each.message for each in plan.problems if "default" in each.message] == []
    await move(plan)
    there.execute("INSERT INTO t DEFAULT VALUES")
    assert there.execute("SELECT a, b, c, d, e FROM t").fetchall() == [(1, 0, b"\x00\xff", b"", "true")]
