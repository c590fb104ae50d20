"""Tables that are not authstore's: carried over as they are, as far as SQLite can say them, and reported where not."""

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import psycopg
import pytest

from authstore.mover.carried_columns import CarriedTable, land_columns, settle_columns
from authstore.mover.carried_tables import Carried, carried_plan
from authstore.mover.catalog import read_source
from authstore.mover.names import own_namespace, quote
from authstore.mover.shapes import MoveOptions, Problem, Recognised, Role, SourceKey, TableCopy, UserChanges
from tests.mover.arriving import arrive, empty_target, pinned
from tests.postgres import fresh_database

USERS = """
CREATE TABLE users (id serial PRIMARY KEY, email text UNIQUE);
CREATE TABLE roles (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), name text UNIQUE NOT NULL);
CREATE TABLE sessions (id serial PRIMARY KEY, token text UNIQUE, user_id int);
INSERT INTO users SELECT n, n || '@example.com' FROM generate_series(1, 9) n;
INSERT INTO roles (name) VALUES ('admin'), ('author');
"""
FIELDS: dict[Role, dict[str, str]] = {
    "users": {"id": "id", "email": "email"},
    "roles": {"id": "id", "name": "name"},
    "sessions": {"id": "id", "token": "token", "user_id": "user_id"},
}


class Move:
    """A source with users, roles and sessions, and what becomes of the other tables in it."""

    def __init__(self, source: psycopg.Connection[Any]) -> None:
        self.source = source
        self.options = MoveOptions(schemas=("public",))
        self.changes = UserChanges()

    def seed(self, script: str) -> None:
        self.source.execute(script.encode())

    def plan(self) -> Carried:
        """As the engine reads: with no schema of the user's in the search path."""
        with self.source.transaction():
            self.source.execute("SET LOCAL search_path = 'pg_catalog'")
            source = read_source(self.source, self.options.schemas)
            recognised = [
                Recognised(role, table, FIELDS[role])
                for table in source.tables
                for role in FIELDS
                if table.name == role
            ]
            return carried_plan(source, recognised, self.options, self.source, self.changes)

    def arrive(self) -> sqlite3.Connection:
        """The target; that no row refers to nothing, and no text stands where a column was meant, is checked."""
        carried, target = self.plan(), empty_target()
        self._fill_own(target)
        target = arrive(carried.copies, self.source, target=target)
        for view in carried.views:
            target.execute(view)
        assert target.execute("PRAGMA foreign_key_check").fetchall() == []
        assert target.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return target

    def _fill_own(self, target: sqlite3.Connection) -> None:
        now = "2020-01-01T00:00:00.000000Z"
        for (key,) in self.source.execute("SELECT id::text FROM users"):
            if key not in self.changes.gone and key not in self.changes.merged:
                target.execute("INSERT INTO users (id, created_at, updated_at) VALUES (?, ?, ?)", (key, now, now))
        for (name,) in self.source.execute("SELECT name FROM roles"):
            target.execute("INSERT INTO roles (name) VALUES (?)", (name,))


@pytest.fixture(scope="module")
def session(postgres_url: str) -> Iterator[psycopg.Connection[Any]]:
    with fresh_database(postgres_url) as url, pinned(url) as connection:
        yield connection


@pytest.fixture
def move(session: psycopg.Connection[Any]) -> Move:
    session.execute("RESET ALL")
    session.execute("DROP SCHEMA IF EXISTS public, other, two CASCADE; CREATE SCHEMA public")
    session.execute(USERS)
    return Move(session)


def copy_of(carried: Carried, target: str) -> TableCopy:
    return next(copy for copy in carried.copies if copy.target == target)


def rows(target: sqlite3.Connection, table: str, columns: str = "*") -> list[tuple[Any, ...]]:
    return target.execute(f"SELECT {columns} FROM {quote(table)} ORDER BY 1").fetchall()


def said(problems: Sequence[Problem], *words: str) -> list[Problem]:
    return [problem for problem in problems if all(word in f"{problem.table} {problem.message}" for word in words)]


