"""Whose row it is: found by whatever the source refers to users with; a row of nobody is an orphan."""

from typing import Any

import psycopg

from tests.mover.auth.planning import move
from tests.mover.seeds import seed

Connection = psycopg.Connection[Any]


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

    def test_are_found_behind_a_foreign_key_that_was_never_checked(self, source: Connection) -> None:
        seed(source, "prisma_mapped", users=3)
        source.execute("""
            ALTER TABLE accounts DROP CONSTRAINT accounts_user_id_fkey;
            UPDATE accounts SET user_id = 'gone' WHERE id = (SELECT min(id) FROM accounts);
            ALTER TABLE accounts ADD FOREIGN KEY (user_id) REFERENCES users (id) NOT VALID""")
        problem = move(source).problem("orphan", "accounts")
        assert (problem.stops, problem.count) == (True, 1)

    def test_that_have_expired_anyway_are_not_asked_about(self, source: Connection) -> None:
        seed(source, "pg_adapter", users=1)
        source.execute("""UPDATE sessions SET "userId" = 99, expires = now() - interval '1 day'""")
        assert move(source).stopping() == []


class TestReferences:
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
