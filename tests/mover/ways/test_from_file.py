"""Another application's SQLite file becomes a store: Auth.js with Prisma or Drizzle, Better Auth, Lucia."""

import json
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from authstore import connect
from authstore.errors import ConfigurationError
from authstore.mover import TargetChangedError, UndecidedError, make_plan, move, rollback, verify
from tests.mover.moving import change, one
from tests.mover.ways.old_files import BETTER_AUTH, DRIZZLE, PRISMA, SHAPES, made

TOKEN, LATER = "token-of-a-session-{}", 4_000_000_000  # seconds: the year 2096


def stopping(problems: Sequence[Any]) -> set[tuple[str, int]]:
    return {(problem.decision, problem.count) for problem in problems if problem.stops}


@pytest.mark.parametrize("name", SHAPES)
async def test_whoever_was_signed_in_still_is(tmp_path: Path, name: str) -> None:
    source, target = made(tmp_path, SHAPES[name]), f"sqlite:///{tmp_path / 'new.db'}"
    before = (tmp_path / "old.db").read_bytes()
    plan = await make_plan(source, target, secrets="keep")
    assert plan.ok, plan.problems
    assert not (tmp_path / "new.db").exists()
    await move(plan)

    async with connect(target, create=False) as store:
        for number, user in ((1, "u1"), (2, "u2")):
            found = await store.get_session_and_user(TOKEN.format(number))
            assert found is not None
            assert found[1].id == user
            assert found[0].expires.timestamp() == LATER
        owner = await store.get_user_by_account("github", "42")
        assert owner is not None
        assert (owner.id, owner.email) == ("u1", "ada@example.com")
        assert await store.get_session_and_user(TOKEN.format(3)) is None
        assert (owner.email_verified is None) == (name == "lucia")
    assert (await verify(source, target)).ok
    assert (tmp_path / "old.db").read_bytes() == before


async def test_other_tables_come_with_what_refers_to_users(tmp_path: Path) -> None:
    more = 'CREATE TABLE accounts (id INTEGER PRIMARY KEY, post INTEGER REFERENCES "Post", who TEXT REFERENCES [User])'
    source = made(tmp_path, PRISMA, more, "INSERT INTO accounts VALUES (1, 7, 'u2')", "CREATE VIEW v AS SELECT 1 AS x")
    target = tmp_path / "new.db"
    plan = await make_plan(source, target)
    await move(plan)

    assert one(target, 'SELECT title FROM "Post" JOIN users ON users.id = "authorId"') == "Hello"
    assert one(target, "SELECT who FROM source_accounts") == "u2"
    assert one(target, "SELECT count(*) FROM sqlite_master WHERE name = 'Post_title_idx'") == 1
    assert one(target, "SELECT count(*) FROM pragma_foreign_key_list('source_accounts') WHERE \"table\" = 'users'") == 1
    assert [problem.message for problem in plan.problems if "view v" in problem.message]
    change(target, "INSERT INTO \"Post\" (title) VALUES ('next')")
    assert one(target, 'SELECT max(id) FROM "Post"') == 8


async def test_passkeys_come(tmp_path: Path) -> None:
    target = tmp_path / "new.db"
    await move(await make_plan(made(tmp_path, DRIZZLE), target))
    async with connect(target) as store:
        found = await store.get_authenticator("AAEC-_8")
        assert found is not None
        assert (found.public_key, found.counter, found.device_type) == (b"\1\2\3", 3, "multi_device")
        assert list(found.transports) == ["usb", "nfc"]


BAD = (
    "INSERT INTO \"User\" VALUES ('u3', 'Twin', 'ada@example.com', NULL, NULL, '2025-01-01')",
    "INSERT INTO \"User\" VALUES ('u4', 'Odd', 'no address', NULL, NULL, 'soon')",
    "INSERT INTO \"Session\" VALUES ('s4', 'token-of-a-session-4', 'u3', 4000000000000)",
    "INSERT INTO \"Session\" VALUES ('s5', 'short', 'u1', 4000000000000)",
    "INSERT INTO \"Session\" VALUES ('s6', 'token-of-a-session-6', 'nobody', 4000000000000)",
    "INSERT INTO \"Post\" VALUES (8, 'Lost', 'nobody'), (9, 'Twin''s', 'u3')",
)


