"""What an application's own migrations did to the file comes along on the way back, or the plan names it."""

from contextlib import closing
from sqlite3 import connect as open_file

import psycopg
import pytest

from authstore import connect
from authstore.mover import Plan, make_plan, move
from tests.mover.moving import change, people
from tests.mover.sync.trips import Trip, assert_equal

SCHEMA = """
CREATE TYPE mood AS ENUM ('sad', 'glad');
CREATE TABLE shelf (id serial PRIMARY KEY);
CREATE TABLE doc (
    id serial PRIMARY KEY, title text NOT NULL UNIQUE DEFAULT 'none', n int DEFAULT 5 CHECK (n > 0), open bool,
    shelf int REFERENCES shelf (id), twice int GENERATED ALWAYS AS (n * 2) STORED, mood mood, made timestamptz
);
CREATE INDEX doc_open ON doc (open) WHERE n > 1;
CREATE VIEW titles AS SELECT title FROM doc;
INSERT INTO shelf DEFAULT VALUES;
INSERT INTO doc (title, n, open, shelf, mood) VALUES ('a', 1, true, 1, 'sad'), ('b', 2, false, 1, 'glad');
"""
COLUMNS = {
    "id": "INTEGER PRIMARY KEY AUTOINCREMENT",
    "title": "TEXT NOT NULL DEFAULT 'none' UNIQUE",
    "n": "INTEGER DEFAULT (5) CHECK (n > 0)",
    "open": "INTEGER CHECK (open IN (0, 1))",
    "shelf": "INTEGER REFERENCES Shelf (ID)",
    "twice": "INTEGER GENERATED ALWAYS AS (n * 2) STORED",
    "mood": "TEXT CHECK (mood IN ('sad', 'glad'))",
    "made": "TEXT",
}
PLAIN = ["id", "title", "n", "open", "shelf", "mood", "made"]


def rebuilt(trip: Trip, *after: str, **columns: str) -> None:
    """The table made anew, as tools that migrate SQLite make it: with these columns otherwise."""
    said = ", ".join(f"{name} {words}" for name, words in {**COLUMNS, **columns}.items())
    kept = ", ".join(name for name in PLAIN if "GENERATED" not in columns.get(name, ""))
    change(
        trip.file,
        "DROP VIEW titles",
        f"CREATE TABLE new_doc ({said}) STRICT",
        f"INSERT INTO new_doc ({kept}) SELECT {kept} FROM doc",
        "DROP TABLE doc",
        "ALTER TABLE new_doc RENAME TO doc",
        "CREATE INDEX doc_open ON doc (open) WHERE n > 1",
        "CREATE VIEW titles AS SELECT title FROM doc",
        *after,
    )


async def left(trip: Trip) -> None:
    people(trip.here, users=2)
    trip.here.execute(SCHEMA)
    await trip.out()


def said(plan: Plan) -> list[str]:
    return sorted(problem.message for problem in plan.problems)


def rules(trip: Trip) -> set[str]:
    """Constraints, indexes, and what each column says."""
    found = trip.there.execute(
        """SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = 'doc'::regclass AND contype <> 'n'
           UNION ALL SELECT indexdef FROM pg_indexes WHERE tablename = 'doc'
           UNION ALL SELECT concat_ws(' ', attname, CASE WHEN attnotnull THEN 'needed' END, pg_get_expr(adbin, adrelid))
           FROM pg_attribute LEFT JOIN pg_attrdef ON (adrelid, adnum) = (attrelid, attnum)
           WHERE attrelid = 'doc'::regclass AND attnum > 0"""
    )
    return {rule for (rule,) in found}


AS_IT_WAS = {
    "PRIMARY KEY (id)",
    "UNIQUE (title)",
    "CHECK ((n > 0))",
    "FOREIGN KEY (shelf) REFERENCES shelf(id)",
    "CREATE UNIQUE INDEX doc_pkey ON public.doc USING btree (id)",
    "CREATE UNIQUE INDEX doc_title_key ON public.doc USING btree (title)",
    "CREATE INDEX doc_open ON public.doc USING btree (open) WHERE (n > 1)",
    "id needed nextval('doc_id_seq'::regclass)",
    "title needed 'none'::text",
    "n 5",
    "open",
    "shelf",
    "twice (n * 2)",
    "mood",
    "made",
}
VIEW = "view titles comes as it was in Postgres: here it was made anew since"
LOST = '"{}" does not come as it was: the file has it no longer, or otherwise'


