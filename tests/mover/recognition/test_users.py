"""The users are whom the others refer to; two tables that could be theirs stop the move."""

from typing import Any

import psycopg

from tests.mover.recognition.recognising import SESSIONS, USERS, look, stops, tables
from tests.mover.seeds import create

Connection = psycopg.Connection


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


class TestNoUsers:
    def test_stop(self, source: Connection[Any]) -> None:
        source.execute("CREATE TABLE things (id int)")
        assert stops(look(source)[1]) == [("unrecognised", "", "profile")]

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


class TestTwoCandidates:
    def test_for_users_stop(self, source: Connection[Any]) -> None:
        source.execute(
            f"CREATE TABLE users {USERS}; CREATE TABLE old_users {USERS}; CREATE TABLE s {SESSIONS}".encode()
        )
        found, problems = look(source)
        assert "users" not in tables(found)
        assert stops(problems) == [("ambiguous", "public.old_users", "profile")]
        assert "public.old_users, public.users" in problems[0].message

    def test_referred_to_by_different_tables_stop(self, source: Connection[Any]) -> None:
        create(source, "noormme")
        source.execute("CREATE TABLE members (id uuid PRIMARY KEY, email text)")
        source.execute(
            "ALTER TABLE accounts DROP CONSTRAINT accounts_user_id_fkey, ADD FOREIGN KEY (user_id) REFERENCES members"
        )
        assert stops(look(source)[1]) == [("ambiguous", "public.members", "profile")]


def test_three_tables_of_one_shape_are_given_their_parts_by_a_profile(source: Connection[Any]) -> None:
    source.execute('CREATE TABLE "User" (id text PRIMARY KEY, email text UNIQUE, "emailVerified" timestamp(3))')
    for name in ("VerificationToken", "PasswordResetToken", "TwoFactorToken"):
        columns = "id text PRIMARY KEY, email text, token text UNIQUE, expires timestamp(3)"
        source.execute(f'CREATE TABLE "{name}" ({columns})'.encode())
    found, problems = look(source)
    assert tables(found) == {"users": "public.User"}
    assert len(stops(problems)) == 3
    found, problems = look(
        source,
        """
        authstore_profile = 1
        leave = ["PasswordResetToken", "TwoFactorToken"]
        [verification_tokens]
        table = "VerificationToken"
        columns = { identifier = "email" }
        """,
    )
    assert tables(found) == {"users": "public.User", "verification_tokens": "public.VerificationToken"}
    assert problems == ()
