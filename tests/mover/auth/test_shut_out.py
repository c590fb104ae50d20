"""What keeps a user out, or ends a session, at the source: no move opens a door that was shut."""

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import psycopg
import pytest

from authstore import connect
from authstore.mover import MoveOptions, make_plan
from tests.mover.auth.planning import move
from tests.mover.moving import moved
from tests.mover.seeds import create, seed

Connection = psycopg.Connection[Any]
JUDGED = {"moved_at": "2026-11-22T10:00:00.000000Z", "judged_at": "2026-11-22T10:00:00.000000Z"}


def _users(source: Connection, columns: str, *values: str) -> None:
    create(source, "pg_adapter")
    source.execute(f"ALTER TABLE users ADD COLUMN {', ADD COLUMN '.join(columns.split('; '))}".encode())
    names = ", ".join(f'"{part.split()[0].strip(chr(34))}"' for part in columns.split("; "))
    for number, value in enumerate(values, 1):
        source.execute(
            f"INSERT INTO users (id, email, {names}) VALUES ({number}, 'u{number}@example.com', {value})".encode()
        )


@pytest.mark.parametrize(
    ("columns", "shut", "open_"),
    [
        ("banned boolean", "true", "false"),  # Better Auth's admin plugin
        ('"isBanned" boolean', "true", "NULL"),
        ("is_active boolean", "false", "true"),  # fastapi-users, Django
        ("is_active boolean", "NULL", "true"),
        ("banned_until timestamptz", "'2099-01-01'", "'2020-01-01'"),  # GoTrue
        ("banned_until timestamptz", "'infinity'", "NULL"),
        ("locked_at timestamp", "'2026-01-01'", "NULL"),  # Devise
        ("deleted_at timestamp", "'2026-01-01'", "'2099-01-01'"),  # to be deleted, but not yet
        ('"deletedAt" bigint', "1700000000000", "NULL"),
        ('"lockoutEnd" timestamptz', "'2099-01-01'", "'2020-01-01'"),  # ASP.NET Identity
        ("disabled boolean", "true", "false"),
        ("is_deleted smallint", "1", "0"),
        ("enabled integer", "0", "1"),
        ("suspended text", "'yes'", "'no'"),
        ("blocked text", "'since friday'", "''"),
        ("active text", "'f'", "'t'"),
        ("status text", "'suspended'", "'active'"),
        ("account_status text", "' Banned '", "'ENABLED'"),
        ('banned boolean; "banExpires" timestamp', "true, '2099-01-01'", "true, '2020-01-01'"),
        ('banned boolean; "banExpires" timestamp', "true, NULL", "false, '2099-01-01'"),
        ("is_active boolean; deleted_at timestamp", "true, '2026-01-01'", "true, NULL"),
        ('"accountNonLocked" boolean', "false", "true"),  # Spring Security
        ("account_non_expired smallint", "0", "1"),
        ("account_expired boolean", "true", "false"),
        ("valid_until date", "'2020-01-01'", "'2099-01-01'"),
        ("account_expires_at timestamptz", "'2020-01-01'", "NULL"),
        ("deleted_at bigint", "1700000000", "0"),  # GORM's soft_delete
        ("trashed_at timestamptz", "'2026-01-01'", "NULL"),
        ("is_enabled bit(1)", "B'0'", "B'1'"),
        ("can_login boolean", "false", "true"),
        ('"loginAllowed" boolean', "false", "true"),
        ("role text", "'Banned'", "'moderator'"),
        ("ban_reason text", "'spam'", "NULL"),
        ("blocked_by integer", "1", "NULL"),
        ('"deletedByUserId" text', "'an-admin'", "NULL"),
    ],
)
def test_who_is_shut_out_there_arrives_disabled(source: Connection, columns: str, shut: str, open_: str) -> None:
    _users(source, columns, shut, open_)
    arrived = move(source, **JUDGED)
    assert arrived.all("SELECT id, disabled FROM users ORDER BY id") == [("1", 1), ("2", 0)]
    problem = arrived.problem("shut-out", "users")
    assert (problem.count, problem.stops) == (1, False)
    assert columns.split()[0].strip('"') in problem.message or "deleted_at" in problem.message


@pytest.mark.parametrize(
    "columns",
    [
        '"LockoutEnabled" boolean',
        "lock_version integer",
        "last_locked_by text",
        "email_blocked_count int",
        "locale text",
        "role text",
        "password_expires_at timestamptz",
        "trial_valid_until date",
    ],
)
def test_what_only_sounds_like_it_shuts_nobody_out(source: Connection, columns: str) -> None:
    _users(source, columns, "NULL")
    arrived = move(source)
    assert arrived.one("SELECT disabled FROM users") == 0
    assert [problem.kind for problem in arrived.problems if problem.kind == "shut-out"] == []


