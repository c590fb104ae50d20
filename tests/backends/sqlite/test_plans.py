"""At a million rows no query reads a whole table, but those that are meant to; and each index is there for one."""

import re
import sqlite3
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing

import pytest

from authstore.schema import migrations
from tests.backends.plans import WHOLE_TABLES, asked

INDEXES = sorted(
    set(re.findall(r"^CREATE (?:UNIQUE )?INDEX (\w+)", "".join(s.sql for s in migrations("sqlite")), re.M))
)
FEW_ROWS = {"change_log", "authstore_migrations", "authstore_notes"}
SCAN = re.compile(r"^SCAN (\w+)")
# One row, or what SQLite knows of itself, or a list that the query was given.
SMALL = {"change_log", "sqlite_schema", "json_each", "pragma_foreign_key_check", "CONSTANT", "ROW"}
# These read a table in its own order from one end, and stop at their LIMIT.
FROM_ONE_END = {
    "get_newest": {"sessions", "users"},
    "list_oldest_changes": {"changes"},
    "log_bounds": {"changes", "sessions"},
}
MEANT = {**WHOLE_TABLES, **FROM_ONE_END}


@pytest.fixture(params=["analysed", "never analysed"])
def database(request: pytest.FixtureRequest) -> Iterator[sqlite3.Connection]:
    """A store that takes itself for one with a million rows in each table, or knows nothing of itself."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        for step in migrations("sqlite"):
            connection.executescript(step.sql)
        if request.param == "analysed":
            _pretend(connection)
        yield connection


def _pretend(connection: sqlite3.Connection) -> None:
    """A plan depends on what ANALYZE wrote down, and on nothing in the tables."""
    connection.execute("ANALYZE")
    connection.execute("DELETE FROM sqlite_stat1")
    indexes = connection.execute("SELECT name, tbl_name FROM sqlite_schema WHERE type = 'index'").fetchall()
    for index, table in indexes:
        columns = connection.execute("SELECT count(*) FROM pragma_index_info(?)", (index,)).fetchone()[0]
        (is_unique,) = connection.execute(
            'SELECT "unique" FROM pragma_index_list(?) WHERE name = ?', (table, index)
        ).fetchone()
        rows_of_each = ["10"] * (columns - 1) + ["1" if is_unique else "10"]
        said = " ".join(["1000000", *rows_of_each])
        connection.execute("INSERT INTO sqlite_stat1 VALUES (?, ?, ?)", (table, index, said))
    tables = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'")
    for (table,) in tables.fetchall():
        rows = "1" if table in FEW_ROWS else "1000000"
        connection.execute("INSERT INTO sqlite_stat1 VALUES (?, NULL, ?)", (table, rows))
    connection.execute("ANALYZE sqlite_schema")


def scans(connection: sqlite3.Connection) -> dict[str, set[str]]:
    """Which tables each query reads as a whole."""
    found: dict[str, set[str]] = {}
    for name, text in asked("sqlite").items():
        made = set(re.findall(r"(\w+)(?: \([\w, ]+\))? AS (?:MATERIALIZED )?\(|\) AS (\w+)", text))
        own = {word for words in made for word in words} | set(re.findall(r"json_each\(:\w+\) AS (\w+)", text))
        plan = connection.execute(f"EXPLAIN QUERY PLAN {text}", defaultdict[str, None](lambda: None)).fetchall()
        read = {match[1] for *_, line in plan if (match := SCAN.match(line))}
        found[name] = read - SMALL - own
    return {name: tables for name, tables in found.items() if tables}


def test_only_what_is_meant_to_reads_a_whole_table(database: sqlite3.Connection) -> None:
    assert scans(database) == MEANT


@pytest.mark.parametrize("name", FROM_ONE_END)
def test_what_is_read_from_one_end_is_not_sorted_first(name: str, database: sqlite3.Connection) -> None:
    plan = database.execute(f"EXPLAIN QUERY PLAN {asked('sqlite')[name]}", defaultdict[str, None](lambda: None))
    assert not any("TEMP B-TREE" in line for *_, line in plan)


@pytest.mark.parametrize("index", INDEXES)
def test_each_index_is_missed_when_it_is_gone(index: str, database: sqlite3.Connection) -> None:
    database.execute(f"DROP INDEX {index}")
    assert scans(database) != MEANT, f"no query would be slower without {index}"
