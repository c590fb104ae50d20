"""No query needs to read a whole table, but those that are meant to; and each index leads some query to its rows."""

import re
from collections.abc import Iterator

import psycopg
import pytest

from authstore.backends.postgres.shape import helpers
from authstore.backends.postgres.texts import text
from authstore.schema import migrations
from tests.backends.plans import asked

INDEXES = sorted(name.removeprefix("index ") for name in helpers(migrations("postgres")) if name.startswith("index "))
SCAN = re.compile(r"(?:Seq|Sample) Scan on (\w+)")
SMALL = {"change_log"}  # one row
# Whoever is on call asked for all of it, or puts a backup back.
MEANT = {
    "count_living_sessions": {"sessions"},
    "count_provider_tokens": {"accounts"},
    "sample_living_sessions": {"sessions"},
    "delete_sessions_since": {"sessions"},
    "delete_verification_tokens_since": {"verification_tokens"},
    "note_endings_since": {"sessions"},
}


@pytest.fixture(scope="module")
def database(postgres_url: str, template: str) -> Iterator[psycopg.Connection]:
    """A store whose planner reads a whole table only where it cannot do otherwise: as at a million rows."""
    url = f"{postgres_url.rpartition('/')[0]}/{template}"
    with psycopg.connect(url) as connection:
        connection.execute("SET enable_seqscan = off")
        connection.execute("SET plan_cache_mode = force_generic_plan")
        yield connection
        connection.rollback()


def plans(connection: psycopg.Connection) -> dict[str, str]:
    """How the server goes about each query whose values it does not know."""
    found: dict[str, str] = {}
    for name, sql in asked("postgres").items():
        said = text(sql)
        given = f"({', '.join(['NULL'] * len(said.names))})" if said.names else ""
        connection.execute(f"PREPARE asked AS {said.sql}".encode())
        lines = connection.execute(f"EXPLAIN EXECUTE asked{given}".encode()).fetchall()
        connection.execute("DEALLOCATE asked")
        found[name] = "\n".join(line for (line,) in lines)
    return found


def test_only_what_is_meant_to_reads_a_whole_table(database: psycopg.Connection) -> None:
    found = {name: set(SCAN.findall(plan)) - SMALL for name, plan in plans(database).items()}
    assert {
        name: tables for name, tables in found.items() if any(not each.startswith("pg_") for each in tables)
    } == MEANT


def test_each_index_leads_some_query_to_its_rows(database: psycopg.Connection) -> None:
    used = {index for plan in plans(database).values() for index in re.findall(r"(?:using|Index Scan on) (\w+)", plan)}
    assert set(INDEXES) - used == set()