class TestMembersOfJson:
    @pytest.mark.parametrize(
        ("column", "shut", "open_"),
        [
            ("app_metadata jsonb", {"blocked": True}, {"blocked": False}),  # Auth0
            ("raw_app_meta_data jsonb", {"banned_until": "2099-01-01T00:00:00Z"}, {"banned_until": "2020-01-01"}),
            ("user_metadata json", {"disabled": True, "text": "\\u0000"}, {"disabled": None, "text": "\\ud83d"}),
            ('"privateMetadata" json', {"isBanned": 1, "emoji": "\U0001f600"}, {"isBanned": 0}),  # Clerk
            ("metadata jsonb", {"suspendedAt": 1700000000000}, {"suspendedAt": 0}),
            ("profile_data jsonb", {"deleted_at": "2026-01-01"}, {"deleted_at": ""}),
            ("extra jsonb", {"status": "Banned"}, {"status": "whatever"}),
            ("flags jsonb", {"locked": "yes"}, {"locked": "no", "unlocked": True}),
            ("attributes jsonb", {"ban": {"reason": "spam"}}, {"ban": {}}),
        ],
    )
    def test_that_shut_a_user_out_there_do_so_here(
        self, source: Connection, column: str, shut: dict[str, Any], open_: dict[str, Any]
    ) -> None:
        _users(source, column, *(f"'{json.dumps(said)}'" for said in (shut, open_)), "NULL", "'[1]'", "'{}'")
        arrived = move(source, **JUDGED, on_bad_row="reject")
        assert arrived.all("SELECT id, disabled FROM users ORDER BY id")[:1] == [("1", 1)]
        assert arrived.one("SELECT sum(disabled) FROM users") == 1
        problem = arrived.problem("shut-out", "users")
        name = column.split()[0].strip('"')
        assert (problem.count, problem.stops) == (1, False)
        assert f"{name}.{next(iter(shut))}" in problem.message

    @pytest.mark.parametrize(
        ("column", "path", "shut", "open_"),
        [
            ("app_metadata jsonb", "moderation.banned", {"moderation": {"banned": True}}, {"moderation": {}}),
            ("newsletter jsonb", "disabled", {"disabled": True}, {"disabled": False}),
            ("metadata jsonb", "active", {"active": False}, {"active": True}),
        ],
    )
    def test_that_may_speak_of_something_else_are_asked_about(
        self, source: Connection, column: str, path: str, shut: dict[str, Any], open_: dict[str, Any]
    ) -> None:
        _users(source, column, *(f"'{json.dumps(said)}'" for said in (open_, shut, {}, shut)))
        arrived = move(source, **JUDGED)
        assert arrived.stopping() == [("unrecognised", "profile")]
        name = f"{column.split()[0]}.{path}"
        problem = arrived.problem("unrecognised", "users")
        assert problem.count == 2
        assert f'disabled = "{name}"' in problem.message
        for told, disabled in ((name, 2), ("", 0)):
            profile = f'authstore_profile = 1\n[users]\ntable = "users"\n[users.columns]\ndisabled = "{told}"'
            arrived = move(source, profile, **JUDGED)
            assert arrived.stopping() == []
            assert arrived.one("SELECT sum(disabled) FROM users") == disabled

    @pytest.mark.parametrize(
        "said", [{"theme": {"enabled": False}, "role": "user"}, {"blocked_words": ["x"]}, {"a": [{"banned": True}]}]
    )
    def test_of_other_things_keep_nobody_out(self, source: Connection, said: dict[str, Any]) -> None:
        _users(source, "metadata jsonb", f"'{json.dumps(said)}'")
        arrived = move(source, **JUDGED)
        assert (arrived.stopping(), arrived.one("SELECT disabled FROM users")) == ([], 0)

    def test_that_come_later_make_it_another_plan(self, source: Connection) -> None:
        _users(source, "metadata jsonb", '\'{"plan": "gold"}\'')
        (copy,) = (one for one in move(source, **JUDGED).plan.copies if one.target == "users")
        source.execute('UPDATE users SET metadata = \'{"plan": "gold", "blocked": false}\'')
        assert any(
            source.execute(f"SELECT count(*) FROM {copy.source_from} WHERE {watched}".encode()).fetchone() == (1,)
            for watched in copy.watched
        )


