"""Auth tables are known by their columns and by who refers to whom; what is not certain is asked, never guessed."""

from typing import Any

import psycopg
import pytest

from authstore.errors import ConfigurationError
from authstore.mover.recognition.profile import write_profile
from tests.mover.recognition.recognising import SESSIONS, look, stops, tables
from tests.mover.seeds import SCHEMAS, TABLES, create

Connection = psycopg.Connection


@pytest.mark.parametrize("name", SCHEMAS)
def test_every_known_schema_is_recognised_and_its_profile_says_the_same(source: Connection[Any], name: str) -> None:
    create(source, name)
    found, problems = look(source)
    expected = {role: table if "." in table else f"public.{table}" for role, table in TABLES[name].items()}
    if name == "better_auth":
        del expected["verification_tokens"]
    assert tables(found) == expected
    assert problems == ()
    again, problems = look(source, write_profile(found))
    assert tables(again) == expected
    assert {one.role: one.fields for one in again} == {one.role: one.fields for one in found}
    assert problems == ()


def test_better_auths_verification_is_known_and_left_behind(source: Connection[Any]) -> None:
    create(source, "better_auth")
    left = [one for one in look(source)[0] if not one.moved]
    assert [(one.table.name, one.why) for one in left] == [
        ("verification", "Better Auth's verification values mean something else")
    ]


@pytest.mark.parametrize(
    ("users", "sessions"),
    [
        ("(id int, email text, emailverified timestamptz)", "(sessiontoken text, userid int, expires timestamptz)"),
        ('("ID" int, "EMAIL" text, "EMAIL_VERIFIED" text)', '("SESSION_TOKEN" text, "USER_ID" int, "EXPIRES" text)'),
        ("(id uuid, email varchar(99))", '("sessionToken" uuid, "user-id" uuid, "expiresAt" bigint)'),
    ],
)
def test_case_and_punctuation_of_names_do_not_matter(source: Connection[Any], users: str, sessions: str) -> None:
    source.execute(f"CREATE TABLE people {users}; CREATE TABLE logins {sessions}".encode())
    found, problems = look(source)
    assert tables(found) == {"sessions": "public.logins", "users": "public.people"}
    assert stops(problems) == []


def test_it_is_carried_when_told(source: Connection[Any]) -> None:
    create(source, "better_auth")
    found, problems = look(source, 'authstore_profile = 1\ncarry = ["verification"]')
    assert "verification" not in {one.table.name for one in found}
    assert stops(problems) == []


@pytest.mark.parametrize("more", ['token text, "userId" text', '"userId" text'])
def test_a_table_that_has_more_than_better_auths_verification_is_another(source: Connection[Any], more: str) -> None:
    create(source, "pg_adapter")
    source.execute(f'CREATE TABLE invitation (identifier text, value text, "expiresAt" timestamptz, {more})'.encode())
    assert "invitation" not in {one.table.name for one in look(source)[0] if not one.moved}


def test_a_table_that_its_columns_tell_comes_before_one_that_its_name_tells(source: Connection[Any]) -> None:
    create(source, "pg_adapter")
    source.execute('CREATE TABLE game_session (id int PRIMARY KEY, token text, "userId" int, expires timestamptz)')
    found, problems = look(source)
    assert tables(found)["sessions"] == "public.sessions"
    assert [(kind, table) for kind, table, _ in stops(problems)] != [("ambiguous", "public.game_session")]


class TestTwoCandidates:
    def test_in_two_schemas_are_decided_by_schema(self, source: Connection[Any]) -> None:
        create(source, "pg_adapter")
        create(source, "supabase")
        assert {(kind, option) for kind, _, option in stops(look(source)[1])} == {("ambiguous", "schemas")}
        found, problems = look(source, schemas=("next_auth",))
        assert tables(found)["users"] == "next_auth.users"
        assert problems == ()

    def test_with_two_prefixes_are_decided_by_prefix(self, source: Connection[Any]) -> None:
        create(source, "t3_drizzle_snake")
        second = SCHEMAS["t3_drizzle_snake"].replace("project1_", "project2_").replace("INDEX ", "INDEX b_")
        source.execute(second.encode())
        assert {option for _, _, option in stops(look(source)[1])} == {"prefix"}
        found, problems = look(source, prefix="project2_")
        assert set(tables(found).values()) == {
            f"public.project2_{name}" for name in ("user", "account", "session", "verification_token")
        }
        left = {one.table.name for one in found if not one.moved}
        assert left == {"project1_account", "project1_session", "project1_verification_token"}
        assert stops(problems) == []

    def test_are_decided_by_a_profile_and_the_rival_stays_behind(self, source: Connection[Any]) -> None:
        create(source, "pg_adapter")
        source.execute(f"CREATE TABLE more_sessions {SESSIONS}".encode())
        assert stops(look(source)[1]) == [("ambiguous", "public.more_sessions", "profile")]
        found, problems = look(source, 'authstore_profile = 1\n[sessions]\ntable = "sessions"')
        assert tables(found)["sessions"] == "public.sessions"
        assert [one.table.name for one in found if not one.moved] == ["more_sessions"]
        assert stops(problems) == []

    def test_are_decided_by_skipping_one(self, source: Connection[Any]) -> None:
        create(source, "pg_adapter")
        source.execute(f"CREATE TABLE more_sessions {SESSIONS}".encode())
        found, problems = look(source, skip=("more_sessions",))
        assert tables(found)["sessions"] == "public.sessions"
        assert stops(problems) == []

    def test_among_columns_stop(self, source: Connection[Any]) -> None:
        create(source, "pg_adapter")
        source.execute("ALTER TABLE sessions ADD user_id int")
        assert stops(look(source)[1]) == [("ambiguous", "public.sessions", "profile")]
        profile = 'authstore_profile = 1\n[sessions]\ntable = "sessions"\ncolumns = { user_id = "user_id" }'
        found, problems = look(source, profile)
        assert next(one for one in found if one.role == "sessions").fields["user_id"] == "user_id"
        assert stops(problems) == []


@pytest.mark.parametrize(
    ("profile", "message"),
    [
        ('[users]\ntable = "nobody"', "there is no table called 'nobody'"),
        ('[users]\ntable = "users"\ncolumns = { email = "mail" }', "users has no column 'mail'"),
        ('[sessions]\ntable = "users"', "users has no column for token, user_id, expires of sessions"),
        ('[users]\ntable = "twice"', "more than one table is called 'twice'"),
    ],
)
def test_a_profile_that_does_not_fit_is_refused(source: Connection[Any], profile: str, message: str) -> None:
    create(source, "pg_adapter")
    source.execute("CREATE SCHEMA other; CREATE TABLE twice (id int); CREATE TABLE other.twice (id int)")
    with pytest.raises(ConfigurationError, match=message.replace("(", r"\(")):
        look(source, f"authstore_profile = 1\n{profile}")
