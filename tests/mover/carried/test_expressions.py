"""Checks, generated columns and indexes of carried tables."""

from authstore.mover.options import MoveOptions
from tests.mover.carried.planning import Move, copy_of, refused, rows, said


def test_checks_hold_in_the_target_and_those_that_cannot_are_reported(move: Move) -> None:
    move.seed(
        """
        CREATE DOMAIN positive AS int CHECK (VALUE > 0);
        CREATE TYPE mood AS ENUM ('sad', 'ok');
        CREATE TABLE t (id positive PRIMARY KEY, theme text CHECK (theme IN ('light', 'dark')), feeling mood,
            short varchar(3), flag boolean, word text CHECK (word ~ '^a'), amount numeric CHECK (amount >= 0),
            CONSTRAINT "it's" CHECK (num_nonnulls(theme, feeling) = 1));
        INSERT INTO t VALUES (1, 'dark', NULL, 'abc', true, 'abc', 0.00)
        """
    )
    carried, target = move.plan(), move.arrive()

    good = {"id": "2", "theme": "'light'", "feeling": "NULL", "short": "'a'", "flag": "0", "amount": "'1.5'"}
    assert not refused(target, _insert("t", good))
    for wrong in (
        ("id", "0"),
        ("theme", "'x'"),
        ("feeling", "'ok'"),
        ("short", "'abcd'"),
        ("flag", "2"),
        ("amount", "'-1'"),
        ("id", "'x'"),
    ):
        assert refused(target, _insert("t", {**good, wrong[0]: wrong[1]}))
    assert said(carried.problems, "t_word_check", "regular expression")


def _insert(table: str, values: dict[str, str]) -> str:
    return f"INSERT INTO {table} ({', '.join(values)}) VALUES ({', '.join(values.values())})"


def test_checks_on_odd_values_are_reported_and_no_row_is_lost(move: Move) -> None:
    move.seed(
        """
        CREATE TABLE t (id int PRIMARY KEY, amount numeric CHECK (amount > 0),
            price numeric(5,2) CHECK (price > 0), a date, b date, CHECK (a < b));
        INSERT INTO t VALUES (1, 'NaN', 'NaN', '0044-03-15 BC', 'infinity'), (2, 1, 1, NULL, NULL)
        """
    )
    carried = move.plan()

    assert rows(move.arrive(), "t") == [(1, "NaN", "NaN", "0044-03-15 BC", "infinity"), (2, "1", 1.0, None, None)]
    assert len(said(carried.problems, "stays behind: SQLite cannot say")) == 3
    assert [problem.count for problem in said(carried.problems, "NaN")] == [1, 1]


def test_a_check_that_holds_by_the_zone_of_the_session_that_wrote_stays_behind(move: Move) -> None:
    move.seed(
        """
        CREATE TABLE t (id int PRIMARY KEY, made timestamp, read timestamptz,
            CONSTRAINT mixed CHECK (read >= made), CONSTRAINT alone CHECK (made > '2000-01-01'));
        SET timezone = 'Asia/Tokyo';
        INSERT INTO t VALUES (1, '2020-01-01 09:00', '2020-01-01 10:00');
        SET timezone = 'UTC';
        """
    )
    carried = move.plan()

    assert rows(move.arrive(), "t") == [(1, "2020-01-01T09:00:00.000000Z", "2020-01-01T01:00:00.000000Z")]
    assert said(carried.problems, 'check "mixed"')
    assert 'CONSTRAINT "alone"' in copy_of(carried, "t").create[0]


def test_a_number_too_near_to_zero_for_a_float_stands_the_checks_on_it(move: Move) -> None:
    move.seed(
        """
        CREATE TABLE t (id int PRIMARY KEY, a numeric CHECK (a > 0), b numeric CHECK (b < 0), c numeric CHECK (c <> 0));
        INSERT INTO t VALUES (1, '1e-400', '-1e-400', '1e-400'), (2, '1e-400', '-1e-400', '-1e-400')
        """
    )
    target = move.arrive()

    assert len(rows(target, "t")) == 2
    for wrong in ("'0.000', '-1', '1'", "'-0.01', '-1', '1'", "'1', '0', '1'", "'1', '0.01', '1'", "'1', '-1', '0.00'"):
        assert refused(target, f"INSERT INTO t VALUES (3, {wrong})")


def test_a_check_on_long_numbers_that_lets_more_in_is_reported(move: Move) -> None:
    move.seed(
        """
        CREATE TABLE t (id int PRIMARY KEY, long numeric(30,2) CHECK (long > 9), free numeric CHECK (free <> 0),
            half numeric CHECK (half <= 0.5), short numeric(5,2) CHECK (short > 9), whole int CHECK (whole > 9));
        """
    )
    problems = move.plan().problems
    assert [bool(said(problems, f"t_{name}_check", "may let more in")) for name in ("long", "half")] == [True, True]
    assert not [one for name in ("free", "short", "whole") for one in said(problems, f"t_{name}_check", "may let more")]


