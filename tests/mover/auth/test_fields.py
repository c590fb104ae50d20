"""What the columns of users, accounts, sessions, tokens and passkeys become, in whatever form they are found."""

import json
from typing import Any

import psycopg
import pytest

from authstore.errors import ConfigurationError
from tests.mover.auth.planning import move
from tests.mover.seeds import create, seed

Connection = psycopg.Connection[Any]
MOVED_AT = "2026-11-22T10:00:00.000000Z"


class TestValues:
    def test_ids_keep_their_value_as_text(self, source: Connection) -> None:
        create(source, "pg_adapter")
        source.execute("INSERT INTO users (id, email) VALUES (7, 'a@example.com'), (12, 'b@example.com')")
        assert move(source).all("SELECT id FROM users ORDER BY email") == [("7",), ("12",)]

    def test_a_session_counts_as_used_at_the_move_and_keeps_its_expiry(self, source: Connection) -> None:
        seed(source, "noormme", users=1)
        at = "2026-11-23T08:00:00.000000Z"
        source.execute("UPDATE sessions SET created_at = '2026-01-02 03:04:05+00', expires = '2099-01-01 00:00+00'")
        row = move(source, moved_at=MOVED_AT, sessions_at=at, judged_at=at).row("SELECT * FROM sessions")
        assert (row["created_at"], row["last_used_at"]) == (at, at)
        assert row["authenticated_at"] == "2026-01-02T03:04:05.000000Z"
        assert row["expires"] == "2099-01-01T00:00:00.000000Z"

    def test_a_session_that_says_nothing_of_its_beginning_is_not_freshly_authenticated(
        self, source: Connection
    ) -> None:
        seed(source, "pg_adapter", users=1)
        assert move(source).one("SELECT max(authenticated_at) FROM sessions") == "1970-01-01T00:00:00.000000Z"

    def test_two_runs_with_the_same_moments_give_the_same_rows(self, source: Connection) -> None:
        seed(source, "drizzle_docs_nopk")
        moments = {"moved_at": MOVED_AT, "sessions_at": MOVED_AT, "judged_at": MOVED_AT}
        once, again = (move(source, **moments) for _ in range(2))
        for table in ("users", "accounts", "sessions", "authenticators"):
            rows = once.all(f"SELECT * FROM {table} ORDER BY 1")
            assert rows
            assert rows == again.all(f"SELECT * FROM {table} ORDER BY 1")

    def test_ids_that_are_made_up_for_sessions_sort_as_their_hashes_do(self, source: Connection) -> None:
        """SQLite then finds neighbours of the one index beside each other in the other: checking takes half as long."""
        seeded = seed(source, "prisma_v5", users=20)
        rows = move(source).all("SELECT id, token_hash FROM sessions ORDER BY id")
        assert len(rows) == len({session_id for session_id, _ in rows}) == len(seeded.sessions)
        assert [token_hash for _, token_hash in rows] == sorted(token_hash for _, token_hash in rows)
        assert all(
            len(session_id) == 32 and session_id not in session.token
            for session_id, _ in rows
            for session in seeded.sessions
        )

    def test_expiry_is_judged_by_the_given_moment(self, source: Connection) -> None:
        create(source, "noormme")
        source.execute("INSERT INTO users (email) VALUES ('a@example.com')")
        source.execute("""INSERT INTO sessions (session_token, user_id, expires)
                          SELECT 'token-of-2030-long-enough', id, '2030-01-01 00:00+00' FROM users""")
        assert move(source, judged_at="2029-12-31T23:59:59.999999Z").one("SELECT count(*) FROM sessions") == 1
        assert move(source, judged_at="2030-01-01T00:00:00.000000Z").one("SELECT count(*) FROM sessions") == 0
        kept = move(source, judged_at="2031-01-01T00:00:00.000000Z", with_expired=True)
        assert kept.one("SELECT count(*) FROM sessions") == 1

    def test_naive_times_are_utc_unless_told_otherwise(self, source: Connection) -> None:
        seed(source, "prisma_v4", users=1)
        source.execute("""UPDATE "User" SET "emailVerified" = '2026-07-01 12:00:00'""")
        asked = "SELECT email_verified FROM users"
        assert move(source).one(asked) == "2026-07-01T12:00:00.000000Z"
        assert move(source, naive_tz="Europe/Berlin").one(asked) == "2026-07-01T10:00:00.000000Z"

    def test_the_mere_yes_of_better_auth_dates_from_the_creation(self, source: Connection) -> None:
        create(source, "better_auth")
        source.execute("""INSERT INTO "user" (id, name, email, "emailVerified", "createdAt") VALUES
                          ('1', 'a', 'a@example.com', true, '2026-01-01 00:00+00'),
                          ('2', 'b', 'b@example.com', false, '2026-01-01 00:00+00')""")
        verified = move(source).all("SELECT email_verified FROM users ORDER BY id")
        assert verified == [("2026-01-01T00:00:00.000000Z",), (None,)]

    def test_account_types_of_better_auth_follow_the_provider(self, source: Connection) -> None:
        seed(source, "better_auth", users=2)
        source.execute(
            """UPDATE account SET "providerId" = 'credential', password = NULL WHERE "accountId" = '0000001'"""
        )
        assert move(source).all("SELECT type FROM accounts ORDER BY provider") == [("credentials",), ("oauth",)]

    def test_expiry_of_access_tokens_in_seconds_and_milliseconds(self, source: Connection) -> None:
        seed(source, "pg_adapter", users=2)
        source.execute("UPDATE accounts SET expires_at = 1700000000 WHERE id = 1")
        source.execute("UPDATE accounts SET expires_at = 1700000000123 WHERE id = 2")
        expiries = move(source).all("SELECT expires_at FROM accounts ORDER BY id")
        assert expiries == [("2023-11-14T22:13:20.000000Z",), ("2023-11-14T22:13:20.123000Z",)]

    def test_rows_of_a_purpose_keep_it(self, source: Connection) -> None:
        seed(source, "noormme", users=4)
        source.execute("ALTER TABLE verification_tokens ADD purpose text")
        assert move(source).one("SELECT purpose FROM verification_tokens") == "sign-in"
        source.execute("UPDATE verification_tokens SET purpose = 'password-reset'")
        assert move(source).one("SELECT purpose FROM verification_tokens") == "password-reset"

    def test_an_unknown_time_zone_is_refused(self, source: Connection) -> None:
        seed(source, "prisma_v4", users=1)
        with pytest.raises(ConfigurationError, match="no time zone 'Mars/Base'"):
            move(source, naive_tz="Mars/Base")