async def test_what_is_undecided_stops_and_nothing_is_written(tmp_path: Path) -> None:
    source, target = made(tmp_path, PRISMA, *BAD), tmp_path / "new.db"
    plan = await make_plan(source, target)
    assert stopping(plan.problems) == {("on_duplicate", 1), ("on_bad_row", 1), ("on_orphan", 1), ("on_orphan", 2)}
    with pytest.raises(UndecidedError):
        await move(plan)
    assert [path.name for path in tmp_path.iterdir() if path.name != "old.db"] == []


async def test_what_is_rejected_is_kept_without_its_secrets(tmp_path: Path) -> None:
    source, target = made(tmp_path, PRISMA, *BAD), tmp_path / "new.db"
    decided = {"on_duplicate": "keep-oldest", "on_bad_row": "reject", "on_orphan": "reject"}
    report = await move(await make_plan(source, target, **decided))

    assert report.rejected == 7
    assert report.rejects is not None
    lines = Path(report.rejects).read_text().splitlines()
    assert sorted(json.loads(line)["key"] for line in lines) == ["8", "9", "s4", "s5", "s6", "u3", "u4"]
    assert "token-of-a-session" not in "".join(lines)
    assert one(target, "SELECT group_concat(id) FROM users") == "u1,u2"
    assert (await verify(source, target)).ok


async def test_users_who_are_one_become_one_where_both_addresses_are_verified(tmp_path: Path) -> None:
    twin = "INSERT INTO \"User\" VALUES ('u3', 'Twin', 'ADA@example.com', 1700000000000, NULL, '2025-01-01')"
    more = (twin, BAD[2], "INSERT INTO \"Post\" VALUES (9, 'Twin''s', 'u3')")
    target = tmp_path / "new.db"
    await move(await make_plan(made(tmp_path, PRISMA, *more), target, on_duplicate="merge"))
    assert one(target, "SELECT user_id FROM sessions WHERE id = 's4'") == "u1"
    assert one(target, 'SELECT "authorId" FROM "Post" WHERE id = 9') == "u1"


@pytest.mark.parametrize(
    ("column", "shut"),
    [
        ("banned BOOLEAN", "1"),
        ('"accountNonLocked" BOOLEAN DEFAULT 1', "0"),
        ('"deletedAt" INTEGER DEFAULT 0', "1700000000"),
        ("valid_until DATE", "'2020-01-01'"),
        ("ban_reason TEXT", "'spam'"),
        ("role TEXT DEFAULT 'user'", "'banned'"),
        ("""app_metadata JSON DEFAULT '{"blocked": false}'""", """'{"blocked": true}'"""),
        ("""metadata TEXT DEFAULT 'none'""", """'{"bannedUntil": "2099-01-01"}'"""),
        ("""metadata TEXT DEFAULT '{"suspended_at": null}'""", """'{"suspended_at": 1700000000}'"""),
    ],
)
async def test_a_door_that_was_shut_stays_shut(tmp_path: Path, column: str, shut: str) -> None:
    name = column.split()[0]
    banned = (f'ALTER TABLE "User" ADD COLUMN {column}', f"UPDATE \"User\" SET {name} = {shut} WHERE id = 'u2'")
    target = tmp_path / "new.db"
    plan = await make_plan(made(tmp_path, PRISMA, *banned), target)
    await move(plan)
    assert [problem.count for problem in plan.problems if problem.kind == "shut-out"] == [1]
    async with connect(target) as store:
        assert await store.get_session_and_user(TOKEN.format(2)) is None
        assert await store.get_session_and_user(TOKEN.format(1)) is not None


@pytest.mark.parametrize(("told", "disabled"), [("status", 1), ("meta.mail.blocked", 1), ("", 0)])
async def test_a_profile_says_which_column_or_member_shuts_out(tmp_path: Path, told: str, disabled: int) -> None:
    source = made(
        tmp_path,
        PRISMA,
        """ALTER TABLE "User" ADD COLUMN meta TEXT DEFAULT '{"mail": {}}'""",
        """ALTER TABLE "User" ADD COLUMN status TEXT DEFAULT 'active'""",
        """UPDATE "User" SET meta = '{"mail": {"blocked": true}}', status = 'probation' WHERE id = 'u2'""",
    )
    target, profile = tmp_path / "new.db", tmp_path / "profile.toml"
    plan = await make_plan(source, target)
    assert {(one.kind, one.decision) for one in plan.problems if one.stops} == {("unrecognised", "profile")}
    profile.write_text(f'authstore_profile = 1\n[users]\ntable = "User"\n[users.columns]\ndisabled = "{told}"')
    await move(await make_plan(source, target, profile=profile))
    assert one(target, "SELECT sum(disabled) FROM users") == disabled


