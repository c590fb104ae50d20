"""Defaults go on in the target as they were in the source, or are reported."""

from tests.mover.carried.planning import Move, refused, rows, said


def test_columns_keep_not_null_and_constant_defaults(move: Move) -> None:
    move.seed(
        """
        CREATE TYPE mood AS ENUM ('sad', 'it''s ok');
        CREATE TABLE t (id int PRIMARY KEY, word text NOT NULL DEFAULT 'it''s', n int DEFAULT -3,
            price numeric(6,2) DEFAULT 1.50, long numeric DEFAULT 1.50, on_sale boolean DEFAULT true,
            tags text[] DEFAULT '{a,b}', doc jsonb DEFAULT '{"a": [1]}', feeling mood DEFAULT 'it''s ok',
            raw bytea DEFAULT '\\x00ff', day date DEFAULT '2020-02-29',
            at timestamptz DEFAULT '2020-02-29 12:00+02', span interval DEFAULT '1 day',
            inf float8 DEFAULT 'Infinity', addr inet DEFAULT '10.0.0.1', nothing text DEFAULT NULL)
        """
    )
    target = move.arrive()

    target.execute("INSERT INTO t (id) VALUES (1)")

    (row,) = rows(target, "t")
    assert row[:9] == (1, "it's", -3, 1.5, "1.50", 1, '["a","b"]', '{"a": [1]}', "it's ok")
    assert row[9:12] == (b"\x00\xff", "2020-02-29", "2020-02-29T10:00:00.000000Z")
    assert row[12:] == ("P1D", float("inf"), "10.0.0.1", None)
    assert refused(target, "INSERT INTO t (id, word) VALUES (2, NULL)")


def test_defaults_that_differ_each_time_go_on_in_sqlite(move: Move) -> None:
    move.seed(
        """
        CREATE TABLE t (id int PRIMARY KEY, key uuid DEFAULT gen_random_uuid(), at timestamptz DEFAULT now(),
            since timestamp DEFAULT CURRENT_TIMESTAMP, utc timestamp DEFAULT (now() AT TIME ZONE 'utc'),
            other timestamp(3) DEFAULT timezone('utc', now()), day date DEFAULT CURRENT_DATE)
        """
    )
    target = move.arrive()

    target.execute("INSERT INTO t (id) VALUES (1), (2)")

    first, second = rows(target, "t")
    assert first[1] != second[1]
    assert all(first[1][place] == "-" for place in (8, 13, 18, 23))
    assert (first[1][14], first[1][19] in "89ab", len(first[1])) == ("4", True, 36)
    for moment in first[2:6]:
        assert refused(target, f"INSERT INTO users (id, created_at, updated_at) VALUES ('x', '{moment}', 'wrong')")
        assert not refused(
            target, f"INSERT INTO users (id, created_at, updated_at) VALUES ('x', '{moment}', '{moment}')"
        )
    assert first[6] == first[2][:10]


def test_defaults_that_sqlite_cannot_say_are_reported(move: Move) -> None:
    move.seed(
        """
        CREATE SEQUENCE s;
        CREATE FUNCTION f() RETURNS text LANGUAGE sql AS 'SELECT ''x''';
        CREATE TABLE t (id int PRIMARY KEY, n int DEFAULT nextval('s'),
            later timestamptz DEFAULT now() + '1 day', own text DEFAULT f(),
            today date DEFAULT ('now'::text)::date)
        """
    )
    carried = move.plan()

    assert [bool(said(carried.problems, f'"{name}"', "stays behind")) for name in ("n", "later", "own", "today")] == [
        True
    ] * 4
    assert move.source.execute("SELECT last_value, is_called FROM s").fetchall() == [(1, False)]


def test_a_default_that_its_own_column_refuses_is_reported_and_the_others_stay(move: Move) -> None:
    move.seed("CREATE DOMAIN positive AS int CHECK (VALUE > 0)")
    move.seed(
        "CREATE TABLE t (id int PRIMARY KEY, a positive DEFAULT -1, b numeric(3,1) DEFAULT 1000, c int DEFAULT 5)"
    )
    carried, target = move.plan(), move.arrive()

    target.execute("INSERT INTO t (id) VALUES (1)")

    assert rows(target, "t") == [(1, None, None, 5)]
    assert [len(said(carried.problems, f'the default of column "{name}"')) for name in "abc"] == [1, 1, 0]