class TestAddresses:
    def test_are_canonical_and_odd_ones_go_by_unicode(self, source: Connection) -> None:
        create(source, "pg_adapter")
        addresses = [
            "Ada@Example.COM",
            " \tspaced@example.com\n",
            "jörg@BÜCHER.example",
            "",
            "   ",
            None,
            "a--b@x--y.de",
        ]
        for address in addresses:
            source.execute("INSERT INTO users (email) VALUES (%s)", [address])
        emails = [row[0] for row in move(source).all("SELECT email FROM users ORDER BY length(id), id")]
        there = ["ada@example.com", "spaced@example.com", "jörg@xn--bcher-kva.example"]
        assert emails == [*there, None, None, None, "a--b@x--y.de"]

    def test_what_is_none_is_a_bad_row_with_all_that_hangs_on_it(self, source: Connection) -> None:
        seeded = seed(source, "pg_adapter", users=3)
        source.execute("UPDATE users SET email = 'two@at@example.com' WHERE id = 2")
        moved = move(source)
        assert moved.stopping() == [("bad-row", "on_bad_row")]
        assert moved.problem("bad-row", "users").samples == ("2 (t…@example.com)",)
        assert moved.problem("bad-row", "users").count == 1
        left = sum(session.user_id != "2" for session in seeded.sessions)
        assert move(source, on_bad_row="reject").one("SELECT count(*) FROM sessions") == left

    def test_identifiers_that_are_no_addresses_stay_as_they_are(self, source: Connection) -> None:
        create(source, "pg_adapter")
        for number, identifier in enumerate(["Ada@Example.com", "+49 170 1234567", "MiXed", "ÄRGER@bücher.example"]):
            source.execute(
                "INSERT INTO verification_token VALUES (%s, now() + interval '1 day', %s)",
                [identifier, f"token-number-{number}-of-some-length"],
            )
        found = {row[0] for row in move(source).all("SELECT identifier FROM verification_tokens")}
        assert found == {"ada@example.com", "+49 170 1234567", "MiXed", "Ärger@xn--bcher-kva.example"}