def refused(target: sqlite3.Connection, statement: str) -> bool:
    target.execute("PRAGMA foreign_keys = ON")
    target.execute("SAVEPOINT attempt")
    try:
        target.execute(statement)
    except sqlite3.IntegrityError:
        return True
    finally:
        target.execute("ROLLBACK TO attempt")
        target.execute("RELEASE attempt")
    return False


def test_a_table_arrives_with_its_name_columns_and_rows(move: Move) -> None:
    move.seed("CREATE TABLE notes (id int PRIMARY KEY, body text); INSERT INTO notes VALUES (2, 'b'), (1, NULL)")

    assert rows(move.arrive(), "notes") == [(1, None), (2, "b")]


def test_the_same_source_gives_the_same_words_every_time(move: Move) -> None:
    move.seed(
        """
        CREATE TABLE a (x int REFERENCES users, y numeric, CHECK (y > 0));
        CREATE INDEX ON a (x);
        CREATE TABLE b (x float8)
        """
    )

    assert move.plan() == move.plan()


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


def test_a_column_that_refers_to_a_user_becomes_text_and_still_refers(move: Move) -> None:
    move.seed(
        """
        CREATE TABLE posts (id int PRIMARY KEY, author int REFERENCES users ON DELETE CASCADE,
            editor int DEFAULT 1 REFERENCES users ON DELETE SET NULL);
        INSERT INTO posts VALUES (1, 2, 3), (2, NULL, NULL)
        """
    )
    target = move.arrive()

    assert rows(target, "posts") == [(1, "2", "3"), (2, None, None)]
    assert refused(target, "INSERT INTO posts (id, author) VALUES (3, 'nobody')")
    target.execute("INSERT INTO posts (id) VALUES (4)")
    target.execute("DELETE FROM users WHERE id = '3'")
    assert rows(target, "posts") == [(1, "2", None), (2, None, None), (4, None, "1")]
    target.execute("DELETE FROM users WHERE id = '2'")
    assert rows(target, "posts") == [(2, None, None), (4, None, "1")]


def test_the_users_key_is_followed_through_other_tables(move: Move) -> None:
    move.seed(
        """
        CREATE TABLE profiles (user_id int PRIMARY KEY REFERENCES users, tenant int, UNIQUE (tenant, user_id));
        CREATE TABLE badges (id int PRIMARY KEY, tenant int, owner int, FOREIGN KEY (tenant,
            owner) REFERENCES profiles (tenant, user_id));
        INSERT INTO profiles VALUES (1, 5);
        INSERT INTO badges VALUES (1, 5, 1)
        """
    )
    target = move.arrive()

    assert rows(target, "badges") == [(1, 5, "1")]
    assert refused(target, "INSERT INTO badges VALUES (2, 6, '1')")


def test_of_a_composite_reference_to_the_users_the_id_is_kept(move: Move) -> None:
    move.seed("ALTER TABLE users ADD org int; UPDATE users SET org = 7; ALTER TABLE users ADD UNIQUE (org, id)")
    move.seed(
        """
        CREATE TABLE seats (id int PRIMARY KEY, org int, fan int, FOREIGN KEY (org, fan) REFERENCES users (org,
            id))
        """
    )
    move.seed("INSERT INTO seats VALUES (1, 7, 1), (2, 7, 2), (3, NULL, 99)")
    move.changes = UserChanges(gone=("2",), reasons={"2": ("its user is gone", "--on-bad-row")})
    carried, target = move.plan(), move.arrive()

    assert rows(target, "seats") == [(1, 7, "1")]
    assert refused(target, "INSERT INTO seats VALUES (4, 7, 'nobody')")
    assert said(carried.problems, "seats_org_fan_fkey", 'only "fan"')
    assert [problem.samples for problem in said(carried.problems, "orphan")] == [("3",)]


def test_ids_of_users_that_say_so_nowhere_are_pointed_out_once_it_matters(move: Move) -> None:
    move.seed('CREATE TABLE visits (id int PRIMARY KEY, "userId" int); INSERT INTO visits VALUES (1, 2)')
    before = said(move.plan().problems, "visits")
    move.changes = UserChanges(merged={"2": "1"})

    assert before == []
    assert [problem.stops for problem in said(move.plan().problems, "visits", '"userId"')] == [False]
    assert rows(move.arrive(), "visits") == [(1, 2)]


