"""Auth tables are known by their columns and by who refers to whom; what is not certain is asked, never guessed."""

from typing import Any

import psycopg
import pytest

from authstore.errors import ConfigurationError
from authstore.mover.catalog import read_source
from authstore.mover.profile import parse_profile, write_profile
from authstore.mover.recognise import recognise
from authstore.mover.shapes import MoveOptions, Problem, Recognised
from tests.mover.one_database import emptied_database, source
from tests.mover.seeds import SCHEMAS, TABLES, create

__all__ = ["emptied_database", "source"]
Connection = psycopg.Connection

SESSIONS = '(id int PRIMARY KEY, "sessionToken" text, "userId" int, expires timestamptz)'
USERS = '(id int PRIMARY KEY, email text, "emailVerified" timestamptz)'


def look(
    source: Connection[Any], profile: str | None = None, **options: Any
) -> tuple[tuple[Recognised, ...], tuple[Problem, ...]]:
    chosen = MoveOptions(**options)
    return recognise(read_source(source, chosen.schemas), chosen, parse_profile(profile) if profile else None)


def tables(found: tuple[Recognised, ...]) -> dict[str, str]:
    return {one.role: f"{one.table.schema}.{one.table.name}" for one in found if one.moved}


def stops(problems: tuple[Problem, ...]) -> list[tuple[str, str, str]]:
    return [(problem.kind, problem.table, problem.option) for problem in problems if problem.stops]


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


def test_the_table_that_is_referred_to_is_that_of_the_users(source: Connection[Any]) -> None:
    source.execute(f"CREATE TABLE backup {USERS}; CREATE TABLE members (id int PRIMARY KEY, email text)".encode())
    source.execute("CREATE TABLE s (session_token text, user_id int REFERENCES members, expires timestamptz)")
    found, problems = look(source)
    assert tables(found)["users"] == "public.members"
    assert stops(problems) == []


def test_without_references_the_verified_address_tells_users_from_customers(source: Connection[Any]) -> None:
    create(source, "pg_adapter")
    source.execute("CREATE TABLE customers (id int, email text, name text)")
    assert tables(look(source)[0])["users"] == "public.users"


class TestTwoCandidates:
    def test_for_users_stop(self, source: Connection[Any]) -> None:
        source.execute(
            f"CREATE TABLE users {USERS}; CREATE TABLE old_users {USERS}; CREATE TABLE s {SESSIONS}".encode()
        )
        found, problems = look(source)
        assert "users" not in tables(found)
        assert stops(problems) == [("ambiguous", "public.old_users", "--profile")]
        assert "public.old_users, public.users" in problems[0].message

    def test_referred_to_by_different_tables_stop(self, source: Connection[Any]) -> None:
        create(source, "noormme")
        source.execute("CREATE TABLE members (id uuid PRIMARY KEY, email text)")
        source.execute(
            "ALTER TABLE accounts DROP CONSTRAINT accounts_user_id_fkey, ADD FOREIGN KEY (user_id) REFERENCES members"
        )
        assert stops(look(source)[1]) == [("ambiguous", "public.members", "--profile")]

    def test_in_two_schemas_are_decided_by_schema(self, source: Connection[Any]) -> None:
        create(source, "pg_adapter")
        create(source, "supabase")
        assert {(kind, option) for kind, _, option in stops(look(source)[1])} == {("ambiguous", "--schema")}
        found, problems = look(source, schemas=("next_auth",))
        assert tables(found)["users"] == "next_auth.users"
        assert problems == ()

    def test_with_two_prefixes_are_decided_by_prefix(self, source: Connection[Any]) -> None:
        create(source, "t3_drizzle_snake")
        second = SCHEMAS["t3_drizzle_snake"].replace("project1_", "project2_").replace("INDEX ", "INDEX b_")
        source.execute(second.encode())
        assert {option for _, _, option in stops(look(source)[1])} == {"--prefix"}
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
        assert stops(look(source)[1]) == [("ambiguous", "public.more_sessions", "--profile")]
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
        assert stops(look(source)[1]) == [("ambiguous", "public.sessions", "--profile")]
        profile = 'authstore_profile = 1\n[sessions]\ntable = "sessions"\ncolumns = { user_id = "user_id" }'
        found, problems = look(source, profile)
        assert next(one for one in found if one.role == "sessions").fields["user_id"] == "user_id"
        assert stops(problems) == []


