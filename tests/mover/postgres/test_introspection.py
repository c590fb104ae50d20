"""What a Postgres catalogue says, and that it is said the same way on every run."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from authstore.mover.catalog import Source, SourceColumn, SourceReference, SourceTable
from authstore.mover.postgres.introspection import read_source
from tests.mover.copying import pinned
from tests.postgres import fresh_database

SCHEMA = """
CREATE SCHEMA other;
CREATE TYPE mood AS ENUM ('zeta', 'alpha');
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE DOMAIN small AS positive DEFAULT 7 NOT NULL CHECK (VALUE < 100);
CREATE SEQUENCE spare;
CREATE TABLE parent (
    id int GENERATED ALWAYS AS IDENTITY, code varchar(5) NOT NULL, day date, label mood DEFAULT 'alpha', size small,
    doubled int GENERATED ALWAYS AS (size * 2) STORED, tags text[], pairs numeric(8,3)[], amount numeric(12,6),
    name text COLLATE "C", spare int DEFAULT nextval('spare'), plus int DEFAULT 1 + nextval('spare'),
    PRIMARY KEY (id), UNIQUE NULLS NOT DISTINCT (code, day), UNIQUE (day) DEFERRABLE,
    CONSTRAINT "check me" CHECK (amount > 0)
);
CREATE TABLE child (
    id bigserial PRIMARY KEY, parent_id int, code varchar(5), day date, boss bigint REFERENCES child,
    FOREIGN KEY (code, day) REFERENCES parent (code, day) MATCH FULL ON DELETE SET NULL (day) ON UPDATE CASCADE
);
ALTER TABLE child ADD CONSTRAINT loose FOREIGN KEY (parent_id) REFERENCES parent
    DEFERRABLE INITIALLY DEFERRED NOT VALID;
