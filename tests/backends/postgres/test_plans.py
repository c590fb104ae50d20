"""At a million rows no query reads a whole table, but those that are meant to; and each index is there for one."""

import asyncio
import re
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from authstore import Permission, connect
from authstore.backends.postgres.shape import helpers
from authstore.backends.postgres.texts import text
from authstore.schema import migrations, tables
from tests.backends.plans import WHOLE_TABLES, WRITES, asked
from tests.postgres import fresh_database

INDEXES = sorted(name.removeprefix("index ") for name in helpers(migrations("postgres")) if name.startswith("index "))
FEW_ROWS = {"change_log", "authstore_migrations", "authstore_notes"}
# These read a table in the order of an index from one end, and stop at their LIMIT.
FROM_ONE_END = {
    "get_newest": {"sessions", "users"},
    "get_newest_change": {"changes"},
    "list_events": {"changes"},
    "list_oldest_changes": {"changes"},
    "log_bounds": {"changes"},
}
READ, WRITE = (Permission(resource="thing", action=action) for action in ("read", "write"))
BELONGING = {"accounts", "authenticators", "role_permissions", "roles", "sessions", "user_roles", "users"}
MEANT = {
    **{name: read - FEW_ROWS for name, read in WHOLE_TABLES.items() if read - FEW_ROWS},
    **FROM_ONE_END,
    "count_orphans": BELONGING,
    "sample_living_sessions": {"sessions"},  # one page in a hundred
}


@pytest.fixture(scope="module")
def database(postgres_url: str, template: str) -> Iterator[psycopg.Connection]:
    """A store that takes itself for one with a million rows in each table: its server believes what VACUUM wrote down,
    but for the number of pages, which it counts."""
    with fresh_database(postgres_url, template) as url:
        asyncio.run(_one_of_each(url))  # a table without any page has no rows, whatever is written down
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("SET plan_cache_mode = force_generic_plan")
            for table in tables("postgres"):
                rows = 1 if table in FEW_ROWS else 1_000_000
                set_rows = "UPDATE pg_class SET relpages = 1, reltuples = %s WHERE oid = %s::regclass"
                connection.execute(set_rows, (rows, table))
            yield connection


async def _one_of_each(url: str) -> None:
    async with connect(url) as store:
        user = await store.create_user(email="ada@example.com")
        await store.link_account(user.id, "github", "1")
        session = await store.create_session(user.id)
        await store.rotate_session(session.token or "")
        await store.create_verification_token("ada@example.com")
        await store.create_authenticator(user.id, credential_id="AQ", public_key=b"1", counter=0)
        await store.create_role("admin", permissions=[READ])
        await store.create_role("writer", permissions=[WRITE])
        await store.grant_role(user.id, "admin")
        await store.open_visit()


def plans(connection: psycopg.Connection) -> dict[str, dict[str, Any]]:
    """How the server goes about each query whose values it does not know."""
    found: dict[str, dict[str, Any]] = {}
    for name, sql in asked("postgres").items():
        said = text(sql)
        given = f"({', '.join(['NULL'] * len(said.names))})" if said.names else ""
        connection.execute(f"PREPARE asked AS {said.sql}".encode())
        ((plan,),) = connection.execute(f"EXPLAIN (FORMAT JSON) EXECUTE asked{given}".encode()).fetchall()
        connection.execute("DEALLOCATE asked")
        found[name] = plan[0]["Plan"]
    return found


