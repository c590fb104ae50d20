"""Keys of carried tables, and tables that have none."""

from dataclasses import replace

from authstore.mover.carried.columns import CarriedTable, land_columns, settle_columns
from authstore.mover.carried.counts import read_values
from authstore.mover.catalog import SourceKey
from authstore.mover.postgres.asking import answered
from authstore.mover.postgres.introspection import read_source
from tests.mover.carried.planning import Move, copy_of, refused, rows, said


def test_a_serial_key_counts_on(move: Move) -> None:
    move.seed(
        """
        CREATE TABLE a (id serial PRIMARY KEY, x text);
        CREATE TABLE b ("I""d" bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY);
        CREATE TABLE c (id int PRIMARY KEY);
        INSERT INTO a (x) VALUES ('one'), ('two')
        """
    )
    carried, target = move.plan(), move.arrive()

    target.execute("DELETE FROM a WHERE id = 2")
    target.execute("INSERT INTO a (x) VALUES ('three')")

    assert rows(target, "a") == [(1, "one"), (3, "three")]
    assert copy_of(carried, "a").sequence == ("id", "public.a_id_seq")
    assert copy_of(carried, "b").sequence == ('I"d', 'public."b_I""d_seq"')
    assert copy_of(carried, "c").sequence is None
    assert "AUTOINCREMENT" not in copy_of(carried, "c").create[0]


def test_keys_and_uniques_hold_in_the_target(move: Move) -> None:
    move.seed(
        "CREATE TABLE t (a int, b text, c int UNIQUE, d int, e int, PRIMARY KEY (a, b), CONSTRAINT de UNIQUE (d, e));"
        "INSERT INTO t VALUES (1, 'x', 1, 1, 1), (1, 'y', NULL, 1, NULL), (2, 'x', NULL, 1, NULL)"
    )
    target = move.arrive()

    assert len(rows(target, "t")) == 3
    for values in ("1, 'x', 9, 9, 9", "3, NULL, 9, 9, 9", "3, 'x', 1, 9, 9", "3, 'x', 9, 1, 1"):
        assert refused(target, f"INSERT INTO t VALUES ({values})")
    assert not refused(target, "INSERT INTO t VALUES (3, 'x', NULL, 1, NULL)")


def test_what_weakens_a_unique_key_is_reported(move: Move) -> None:
    move.seed(
        "CREATE TABLE t (id int PRIMARY KEY, a int, b int, c numeric, CONSTRAINT na UNIQUE NULLS NOT DISTINCT (a),"
        " CONSTRAINT nb UNIQUE (b) DEFERRABLE, CONSTRAINT nc UNIQUE (c))"
    )
    problems = move.plan().problems

    assert said(problems, '"na"', "NULLS NOT DISTINCT")
    assert said(problems, '"nb"', "deferrable")
    assert said(problems, '"nc"', "it may let more in")


def test_a_table_without_a_key_keeps_its_equal_rows_and_gains_no_column(move: Move) -> None:
    move.seed(
        """
        CREATE TABLE log (a int, b text, f float8, j json);
        INSERT INTO log SELECT 1, 'x', 0.5, '{}' FROM generate_series(1, 3);
        INSERT INTO log VALUES (NULL, NULL, 'NaN', NULL), (NULL, NULL, NULL, NULL), (NULL, NULL, NULL, NULL)
        """
    )
    carried, target = move.plan(), move.arrive()

    copy = copy_of(carried, "log")
    assert copy.key == ("rowid",)
    assert target.execute("SELECT count(*), count(DISTINCT rowid), max(rowid) FROM log").fetchall() == [(6, 6, 6)]
    assert target.execute("SELECT * FROM log WHERE f = 'NaN'").fetchall() == [(None, None, "NaN", None)]
    assert target.execute("SELECT a, b, f, j, count(*) FROM log WHERE a = 1 GROUP BY 1, 2, 3, 4").fetchall() == [
        (1, "x", 0.5, "{}", 3)
    ]


def test_a_row_without_a_key_can_be_found_and_replaced_by_its_number(move: Move) -> None:
    move.seed("CREATE TABLE log (rowid int, b text); INSERT INTO log VALUES (7, 'x')")
    copy, target = copy_of(move.plan(), "log"), move.arrive()

    again = """ON CONFLICT ("_rowid_") DO UPDATE SET b = excluded.b"""
    target.execute(f"""INSERT INTO log ("_rowid_", rowid, b) VALUES (1, 8, 'y') {again}""")

    assert copy.key == ("_rowid_",)
    assert rows(target, "log") == [(7, "y")]


def test_a_table_without_a_key_and_without_a_name_for_its_rows_is_refused(move: Move) -> None:
    move.seed("CREATE TABLE log (rowid int, _rowid_ int, oid text)")

    assert [problem.stops for problem in said(move.plan().problems, "public.log", "has no key")] == [True]


def test_a_unique_key_that_is_never_null_serves_where_there_is_no_primary_key(move: Move) -> None:
    move.seed("CREATE TABLE t (a int UNIQUE, b text NOT NULL UNIQUE, c float8); INSERT INTO t VALUES (1, 'x', 'NaN')")

    assert copy_of(move.plan(), "t").key == ("b",)
    assert rows(move.arrive(), "t") == [(1, "x", "NaN")]


def test_case_insensitive_text_stays_so_for_ascii(move: Move) -> None:
    move.seed(
        """
        CREATE EXTENSION citext;
        CREATE TABLE t (name citext PRIMARY KEY, code char(4) UNIQUE);
        INSERT INTO t VALUES ('Ada', 'ab'), ('É', 'cd'), ('x', 'abcd')
        """
    )
    target = move.arrive()

    assert target.execute("SELECT code FROM t WHERE name = 'ADA'").fetchall() == [("ab  ",)]
    assert target.execute("SELECT name FROM t WHERE code = 'ab'").fetchall() == [("Ada",)]
    assert refused(target, "INSERT INTO t VALUES ('ADA', 'zz')")
    assert refused(target, "INSERT INTO t VALUES ('z', 'ab')")


def test_case_is_kept_apart_where_a_key_would_lose_rows_otherwise(move: Move) -> None:
    move.seed(
        """
        CREATE EXTENSION citext;
        CREATE TABLE t (a citext, b int);
        INSERT INTO t VALUES ('I', 1), ('i', 1), (NULL, 1)
        """
    )
    # As under a Turkish locale, where these are two letters, and unique.
    table = replace(read_source(move.source, ("public",)).tables[-2], keys=(SourceKey("k", ("a", "b"), primary=False),))

    carried = CarriedTable(table, "t", land_columns(table, "UTC"))
    settled, problems = settle_columns(carried, answered(move.source, read_values(carried)))

    assert settled.columns["a"].landing.collation == ""
    assert said(problems, '"k"', "kept apart")
