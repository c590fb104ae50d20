"""At a million rows no query reads a whole table, but those that are meant to; and each index is there for one."""

import re
import sqlite3
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing

import pytest

from authstore.backends.sqlite.opening import make_views
from authstore.schema import migrations
from tests.backends.plans import WHOLE_TABLES, WRITES, asked

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
        make_views(connection)
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


# These read a stretch of one user's sessions, wherever it lies.
STRETCHES = ("list_sessions", "scan_sessions_to_end")


@pytest.mark.parametrize("name", [*FROM_ONE_END, *STRETCHES])
def test_what_is_read_from_one_place_on_is_not_sorted_first(name: str, database: sqlite3.Connection) -> None:
    plan = database.execute(f"EXPLAIN QUERY PLAN {asked('sqlite')[name]}", defaultdict[str, None](lambda: None))
    assert not any("TEMP B-TREE" in line for *_, line in plan)


@pytest.mark.parametrize("name", STRETCHES)
def test_a_stretch_begins_at_its_place(name: str, database: sqlite3.Connection) -> None:
    plan = database.execute(f"EXPLAIN QUERY PLAN {asked('sqlite')[name]}", defaultdict[str, None](lambda: None))
    assert [line for *_, line in plan if "sessions_user_id (user_id=? AND (created_at,id)" in line]


@pytest.mark.parametrize("index", INDEXES)
def test_each_index_is_missed_when_it_is_gone(index: str, database: sqlite3.Connection) -> None:
    database.execute(f"DROP INDEX {index}")
    assert scans(database) != MEANT, f"no query would be slower without {index}"


SEED = """
CREATE TEMP TABLE numbers AS
    WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < {rows}) SELECT x FROM n;
INSERT INTO users (id, email, created_at, updated_at) SELECT 'u' || x, x || '@example.com', '{at}', '{at}' FROM numbers;
INSERT INTO accounts (id, user_id, provider, provider_account_id, type, created_at, updated_at)
    SELECT 'a' || x, 'u' || x, 'github', x, 'oauth', '{at}', '{at}' FROM numbers;
INSERT INTO sessions (id, token_hash, token_indexed, user_id, expires, created_at, last_used_at, authenticated_at)
    SELECT 's' || x, randomblob(32), x % 2 = 0, 'u' || x, '{later}', '{at}', '{at}', '{at}' FROM numbers;
INSERT INTO ended_tokens (token_hash, reason, at, session_id)
    SELECT randomblob(32), 'rotated', '{at}', 's' || x FROM numbers;
INSERT INTO verification_tokens (identifier, purpose, token_hash, expires, created_at)
    SELECT x || '@example.com', 'email', randomblob(32), '{later}', '{at}' FROM numbers;
INSERT INTO authenticators (credential_id, user_id, public_key, counter, created_at)
    SELECT 'c' || x, 'u' || x, x'00', 0, '{at}' FROM numbers;
INSERT INTO roles (name) SELECT 'r' || x FROM numbers;
INSERT INTO permissions (resource, action) VALUES ('thing', 'write'), ('thing', 'read');
INSERT INTO permissions (resource, action) SELECT x, 'read' FROM numbers;
INSERT INTO role_permissions (role_name, resource, action) SELECT 'r' || x, x, 'read' FROM numbers;
INSERT INTO user_roles (user_id, role_name) SELECT 'u' || x, 'r' || x FROM numbers;
"""


@pytest.fixture(scope="module")
def few_and_many() -> Iterator[list[sqlite3.Connection]]:
    """Stores with an audit, which hold thirty rows in each table, and a thousand."""
    stores = [sqlite3.connect(":memory:", isolation_level=None) for _ in range(2)]
    for connection, rows in zip(stores, (30, 1000), strict=True):
        for step in migrations("sqlite"):
            connection.executescript(step.sql)
        at, later = "2026-11-22T13:48:00.000000Z", "2027-11-22T13:48:00.000000Z"
        connection.executescript(SEED.format(rows=rows, at=at, later=later))
        connection.execute("UPDATE change_log SET audit_seconds = 3600")
        connection.execute("PRAGMA foreign_keys = ON")
    yield stores
    for connection in stores:
        connection.close()


def instructions(connection: sqlite3.Connection, write: str) -> int:
    """How many of its own SQLite runs, those of triggers and references among them; the write is taken back."""
    ran = 0

    def count() -> int:
        nonlocal ran
        ran += 1
        return 0

    connection.execute("BEGIN")
    connection.set_progress_handler(count, 1)
    assert connection.execute(write).rowcount == 1
    connection.set_progress_handler(None, 0)
    connection.execute("ROLLBACK")
    return ran


@pytest.mark.parametrize("write", WRITES)
def test_no_trigger_and_no_reference_reads_a_whole_table(write: str, few_and_many: list[sqlite3.Connection]) -> None:
    few, many = (instructions(connection, write) for connection in few_and_many)
    assert 20 < many < few + 100
