"""Names: quoted for both databases, and kept apart where SQLite sees no difference."""

import sqlite3

import psycopg
import pytest

from authstore.mover.catalog import SourceTable
from authstore.mover.names import Namespace, literal, own_namespace, quote, relation

HOSTILE = [
    'a"b',
    "a'b",
    "x; DROP TABLE users; --",
    "per%cent %s %(a)s",
    "new\nline",
    "[x]",
    "`x`",
    "Ünïcødé ☃",
    "select",
    " ",
    "\\",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_is_a_legal_name_in_both_databases(name: str, source: psycopg.Connection) -> None:
    statement = f"CREATE TABLE {quote(name)} ({quote(name + 'c')} text)"
    query = f"SELECT {quote(name + 'c')} FROM {quote(name)}"
    target = sqlite3.connect(":memory:")

    source.execute(statement.encode())
    target.execute(statement)

    assert source.execute(query.encode()).fetchall() == target.execute(query).fetchall() == []
    target.close()


@pytest.mark.parametrize("text", [*HOSTILE, "", "''", "\\'"])
def test_a_literal_is_the_same_text_in_both_databases(text: str, source: psycopg.Connection) -> None:
    target = sqlite3.connect(":memory:")

    found = [
        source.execute(f"SELECT {literal(text)}".encode()).fetchone(),
        target.execute(f"SELECT {literal(text)}").fetchone(),
    ]

    assert found == [(text,), (text,)]
    target.close()


def test_a_table_named_like_one_of_authstores_is_prefixed() -> None:
    space = own_namespace()

    assert [space.take_table(name) for name in ("Users", "USERS", "orders")] == [
        "source_Users",
        "source_USERS_2",
        "orders",
    ]


def test_names_that_sqlite_keeps_for_itself_are_prefixed() -> None:
    assert [Namespace().take_table(name) for name in ("sqlite_stat1", "SQLite_x", "authstore_chunks")] == [
        "source_sqlite_stat1",
        "source_SQLite_x",
        "source_authstore_chunks",
    ]


def test_only_ascii_letters_are_the_same_in_both_cases() -> None:
    space = Namespace()

    assert [space.take(name) for name in ("Name", "name", "É", "é", "NAME")] == ["Name", "name_2", "É", "é", "NAME_3"]


def test_numbering_goes_past_names_that_are_there() -> None:
    space = Namespace(["a", "A_2"])

    assert space.take("A") == "A_3"


def test_an_index_is_named_after_its_table_once() -> None:
    space = Namespace(["orders"])

    assert [space.take_index("orders", name) for name in ("orders_at", "by_user", "orders")] == [
        "orders_at",
        "orders_by_user",
        "orders_2",
    ]


def test_the_indexes_of_authstore_are_taken() -> None:
    assert own_namespace().take("sessions_user_id") == "sessions_user_id_2"
    assert own_namespace().take_table("changes") == "source_changes"


def test_a_table_with_heirs_is_read_without_them() -> None:
    assert relation(SourceTable("public", 'a"b', ()), "x") == '"public"."a""b" AS "x"'
    assert relation(SourceTable("public", "t", (), inherited=True)) == 'ONLY "public"."t" AS "s"'