def test_a_ban_s_reason_and_end_stay_with_the_user(source: Connection) -> None:
    _users(source, 'banned boolean; "banReason" text; "banExpires" timestamp', "true, 'spam', '2099-01-01'")
    assert '"banReason":"spam"' in move(source).one("SELECT data FROM users").replace(" ", "")


class TestWords:
    def test_that_nobody_knows_stop_the_move_and_are_named_with_their_count(self, source: Connection) -> None:
        _users(source, "status text", "'active'", "'probation'", "'probation'", "'banned'")
        arrived = move(source)
        assert arrived.stopping() == [("unrecognised", "profile")]
        problem = arrived.problem("unrecognised", "users")
        assert problem.count == 2
        assert "'probation'" in problem.message

    @pytest.mark.parametrize("column", ["status", "role_level"])
    def test_a_profile_says_which_column_shuts_out_whatever_is_not_active(
        self, source: Connection, column: str
    ) -> None:
        _users(source, "status text; role_level text", "'active', 'no'", "'probation', 'yes'", "NULL, NULL")
        profile = f'authstore_profile = 1\n[users]\ntable = "users"\n[users.columns]\ndisabled = "{column}"'
        arrived = move(source, profile)
        assert arrived.stopping() == []
        assert arrived.all("SELECT id, disabled FROM users ORDER BY id")[:2] == [("1", 0), ("2", 1)]

    def test_a_profile_may_say_that_nothing_shuts_out(self, source: Connection) -> None:
        _users(source, "status text; banned boolean", "'probation', true")
        profile = 'authstore_profile = 1\n[users]\ntable = "users"\n[users.columns]\ndisabled = ""'
        arrived = move(source, profile)
        assert (arrived.stopping(), arrived.one("SELECT disabled FROM users")) == ([], 0)

    def test_a_state_of_the_union_is_no_state_of_a_user(self, source: Connection) -> None:
        _users(source, "state text", "'Ohio'", "'Utah'")
        assert move(source).stopping() == []

    def test_a_number_for_a_state_is_asked_about_where_it_is_no_row_of_another_table(self, source: Connection) -> None:
        _users(source, "state integer", "1", "2")
        assert move(source).stopping() == [("unrecognised", "profile")]
        source.execute("CREATE TABLE states (id integer PRIMARY KEY); INSERT INTO states VALUES (1), (2)")
        source.execute("ALTER TABLE users ADD FOREIGN KEY (state) REFERENCES states (id)")
        assert move(source).stopping() == []

    def test_what_people_write_about_themselves_is_no_state(self, source: Connection) -> None:
        _users(source, "status text", *(f"'feeling {number}'" for number in range(25)))
        assert move(source).stopping() == []


@pytest.mark.parametrize(
    ("columns", "dead", "alive"),
    [
        ("revoked_at timestamptz", "'2026-01-01'", "NULL"),
        ("revoked boolean", "true", "false"),
        ('"isValid" boolean', "false", "true"),
        ('"loggedOutAt" bigint', "1700000000", "NULL"),
        ("status text", "'revoked'", "'active'"),
        ("deleted_at timestamp", "'2026-01-01'", "NULL"),
    ],
)
@pytest.mark.parametrize("with_expired", [False, True])
def test_a_session_that_was_ended_there_does_not_come_alive(
    source: Connection, columns: str, dead: str, alive: str, with_expired: bool
) -> None:
    first, second = seed(source, "prisma_v5", users=1).sessions[:2]
    name = columns.split()[0]
    source.execute(f'ALTER TABLE "Session" ADD COLUMN {columns}'.encode())
    source.execute(f'UPDATE "Session" SET {name} = {alive}'.encode())
    source.execute(f'UPDATE "Session" SET {name} = {dead} WHERE "sessionToken" = %s'.encode(), [first.token])
    arrived = move(source, with_expired=with_expired)
    hashes = {found for (found,) in arrived.all("SELECT token_hash FROM sessions")}
    assert sha256(second.token.encode()).digest() in hashes
    assert sha256(first.token.encode()).digest() not in hashes
    assert arrived.problem("shut-out", "Session").count == 1
    assert arrived.rejected == {}