@pytest.mark.parametrize(
    "beside",
    [
        ("CREATE TABLE user_bans (user_id TEXT, reason TEXT)", "INSERT INTO user_bans VALUES ('u2', 'spam')"),
        (
            'CREATE TABLE profiles (id TEXT PRIMARY KEY REFERENCES "User"(id), suspended_at TEXT)',
            "INSERT INTO profiles VALUES ('u1', NULL), ('u2', '2026-01-01')",
        ),
        (
            'CREATE TABLE profiles (id TEXT PRIMARY KEY REFERENCES "User"(id), prefs TEXT)',
            """INSERT INTO profiles VALUES ('u1', '{}'), ('u2', '{ "banned" : true }')""",
        ),
    ],
)
async def test_what_shuts_a_door_beside_the_users_is_asked_about(tmp_path: Path, beside: tuple[str, str]) -> None:
    target, source = tmp_path / "new.db", made(tmp_path, PRISMA, *beside)
    plan = await make_plan(source, target)
    assert [(one.kind, one.count) for one in plan.problems if one.stops] == [("shut-out", 1)]
    profile = tmp_path / "profile.toml"
    profile.write_text(f'authstore_profile = 1\ncarry = ["{beside[0].split()[2]}"]')
    assert (await make_plan(source, target, profile=profile)).ok


async def test_secrets_without_a_field_are_asked_for(tmp_path: Path) -> None:
    source, target = made(tmp_path, BETTER_AUTH), tmp_path / "new.db"
    assert {problem.decision for problem in (await make_plan(source, target)).problems if problem.stops} == {"secrets"}
    await move(await make_plan(source, target, secrets="drop"))
    assert b"scrypt:x" not in target.read_bytes()


async def test_moving_again_catches_up_and_never_goes_over_what_was_written(tmp_path: Path) -> None:
    source, target = made(tmp_path, PRISMA), tmp_path / "new.db"
    await move(await make_plan(source, target))
    change(
        tmp_path / "old.db",
        "UPDATE \"User\" SET name = 'Grace' WHERE id = 'u1'",
        "DELETE FROM \"Session\" WHERE id = 's2'",
    )
    assert not (await verify(source, target)).ok
    await move(await make_plan(source, target))
    assert one(target, "SELECT name FROM users WHERE id = 'u1'") == "Grace"
    assert (await verify(source, target)).ok
    change(target, "UPDATE users SET name = 'Mine' WHERE id = 'u1'")
    assert not (await make_plan(source, target)).ok
    with pytest.raises(TargetChangedError):
        await move(await make_plan(source, target))
    await move(await make_plan(source, target, replace=True))
    await rollback(target)
    assert one(target, "SELECT name FROM users WHERE id = 'u1'") == "Mine"


async def test_of_several_moves_only_the_last_one_s_backup_is_kept(tmp_path: Path) -> None:
    source, target = made(tmp_path, PRISMA), tmp_path / "new.db"
    for name in ("Grace", "Edith", "Joan", "Mary"):
        change(tmp_path / "old.db", f"UPDATE \"User\" SET name = '{name}' WHERE id = 'u1'")
        await move(await make_plan(source, target))
    (kept,) = tmp_path.glob("new.db.backup-*")
    assert one(kept, "SELECT name FROM users WHERE id = 'u1'") == "Joan"
    change(target, "UPDATE users SET name = 'Mine' WHERE id = 'u1'")
    await move(await make_plan(source, target, replace=True))
    for name in ("Mine", "Joan"):
        await rollback(target)
        assert one(target, "SELECT name FROM users WHERE id = 'u1'") == name
    await rollback(target)
    assert not target.exists()


async def test_a_store_is_no_source_for_a_store(tmp_path: Path) -> None:
    async with connect(tmp_path / "store.db"):
        pass
    with pytest.raises(ConfigurationError, match="a store already"):
        await make_plan(f"sqlite:///{tmp_path / 'store.db'}", tmp_path / "new.db")


