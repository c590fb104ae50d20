"""From PostgreSQL to a file and back: the same rows, types, keys, defaults, checks, numbers, views, or it is said."""

import json
from datetime import date
from typing import Any
from uuid import UUID

import psycopg
import pytest

from authstore import connect
from authstore.errors import ConfigurationError
from authstore.mover import MoveOptions, Plan, UndecidedError, make_plan, move, verify
from authstore.mover.names import quote
from authstore.mover.postgres.definitions import read_definitions
from authstore.mover.sqlite.building import own_tables
from tests.mover.moving import change, people
from tests.mover.postgres.test_types import SETUP
from tests.mover.seeds import SCHEMAS, seed
from tests.mover.sync.test_sources_kept import SCHEMA as ODD
from tests.mover.sync.test_whole_tables import every_type
from tests.mover.sync.trips import Trip, assert_equal

_Link = psycopg.Connection[Any]


def carried(link: _Link, names: list[str], schema: str = "public") -> dict[str, Any]:
    """What the catalogue says of tables, as it can be compared across databases."""
    link.execute("SET search_path = pg_catalog")
    found = read_definitions(link, [(schema, name) for name in names])
    link.execute("RESET search_path")
    return {at[1]: json.loads(text) for at, text in found.items() if at}


def rows(link: _Link, name: str, schema: str = "public") -> list[Any]:
    query = f"SELECT s::text FROM {quote(schema)}.{quote(name)} AS s ORDER BY 1"
    return link.execute(query.encode()).fetchall()


async def test_the_application_goes_back_with_nobody_signed_out(trip: Trip) -> None:
    people(trip.here)
    trip.here.execute("CREATE TABLE web_session (sid text PRIMARY KEY, sess text, expire timestamptz)")
    signed = "eyJjYXJ0IjpbMSwyXX0:1vP6X2:x"  # as Django signs {"cart":[1,2]}
    trip.here.execute("INSERT INTO web_session VALUES ('an-old-cookie-of-a-cart', %s, '2099-01-01')", (signed,))
    await trip.out()
    async with connect(trip.file_url) as store:
        cart = await store.open_visit(data={"cart": ["tea"]})
        user = await store.create_user(email="new@example.com")
        fresh = await store.create_session(user.id)
        await store.create_role("admin")
        await store.grant_role(user.id, "admin")
        gone = await store.create_session("u2")
        await store.revoke_session(gone.id)

    await trip.back()

    await assert_equal(trip)
    async with connect(trip.there_url) as store:
        for number in range(1, 151):
            found = await store.get_session_and_user(f"token-of-session-{number}")
            assert found is not None
            assert found[1].id == f"u{1 + number % 50}"
        mine = await store.get_session_and_user(fresh.token)
        assert mine is not None
        assert mine[1].email == "new@example.com"
        assert [role.name for role in await store.get_roles(user.id)] == ["admin"]
        assert await store.get_session_and_user(gone.token) is None
        ended = await store.why_ended(gone.token)
        assert ended is not None
        assert ended.reason == "revoked"
        again = await store.create_session("u1")
        assert await store.get_session_and_user(again.token) is not None
        for token, things in (("an-old-cookie-of-a-cart", [1, 2]), (cart.token or "", ["tea"])):
            visit = await store.get_visit(token)
            assert visit is not None
            assert visit.data == {"cart": things}


async def test_what_hangs_on_a_user_comes_with_its_key_and_its_numbers(trip: Trip) -> None:
    people(trip.here)
    before = carried(trip.here, ["note"])["note"]
    content = rows(trip.here, "note")
    await trip.out()
    await trip.back()

    after = carried(trip.there, ["note"])["note"]
    reference = next(one for one in after["constraints"] if one["kind"] == "f")
    assert reference["definition"] == "FOREIGN KEY (author) REFERENCES public.users(id)"
    assert _without(after, "f") == _without(before, "f")
    assert rows(trip.there, "note") == content
    assert trip.there.execute("INSERT INTO note (author) VALUES ('u1') RETURNING id").fetchone() == (101,)


def _without(table: dict[str, Any], kind: str) -> dict[str, Any]:
    return {**table, "constraints": [one for one in table["constraints"] if one["kind"] != kind]}