def test_a_spent_token_and_an_unlinked_account_stay_behind(source: Connection) -> None:
    create(source, "pg_adapter")
    source.execute("ALTER TABLE verification_token ADD COLUMN used_at timestamptz")
    source.execute("ALTER TABLE accounts ADD COLUMN deleted_at timestamptz")
    source.execute("INSERT INTO users (id, email) VALUES (1, 'a@example.com')")
    source.execute(
        "INSERT INTO verification_token (identifier, token, expires, used_at) VALUES"
        " ('a@example.com', 'a-token-that-was-used', '2099-01-01', '2026-01-01'),"
        " ('a@example.com', 'a-token-that-was-not', '2099-01-01', NULL)"
    )
    source.execute(
        'INSERT INTO accounts ("userId", type, provider, "providerAccountId", deleted_at)'
        " VALUES (1, 'oauth', 'github', '7', '2026-01-01'), (1, 'oauth', 'google', '8', NULL)"
    )
    arrived = move(source)
    assert arrived.one("SELECT count(*) FROM verification_tokens") == 1
    assert arrived.all("SELECT provider FROM accounts") == [("google",)]


async def test_a_banned_user_cannot_sign_in_after_a_move(source: Connection, source_url: str, tmp_path: Path) -> None:
    seeded = seed(source, "better_auth", users=2)
    source.execute('ALTER TABLE "user" ADD COLUMN banned boolean, ADD COLUMN "banReason" text')
    user = seeded.users[0]
    source.execute('UPDATE "user" SET banned = true WHERE id = %s', [user.id])
    await moved(source_url, tmp_path / "auth.db", secrets="drop")
    async with connect(tmp_path / "auth.db") as store:
        arrived = await store.get_user(user.id)
        assert arrived is not None
        assert arrived.disabled
        for session in seeded.sessions:
            found = await store.get_session_and_user(session.token)
            assert found is None or found[1].id != user.id


class TestListsOfWhoIsKeptOut:
    @pytest.mark.parametrize("table", ["bans", "user_bans", "blocklist", "blocked_users", "UserSuspension"])
    async def test_stop_the_move_while_they_name_anybody(
        self, source: Connection, source_url: str, tmp_path: Path, table: str
    ) -> None:
        seed(source, "pg_adapter", users=1)
        source.execute(f'CREATE TABLE "{table}" (id serial PRIMARY KEY, user_id int, reason text)'.encode())
        assert (await _plan(source_url, tmp_path)).ok
        source.execute(f'INSERT INTO "{table}" (user_id) VALUES (1)'.encode())
        plan = await _plan(source_url, tmp_path)
        assert not plan.ok
        (problem,) = (problem for problem in plan.problems if problem.stops)
        assert (problem.kind, problem.count) == ("shut-out", 1)
        assert (await _plan(source_url, tmp_path, skip=(table,))).ok


class TestWhatIsKeptBesideEachUser:
    @pytest.mark.parametrize(
        ("column", "shut", "open_"),
        [
            ("banned boolean", "true", "false"),
            ("suspended_at timestamptz", "now()", "NULL"),
            ("locked int", "1", "0"),
            ("settings jsonb", """'{"a": 1, "is_banned": true}'""", """'{"is_banned": false, "notbanned": true}'"""),
            ("settings text", """'{"blockedAt":"2026-01-01"}'""", """'{"blockedAt":""}'"""),
        ],
    )
    async def test_stops_the_move_while_it_bars_anybody(
        self, source: Connection, source_url: str, tmp_path: Path, column: str, shut: str, open_: str
    ) -> None:
        seed(source, "pg_adapter", users=1)
        source.execute(f"CREATE TABLE profiles (id int PRIMARY KEY REFERENCES users, {column})".encode())
        source.execute(f"INSERT INTO profiles VALUES (1, {open_})".encode())
        assert (await _plan(source_url, tmp_path)).ok
        source.execute(f"UPDATE profiles SET {column.split()[0]} = {shut}".encode())
        (problem,) = (one for one in (await _plan(source_url, tmp_path)).problems if one.stops)
        assert (problem.kind, problem.table, problem.count) == ("shut-out", "public.profiles", 1)
        assert column.split()[0] in problem.message

    async def test_of_things_there_are_many_of_it_says_nothing(
        self, source: Connection, source_url: str, tmp_path: Path
    ) -> None:
        seed(source, "pg_adapter", users=1)
        source.execute("CREATE TABLE posts (id serial PRIMARY KEY, user_id int REFERENCES users, locked boolean)")
        source.execute("INSERT INTO posts (user_id, locked) VALUES (1, true)")
        assert (await _plan(source_url, tmp_path)).ok


async def _plan(url: str, folder: Path, **options: Any) -> Any:
    return await make_plan(url, folder / "auth.db", MoveOptions(secrets="drop", **options))