async def test_it_comes_into_postgres_too(tmp_path: Path, source_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    source = made(tmp_path, PRISMA)
    await move(await make_plan(source, source_url))
    async with connect(source_url, create=False) as store:
        found = await store.get_session_and_user(TOKEN.format(1))
        assert found is not None
        assert found[1].email == "ada@example.com"
    change(tmp_path / "old.db", "UPDATE \"User\" SET name = 'Grace' WHERE id = 'u1'")
    assert not (await verify(source, source_url)).ok
    again = await move(await make_plan(source, source_url))
    assert again.tables["users"].copied == 1
    assert (await verify(source, source_url)).ok


DJANGO = """
CREATE TABLE django_session (session_key varchar(40) NOT NULL PRIMARY KEY, session_data text NOT NULL,
    expire_date datetime NOT NULL);
INSERT INTO django_session VALUES
    ('k2f7q0x9v4b8n1m6z3c5a7s2d9g4h8j1', 'eyJjYXJ0IjpbMSwyXX0:1vP6X2:x', '2096-10-02 07:06:40.5'),
    ('k2f7q0x9v4b8n1m6z3c5a7s2d9g4h8j2', 'no session', '2096-10-02 07:06:40'),
    ('k2f7q0x9v4b8n1m6z3c5a7s2d9g4h8j3', 'e30:1vP6X2:x', '2006-10-02 07:06:40'),
    ('short', 'e30:1vP6X2:x', '2096-10-02 07:06:40');
"""
FLASK = """
CREATE TABLE sessions (id INTEGER PRIMARY KEY, session_id VARCHAR(255) UNIQUE, data BLOB, expiry DATETIME);
INSERT INTO sessions VALUES
    (1, 'session:k2f7q0x9v4b8n1m6z3c5a7s2d9g4h8j1', X'81A463617274920102', '2096-10-02 07:06:40.5'),
    (2, 'session:k2f7q0x9v4b8n1m6z3c5a7s2d9g4h8j2', X'80049500', '2096-10-02 07:06:40'),
    (3, 'session:short', X'80', '2096-10-02 07:06:40');
"""


@pytest.mark.parametrize("schema", [DJANGO, FLASK], ids=["Django", "Flask-Session"])
async def test_a_session_store_becomes_visits(tmp_path: Path, schema: str) -> None:
    source, target = tmp_path / "old.db", tmp_path / "auth.db"
    with closing(sqlite3.connect(source)) as connection:
        connection.executescript(schema)
    plan = await make_plan(f"sqlite:///{source}", target)
    assert sum(problem.count for problem in plan.problems if problem.decision == "on_bad_row") == 2
    report = await move(await make_plan(f"sqlite:///{source}", target, on_bad_row="reject"))
    assert (report.tables["visits"].rows, report.rejected) == (1, 2)
    async with connect(target, create=False) as store:
        visit = await store.get_visit("k2f7q0x9v4b8n1m6z3c5a7s2d9g4h8j1")
        assert visit is not None
        assert (visit.data, visit.expires.isoformat()) == ({"cart": [1, 2]}, "2096-10-02T07:06:40.500000+00:00")
    assert "k2f7q0x9v4b8" not in Path(report.rejects or "").read_text("utf-8")
    assert (await verify(f"sqlite:///{source}", target)).ok


@pytest.mark.parametrize(
    "columns", ["id TEXT PRIMARY KEY, username TEXT", "id TEXT PRIMARY KEY", "id INTEGER PRIMARY KEY"]
)
async def test_users_of_lucia_need_no_address(tmp_path: Path, columns: str) -> None:
    source, target = tmp_path / "old.db", tmp_path / "auth.db"
    with closing(sqlite3.connect(source)) as connection, connection:
        connection.execute(f"CREATE TABLE user ({columns})")
        connection.execute(
            "CREATE TABLE session (id TEXT PRIMARY KEY, expires_at INTEGER, user_id REFERENCES user (id))"
        )
        connection.execute("INSERT INTO user (id) VALUES (7)")
        connection.execute("INSERT INTO session VALUES ('token-of-a-session-1', 4000000000, 7)")
    await move(await make_plan(f"sqlite:///{source}", target))
    async with connect(target, create=False) as store:
        found = await store.get_session_and_user(TOKEN.format(1))
        assert found is not None
        assert (found[1].id, found[1].email) == ("7", None)


async def test_who_is_named_in_a_session_store_is_for_a_source_in_postgres(tmp_path: Path) -> None:
    source, profile = tmp_path / "old.db", tmp_path / "profile.toml"
    with closing(sqlite3.connect(source)) as connection:
        connection.executescript(DJANGO + "CREATE TABLE users (id INTEGER PRIMARY KEY, email TEXT)")
    profile.write_text('authstore_profile = 1\n[visits]\ntable = "django_session"\nuser_in = "$._auth_user_id"\n')
    plan = await make_plan(f"sqlite:///{source}", tmp_path / "auth.db", profile=str(profile), on_bad_row="reject")
    assert [(each.kind, each.decision) for each in plan.problems if each.stops] == [("unrecognised", "profile")]