async def test_odd_types_keys_and_sequences_come_back_as_they_were(trip: Trip) -> None:
    trip.here.execute(ODD.encode())
    trip.here.execute('CREATE VIEW dear AS SELECT id, label FROM "Odd Table" WHERE price > 1')
    trip.here.execute("CREATE VIEW dearest AS SELECT max(id) AS id FROM dear")
    before = carried(trip.here, ["Odd Table"])["Odd Table"]
    numbers = _sequences(trip.here)
    content = rows(trip.here, "Odd Table")
    await trip.out()

    plan = await trip.back()

    said = {problem.message for problem in plan.problems}
    assert 'column "user" (uuid) refers to ids, which are text: it becomes text' in said
    assert "was partitioned by RANGE (at) and comes back as one table" in said
    assert len(said) == 2
    after = carried(trip.there, ["Odd Table"])["Odd Table"]
    user = next(one for one in after["columns"] if one["name"] == "user")
    assert (user.pop("type"), user.pop("collation")) == ("text", 'pg_catalog."C"')
    old = next(one for one in before["columns"] if one["name"] == "user")
    assert (old.pop("type"), old.pop("collation")) == ("uuid", None)
    link = next(one for one in after["constraints"] if one["kind"] == "f")
    assert link["definition"] == (
        'FOREIGN KEY ("user") REFERENCES public.users(id) ON UPDATE SET NULL ON DELETE CASCADE'
        " DEFERRABLE INITIALLY DEFERRED"
    )
    assert _without(after, "f") == _without(before, "f")
    assert _sequences(trip.there) == numbers
    assert rows(trip.there, "Odd Table") == content
    assert (
        trip.there.execute("SELECT id FROM dearest").fetchone()
        == trip.here.execute("SELECT id FROM dearest").fetchone()
    )
    labels = "SELECT enum_range(NULL::mood)::text"
    assert trip.there.execute(labels).fetchone() == trip.here.execute(labels).fetchone()


def _sequences(link: _Link) -> list[Any]:
    return link.execute(
        "SELECT sequencename, data_type::text, start_value, min_value, max_value, increment_by, cycle, cache_size,"
        " last_value FROM pg_sequences WHERE schemaname = 'public' AND sequencename NOT IN"
        " ('changes_seq_seq', 'verification_tokens_id_seq') ORDER BY 1"
    ).fetchall()


async def test_a_sequence_that_gave_no_number_yet_begins_where_it_would_have(trip: Trip) -> None:
    trip.here.execute(SCHEMAS["pg_adapter"].encode())
    trip.here.execute(
        "CREATE TABLE ticket (id text PRIMARY KEY, number serial, turn int GENERATED ALWAYS AS IDENTITY (INCREMENT 5));"
        " ALTER SEQUENCE ticket_number_seq RESTART 500; ALTER TABLE ticket ALTER turn RESTART WITH 77;"
        " INSERT INTO ticket OVERRIDING SYSTEM VALUE VALUES ('a', 3, 4)"
    )
    before = carried(trip.here, ["ticket"])
    await trip.out()
    await trip.back()
    assert carried(trip.there, ["ticket"]) == before
    given = trip.there.execute("INSERT INTO ticket (id) VALUES ('b') RETURNING number, turn").fetchone()
    assert given == (500, 77)


async def test_new_columns_come_with_their_defaults_checks_and_keys(trip: Trip) -> None:
    people(trip.here)
    trip.here.execute("ALTER TABLE note ADD CHECK (pages > 0)")
    await trip.out()
    change(
        trip.file,
        "ALTER TABLE note ADD COLUMN stars INTEGER DEFAULT 3 CHECK (stars < 6)",
        "ALTER TABLE note ADD COLUMN owner TEXT REFERENCES users (id)",
    )
    await trip.back()
    there = trip.there.execute("INSERT INTO note (body) VALUES ('x') RETURNING stars").fetchone()
    assert there == (3,)
    with pytest.raises(psycopg.errors.CheckViolation):
        trip.there.execute("INSERT INTO note (stars) VALUES (6)")
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        trip.there.execute("INSERT INTO note (owner) VALUES ('nobody')")
    checks = [one for one in carried(trip.there, ["note"])["note"]["constraints"] if one["kind"] == "c"]
    assert len(checks) == 2
    assert (await move(await make_plan(trip.file_url, trip.there_url, replace=True))).rejected == 0


async def test_indexes_that_the_file_got_since_come_beside_the_old_ones(trip: Trip) -> None:
    people(trip.here)
    trip.here.execute("CREATE INDEX word ON note (lower(body)); CREATE UNIQUE INDEX note_both ON note (id, author)")
    old = set(carried(trip.here, ["note"])["note"]["indexes"])
    await trip.out()
    change(
        trip.file,
        "CREATE UNIQUE INDEX word ON note (pages, id) WHERE pages IS NOT NULL",
        "CREATE INDEX note_odd ON note (body GLOB 'x*')",
    )
    plan = await trip.back()
    assert [one.message for one in plan.problems] == ['index "note_odd" stays behind: GLOB means something else there']
    new = set(carried(trip.there, ["note"])["note"]["indexes"])
    assert new - old == {"CREATE UNIQUE INDEX word_2 ON public.note USING btree (pages, id) WHERE (pages IS NOT NULL)"}
    assert old <= new
    again = await move(await make_plan(trip.file_url, trip.there_url))
    assert {name: one.copied for name, one in again.tables.items() if one.copied} == {}