def steps(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A plan's nodes."""
    yield plan
    for each in plan.get("Plans", ()):
        yield from steps(each)


def whole_tables(plan: dict[str, Any], first_columns: dict[str, tuple[str, str]]) -> set[str]:
    """Which tables are read as a whole: row by row, or by an index of which nothing is known that comes first in it."""
    found = set()
    for node in steps(plan):
        if index := first_columns.get(node.get("Index Name", "")):
            table, column = index
            is_led = re.search(rf"\b{column}\b", node.get("Index Cond", ""))
            found |= set() if is_led else {table}
        elif node["Node Type"] in ("Seq Scan", "Sample Scan"):
            found.add(node["Relation Name"])
    return {table for table in found if table in tables("postgres") - FEW_ROWS}


def scans(connection: psycopg.Connection) -> dict[str, set[str]]:
    """Which tables each query reads as a whole."""
    first = connection.execute(
        "SELECT indexrelid::regclass::text, indrelid::regclass::text, attname FROM pg_index"
        " JOIN pg_attribute ON attrelid = indexrelid AND attnum = 1"
    )
    first_columns = {index: (table, column) for index, table, column in first.fetchall()}
    found = {name: whole_tables(plan, first_columns) for name, plan in plans(connection).items()}
    return {name: read for name, read in found.items() if read}


def test_only_what_is_meant_to_reads_a_whole_table(database: psycopg.Connection) -> None:
    assert scans(database) == MEANT


@pytest.mark.parametrize("name", FROM_ONE_END)
def test_what_is_read_from_one_end_stops_at_its_limit(name: str, database: psycopg.Connection) -> None:
    limits = [step for step in steps(plans(database)[name]) if step["Node Type"] == "Limit"]
    reading = {each.get("Relation Name") for limit in limits for each in limit["Plans"]}
    assert reading >= FROM_ONE_END[name]


@pytest.mark.parametrize("name", ["list_sessions", "scan_sessions_to_end"])
def test_a_stretch_of_a_users_sessions_begins_at_its_place(name: str, database: psycopg.Connection) -> None:
    (read,) = [step for step in steps(plans(database)[name]) if step.get("Index Name") == "sessions_user_id"]
    assert "ROW(" in read["Index Cond"]
    assert not [step for step in steps(plans(database)[name]) if "Sort" in step["Node Type"]]


@pytest.mark.parametrize("index", INDEXES)
def test_each_index_is_missed_when_it_is_gone(index: str, database: psycopg.Connection) -> None:
    with database.transaction(force_rollback=True):
        database.execute(f"DROP INDEX {index}".encode())
        slower = {name for name, read in scans(database).items() if read != MEANT.get(name)}
    assert slower, f"no query would be slower without {index}"


def read_row_by_row(connection: psycopg.Connection) -> dict[str, int]:
    """How often each table was, by this connection."""
    rows = connection.execute("SELECT relname, seq_scan FROM pg_stat_xact_user_tables").fetchall()
    return {table: times for table, times in rows if table not in FEW_ROWS}


@pytest.mark.parametrize("write", WRITES)
def test_no_trigger_and_no_reference_reads_a_whole_table(write: str, database: psycopg.Connection) -> None:
    with database.transaction(force_rollback=True):
        database.execute("UPDATE change_log SET audit_seconds = 3600")
        before = read_row_by_row(database)
        assert database.execute(write.encode()).rowcount == 1
        assert read_row_by_row(database) == before


async def test_a_plan_of_an_empty_table_does_not_read_all_of_it_later(store_url: str) -> None:
    people = [f"{number}@example.com" for number in range(100)]
    async with connect(store_url, pool_size=1) as store:
        with psycopg.connect(store_url, autocommit=True) as connection:
            connection.execute("VACUUM ANALYZE verification_tokens")  # as the server does by itself
        for _ in range(10):  # so often that its plan is one for all values
            await store.use_verification_token("nobody@example.com", "t" * 20)
        for person in people:
            await store.create_verification_token(person, token="t" * 20)
        for person in people:
            assert await store.use_verification_token(person, "t" * 20)
    with psycopg.connect(store_url, autocommit=True) as connection:
        asked = "SELECT seq_tup_read FROM pg_stat_user_tables WHERE relname = 'verification_tokens'"
        assert connection.execute(asked).fetchone() == (0,)