class TestDeviations:
    def test_integer_and_text_dates(self, source: Connection) -> None:
        source.execute("""
            CREATE TABLE users (id int8 PRIMARY KEY, email text, emailverified int8);
            CREATE TABLE sessions (sessiontoken text PRIMARY KEY, userid int8, expires text);
            INSERT INTO users VALUES (1, 'a@example.com', 1700000000), (2, 'b@example.com', 0), (3, 'c@example.com', 1);
            INSERT INTO sessions VALUES ('token-with-milliseconds', 1, '4102444800000'),
                ('token-with-iso-8601-text', 1, '2100-01-01T02:00:00.5+02:00'),
                ('token-with-seconds', 1, '4102444800')""")
        moved = move(source, moved_at=MOVED_AT)
        assert moved.stopping() == []
        assert moved.all("SELECT DISTINCT substr(expires, 1, 19) FROM sessions") == [("2100-01-01T00:00:00",)]
        verified = moved.all("SELECT email_verified FROM users ORDER BY id")
        assert verified == [("2023-11-14T22:13:20.000000Z",), (None,), (MOVED_AT,)]

    def test_text_dates_that_are_none_are_bad_rows(self, source: Connection) -> None:
        seed(source, "typeorm", users=4)
        source.execute("UPDATE sessions SET expires = 'tomorrow' WHERE expires > '3'")
        source.execute(
            """UPDATE sessions SET expires = '2024-02-30'
               WHERE "sessionToken" = (SELECT min("sessionToken") FROM sessions)"""
        )
        count = source.execute("SELECT count(*) FROM sessions WHERE expires IN ('tomorrow', '2024-02-30')").fetchone()
        assert count is not None
        if count[0]:
            assert move(source).problem("bad-row", "sessions").count == count[0]

    def test_credentials_as_bytes_and_transports_in_every_form(self, source: Connection) -> None:
        seed(source, "prisma_v5", users=1)
        source.execute("""ALTER TABLE "Authenticator"
            ALTER "credentialID" TYPE bytea USING decode("credentialID", 'base64'),
                          ALTER "credentialPublicKey" TYPE bytea USING decode("credentialPublicKey", 'base64')""")
        before = move(source).row("SELECT * FROM authenticators")
        assert len(before["public_key"]) == 77
        for text, expected in {"usb, nfc": ["usb", "nfc"], '["ble"]': ["ble"], "": [], None: []}.items():
            source.execute('UPDATE "Authenticator" SET transports = %s', [text])
            assert json.loads(move(source).one("SELECT transports FROM authenticators")) == expected
        source.execute("""UPDATE "Authenticator" SET transports = '{"no": 1}'""")
        assert move(source).stopping() == [("bad-row", "on_bad_row")]

    def test_one_credential_in_both_alphabets_is_a_duplicate(self, source: Connection) -> None:
        seed(source, "prisma_v5", users=1)
        source.execute("""INSERT INTO "Authenticator" SELECT translate("credentialID", '+/', '-_') || '=', "userId",
            "providerAccountId", "credentialPublicKey", counter, "credentialDeviceType", "credentialBackedUp",
            transports
            FROM "Authenticator" """)
        assert move(source).problem("duplicate", "Authenticator").count == 1

    def test_sessions_and_accounts_without_an_id_get_one(self, source: Connection) -> None:
        seed(source, "supabase", users=3)
        for table in ("accounts", "sessions"):
            source.execute(
                f"ALTER TABLE next_auth.{table} DROP CONSTRAINT {table}_pkey, ALTER id DROP NOT NULL".encode()
            )
            lowest = f'(SELECT min("userId"::text)::uuid FROM next_auth.{table})'
            source.execute(f'UPDATE next_auth.{table} SET id = NULL WHERE "userId" = {lowest}'.encode())
        once, again = move(source), move(source)
        assert once.stopping() == []
        asked = "SELECT id FROM accounts UNION ALL SELECT id FROM sessions ORDER BY 1"
        assert once.all(asked) == again.all(asked)
        assert all(made and len(made) in (32, 36) for (made,) in once.all(asked))

    def test_a_user_without_an_id_is_named_by_its_place(self, source: Connection) -> None:
        source.execute("CREATE TABLE users (id text, email text); INSERT INTO users VALUES ('', 'a@example.com')")
        assert move(source).problem("bad-row").samples == ("row at (0,1) (a…@example.com)",)

    def test_a_short_token_and_one_for_ever_are_bad_rows(self, source: Connection) -> None:
        seed(source, "noormme", users=1)
        before = move(source).one("SELECT count(*) FROM sessions")
        source.execute("""INSERT INTO sessions (session_token, user_id, expires)
            SELECT t, id, e::timestamptz FROM users, (VALUES ('fifteen-letters', '2099-01-01'),
            ('sixteen-letters!', '2099-01-01'), ('forever-and-a-day', 'infinity'),
            ('the-year-ten-thousand', '10000-01-01')) v (t, e)""")
        moved = move(source, on_bad_row="reject")
        assert moved.one("SELECT count(*) FROM sessions") == before + 1
        assert moved.rejected == {("sessions", "no usable token"): 1, ("sessions", "bad date"): 2}

    def test_hostile_names_are_names(self, source: Connection) -> None:
        seed(source, "noormme", users=1)
        source.execute("""ALTER TABLE users ADD "a""b%s'c; DROP TABLE users" text DEFAULT 'x%s''y'""")
        assert json.loads(move(source).one("SELECT data FROM users")) == {"a\"b%s'c; DROP TABLE users": "x%s'y"}

    def test_partitioned_sessions_move_once(self, source: Connection) -> None:
        seeded = seed(source, "noormme", users=5)
        source.execute("""ALTER TABLE sessions RENAME TO old;
            CREATE TABLE sessions (LIKE old) PARTITION BY HASH (session_token);
            CREATE TABLE sessions_0 PARTITION OF sessions FOR VALUES WITH (MODULUS 2, REMAINDER 0);
            CREATE TABLE sessions_1 PARTITION OF sessions FOR VALUES WITH (MODULUS 2, REMAINDER 1);
            INSERT INTO sessions SELECT * FROM old; DROP TABLE old""")
        assert move(source).one("SELECT count(*) FROM sessions") == len(seeded.sessions)


@pytest.mark.parametrize(
    ("kind", "value", "disabled"), [("boolean", "true", 1), ("int", "1", 1), ("timestamptz", "now", 1)]
)
def test_disabled_users_stay_disabled(source: Connection, kind: str, value: str, disabled: int) -> None:
    seed(source, "pg_adapter", users=1)
    source.execute(f"ALTER TABLE users ADD disabled {kind} DEFAULT '{value}'".encode())
    moved = move(source)
    assert moved.one("SELECT disabled FROM users") == disabled
    assert moved.one("SELECT json_type(data, '$.disabled') FROM users") == (None if disabled else "text")


def test_a_session_begun_in_the_future_is_not_fresh_for_longer(source: Connection) -> None:
    seed(source, "noormme", users=1)
    source.execute("UPDATE sessions SET created_at = now() + interval '10 years'")
    moved = move(source, sessions_at=MOVED_AT)
    assert moved.one("SELECT max(authenticated_at) FROM sessions") == MOVED_AT