def test_a_column_that_refers_to_a_role_holds_the_roles_name(move: Move) -> None:
    move.seed(
        "CREATE TABLE invites (id int PRIMARY KEY, role_id uuid REFERENCES roles);"
        "INSERT INTO invites SELECT 1, id FROM roles WHERE name = 'author'"
    )
    target = move.arrive()

    assert rows(target, "invites") == [(1, "author")]
    assert refused(target, "INSERT INTO invites VALUES (2, 'nobody')")


def test_references_among_tables_keep_their_actions_and_circles(move: Move) -> None:
    move.seed(
        """
        CREATE TABLE a (id int PRIMARY KEY, b_id int, boss int REFERENCES a ON DELETE CASCADE);
        CREATE TABLE b (id int PRIMARY KEY,
            a_id int NOT NULL REFERENCES a ON UPDATE CASCADE DEFERRABLE INITIALLY DEFERRED);
        ALTER TABLE a ADD FOREIGN KEY (b_id) REFERENCES b;
        INSERT INTO a VALUES (1, NULL, 1), (2, NULL, 1);
        INSERT INTO b VALUES (1, 2);
        UPDATE a SET b_id = 1
        """
    )
    target = move.arrive()

    assert rows(target, "a") == [(1, 1, 1), (2, 1, 1)]
    assert refused(target, "INSERT INTO a VALUES (3, 9, NULL)")
    target.execute("UPDATE a SET id = 22 WHERE id = 2")
    assert rows(target, "b") == [(1, 22)]
    target.execute("BEGIN")
    target.execute("INSERT INTO b VALUES (2, 77)")
    target.execute("INSERT INTO a VALUES (77, NULL, NULL)")
    target.execute("COMMIT")


def test_references_that_cannot_be_kept_are_reported_and_their_values_stay(move: Move) -> None:
    move.seed(
        """
        CREATE SCHEMA other;
        CREATE TABLE other.things (id int PRIMARY KEY);
        INSERT INTO other.things VALUES (7);
        CREATE TABLE t (id int PRIMARY KEY, thing int REFERENCES other.things,
            mail text REFERENCES users (email), big numeric UNIQUE, small numeric REFERENCES t (big),
            kept numeric(20,2) UNIQUE, link numeric(20,2) REFERENCES t (kept));
        INSERT INTO t VALUES (1, 7, '1@example.com', 5.0, 5.00, 1, 1)
        """
    )
    carried = move.plan()

    assert rows(move.arrive(), "t") == [(1, 7, "1@example.com", "5.0", "5.00", "1.00", "1.00")]
    for words in (
        ("t_thing_fkey", "not moved"),
        ("t_mail_fkey", "another form"),
        ("t_small_fkey", "equal in Postgres only"),
    ):
        assert said(carried.problems, *words)
    assert '"t_link_fkey"' in copy_of(carried, "t").create[0]


def test_a_reference_to_a_skipped_table_is_left_out(move: Move) -> None:
    move.seed(
        """
        CREATE TABLE big (id int PRIMARY KEY);
        CREATE TABLE t (id int PRIMARY KEY, big int REFERENCES big);
        INSERT INTO big VALUES (1);
        INSERT INTO t VALUES (1, 1)
        """
    )
    move.options = MoveOptions(schemas=("public",), skip=("public.big",))

    assert [copy.target for copy in move.plan().copies] == ["t"]
    assert rows(move.arrive(), "t") == [(1, 1)]


def test_only_leaves_tables_behind_and_changes_no_name(move: Move) -> None:
    move.seed('CREATE TABLE "Accounts" (id int); CREATE TABLE a (id int); CREATE TABLE b (id int)')

    everything = [copy.target for copy in move.plan().copies]
    move.options = MoveOptions(schemas=("public",), only=("source_Accounts",))

    assert everything == ["source_Accounts", "a", "b"]
    assert [copy.target for copy in move.plan().copies] == ["source_Accounts"]


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
    assert [copy.target for copy in carried.copies] == ["t", "t_by_a", "source_t"]
    assert names == {"t_by_a", "t_by_a_2", "source_t_by_a"}