@pytest.mark.parametrize(
    ("columns", "gone", "come", "told"),
    [
        pytest.param({}, set(), set(), set(), id="nothing but its words"),
        pytest.param(
            {"mood": "TEXT CHECK (mood IN ('sad', 'glad')) CHECK (mood <> 'sad' OR n < 9) -- it's new\n"},
            set(), {"CHECK (((mood <> 'sad'::mood) OR (n < 9)))"}, set(), id="a check",
        ),
        pytest.param(
            {"made": "TEXT CHECK (made GLOB '2*')"}, set(), set(),
            {"check (made GLOB '2*') stays behind: GLOB means something else there"}, id="a check of SQLite's",
        ),
        pytest.param(
            {"n": "INTEGER DEFAULT 5"}, {"CHECK ((n > 0))"}, set(), {LOST.format("doc_n_check")}, id="no check",
        ),
        pytest.param(
            {"n": "INTEGER UNIQUE DEFAULT 5 CHECK (n > 0)"}, set(),
            {"UNIQUE (n)", "CREATE UNIQUE INDEX doc_n_key ON public.doc USING btree (n)"}, set(), id="a key",
        ),
        pytest.param(
            {"title": "TEXT NOT NULL DEFAULT 'none'"},
            {"UNIQUE (title)", "CREATE UNIQUE INDEX doc_title_key ON public.doc USING btree (title)"}, set(),
            {LOST.format("doc_title_key")}, id="no key",
        ),
        pytest.param(
            {"id": "INTEGER", "n": "INTEGER PRIMARY KEY DEFAULT 5 CHECK (n > 0)"},
            {"PRIMARY KEY (id)", "CREATE UNIQUE INDEX doc_pkey ON public.doc USING btree (id)", "n 5",
             "id needed nextval('doc_id_seq'::regclass)"},
            {"PRIMARY KEY (n)", "CREATE UNIQUE INDEX doc_pkey ON public.doc USING btree (n)", "n needed 5",
             "id nextval('doc_id_seq'::regclass)"},
            {LOST.format("doc_pkey"), 'column "id" may be null by now'}, id="another primary key",
        ),
        pytest.param(
            {"title": "TEXT UNIQUE DEFAULT 'some'", "n": "INTEGER CHECK (n > 0)",
             "open": "INTEGER NOT NULL DEFAULT TRUE CHECK (open IN (0, 1))", "made": "TEXT DEFAULT CURRENT_TIMESTAMP"},
            {"title needed 'none'::text", "n 5", "open", "made"},
            {"title 'some'::text", "n", "open needed true", "made CURRENT_TIMESTAMP"},
            {"the default of column \"title\" was 'none', and is 'some' by now", 'column "title" may be null by now',
             'the default of column "n" was 5, and is none by now',
             'the default of column "open" was none, and is TRUE by now',
             'the default of column "made" was none, and is CURRENT_TIMESTAMP by now'},
            id="defaults and what may be null",
        ),
        pytest.param(
            {"shelf": "INTEGER REFERENCES shelf (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED"},
            {"FOREIGN KEY (shelf) REFERENCES shelf(id)"},
            {"FOREIGN KEY (shelf) REFERENCES shelf(id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED"},
            {LOST.format("doc_shelf_fkey")}, id="another foreign key",
        ),
        pytest.param(
            {"shelf": "INTEGER"}, {"FOREIGN KEY (shelf) REFERENCES shelf(id)"}, set(), {LOST.format("doc_shelf_fkey")},
            id="no foreign key",
        ),
        pytest.param(
            {"title": "TEXT NOT NULL COLLATE NOCASE UNIQUE DEFAULT 'none'"}, set(), set(),
            {'column "title" compares by NOCASE in SQLite by now, and there as it did before'}, id="a collation",
        ),
    ],
)  # fmt: skip
async def test_a_table_that_was_made_anew_in_the_file_has_its_new_rules(
    trip: Trip, columns: dict[str, str], gone: set[str], come: set[str], told: set[str]
) -> None:
    await left(trip)
    rebuilt(trip, **columns)
    plan = await trip.back()
    assert said(plan) == sorted({*told, VIEW})
    assert rules(trip) == (AS_IT_WAS - gone) | come
    await assert_equal(trip)
    again = await move(await make_plan(trip.file_url, trip.there_url))
    assert {name: one.copied for name, one in again.tables.items() if one.copied} == {}


@pytest.mark.parametrize("words", ["INTEGER", "INTEGER GENERATED ALWAYS AS (n * 3) STORED"])
async def test_a_column_that_is_computed_otherwise_brings_its_values(trip: Trip, words: str) -> None:
    await left(trip)
    rebuilt(trip, *(["UPDATE doc SET twice = 77 WHERE n = 2"] if words == "INTEGER" else []), twice=words)
    plan = await trip.back()
    assert said(plan) == sorted(
        {VIEW, 'column "twice" has another formula, or one no more: it stays behind, its values come'}
    )
    with closing(open_file(trip.file)) as file:
        here = file.execute("SELECT id, twice FROM doc ORDER BY id").fetchall()
    assert trip.there.execute("SELECT id, twice FROM doc ORDER BY id").fetchall() == here
    await assert_equal(trip)


