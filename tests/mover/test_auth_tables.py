"""What the auth tables of every known schema, and of databases like them, become in authstore's own."""

import hashlib
import json
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from authstore.errors import ConfigurationError
from authstore.tokens import hash_token
from tests.mover.auth_moves import ALL_DECIDED, Moved, move
from tests.mover.one_database import emptied_database, source
from tests.mover.seeds import SCHEMAS, Seeded, create, seed

__all__ = ["emptied_database", "source"]
MOVED_AT = "2026-11-22T10:00:00.000000Z"
Connection = psycopg.Connection


def iso(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@pytest.mark.parametrize("name", SCHEMAS)
def test_of_an_ordinary_database_everything_arrives(source: Connection, name: str) -> None:
    seeded = seed(source, name)
    moved = move(source)
    assert moved.stopping() == []
    assert moved.rejected == {}
    check_arrived(moved, seeded)
    assert moved.one("SELECT count(*) FROM users") == len(seeded.users)
    assert moved.one("SELECT count(*) FROM accounts") == len(seeded.accounts)
    assert moved.one("SELECT count(*) FROM sessions") == len(seeded.sessions)
    assert moved.problem("expired").count == seeded.expired["sessions"]


@pytest.mark.parametrize("name", SCHEMAS)
def test_of_a_nasty_database_everything_ordinary_arrives_and_the_rest_is_counted(source: Connection, name: str) -> None:
    seeded = seed(source, name, nasty=True)
    moved = move(source, **ALL_DECIDED)
    assert moved.stopping() == []
    check_arrived(moved, seeded)
    counted: dict[tuple[str, str], int] = {}
    for role, one in moved.recognised.items():
        table = f"{one.table.schema}.{one.table.name}"
        for problem in moved.problems:
            follows = "its user" in problem.message
            if problem.table == table and problem.kind in ("bad-row", "orphan", "duplicate") and not follows:
                counted[role, problem.kind] = counted.get((role, problem.kind), 0) + problem.count
    assert counted == dict(seeded.nasty)
    assert sum(moved.rejected.values()) >= sum(counted.values())


@pytest.mark.parametrize("name", ["pg_adapter", "supabase", "typeorm"])
def test_what_nobody_has_decided_stops(source: Connection, name: str) -> None:
    seeded = seed(source, name, nasty=True)
    options = {"bad-row": "--on-bad-row", "orphan": "--on-orphan", "duplicate": "--on-duplicate"}
    kinds = {kind for _, kind in seeded.nasty}
    assert set(move(source).stopping()) == {(kind, options[kind]) for kind in kinds}


def check_arrived(moved: Moved, seeded: Seeded) -> None:
    for user in seeded.users:
        verified = moved.one("SELECT email_verified FROM users WHERE id = ? AND email = ?", user.id, user.email)
        assert (verified is None) == (user.verified is None)
    for session in seeded.sessions:
        found = moved.all("SELECT user_id, expires FROM sessions WHERE token_hash = ?", hash_token(session.token))
        assert found == [(session.user_id, iso(session.expires))]
    for provider, own, user_id in seeded.accounts:
        asked = "SELECT user_id FROM accounts WHERE provider = ? AND provider_account_id = ?"
        assert moved.all(asked, provider, own) == [(user_id,)]
    for identifier, token, _ in seeded.tokens if "verification_tokens" in moved.recognised else ():
        asked = "SELECT count(*) FROM verification_tokens WHERE identifier = ? AND token_hash = ?"
        assert moved.one(asked, identifier, hash_token(token)) == 1
    for credential, key, user_id in seeded.credentials:
        asked = "SELECT public_key, user_id FROM authenticators WHERE credential_id = ?"
        assert moved.all(asked, credential) == [(key, user_id)]


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

    def test_an_id_that_is_made_up_says_nothing_of_the_token(self, source: Connection) -> None:
        seeded = seed(source, "prisma_v5", users=2)
        ids = [row[0] for row in move(source).all("SELECT id FROM sessions")]
        digests = {hashlib.sha256(session.token.encode()).hexdigest()[:8] for session in seeded.sessions}
        assert len(set(ids)) == len(ids)
        assert not digests & {made[:8] for made in ids}

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
        assert moved.stopping() == [("bad-row", "--on-bad-row")]
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
        assert moved.stopping() == [("secret", "--secrets")]
        assert moved.problem("secret").count == 1

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
        assert move(source).stopping() == [("secret", "--secrets")]

    def test_the_unused_access_token_of_v3_sessions_stays_behind(self, source: Connection) -> None:
        seed(source, "nextauth_v3_sql", users=1)
        moved = move(source)
        assert moved.problem("left-behind", "sessions").message.startswith("access_token of")
        assert all("access_token" not in data for (data,) in moved.all("SELECT data FROM sessions"))


class TestRoles:
    def test_and_permissions_and_grants_arrive(self, source: Connection) -> None:
        seed(source, "noormme", users=10)
        moved = move(source)
        assert moved.all("SELECT name, description FROM roles ORDER BY 1") == [("admin", "admin"), ("editor", "editor")]
        asked = "SELECT action FROM role_permissions WHERE role_name = ? AND resource = 'post' ORDER BY 1"
        assert moved.all(asked, "editor") == [("read",), ("write",)]
        assert moved.all(asked, "admin") == [("delete",), ("read",), ("write",)]
        assert moved.all("SELECT role_name, count(*) FROM user_roles GROUP BY 1 ORDER BY 1") == [
            ("admin", 2),
            ("editor", 8),
        ]
        left = [p.message for p in moved.problems if p.kind == "left-behind" and p.table == "public.permissions"]
        assert left == [
            "columns of public.permissions without a field are left behind: name, description, created_at, updated_at"
        ]

    def test_switched_off_are_named(self, source: Connection) -> None:
        seed(source, "noormme", users=1)
        source.execute("UPDATE roles SET active = false WHERE name = 'admin'")
        found = [p for p in move(source).problems if "switched off" in p.message]
        assert [(p.count, p.samples, p.stops) for p in found] == [(1, ("admin",), False)]

    def test_that_differ_in_id_only_are_duplicates(self, source: Connection) -> None:
        seed(source, "noormme", users=10)
        source.execute("ALTER TABLE roles DROP CONSTRAINT roles_name_key")
        twin = "ffffffff-0000-0000-0000-000000000000"
        source.execute("INSERT INTO roles (id, name) VALUES (%s, 'admin')", [twin])
        source.execute("INSERT INTO user_roles (user_id, role_id) SELECT id, %s FROM users", [twin])
        assert ("duplicate", "--on-duplicate") in move(source).stopping()
        kept = move(source, on_duplicate="keep-oldest")
        assert kept.one("SELECT count(*) FROM user_roles WHERE role_name = 'admin'") == 2
        merged = move(source, on_duplicate="merge")
        assert merged.stopping() == []
        assert merged.one("SELECT count(*) FROM user_roles WHERE role_name = 'admin'") == 10

    def test_equal_permissions_are_one(self, source: Connection) -> None:
        seed(source, "noormme", users=1)
        twin = "ffffffff-0000-0000-0000-000000000000"
        source.execute("INSERT INTO permissions (id, name, resource, action) VALUES (%s, 'x', 'post', 'read')", [twin])
        source.execute("INSERT INTO role_permissions (role_id, permission_id) SELECT id, %s FROM roles", [twin])
        moved = move(source)
        assert moved.stopping() == []
        assert moved.problem("duplicate", ".permissions").count == 1
        assert moved.one("SELECT count(*) FROM role_permissions WHERE role_name = 'editor'") == 2

    def test_grants_of_what_is_not_there_are_orphans(self, source: Connection) -> None:
        seed(source, "noormme", users=3)
        source.execute("ALTER TABLE user_roles DROP CONSTRAINT user_roles_role_id_fkey")
        source.execute(
            "UPDATE user_roles SET role_id = gen_random_uuid() WHERE user_id = (SELECT min(id::text)::uuid FROM users)"
        )
        assert move(source).stopping() == [("orphan", "--on-orphan")]
        assert move(source, on_orphan="reject").one("SELECT count(*) FROM user_roles") == 2


class TestOrphans:
    def test_are_found_without_foreign_keys(self, source: Connection) -> None:
        seed(source, "pg_adapter", users=3)
        source.execute("""UPDATE sessions SET "userId" = 99 WHERE "userId" = 1 AND expires > now()""")
        moved = move(source)
        problem = moved.problem("orphan", "sessions")
        assert problem.stops
        assert problem.count == move(source, on_orphan="reject").rejected["sessions", "orphan"]

    def test_without_a_user_id_are_orphans(self, source: Connection) -> None:
        seed(source, "supabase", users=3)
        source.execute("""UPDATE next_auth.accounts SET "userId" = NULL""")
        assert move(source).problem("orphan", "accounts").count == 3

    def test_that_have_expired_anyway_are_not_asked_about(self, source: Connection) -> None:
        seed(source, "pg_adapter", users=1)
        source.execute("""UPDATE sessions SET "userId" = 99, expires = now() - interval '1 day'""")
        assert move(source).stopping() == []


class TestDuplicates:
    def insert(self, source: Connection, *users: tuple[int, str, str | None]) -> None:
        create(source, "pg_adapter")
        for user_id, email, verified in users:
            source.execute(
                'INSERT INTO users (id, email, "emailVerified") VALUES (%s, %s, %s)', [user_id, email, verified]
            )
            source.execute(
                """INSERT INTO accounts ("userId", type, provider, "providerAccountId")
                   VALUES (%s, 'oauth', 'github', %s)""",
                [user_id, str(user_id)],
            )
            source.execute(
                """INSERT INTO sessions ("userId", expires, "sessionToken")
                   VALUES (%s, now() + interval '1 day', %s)""",
                [user_id, f"session-token-of-user-{user_id}"],
            )

    def test_keep_oldest_rejects_the_others_and_what_hangs_on_them(self, source: Connection) -> None:
        self.insert(source, (10, "Ada@example.com", None), (9, "ada@example.com", None), (11, "b@example.com", None))
        moved = move(source, on_duplicate="keep-oldest")
        assert moved.all("SELECT id FROM users ORDER BY id") == [("11",), ("9",)]
        assert moved.all("SELECT user_id FROM sessions ORDER BY 1") == [("11",), ("9",)]
        assert moved.rejected["sessions", "its user is a duplicate"] == 1
        assert moved.plan.changes.gone == ("10",)

    def test_the_time_of_creation_comes_before_the_key(self, source: Connection) -> None:
        self.insert(source, (1, "ada@example.com", None), (2, "ADA@example.com", None))
        source.execute("ALTER TABLE users ADD created_at timestamptz DEFAULT now()")
        source.execute("UPDATE users SET created_at = '2020-01-01' WHERE id = 2")
        assert move(source, on_duplicate="keep-oldest").all("SELECT id FROM users") == [("2",)]

    def test_merge_gives_all_to_the_oldest_when_every_address_is_verified(self, source: Connection) -> None:
        self.insert(source, (1, "ada@example.com", "2026-01-01"), (2, "ADA@example.com", "2026-01-02"))
        moved = move(source, on_duplicate="merge")
        assert moved.stopping() == []
        assert moved.all("SELECT id, email FROM users") == [("1", "ada@example.com")]
        assert moved.all("SELECT user_id FROM accounts") == [("1",), ("1",)]
        assert moved.all("SELECT user_id FROM sessions") == [("1",), ("1",)]
        assert moved.plan.changes.merged == {"2": "1"}

    def test_merge_stops_where_an_address_is_not_verified(self, source: Connection) -> None:
        self.insert(source, (1, "ada@example.com", "2026-01-01"), (2, "ADA@example.com", None))
        moved = move(source, on_duplicate="merge")
        assert moved.stopping() == [("duplicate", "--on-duplicate")]
        assert "not every address involved is verified" in moved.problem("duplicate", "users").message
        assert moved.problem("duplicate", "users").samples == ("2 (A…@example.com) = 1 (a…@example.com)",)

    def test_accounts_of_one_identity(self, source: Connection) -> None:
        self.insert(source, (1, "a@example.com", "2026-01-01"), (2, "b@example.com", None))
        source.execute("""UPDATE accounts SET "providerAccountId" = 'same'""")
        assert move(source).problem("duplicate", "accounts").count == 1
        assert move(source, on_duplicate="merge").stopping() == [("duplicate", "--on-duplicate")]
        assert move(source, on_duplicate="keep-oldest").all("SELECT user_id FROM accounts") == [("1",)]
        source.execute("""UPDATE users SET "emailVerified" = now()""")
        assert move(source, on_duplicate="merge").all("SELECT user_id FROM accounts") == [("1",)]

    def test_equal_session_tokens(self, source: Connection) -> None:
        self.insert(source, (1, "a@example.com", None), (2, "b@example.com", None))
        source.execute("""UPDATE sessions SET "sessionToken" = 'one-token-for-two-users'""")
        assert move(source).stopping() == [("duplicate", "--on-duplicate")]
        assert move(source, on_duplicate="keep-oldest").all("SELECT user_id FROM sessions") == [("1",)]

    def test_rows_without_any_key_are_told_apart(self, source: Connection) -> None:
        seed(source, "drizzle_docs_nopk", users=2)
        source.execute("INSERT INTO account SELECT * FROM account")
        moved = move(source)
        assert moved.problem("duplicate", "account").count == 2
        kept = move(source, on_duplicate="merge")
        assert kept.stopping() == []
        assert kept.one("SELECT count(*) FROM accounts") == 2


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

    def test_ids_of_one_type_and_references_of_another(self, source: Connection) -> None:
        seed(source, "prisma_mapped", users=1)
        source.execute("""
            ALTER TABLE accounts DROP CONSTRAINT accounts_user_id_fkey;
            ALTER TABLE sessions DROP CONSTRAINT sessions_user_id_fkey;
            UPDATE users SET id = 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11';
            UPDATE accounts SET user_id = (SELECT id FROM users);
            UPDATE sessions SET user_id = (SELECT id FROM users);
            ALTER TABLE users ALTER id TYPE uuid USING id::uuid""")
        moved = move(source)
        assert moved.stopping() == []
        assert moved.all("SELECT DISTINCT user_id FROM sessions") == [("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",)]

    def test_references_to_another_column_than_the_id(self, source: Connection) -> None:
        seed(source, "prisma_mapped", users=2)
        source.execute("""
            ALTER TABLE users ADD uid int UNIQUE; UPDATE users SET uid = right(split_part(email, '@', 1), 1)::int;
            ALTER TABLE sessions DROP CONSTRAINT sessions_user_id_fkey;
            UPDATE sessions s SET user_id = u.uid::text FROM users u WHERE u.id = s.user_id;
            ALTER TABLE sessions ALTER user_id TYPE int USING user_id::int;
            ALTER TABLE sessions ADD FOREIGN KEY (user_id) REFERENCES users (uid)""")
        moved = move(source)
        assert moved.stopping() == []
        assert moved.one("SELECT count(DISTINCT user_id) FROM sessions JOIN users u ON u.id = user_id") == 2

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
        assert move(source).stopping() == [("bad-row", "--on-bad-row")]

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
        assert all(len(made) == 36 for (made,) in once.all(asked))

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


def test_a_session_begun_in_the_future_is_not_fresh_for_longer(source: Connection) -> None:
    seed(source, "noormme", users=1)
    source.execute("UPDATE sessions SET created_at = now() + interval '10 years'")
    moved = move(source, sessions_at=MOVED_AT)
    assert moved.one("SELECT max(authenticated_at) FROM sessions") == MOVED_AT


def test_only_the_tables_asked_for_are_copied_and_spoken_of(source: Connection) -> None:
    seed(source, "pg_adapter", nasty=True)
    moved = move(source, only=("users",), on_bad_row="reject", on_duplicate="keep-oldest")
    assert [copy.target for copy in moved.plan.copies] == ["users"]
    assert moved.stopping() == []


def test_moments_are_bound_to_the_snapshot_where_nobody_gives_them(source: Connection) -> None:
    seed(source, "pg_adapter", users=1)
    created = datetime.fromisoformat(move(source).one("SELECT created_at FROM users"))
    assert abs(created - datetime.now(UTC)) < timedelta(minutes=1)


@pytest.mark.parametrize(
    ("kind", "value", "disabled"), [("boolean", "true", 1), ("int", "1", 1), ("timestamptz", "now", 0)]
)
def test_disabled_users_stay_disabled(source: Connection, kind: str, value: str, disabled: int) -> None:
    seed(source, "pg_adapter", users=1)
    source.execute(f"ALTER TABLE users ADD disabled {kind} DEFAULT '{value}'".encode())
    moved = move(source)
    assert moved.one("SELECT disabled FROM users") == disabled
    assert moved.one("SELECT json_type(data, '$.disabled') FROM users") == (None if disabled else "text")