def test_hostile_names_are_carried_as_they_are(move: Move) -> None:
    name = 'a"b; DROP TABLE users; --%s'
    move.seed(
        f'CREATE TABLE {quote(name)} ({quote(name)} int PRIMARY KEY, "select" int CHECK ("select" > 0), "Case" text,'
        f' "case" text, "rowid" text, "x y" int REFERENCES {quote(name)});'
        f' CREATE INDEX {quote("i" + name)} ON {quote(name)} ("x y", "Case");'
        f"INSERT INTO {quote(name)} VALUES (1, 1, 'A', 'a', 'r', 1)"
    )
    carried, target = move.plan(), move.arrive()

    assert rows(target, name) == [(1, 1, "A", "a", "r", 1)]
    assert target.execute(f'SELECT "Case", "case_2" FROM {quote(name)}').fetchall() == [("A", "a")]
    assert said(carried.problems, '"case"', "case_2")


def test_tables_that_differ_in_case_only_are_kept_apart(move: Move) -> None:
    move.seed(
        """
        CREATE TABLE "Orders" (id int PRIMARY KEY);
        CREATE TABLE orders (id int PRIMARY KEY REFERENCES "Orders");
        INSERT INTO "Orders" VALUES (1);
        INSERT INTO orders VALUES (1)
        """
    )
    carried, target = move.plan(), move.arrive()

    assert [copy.target for copy in carried.copies] == ["Orders", "source_orders"]
    assert said(carried.problems, "public.orders", '"source_orders"')
    assert refused(target, "INSERT INTO source_orders VALUES (2)")


def test_partitioned_tables_become_one_and_heirs_stand_alone(move: Move) -> None:
    move.seed(
        """
        CREATE TABLE event (at date, id int, PRIMARY KEY (at, id)) PARTITION BY RANGE (at);
        CREATE TABLE event_1 PARTITION OF event FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
        CREATE TABLE event_2 PARTITION OF event DEFAULT;
        INSERT INTO event VALUES ('2020-05-05', 1), ('1999-01-01', 2);
        CREATE TABLE base (id int PRIMARY KEY);
        CREATE TABLE heir (extra text, PRIMARY KEY (id)) INHERITS (base);
        INSERT INTO base VALUES (1);
        INSERT INTO heir VALUES (2, 'x')
        """
    )
    carried, target = move.plan(), move.arrive()

    assert rows(target, "event") == [("1999-01-01", 2), ("2020-05-05", 1)]
    assert (rows(target, "base"), rows(target, "heir")) == ([(1,)], [(2, "x")])
    assert [
        bool(said(carried.problems, *words))
        for words in (("event", "partitioned"), ("base", "inherit"), ("heir", "inherits from"))
    ] == [True] * 3


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

    settled, problems = settle_columns(CarriedTable(table, "t", land_columns(table, "UTC")), move.source)

    assert settled.columns["a"].landing.collation == ""
    assert said(problems, '"k"', "kept apart")


def test_references_between_texts_that_are_equal_in_postgres_only_are_reported(move: Move) -> None:
    move.seed(
        """
        CREATE EXTENSION citext;
        CREATE TABLE p (c citext UNIQUE, r real UNIQUE, d float8 UNIQUE, s interval UNIQUE, g numrange UNIQUE,
            k char(4) UNIQUE);
        CREATE TABLE t (c citext REFERENCES p (c), r real REFERENCES p (d),
            s interval REFERENCES p (s),
            g numrange REFERENCES p (g), k char(4) REFERENCES p (k),
            d float8 REFERENCES p (d));
        INSERT INTO p VALUES ('É', 0.1, 0.1::real, '1 day', '[1.0,2.0)', 'ab'), (NULL, NULL, 'NaN', NULL, NULL,
            NULL);
        INSERT INTO t VALUES ('é', 0.1, '24:00:00', '[1,2)', 'ab', 'NaN');
        """
    )
    carried = move.plan()

    assert rows(move.arrive(), "t") == [("é", 0.1, "PT24H", "[1,2)", "ab  ", "NaN")]
    assert [len(said(carried.problems, f"t_{name}_fkey")) for name in "crsgkd"] == [1, 1, 1, 1, 0, 0]