async def test_rows_that_only_the_new_rules_allow_come(trip: Trip) -> None:
    await left(trip)
    rebuilt(
        trip,
        "UPDATE doc SET id = 1, title = NULL, n = -1, shelf = 99",
        id="INTEGER",
        title="TEXT UNIQUE",
        n="INTEGER",
        shelf="INTEGER",
    )
    await trip.back()
    assert trip.there.execute("SELECT id, title, n, shelf FROM doc").fetchall() == [(1, None, -1, 99)] * 2
    await assert_equal(trip)


async def test_indexes_and_views_that_are_gone_or_others_are_told(trip: Trip) -> None:
    await left(trip)
    change(
        trip.file,
        "DROP INDEX doc_open",
        "CREATE UNIQUE INDEX doc_open ON doc (title DESC, n) WHERE n < 9",
        "CREATE INDEX lowered ON doc (lower(title))",
        "DROP VIEW titles",
        "CREATE TRIGGER noted AFTER INSERT ON doc BEGIN SELECT 1; END",
        "CREATE TRIGGER of_ours AFTER UPDATE ON users BEGIN SELECT 1; END",
    )
    plan = await trip.back()
    assert said(plan) == [
        LOST.format("doc_open"),
        "trigger noted stays behind: it was never in Postgres",
        "trigger of_ours stays behind: it was never in Postgres",
        "view titles stays behind: the file has it no longer",
    ]
    assert {rule for rule in rules(trip) if "lowered" in rule or "doc_open" in rule} == {
        "CREATE INDEX lowered ON public.doc USING btree (lower(title))",
        "CREATE UNIQUE INDEX doc_open ON public.doc USING btree (title DESC, n) WHERE (n < 9)",
    }
    assert trip.there.execute("SELECT to_regclass('titles')").fetchone() == (None,)


async def test_what_was_added_to_our_own_tables_comes(trip: Trip) -> None:
    await left(trip)
    long = "a" * 70
    change(
        trip.file,
        "ALTER TABLE users ADD COLUMN nick TEXT NOT NULL DEFAULT 'none' CHECK (nick <> '')",
        "ALTER TABLE users ADD COLUMN shelf INTEGER REFERENCES shelf (id) ON DELETE SET NULL",
        "ALTER TABLE users ADD COLUMN size INTEGER AS (length(nick)) VIRTUAL",
        "ALTER TABLE users ADD COLUMN score ANY",
        f"ALTER TABLE sessions ADD COLUMN {long} BLOB",
        "CREATE INDEX by_nick ON users (nick)",
        "UPDATE users SET nick = 'n' || id, shelf = 1, score = 2.5",
        f"UPDATE sessions SET {long} = x'00ff' WHERE id = (SELECT min(id) FROM sessions)",
    )
    plan = await trip.back()
    assert said(plan) == [
        f'column "{long}" becomes "{long[:63]}"',
        'the formula of column "size" stays behind, its values come',
    ]
    await assert_equal(trip)
    rows = trip.there.execute("SELECT nick, shelf, size, score FROM users ORDER BY nick").fetchall()
    assert rows == [("nu1", 1, 3, 2.5), ("nu2", 1, 3, 2.5)]
    assert trip.there.execute(f"SELECT {long[:63]} FROM sessions ORDER BY id LIMIT 1".encode()).fetchall() == [
        (b"\x00\xff",)
    ]
    for wrong in ("UPDATE users SET nick = ''", "UPDATE users SET nick = NULL", "UPDATE users SET shelf = 9"):
        with pytest.raises(psycopg.IntegrityError):
            trip.there.execute(wrong.encode())
    assert trip.there.execute("SELECT to_regclass('by_nick')::text").fetchone() == ("by_nick",)
    async with connect(trip.there_url) as store:
        user = await store.create_user(email="new@example.com")
        assert await store.get_user(user.id) == user
    change(trip.file, "UPDATE users SET nick = 'other' WHERE id = 'u1'")
    replaced = await make_plan(trip.file_url, trip.there_url, replace=True)
    await move(replaced)
    assert trip.there.execute("SELECT nick FROM users ORDER BY id").fetchall() == [("other",), ("nu2",)]


async def test_a_file_that_does_not_know_how_it_was_says_so(trip: Trip) -> None:
    await left(trip)
    change(trip.file, "DELETE FROM authstore_move WHERE name = 'made'")
    told = "how it was when it was moved here is not noted: what was changed in SQLite since does not come"
    plan = await make_plan(trip.file_url, trip.there_url)
    assert {problem.table for problem in plan.problems if problem.message == told} == {"doc", "shelf", "note"}