ALTER TABLE parent ADD CONSTRAINT later CHECK (amount < 9) NOT VALID;
CREATE UNIQUE INDEX child_once ON child (parent_id) INCLUDE (day) WHERE boss IS NULL;
CREATE INDEX child_words ON child (lower(code) DESC, day);
CREATE INDEX child_gin ON child USING gin (to_tsvector('simple', code));
CREATE UNIQUE INDEX child_pair ON child (parent_id, day) INCLUDE (boss);
CREATE TABLE event (at date NOT NULL, id int, PRIMARY KEY (at, id)) PARTITION BY RANGE (at);
CREATE TABLE event_2020 PARTITION OF event FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
CREATE TABLE base (a int);
CREATE TABLE heir (b int) INHERITS (base);
CREATE TABLE nothing ();
CREATE TABLE other.parent (id int);
CREATE TEMPORARY TABLE passing (id int);
CREATE UNLOGGED TABLE hurried (id int);
CREATE VIEW seen AS SELECT id FROM child;
CREATE MATERIALIZED VIEW kept AS SELECT id FROM child;
CREATE FUNCTION f(x int) RETURNS int LANGUAGE sql AS 'SELECT x';
CREATE TRIGGER t BEFORE UPDATE ON child FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger();
ALTER TABLE child ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON child USING (true);
CREATE RULE r AS ON DELETE TO base DO INSTEAD NOTHING;
CREATE TABLE rooms (during tsrange, EXCLUDE USING gist (during WITH &&));
COMMENT ON COLUMN child.code IS 'what';
GRANT SELECT ON child, base TO PUBLIC;
SELECT lo_create(0);
INSERT INTO event SELECT '2020-01-01', generate_series(1, 500);
ANALYZE event;
CREATE EXTENSION hstore;
"""


@pytest.fixture(scope="module")
def database(postgres_url: str) -> Iterator[psycopg.Connection[Any]]:
    with fresh_database(postgres_url) as url, pinned(url) as connection:
        connection.execute(SCHEMA)
        yield connection


@pytest.fixture(scope="module")
def found(database: psycopg.Connection[Any]) -> Source:
    return read_source(database, ("public",))


def table(found: Source, name: str) -> SourceTable:
    return next(table for table in found.tables if table.name == name)


def column(found: Source, name: str, table_name: str = "parent") -> SourceColumn:
    return next(column for column in table(found, table_name).columns if column.name == name)


def reference(found: Source, name: str) -> SourceReference:
    return next(reference for reference in table(found, "child").references if reference.name == name)


def test_partitions_temporary_tables_and_other_schemas_are_not_tables_here(found: Source) -> None:
    names = [table.name for table in found.tables]

    assert names == ["base", "child", "event", "heir", "hurried", "nothing", "parent", "rooms"]


def test_without_a_schema_all_of_the_users_own_are_read(database: psycopg.Connection[Any]) -> None:
    assert {table.schema for table in read_source(database).tables} == {"other", "public"}


def test_a_partitioned_table_counts_the_rows_of_its_partitions(found: Source) -> None:
    event = table(found, "event")

    assert (event.partitioned, event.rows, event.bytes > 0) == (True, 500, True)


def test_inheritance_is_seen_from_both_ends(found: Source) -> None:
    assert table(found, "base").inherited
    assert table(found, "heir").parents == ("public.base",)


def test_a_domain_is_followed_to_its_base(found: Source) -> None:
    size = column(found, "size")

    assert (size.type, size.base, size.nullable, size.default) == ("small", "int4", False, "7")
    assert size.checks == ("((VALUE)::integer < 100)", "(VALUE > 0)")


def test_columns_carry_modifiers_labels_elements_and_collations(found: Source) -> None:
    assert column(found, "amount").modifier == (12 << 16 | 6) + 4
    assert column(found, "label").labels == ("zeta", "alpha")
    assert (column(found, "tags").element, column(found, "pairs").type) == ("text", "numeric(8,3)[]")
    assert (column(found, "name").collation, column(found, "code").collation) == ('pg_catalog."C"', None)


def test_generated_columns_have_a_formula_and_no_default(found: Source) -> None:
    doubled = column(found, "doubled")

    assert (doubled.generated, doubled.default) == ("((size)::integer * 2)", None)


def test_sequences_are_known_where_they_alone_feed_a_column(found: Source) -> None:
    fed = {column.name: column.sequence for column in table(found, "parent").columns if column.sequence}

    assert fed == {"id": "public.parent_id_seq", "spare": "public.spare"}
    assert column(found, "id", "child").sequence == "public.child_id_seq"
    assert (column(found, "id").identity, column(found, "id", "child").identity) == ("a", "")


def test_keys_are_told_from_indexes(found: Source) -> None:
    keys = {key.name: key for key in table(found, "parent").keys}

    assert [key.primary for key in keys.values()] == [True, False, False]
    assert keys["parent_code_day_key"].columns == ("code", "day")
    assert not keys["parent_code_day_key"].nulls_distinct
    assert keys["parent_day_key"].deferrable
    assert [key.name for key in table(found, "child").keys] == ["child_pkey", "child_pair"]
    assert table(found, "child").keys[1].columns == ("parent_id", "day")


def test_indexes_tell_expressions_order_and_predicates(found: Source) -> None:
    indexes = {index.name: index for index in table(found, "child").indexes}

    assert list(indexes) == ["child_gin", "child_once", "child_words"]
    assert (indexes["child_once"].unique, indexes["child_once"].predicate) == (True, "(boss IS NULL)")
    assert indexes["child_words"].columns == (None, "day")
    assert indexes["child_words"].descending == (True, False)
    assert indexes["child_words"].expressions == ("lower((code)::text)", "day")
    assert indexes["child_gin"].method == "gin"


def test_the_index_of_an_exclusion_constraint_is_no_index(found: Source) -> None:
    assert (table(found, "rooms").indexes, table(found, "rooms").keys) == ((), ())


def test_references_tell_what_they_do(found: Source) -> None:
    composite, loose = reference(found, "child_code_day_fkey"), reference(found, "loose")

    assert (composite.columns, composite.table, composite.target_columns) == (
        ("code", "day"),
        ("public", "parent"),
        ("code", "day"),
    )
    assert (composite.on_delete, composite.on_update, composite.match) == ("SET NULL", "CASCADE", "FULL")
    assert composite.unsayable == "ON DELETE SET NULL of some columns"
    assert (loose.validated, loose.deferrable, loose.deferred) == (False, True, True)
    assert reference(found, "child_boss_fkey").table == ("public", "child")


def test_checks_are_expressions(found: Source) -> None:
    checks = {check.name: check for check in table(found, "parent").checks}

    assert checks["check me"].expression == "(amount > (0)::numeric)"
    assert (checks["check me"].validated, checks["later"].validated) == (True, False)


def test_views_and_what_stays_behind_are_named(found: Source) -> None:
    assert [(schema, name) for schema, name, _ in found.views] == [("public", "seen")]
    assert list(found.left_behind) == [
        "materialized view public.kept",
        "sequence public.spare",
        "trigger t on public.child",
        "rule r on public.base",
        "policy p on public.child",
        "exclusion constraint rooms_during_excl on public.rooms",
        "function f(integer)",
        "grants on public.base",
        "grants on public.child",
        "comment on public.child.code",
        "large objects (1)",
    ]
    assert [(table.schema, table.name, table.readable) for table in found.elsewhere] == [("other", "parent", True)]


def test_two_readings_are_equal_and_name_the_same_database(database: psycopg.Connection[Any], found: Source) -> None:
    assert read_source(database, ("public",)) == found
    assert found.version == database.info.server_version
    assert found.system.split("/")[0].isdigit()


def test_a_table_that_may_not_be_read_is_listed_and_marked(database: psycopg.Connection[Any]) -> None:
    role = f"clerk_{database.info.backend_pid}"
    database.execute(f"CREATE ROLE {role}; SET ROLE {role}".encode())
    try:
        readable = {table.name: table.readable for table in read_source(database, ("public",)).tables}
    finally:
        database.execute(f"RESET ROLE; DROP ROLE {role}".encode())

    assert readable["base"]
    assert not readable["parent"]
    assert not readable["child"], "a policy would hide rows"


def test_a_schema_that_may_not_be_entered_is_no_obstacle_to_reading_the_others(
    database: psycopg.Connection[Any],
) -> None:
    role = f"clerk_{database.info.backend_pid}"
    database.execute(
        "CREATE SCHEMA closed CREATE TABLE safe (id serial PRIMARY KEY, n int GENERATED ALWAYS AS IDENTITY)"
    )
    database.execute(f"CREATE ROLE {role}; SET ROLE {role}".encode())
    try:
        found = {(table.schema, table.name): table for table in read_source(database).tables}
    finally:
        database.execute(f"RESET ROLE; DROP ROLE {role}; DROP SCHEMA closed CASCADE".encode())

    safe = found["closed", "safe"]
    assert not safe.readable
    assert [column.sequence for column in safe.columns] == ["closed.safe_id_seq", "closed.safe_n_seq"]
    assert [column.sequence_readable for column in safe.columns] == [False, False]


def test_a_hostile_schema_is_read_like_any_other(database: psycopg.Connection[Any]) -> None:
    database.execute(b"""CREATE SCHEMA "o'""brien %s" CREATE TABLE "t%;"" --" ("c'" serial PRIMARY KEY)""")

    (read,) = read_source(database, ("o'\"brien %s",)).tables

    assert (read.name, read.columns[0].name) == ('t%;" --', "c'")
    assert read.columns[0].sequence == '"o\'""brien %s"."t%;"" --_c\'_seq"'
    database.execute(b"""DROP SCHEMA "o'""brien %s" CASCADE""")