def test_a_unique_index_into_json_is_reported(move: Move) -> None:
    move.seed("CREATE TABLE t (id int PRIMARY KEY, doc jsonb); CREATE UNIQUE INDEX inside ON t ((doc ->> 'k'))")
    move.seed("""INSERT INTO t VALUES (1, '{"k": 1}'), (2, '{"k": 1.0}'), (3, '{"k": true}')""")

    assert len(rows(move.arrive(), "t")) == 3
    assert said(move.plan().problems, '"inside"', "unique index")


def test_views_come_before_indexes_of_their_name(move: Move) -> None:
    move.seed("CREATE SCHEMA two; CREATE TABLE t (id int PRIMARY KEY, a int); CREATE INDEX t_a ON t (a)")
    move.seed("CREATE VIEW two.t_a AS SELECT id FROM public.t")
    move.options = MoveOptions(schemas=("public", "two"))
    carried = move.plan()

    assert carried.views == ('CREATE VIEW "t_a" ("id") AS SELECT "t"."id" FROM "t" AS "t"',)
    assert copy_of(carried, "t").indexes == ('CREATE INDEX "t_a_2" ON "t" ("a")',)
    assert move.arrive().execute("SELECT count(*) FROM t_a").fetchall() == [(0,)]


def test_a_table_of_generated_columns_alone_keeps_their_values(move: Move) -> None:
    move.seed(
        """
        CREATE TABLE t (a int GENERATED ALWAYS AS (1) STORED);
        INSERT INTO t DEFAULT VALUES;
        INSERT INTO t DEFAULT VALUES
        """
    )

    assert rows(move.arrive(), "t") == [(1,), (1,)]


def test_views_follow_where_every_part_can_be_said(move: Move) -> None:
    move.seed(
        """
        CREATE TABLE orders (id int PRIMARY KEY, customer int, "Total" int, note text);
        CREATE TABLE customers (id int PRIMARY KEY, name text);
        CREATE VIEW big AS SELECT o.id, c.name AS who,
            o."Total" * 2 AS twice FROM orders o LEFT JOIN customers c ON c.id = o.customer WHERE o."Total" > 10;
        CREATE VIEW counts AS SELECT who, count(*) AS n, max(twice) AS most FROM big GROUP BY who;
        CREATE VIEW mails AS SELECT email FROM users;
        CREATE VIEW words AS SELECT upper(note) AS loud FROM orders;
        CREATE VIEW recent AS SELECT * FROM orders ORDER BY note LIMIT 3;
        INSERT INTO customers VALUES (1, 'Ada');
        INSERT INTO orders VALUES (1, 1, 50), (2, NULL, 60), (3, 1, 5)
        """
    )
    carried, target = move.plan(), move.arrive()

    assert rows(target, "big") == [(1, "Ada", 100), (2, None, 120)]
    assert rows(target, "counts") == [(None, 1, 120), ("Ada", 1, 100)]
    assert [
        len(said(carried.problems, f"public.{name}", "view stays behind")) for name in ("mails", "words", "recent")
    ] == [1, 1, 1]


def test_what_has_no_place_in_sqlite_is_named(move: Move) -> None:
    move.seed(
        """
        CREATE TABLE t (id int PRIMARY KEY);
        CREATE FUNCTION f(x int) RETURNS int LANGUAGE sql AS 'SELECT 1';
        COMMENT ON TABLE t IS 'x';
        CREATE TABLE empty ();
        CREATE MATERIALIZED VIEW kept AS SELECT 1;
        CREATE SCHEMA other CREATE TABLE thing (id int)
        """
    )
    problems = move.plan().problems

    assert not any(problem.stops for problem in problems)
    for words in (
        ("function", "1 left behind"),
        ("comment",),
        ("materialized view",),
        ("public.empty", "no columns"),
        ("schema", "1 left behind"),
    ):
        assert said(problems, *words)


