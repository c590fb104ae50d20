"""Raw secrets are never carried over unnoticed, and harmless tables raise no alarm."""

from typing import Any

import psycopg
import pytest

from tests.mover.recognition.recognising import USERS, look, stops, tables
from tests.mover.seeds import create

Connection = psycopg.Connection


class TestSuspiciousTables:
    @pytest.mark.parametrize(
        "table",
        [
            "password_reset_tokens (id int, user_id int REFERENCES users, token text, expires_at timestamptz)",
            "user_session (id text PRIMARY KEY, user_id int REFERENCES users, expires_at timestamptz)",  # Lucia
            "user_session (id text PRIMARY KEY, user_id int REFERENCES users, idle_expires bigint)",  # Lucia 2
            "ci_sessions (id varchar(128) PRIMARY KEY, ip_address inet, timestamp timestamptz, data bytea)",  # PHP
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
        assert stops(problems) == [("unrecognised", f"public.{name}", "profile")]

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
        assert stops(look(source)[1]) == [("secret", "public.webhooks", "secrets")]
        assert stops(look(source, secrets="drop")[1]) == [("secret", "public.webhooks", "secrets")]
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
        assert stops(problems) == [("unrecognised", "public.password_resets", "profile")]