class TestSuspiciousTables:
    @pytest.mark.parametrize(
        "table",
        [
            "password_reset_tokens (id int, user_id int REFERENCES users, token text, expires_at timestamptz)",
            "user_session (id text PRIMARY KEY, user_id int REFERENCES users, expires_at timestamptz)",  # Lucia
            "session (sid varchar PRIMARY KEY, sess json NOT NULL, expire timestamp(6) NOT NULL)",  # connect-pg-simple
            "django_session (session_key varchar(40) PRIMARY KEY, session_data text, expire_date timestamptz)",
            "invitations (id int, email text, token text, expires_at timestamptz)",
            "magic_links (email text, code text, expires_at timestamptz)",
            '"passwordResetToken" (id text, "hashedToken" text, "expiresAt" timestamp)',
            "refresh_tokens (id int, token varchar(255), parent varchar(255))",
            "verification (id text, identifier text, secret text, expires timestamptz)",
        ],
    )
    def test_stop_the_move(self, source: Connection[Any], table: str) -> None:
        create(source, "noormme") if "REFERENCES" not in table else create(source, "pg_adapter")
        source.execute(f"CREATE TABLE {table}".encode())
        found, problems = look(source)
        name = table.split()[0].strip('"')
        assert name not in {one.table.name for one in found}
        assert stops(problems) == [("unrecognised", f"public.{name}", "--profile")]

    def test_are_carried_or_skipped_when_told(self, source: Connection[Any]) -> None:
        create(source, "noormme")
        source.execute("CREATE TABLE reset_tokens (token text, expires timestamptz)")
        assert stops(look(source, 'authstore_profile = 1\ncarry = ["public.reset_tokens"]')[1]) == []
        assert stops(look(source, 'authstore_profile = 1\nleave = ["reset_tokens"]')[1]) == []
        assert stops(look(source, skip=("reset_tokens",))[1]) == []
        assert stops(look(source, only=("users",))[1]) == []

    def test_of_a_schema_that_is_not_moved_are_none_of_our_business(self, source: Connection[Any]) -> None:
        create(source, "noormme")
        source.execute("CREATE SCHEMA auth; CREATE TABLE auth.one_time_tokens (token text, expires_at timestamptz)")
        assert look(source)[1] == ()
        assert len(stops(look(source, schemas=("public", "auth"))[1])) == 1

    def test_with_secrets_only_are_kept_when_told(self, source: Connection[Any]) -> None:
        create(source, "noormme")
        source.execute("CREATE TABLE webhooks (id int, url text, signing_secret text)")
        assert stops(look(source)[1]) == [("secret", "public.webhooks", "--secrets")]
        assert stops(look(source, secrets="drop")[1]) == [("secret", "public.webhooks", "--secrets")]
        assert stops(look(source, secrets="keep")[1]) == []

    @pytest.mark.parametrize(
        "table",
        [
            "api_keys_2 (id int, key_hash bytea, expires_at timestamptz)",
            "training_sessions (id int, coach text, started_at timestamptz)",
            "completions (id int, prompt_tokens int, max_tokens int, tokens bigint)",
            "subscriptions (id int, user_id uuid, expires_at timestamptz)",
            "settings (id int, two_factor_secret_enabled boolean, password_changed_at timestamptz)",
        ],
    )
    def test_are_told_from_harmless_ones(self, source: Connection[Any], table: str) -> None:
        create(source, "noormme")
        source.execute(f"CREATE TABLE {table}".encode())
        assert look(source)[1] == ()

    def test_reset_tokens_are_never_taken_for_sessions(self, source: Connection[Any]) -> None:
        source.execute(f"CREATE TABLE users {USERS}".encode())
        source.execute(
            "CREATE TABLE password_resets (user_id int REFERENCES users, token text, expires_at timestamptz)"
        )
        found, problems = look(source)
        assert tables(found) == {"users": "public.users"}
        assert stops(problems) == [("unrecognised", "public.password_resets", "--profile")]


class TestRoles:
    def test_limited_to_a_tenant_are_not_granted_for_all(self, source: Connection[Any]) -> None:
        create(source, "noormme")
        source.execute("ALTER TABLE user_roles ADD tenant_id int")
        found, problems = look(source)
        assert not {"roles", "user_roles", "permissions"} & set(tables(found))
        assert [problem.message for problem in problems] == [
            "public.user_roles is carried as it is: tenantid limits what it grants"
        ]
        assert stops(problems) == []

    def test_as_a_column_of_users_are_no_role_tables(self, source: Connection[Any]) -> None:
        create(source, "pg_adapter")
        source.execute("ALTER TABLE users ADD role text; CREATE TABLE roles (id int, name text)")
        assert "roles" not in tables(look(source)[0])

    def test_without_permissions_are_roles_all_the_same(self, source: Connection[Any]) -> None:
        create(source, "noormme")
        source.execute("DROP TABLE role_permissions, permissions")
        assert {"roles", "user_roles"} <= set(tables(look(source)[0]))

    def test_with_permissions_of_another_shape_leave_these_as_they_are(self, source: Connection[Any]) -> None:
        create(source, "noormme")
        source.execute("ALTER TABLE permissions DROP COLUMN resource, DROP COLUMN action")
        found, problems = look(source)
        assert {"roles", "user_roles"} <= set(tables(found))
        assert not {"permissions", "role_permissions"} & set(tables(found))
        assert "no resource and action" in problems[0].message


class TestNoUsers:
    def test_stop(self, source: Connection[Any]) -> None:
        source.execute("CREATE TABLE things (id int)")
        assert stops(look(source)[1]) == [("unrecognised", "", "--profile")]

    def test_are_found_by_a_profile_under_any_name(self, source: Connection[Any]) -> None:
        source.execute("CREATE TABLE app_people (person int PRIMARY KEY, mail text, joined timestamptz)")
        source.execute("CREATE TABLE app_devices (secret text, owner int REFERENCES app_people, until timestamptz)")
        found, problems = look(
            source,
            """
            authstore_profile = 1
            [users]
            table = "public.app_people"
            columns = { id = "person", email = "mail", created_at = "joined" }
            [sessions]
            table = "app_devices"
            columns = { token = "secret", user_id = "owner", expires = "until" }
            """,
        )
        assert tables(found) == {"users": "public.app_people", "sessions": "public.app_devices"}
        assert problems == ()


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