def test_a_table_that_may_not_be_read_stops_the_move(move: Move) -> None:
    move.seed("CREATE TABLE closed (id int)")
    role = f"clerk_{move.source.info.backend_pid}"
    move.seed(f"CREATE ROLE {role}; GRANT USAGE ON SCHEMA public TO {role}; GRANT SELECT ON users TO {role}")
    move.seed(f"SET ROLE {role}")
    try:
        found = said(move.plan().problems, "public.closed", "GRANT SELECT".lower()) or said(
            move.plan().problems, "public.closed"
        )
    finally:
        move.seed(f"RESET ROLE; DROP OWNED BY {role}; DROP ROLE {role}")

    assert [(problem.kind, problem.stops) for problem in found] == [("permission", True)]


TREE = """
CREATE TABLE posts (id int PRIMARY KEY, author int NOT NULL REFERENCES users, parent int REFERENCES posts);
CREATE TABLE likes (post int NOT NULL REFERENCES posts, fan int NOT NULL REFERENCES users, PRIMARY KEY (post, fan));
CREATE TABLE notes (body text, post int, fan int, FOREIGN KEY (post, fan) REFERENCES likes);
INSERT INTO posts VALUES (1, 1, NULL), (2, 2, 1), (3, 1, 2), (4, 3, 3), (5, 3, NULL);
INSERT INTO likes VALUES (1, 1), (1, 2), (4, 1), (5, 3);
INSERT INTO notes VALUES ('a', 1, 1), ('b', 1, 2), ('c', 4, 1), ('d', 5, NULL);
"""


def test_what_hangs_on_a_rejected_user_stays_behind_over_any_number_of_steps(move: Move) -> None:
    move.seed(TREE)
    move.changes = UserChanges(gone=("2",), reasons={"2": ("its user is gone", "--on-bad-row")})
    carried, target = move.plan(), move.arrive()

    assert rows(target, "posts", "id") == [(1,), (5,)]
    assert rows(target, "likes") == [(1, "1"), (5, "3")]
    assert rows(target, "notes", "body") == [("a",), ("d",)]
    found = {
        (problem.table, problem.message.split(": ", 1)[1]): problem for problem in said(carried.problems, "cannot move")
    }
    assert found["public.posts", "its user is gone (author)"].samples == ("2",)
    assert found["public.posts", "what it refers to is left out"].samples == ("3", "4")
    assert {problem.option for problem in found.values()} == {"--on-bad-row"}
    assert not any(problem.stops for problem in found.values())


def test_what_hangs_on_a_merged_user_goes_to_the_oldest(move: Move) -> None:
    move.seed(TREE)
    move.seed("CREATE TABLE settings (user_id int PRIMARY KEY REFERENCES users, theme text)")
    move.seed("INSERT INTO settings VALUES (1, 'old'), (2, 'new'), (4, 'kept')")
    move.changes = UserChanges(merged={"2": "1", "4": "3"})
    carried, target = move.plan(), move.arrive()

    assert rows(target, "posts") == [(1, "1", None), (2, "1", 1), (3, "1", 2), (4, "3", 3), (5, "3", None)]
    assert rows(target, "likes") == [(1, "1"), (4, "1"), (5, "3")]
    assert rows(target, "settings") == [("1", "old"), ("3", "kept")]
    (double,) = said(carried.problems, "public.settings", "duplicate")
    assert (double.count, double.samples, double.option) == (1, ("2",), "--on-duplicate")


def test_a_unique_index_that_merging_may_break_is_left_out_and_said(move: Move) -> None:
    move.seed("CREATE TABLE seats (id int PRIMARY KEY, fan int REFERENCES users, gone date)")
    move.seed("CREATE UNIQUE INDEX one_seat ON seats (fan) WHERE gone IS NULL; INSERT INTO seats VALUES (1, 1), (2, 2)")

    assert len(copy_of(move.plan(), "seats").indexes) == 1
    move.changes = UserChanges(merged={"2": "1"})
    assert rows(move.arrive(), "seats", "id, fan") == [(1, "1"), (2, "1")]
    assert said(move.plan().problems, '"one_seat"', "merging users")


