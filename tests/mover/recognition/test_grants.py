"""Role tables are recognised where authstore can say what they say, and carried as they are where not."""

from typing import Any

import psycopg

from tests.mover.recognition.recognising import look, stops, tables
from tests.mover.seeds import create

Connection = psycopg.Connection


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
