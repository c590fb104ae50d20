"""Columns without a field: into `data`, secrets only when told."""

import json
from typing import Any

import psycopg
import pytest

from tests.mover.auth.planning import move
from tests.mover.seeds import seed

Connection = psycopg.Connection[Any]


class TestData:
    def test_columns_without_a_field_go_into_data(self, source: Connection) -> None:
        seed(source, "noormme", users=1)
        source.execute("CREATE TYPE mood AS ENUM ('sad', 'happy')")
        source.execute("""ALTER TABLE users ADD role text DEFAULT 'admin',
            ADD credits numeric DEFAULT 12345678901234567890.5,
            ADD big bigint DEFAULT 9007199254740993, ADD born date DEFAULT '1815-12-10', ADD seen timestamptz
            DEFAULT '2026-01-01 00:00+00', ADD avatar bytea DEFAULT '\\x00ff', ADD tags text[] DEFAULT '{a,"b c",NULL}',
            ADD prefs jsonb DEFAULT '{"a": [1, null, 1.50]}', ADD feeling mood DEFAULT 'happy', ADD ratio float8
            DEFAULT 'NaN', ADD never timestamptz DEFAULT 'infinity', ADD home inet DEFAULT '192.0.2.1', ADD nothing int,
            ADD bills numeric[] DEFAULT '{1.10,NaN}', ADD parts bytea[] DEFAULT '{"\\\\x01"}',
            ADD ok boolean DEFAULT false""")
        assert json.loads(move(source).one("SELECT data FROM users")) == {
            "role": "admin",
            "credits": "12345678901234567890.5",
            "big": 9007199254740993,
            "born": "1815-12-10",
            "seen": "2026-01-01T00:00:00.000000Z",
            "avatar": "AP8=",
            "tags": ["a", "b c", None],
            "prefs": {"a": [1, None, 1.5]},
            "feeling": "happy",
            "ratio": "NaN",
            "never": "infinity",
            "home": "192.0.2.1",
            "nothing": None,
            "bills": ["1.10", "NaN"],
            "parts": ["AQ=="],
            "ok": False,
        }

    def test_without_such_columns_it_is_empty(self, source: Connection) -> None:
        seed(source, "pg_adapter", users=1)
        moved = move(source)
        for table in ("users", "accounts", "sessions", "verification_tokens"):
            assert moved.all(f"SELECT DISTINCT data FROM {table}") == [("{}",)]

    @pytest.mark.parametrize("text", [r'"a\u0000b"', r'"\ud800"', "1e999", "[" * 200 + "]" * 200, "1" * 5000])
    def test_json_that_cannot_be_read_again_is_a_bad_row(self, source: Connection, text: str) -> None:
        seed(source, "noormme", users=3)
        source.execute("ALTER TABLE users ADD extra json")
        source.execute("""UPDATE users SET extra = '{"note": "1e999, \\\\u0000 and [[["}'""")
        assert move(source).stopping() == []
        source.execute("UPDATE users SET extra = %s WHERE email = 'user1@example.com'", [text])
        problem = move(source).problem("bad-row", "users")
        assert (problem.count, problem.stops) == (1, True)
        assert move(source, on_bad_row="reject").one("SELECT count(*) FROM users") == 2

    def test_many_columns_fit(self, source: Connection) -> None:
        seed(source, "pg_adapter", users=1)
        source.execute("ALTER TABLE users " + ", ".join(f"ADD c{n} int DEFAULT {n}" for n in range(150)))
        assert json.loads(move(source).one("SELECT data FROM users"))["c149"] == 149

    def test_a_reference_that_ends_in_data_is_named(self, source: Connection) -> None:
        seed(source, "noormme", users=1)
        source.execute("CREATE TABLE orgs (id int PRIMARY KEY)")
        source.execute("ALTER TABLE users ADD org_id int REFERENCES orgs")
        assert (
            "org_id of public.users no longer refer to public.orgs"
            in move(source).problem("left-behind", "users").message
        )


class TestSecrets:
    @pytest.fixture
    def guarded(self, source: Connection) -> Connection:
        seed(source, "noormme", users=2)
        source.execute("ALTER TABLE users ADD password_hash text, ADD two_factor_enabled boolean DEFAULT true")
        return source

    def test_stop_while_there_are_any(self, guarded: Connection) -> None:
        assert move(guarded).stopping() == []
        guarded.execute("UPDATE users SET password_hash = '$2b$…' WHERE email = 'user1@example.com'")
        moved = move(guarded)
        assert moved.stopping() == [("secret", "secrets")]
        assert moved.problem("secret").count == 1
        assert moved.problem("secret").samples == (moved.one("SELECT id FROM users WHERE email LIKE 'user1@%'"),)

    def test_are_kept_or_dropped_as_told(self, guarded: Connection) -> None:
        guarded.execute("UPDATE users SET password_hash = '$2b$…'")
        kept, dropped = move(guarded, secrets="keep"), move(guarded, secrets="drop")
        asked = "SELECT DISTINCT data FROM users"
        assert json.loads(kept.one(asked)) == {"password_hash": "$2b$…", "two_factor_enabled": True}
        assert json.loads(dropped.one(asked)) == {"two_factor_enabled": True}
        assert (kept.stopping(), dropped.stopping()) == ([], [])

    def test_of_better_auths_accounts_are_asked_for(self, source: Connection) -> None:
        seed(source, "better_auth", users=1)
        source.execute("UPDATE account SET password = 'scrypt…'")
        assert move(source).problem("secret").table == "public.account"

    def test_an_empty_secret_of_supabases_asks_nothing(self, source: Connection) -> None:
        seed(source, "supabase", users=2)
        assert move(source).stopping() == []
        source.execute("UPDATE next_auth.accounts SET oauth_token_secret = 's'")
        assert move(source).stopping() == [("secret", "secrets")]

    def test_the_unused_access_token_of_v3_sessions_stays_behind(self, source: Connection) -> None:
        seed(source, "nextauth_v3_sql", users=1)
        moved = move(source)
        assert moved.problem("left-behind", "sessions").message.startswith("access_token of")
        assert all("access_token" not in data for (data,) in moved.all("SELECT data FROM sessions"))