def test_orphans_that_postgres_never_checked_are_asked_about(move: Move) -> None:
    move.seed(
        """
        CREATE TABLE posts (id int PRIMARY KEY, author int);
        CREATE TABLE likes (id int PRIMARY KEY, post int REFERENCES posts);
        INSERT INTO posts VALUES (1, 1), (2, 99), (3, NULL);
        INSERT INTO likes VALUES (1, 1), (2, 2);
        ALTER TABLE posts ADD FOREIGN KEY (author) REFERENCES users NOT VALID
        """
    )
    carried, target = move.plan(), move.arrive()

    assert (rows(target, "posts", "id"), rows(target, "likes", "id")) == ([(1,), (3,)], [(1,)])
    (orphan,) = said(carried.problems, "public.posts", "orphan")
    (follower,) = said(carried.problems, "public.likes", "cannot move")
    assert (orphan.samples, orphan.option, orphan.stops) == (("2",), "--on-orphan", True)
    assert (follower.samples, follower.option, follower.stops) == (("2",), "--on-orphan", False)
    move.options = MoveOptions(schemas=("public",), on_orphan="reject")
    assert not any(problem.stops for problem in move.plan().problems)


def test_local_times_that_never_were_are_bad_rows(move: Move) -> None:
    move.seed(
        """
        CREATE TABLE t (id int PRIMARY KEY, at timestamp);
        INSERT INTO t VALUES (1, '2024-03-31 02:30'), (2, '2024-07-01 12:00')
        """
    )
    move.options = MoveOptions(schemas=("public",), naive_tz="Europe/Berlin")
    carried, target = move.plan(), move.arrive()

    assert rows(target, "t") == [(2, "2024-07-01T10:00:00.000000Z")]
    assert [problem.stops for problem in said(carried.problems, "no such local time")] == [True]


def test_a_column_that_refers_to_a_token_is_a_secret(move: Move) -> None:
    move.seed(
        """
        INSERT INTO sessions VALUES (1, 'raw-token-0123456789', 1);
        CREATE TABLE visits (id int PRIMARY KEY, token text UNIQUE REFERENCES sessions (token));
        INSERT INTO visits VALUES (1, 'raw-token-0123456789')
        """
    )
    asked = said(move.plan().problems, "public.visits", '"token"', "in the clear")
    kept = rows(move.arrive(), "visits")
    move.options = MoveOptions(schemas=("public",), secrets="drop")

    assert [(problem.option, problem.stops) for problem in asked] == [("--secrets", True)]
    assert kept == [(1, "raw-token-0123456789")]
    assert rows(move.arrive(), "visits") == [(1,)]


def test_the_names_of_authstores_indexes_are_known() -> None:
    target, space = empty_target(), own_namespace()
    names = [name for (name,) in target.execute("SELECT name FROM sqlite_master WHERE sql IS NOT NULL")]
    target.close()

    own = [name for name in names if not name.startswith("authstore_")]
    assert [space.take(name) for name in own] == [f"{name}_2" for name in own]


def test_nothing_is_written_to_the_source(move: Move) -> None:
    move.seed(TREE)
    move.source.execute("SET default_transaction_read_only = on")

    assert len(move.plan().copies) == 3


def test_a_plan_inside_a_snapshot_leaves_the_snapshot_standing(move: Move) -> None:
    move.seed("CREATE TABLE t (id int PRIMARY KEY, n smallint DEFAULT 1::int, word text DEFAULT 'x')")
    with psycopg.connect(move.source.info.dsn, options=move.source.info.options) as snapshot:
        snapshot.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        source = read_source(snapshot, ("public",))
        carried_plan(source, [], move.options, snapshot, UserChanges())

        assert snapshot.info.transaction_status == psycopg.pq.TransactionStatus.INTRANS