async def test_a_table_of_computed_columns_alone_comes_with_their_values(trip: Trip) -> None:
    people(trip.here)
    trip.here.execute(
        "CREATE TABLE two (one int GENERATED ALWAYS AS (1) STORED, two int GENERATED ALWAYS AS (2) STORED)"
    )
    trip.here.execute("INSERT INTO two DEFAULT VALUES")
    trip.here.execute("INSERT INTO two DEFAULT VALUES")
    await trip.out()
    plan = await trip.back()
    assert [(one.table, one.message) for one in plan.problems] == [
        ("two", "has computed columns alone: their formulas stay behind, their values come")
    ]
    assert trip.there.execute("SELECT * FROM two").fetchall() == [(1, 2), (1, 2)]
    await assert_equal(trip)


async def test_what_inherited_comes_back_alone_and_it_is_said(trip: Trip) -> None:
    people(trip.here)
    trip.here.execute("CREATE TABLE thing (id int PRIMARY KEY); CREATE TABLE book (pages int) INHERITS (thing)")
    trip.here.execute("INSERT INTO thing VALUES (1); INSERT INTO book VALUES (2, 300)")
    await trip.out()
    plan = await trip.back()
    assert [(one.table, one.message) for one in plan.problems] == [
        ("book", "inherited from public.thing and comes back alone")
    ]
    assert trip.there.execute("SELECT * FROM thing, book").fetchall() == [(1, 2, 300)]


@pytest.mark.parametrize(
    ("kind", "value"),
    [("regclass", "public.gone"), ("regtype", "no_type"), ("tsquery", "two words"), ("tsvector", "t")],
)
async def test_a_value_of_which_only_its_type_says_that_it_is_none_is_a_bad_row(
    trip: Trip, kind: str, value: str
) -> None:
    people(trip.here)
    trip.here.execute(f"CREATE TABLE odd (id int PRIMARY KEY, v {kind})".encode())
    trip.here.execute("INSERT INTO odd VALUES (1)")
    await trip.out()
    long = " ".join(f"{number}word" for number in range(200_000)) if value == "t" else value
    change(trip.file, f"INSERT INTO odd VALUES (2, '{long}'), (3, NULL)")
    plan = await make_plan(trip.file_url, trip.there_url)
    assert [(one.table, one.count, one.decision) for one in plan.problems] == [("odd", 1, "on_bad_row")]
    report = await move(await make_plan(trip.file_url, trip.there_url, on_bad_row="reject"))
    assert report.rejected == 1
    assert trip.there.execute("SELECT id FROM odd ORDER BY id").fetchall() == [(1,), (3,)]


async def test_values_of_every_type_come_back_as_they_were(trip: Trip) -> None:
    for link in (trip.here, trip.there):
        link.execute("SET intervalstyle = iso_8601")
    trip.here.execute(SETUP)
    trip.here.execute(SCHEMAS["pg_adapter"].encode())
    trip.here.execute(every_type().encode())
    trip.here.execute("CREATE TABLE log (word text, number float8)")
    trip.here.execute("INSERT INTO log SELECT 'x', 1 FROM generate_series(1, 3); INSERT INTO log VALUES ('b', 'NaN')")
    before = carried(trip.here, ["every", "log"])
    await trip.out()
    await trip.back()

    await assert_equal(trip)
    assert carried(trip.there, ["every", "log"]) == before
    for name in ("every", "log"):
        assert rows(trip.there, name) == rows(trip.here, name)


@pytest.mark.parametrize("name", sorted(SCHEMAS))
async def test_every_schema_comes_back(trip: Trip, name: str) -> None:
    seeded = seed(trip.here, name, users=10)
    await trip.out()
    report = await move(Plan(trip.file_url, trip.there_url, MoveOptions(), (), (), ()), prove=True)

    async with connect(trip.there_url) as store:
        for session in seeded.sessions:
            found = await store.get_session_and_user(session.token)
            assert found is not None
            assert found[1].id == session.user_id
    files = report.tables.keys() - own_tables()
    before = carried(trip.here, sorted(files))
    after = carried(trip.there, sorted(files))
    for table in files:
        assert rows(trip.there, table) == rows(trip.here, table)
        said = " ".join(problem.message for problem in report.problems if problem.table == table)
        for part in ("constraints", "indexes", "sequences", "columns"):
            lost = [one for one in before[table][part] if one not in after[table][part]]
            assert [one for one in lost if not _is_told(one, said)] == []