def test_a_check_that_was_never_validated_is_reported(move: Move) -> None:
    move.seed(
        """
        CREATE TABLE t (id int PRIMARY KEY);
        INSERT INTO t VALUES (-1);
        ALTER TABLE t ADD CONSTRAINT late CHECK (id > 0) NOT VALID
        """
    )

    assert said(move.plan().problems, '"late"', "not validated")
    assert rows(move.arrive(), "t") == [(-1,)]


def test_generated_columns_are_generated_where_the_result_is_the_same(move: Move) -> None:
    move.seed(
        """
        CREATE TABLE t (id int PRIMARY KEY, a text, n int GENERATED ALWAYS AS (id * 2) STORED,
            label text GENERATED ALWAYS AS (a || '!') STORED, low text GENERATED ALWAYS AS (lower(a)) STORED,
            UNIQUE (n));
        INSERT INTO t VALUES (1, 'É')
        """
    )
    carried, target = move.plan(), move.arrive()

    target.execute("INSERT INTO t (id, a) VALUES (2, 'x')")

    assert rows(target, "t") == [(1, "É", 2, "É!", "é"), (2, "x", 4, "x!", None)]
    assert said(carried.problems, '"low"', "its values are copied")


def test_indexes_follow_with_order_predicates_and_expressions(move: Move) -> None:
    move.seed(
        """
        CREATE TABLE t (id int PRIMARY KEY, a text, b int, gone timestamptz, doc jsonb, amount numeric);
        CREATE INDEX plain ON t (a, b DESC);
        CREATE UNIQUE INDEX one_living ON t (a) WHERE gone IS NULL;
        CREATE INDEX low ON t (lower(a));
        CREATE INDEX inside ON t ((doc ->> 'k'));
        CREATE INDEX words ON t USING gin (doc);
        CREATE INDEX sums ON t (amount);
        CREATE INDEX odd ON t (md5(a));
        INSERT INTO t VALUES (1, 'x', 1, now(), '{"k": 1}', 1), (2, 'x', 1, NULL, NULL, NULL)
        """
    )
    carried, target = move.plan(), move.arrive()

    assert copy_of(carried, "t").indexes == (
        'CREATE INDEX "t_inside" ON "t" (("doc" ->> \'k\'))',
        'CREATE INDEX "t_low" ON "t" ((lower("a")))',
        'CREATE UNIQUE INDEX "t_one_living" ON "t" ("a") WHERE "gone" IS NULL',
        'CREATE INDEX "t_plain" ON "t" ("a", "b" DESC)',
        'CREATE INDEX "t_sums" ON "t" ("amount")',
    )
    assert refused(target, "INSERT INTO t (id, a) VALUES (3, 'x')")
    assert said(carried.problems, '"words"', "gin")
    assert said(carried.problems, '"odd"', "MD5")
    assert said(carried.problems, '"sums"', "as text")


def test_indexes_of_one_name_in_two_schemas_are_kept_apart(move: Move) -> None:
    move.seed(
        """
        CREATE SCHEMA two;
        CREATE TABLE two.t (id int PRIMARY KEY, a int);
        CREATE INDEX by_a ON two.t (a);
        CREATE TABLE t (id int PRIMARY KEY, a int);
        CREATE INDEX by_a ON t (a);
        CREATE TABLE t_by_a (id int PRIMARY KEY)
        """
    )
    move.options = MoveOptions(schemas=("public", "two"))
    carried, target = move.plan(), move.arrive()

    names = {name for (name,) in target.execute("SELECT name FROM sqlite_master WHERE name LIKE '%t%by_a%'")}
    assert [copy.target for copy in carried.copies] == ["t", "t_by_a", "two_t"]
    assert names == {"t_by_a", "t_by_a_2", "two_t_by_a"}


def test_a_unique_index_into_json_is_reported(move: Move) -> None:
    move.seed("CREATE TABLE t (id int PRIMARY KEY, doc jsonb); CREATE UNIQUE INDEX inside ON t ((doc ->> 'k'))")
    move.seed("""INSERT INTO t VALUES (1, '{"k": 1}'), (2, '{"k": 1.0}'), (3, '{"k": true}')""")

    assert len(rows(move.arrive(), "t")) == 3
    assert said(move.plan().problems, '"inside"', "unique index")


def test_a_table_of_generated_columns_alone_keeps_their_values(move: Move) -> None:
    move.seed(
        """
        CREATE TABLE t (a int GENERATED ALWAYS AS (1) STORED);
        INSERT INTO t DEFAULT VALUES;
        INSERT INTO t DEFAULT VALUES
        """
    )

    assert rows(move.arrive(), "t") == [(1,), (1,)]
