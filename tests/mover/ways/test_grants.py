"""Roles, permissions and who was granted them, from another application's SQLite file."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from authstore import connect
from authstore.mover import make_plan, move, verify
from tests.mover.moving import change, contents, one
from tests.mover.ways.old_files import BETTER_AUTH, DRIZZLE, LUCIA, PRISMA, made

GRANTS = """
CREATE TABLE roles (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, description TEXT, colour TEXT,
    is_active INTEGER NOT NULL DEFAULT 1);
CREATE TABLE permissions (id TEXT PRIMARY KEY, resource TEXT NOT NULL, action TEXT NOT NULL, label TEXT);
CREATE TABLE user_roles (user_id TEXT NOT NULL, role_id INTEGER NOT NULL REFERENCES roles (id), assigned_at INTEGER,
    PRIMARY KEY (user_id, role_id));
CREATE TABLE role_permissions (role_id INTEGER NOT NULL, permission_id TEXT NOT NULL);
INSERT INTO roles VALUES (1, 'admin', 'All of it', 'red', 1), (4, 'editor', NULL, NULL, 1);
INSERT INTO permissions VALUES ('p1', 'post', 'read', 'Read'), ('p2', 'post', 'write', NULL);
INSERT INTO role_permissions VALUES (1, 'p1'), (1, 'p2'), (4, 'p1'), (4, 'p1');
INSERT INTO user_roles VALUES ('u1', 1, 1700000000), ('u1', 4, NULL), ('u2', 4, NULL);
"""
SHAPES = {"prisma": PRISMA, "drizzle": DRIZZLE, "better-auth": BETTER_AUTH, "lucia": LUCIA}


def stopping(problems: Sequence[Any]) -> list[tuple[str, str, int]]:
    return [(each.kind, each.decision, each.count) for each in problems if each.stops]


@pytest.mark.parametrize("shape", SHAPES)
async def test_whoever_was_granted_a_role_still_has_it(tmp_path: Path, shape: str) -> None:
    source, target = made(tmp_path, SHAPES[shape] + GRANTS), tmp_path / "auth.db"
    plan = await make_plan(source, target, secrets="keep")
    assert plan.ok, plan.problems
    assert {table.source for table in plan.tables if table.role} >= {"roles", "permissions", "user_roles"}
    await move(plan)
    async with connect(target, create=False) as store:
        assert [role.name for role in await store.get_roles("u1")] == ["admin", "editor"]
        assert [role.name for role in await store.get_roles("u2")] == ["editor"]
        may_write = [await store.has_permission(user, "post", "write") for user in ("u1", "u2")]
        assert (may_write, await store.has_permission("u2", "post", "read")) == ([True, False], True)
    found = contents(target)
    assert found["roles"][0] == ("admin", "All of it", '{"id": 1, "colour": "red", "is_active": 1}')
    assert not {name for name in found if name.startswith("source_")}
    assert (await verify(source, target)).ok
    change(tmp_path / "old.db", "DELETE FROM user_roles WHERE user_id = 'u2'")
    assert (await verify(source, target)).tables["user_roles"].extra == 1
    await move(await make_plan(source, target, secrets="keep"))
    assert one(target, "SELECT group_concat(user_id) FROM user_roles") == "u1,u1"


async def test_what_has_no_field_is_named(tmp_path: Path) -> None:
    off = "UPDATE roles SET is_active = 0 WHERE name = 'editor'"
    plan = await make_plan(made(tmp_path, PRISMA + GRANTS, off), tmp_path / "auth.db")
    said = {problem.message: problem.samples for problem in plan.problems if problem.kind != "expired"}
    assert said == {
        "columns of main.roles without a field are kept in data alone: colour, is_active": (),
        "1 row of main.roles are switched off by is_active: granted, they hold again": ("editor",),
        "columns of main.permissions without a field are left behind: label": (),
        "columns of main.user_roles without a field are left behind: assigned_at": (),
        "1 row of main.role_permissions cannot move: the same grant as an older row": ("4",),
    }


@pytest.mark.parametrize(("decided", "admins"), [("keep-oldest", 1), ("merge", 2)])
async def test_roles_of_one_name_are_asked_about(tmp_path: Path, decided: str, admins: int) -> None:
    twin = ("INSERT INTO roles VALUES (9, 'admin', NULL, NULL, 1)", "INSERT INTO user_roles VALUES ('u2', 9, 0)")
    source, target = made(tmp_path, PRISMA + GRANTS, *twin), tmp_path / "auth.db"
    assert stopping((await make_plan(source, target)).problems) == [("duplicate", "on_duplicate", 1)]
    await move(await make_plan(source, target, on_duplicate=decided))
    assert one(target, "SELECT count(*) FROM roles") == 2
    assert one(target, "SELECT count(*) FROM user_roles WHERE role_name = 'admin'") == admins
    assert (await verify(source, target)).ok


async def test_permissions_that_allow_the_same_are_one(tmp_path: Path) -> None:
    twin = (
        "INSERT INTO permissions VALUES ('p3', 'post', 'write', '')",
        "INSERT INTO role_permissions VALUES (4, 'p3')",
    )
    target = tmp_path / "auth.db"
    await move(await make_plan(made(tmp_path, PRISMA + GRANTS, *twin), target))
    assert one(target, "SELECT count(*) FROM permissions") == 2
    assert one(target, "SELECT count(*) FROM role_permissions WHERE role_name = 'editor'") == 2


@pytest.mark.parametrize(
    ("more", "asked"),
    [
        ("INSERT INTO user_roles VALUES ('u1', 77, 0)", [("orphan", "on_orphan", 1)]),
        ("INSERT INTO user_roles VALUES ('nobody', 1, 0)", [("orphan", "on_orphan", 1)]),
        ("INSERT INTO role_permissions VALUES (1, 'p77')", [("orphan", "on_orphan", 1)]),
        ("INSERT INTO role_permissions VALUES (77, 'p1')", [("orphan", "on_orphan", 1)]),
        ("UPDATE roles SET name = '' WHERE id = 4", [("bad-row", "on_bad_row", 1)]),
        ("UPDATE permissions SET action = '' WHERE id = 'p1'", [("bad-row", "on_bad_row", 1)]),
    ],
)
async def test_grants_of_what_does_not_come_are_asked_about(
    tmp_path: Path, more: str, asked: list[tuple[str, str, int]]
) -> None:
    source, target = made(tmp_path, PRISMA + GRANTS, more), tmp_path / "auth.db"
    assert stopping((await make_plan(source, target)).problems) == asked
    await move(await make_plan(source, target, on_orphan="reject", on_bad_row="reject"))
    with closing(sqlite3.connect(target)) as connection:
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    assert (await verify(source, target)).ok


async def test_grants_that_something_limits_are_carried_as_they_are(tmp_path: Path) -> None:
    more = ("ALTER TABLE user_roles ADD COLUMN tenant TEXT", "UPDATE user_roles SET tenant = 'shop'")
    source, target = made(tmp_path, PRISMA + GRANTS, *more), tmp_path / "auth.db"
    plan = await make_plan(source, target)
    assert any("tenant limits what it grants" in problem.message for problem in plan.problems)
    await move(plan)
    assert one(target, "SELECT count(*) FROM user_roles") == 0
    assert one(target, "SELECT count(*) FROM source_user_roles WHERE tenant = 'shop'") == 3
    assert (
        one(target, "SELECT name FROM source_roles JOIN source_user_roles ON role_id = id WHERE user_id = 'u2'")
        == "editor"
    )


async def test_roles_may_be_left_behind(tmp_path: Path) -> None:
    source, target = made(tmp_path, PRISMA + GRANTS), tmp_path / "auth.db"
    plan = await make_plan(source, target, skip=("roles", "permissions", "user_roles", "role_permissions"))
    assert plan.ok, plan.problems
    await move(plan)
    assert {name for name in contents(target) if "role" in name} == {"roles", "user_roles", "role_permissions"}
    assert one(target, "SELECT count(*) FROM roles") == 0