def _is_told(one: Any, said: str) -> bool:
    """Whether the plan names what comes back otherwise; what refers to the users refers to authstore's."""
    text = json.dumps(one)
    return (
        " FOREIGN KEY" in f" {one.get('definition', '')}"
        or (isinstance(one, dict) and f'"{one["name"]}"' in said)
        or text in said
    )


async def test_what_is_spelt_otherwise_is_the_same_and_what_would_change_stays_out(trip: Trip) -> None:
    trip.here.execute(SCHEMAS["pg_adapter"].encode())
    trip.here.execute(
        "CREATE TABLE bill (id int PRIMARY KEY, at timestamptz, day date, price numeric(12, 2), about jsonb, part uuid,"
        " tags text[], long interval, ok bool)"
    )
    trip.here.execute("INSERT INTO bill (id) VALUES (1)")
    await trip.out()
    change(
        trip.file,
        "INSERT INTO bill VALUES (2, '2026-03-01 10:00:00+02:00', '20260301', 2.5, '{\"b\":1,\"a\":[1.0, 2]}',"
        " 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11', '[\"x\", \"y, z\", null]', '1 day', 1)",
        "INSERT INTO bill (id, price) VALUES (3, 2.999)",
        "INSERT INTO bill (id, day) VALUES (4, 'yesterday week')",
        "INSERT INTO bill (id, about) VALUES (5, '{nonsense')",
    )
    plan = await make_plan(trip.file_url, trip.there_url)
    assert {(one.table, one.count) for one in plan.problems if one.decision == "on_bad_row"} == {("bill", 1)}
    assert sum(one.count for one in plan.problems if one.stops) == 3
    with pytest.raises(UndecidedError):
        await move(plan)

    report = await move(await make_plan(trip.file_url, trip.there_url, on_bad_row="reject"), prove=True)

    assert (report.rejected, report.tables["bill"].rows) == (3, 2)
    await assert_equal(trip)
    again = await move(await make_plan(trip.file_url, trip.there_url, on_bad_row="reject"))
    assert again.tables["bill"].copied == 0
    assert trip.there.execute("SELECT at = '2026-03-01 08:00Z', day, tags, part FROM bill WHERE id = 2").fetchone() == (
        True,
        date(2026, 3, 1),
        ["x", "y, z", None],
        UUID("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
    )
    change(trip.file, "UPDATE bill SET price = 3 WHERE id = 3")
    mended = await move(await make_plan(trip.file_url, trip.there_url, on_bad_row="reject"))
    assert (mended.rejected, mended.tables["bill"].copied) == (2, 1)


@pytest.mark.parametrize(
    ("option", "instead"),
    [
        ({"schemas": ("app",)}, "`schemas` says nothing of a store.*search_path"),
        ({"prefix": "app_"}, "`prefix` says nothing of a store.*Leave it out"),
        ({"profile": "auth.toml"}, "`profile` says nothing of a store.*Leave it out"),
    ],
)
async def test_what_is_said_of_another_application_s_source_is_refused(
    trip: Trip, option: dict[str, Any], instead: str
) -> None:
    async with connect(trip.file_url):
        pass
    for call in (make_plan, verify):
        if call is verify:
            await move(await make_plan(trip.file_url, trip.there_url))
        with pytest.raises(ConfigurationError, match=instead):
            await call(trip.file_url, trip.there_url, **option)


async def test_the_target_s_search_path_says_in_which_schema_the_store_goes(trip: Trip) -> None:
    async with connect(trip.file_url) as store:
        user = await store.create_user(email="ada@example.com")
    change(
        trip.file, "CREATE TABLE note (id INTEGER PRIMARY KEY, body TEXT) STRICT", "INSERT INTO note VALUES (1, 'n')"
    )
    trip.there.execute("DROP SCHEMA IF EXISTS app CASCADE")
    trip.there.execute("CREATE SCHEMA app")
    inside = f"{trip.there_url}?options=-csearch_path%3Dapp"
    await move(await make_plan(trip.file_url, inside))
    assert (await verify(trip.file_url, inside)).ok
    assert rows(trip.there, "note", "app") == [("(1,n)",)]
    assert trip.there.execute("SELECT to_regclass('public.users'), to_regclass('public.note')").fetchone() == (
        None,
        None,
    )
    async with connect(inside, create=False) as store:
        assert await store.get_user_by_email("ada@example.com") == user
    trip.there.execute("DROP SCHEMA app CASCADE")
