"""A source with other tables beside the auth tables, and what becomes of them."""

import sqlite3
from collections.abc import Sequence
from typing import Any

import psycopg

from authstore.mover.carried.tables import Carried, carried_plan
from authstore.mover.copies import Role, TableCopy, UserChanges
from authstore.mover.names import quote
from authstore.mover.options import MoveOptions
from authstore.mover.postgres.asking import answered
from authstore.mover.postgres.introspection import read_source
from authstore.mover.recognition.recognised import Recognised
from authstore.mover.reports import Problem
from tests.mover.copying import arrive, empty_target

USERS = """
CREATE TABLE users (id serial PRIMARY KEY, email text UNIQUE);
CREATE TABLE roles (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), name text UNIQUE NOT NULL);
CREATE TABLE sessions (id serial PRIMARY KEY, token text UNIQUE, user_id int);
INSERT INTO users SELECT n, n || '@example.com' FROM generate_series(1, 9) n;
INSERT INTO roles (name) VALUES ('admin'), ('author');
"""


FIELDS: dict[Role, dict[str, str]] = {
    "users": {"id": "id", "email": "email"},
    "roles": {"id": "id", "name": "name"},
    "sessions": {"id": "id", "token": "token", "user_id": "user_id"},
}


class Move:
    """A source with users, roles and sessions, and what becomes of the other tables in it."""

    def __init__(self, source: psycopg.Connection[Any]) -> None:
        self.source = source
        self.options = MoveOptions(schemas=("public",))
        self.changes = UserChanges()

    def seed(self, script: str) -> None:
        self.source.execute(script.encode())

    def plan(self) -> Carried:
        """As the engine reads: with no schema of the user's in the search path."""
        with self.source.transaction():
            self.source.execute("SET LOCAL search_path = 'pg_catalog'")
            source = read_source(self.source, self.options.schemas)
            recognised = [
                Recognised(role, table, FIELDS[role])
                for table in source.tables
                for role in FIELDS
                if table.name == role
            ]
            return answered(self.source, carried_plan(source, recognised, self.options, self.changes))

    def arrive(self) -> sqlite3.Connection:
        """The target; that no row refers to nothing, and no text stands where a column was meant, is checked."""
        carried, target = self.plan(), empty_target()
        self._fill_own(target)
        target = arrive(carried.copies, self.source, target=target)
        for view in carried.views:
            target.execute(view)
        assert target.execute("PRAGMA foreign_key_check").fetchall() == []
        assert target.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return target

    def _fill_own(self, target: sqlite3.Connection) -> None:
        now = "2020-01-01T00:00:00.000000Z"
        for (key,) in self.source.execute("SELECT id::text FROM users"):
            if key not in self.changes.gone and key not in self.changes.merged:
                target.execute("INSERT INTO users (id, created_at, updated_at) VALUES (?, ?, ?)", (key, now, now))
        for (name,) in self.source.execute("SELECT name FROM roles"):
            target.execute("INSERT INTO roles (name) VALUES (?)", (name,))


def copy_of(carried: Carried, target: str) -> TableCopy:
    return next(copy for copy in carried.copies if copy.target == target)


def rows(target: sqlite3.Connection, table: str, columns: str = "*") -> list[tuple[Any, ...]]:
    return target.execute(f"SELECT {columns} FROM {quote(table)} ORDER BY 1").fetchall()


def said(problems: Sequence[Problem], *words: str) -> list[Problem]:
    return [problem for problem in problems if all(word in f"{problem.table} {problem.message}" for word in words)]


def refused(target: sqlite3.Connection, statement: str) -> bool:
    target.execute("PRAGMA foreign_keys = ON")
    target.execute("SAVEPOINT attempt")
    try:
        target.execute(statement)
    except sqlite3.IntegrityError:
        return True
    finally:
        target.execute("ROLLBACK TO attempt")
        target.execute("RELEASE attempt")
    return False


TREE = """
CREATE TABLE posts (id int PRIMARY KEY, author int NOT NULL REFERENCES users, parent int REFERENCES posts);
CREATE TABLE likes (post int NOT NULL REFERENCES posts, fan int NOT NULL REFERENCES users, PRIMARY KEY (post, fan));
CREATE TABLE notes (body text, post int, fan int, FOREIGN KEY (post, fan) REFERENCES likes);
INSERT INTO posts VALUES (1, 1, NULL), (2, 2, 1), (3, 1, 2), (4, 3, 3), (5, 3, NULL);
INSERT INTO likes VALUES (1, 1), (1, 2), (4, 1), (5, 3);
INSERT INTO notes VALUES ('a', 1, 1), ('b', 1, 2), ('c', 4, 1), ('d', 5, NULL);
"""
