"""Roles arrive by name and permissions by what they allow; nobody gets a right that was not granted."""

from typing import Any

import psycopg

from tests.mover.auth.planning import move
from tests.mover.seeds import seed

Connection = psycopg.Connection[Any]


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
        assert ("duplicate", "on_duplicate") in move(source).stopping()
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
        assert move(source).stopping() == [("orphan", "on_orphan")]
        assert move(source, on_orphan="reject").one("SELECT count(*) FROM user_roles") == 2
