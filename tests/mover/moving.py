"""Moving for the tests, and looking at what came of it without asking the mover."""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from authstore import connect
from authstore.mover import MoveReport, VerifyReport, make_plan, move, verify
from authstore.mover.tuning import DEFAULT, Tuning
from tests.mover.seeds import Seeded

DECIDED: dict[str, Any] = {
    "on_bad_row": "reject",
    "on_orphan": "reject",
    "on_duplicate": "keep-oldest",
    "secrets": "keep",
}


async def moved(url: str, target: Path, *, tuning: Tuning = DEFAULT, **options: Any) -> MoveReport:
    """Plans and moves."""
    return await move(await make_plan(url, target, **options), tuning=tuning)


async def verified(url: str, target: Path) -> VerifyReport:
    return await verify(url, target)


BOOKS = ("changes", "change_log", "ended_tokens")  # what a store notes of its own writes


def contents(target: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table but the ledger's, in an order of its own."""
    with closing(sqlite3.connect(target)) as connection:
        names = [
            name
            for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            if not name.startswith(("sqlite_", "authstore_")) and name not in BOOKS
        ]
        return {name: sorted(connection.execute(_select(name)), key=repr) for name in names}


def _select(name: str) -> str:
    return 'SELECT * FROM "' + name.replace('"', '""') + '"'


def change(target: Path, *statements: str) -> None:
    """As an application would write to the file."""
    with closing(sqlite3.connect(target)) as connection:
        connection.execute("PRAGMA foreign_keys = OFF")
        for statement in statements:
            connection.execute(statement)
        connection.commit()


def one(target: Path, query: str) -> Any:
    with closing(sqlite3.connect(target)) as connection:
        return connection.execute(query).fetchone()[0]


async def assert_signed_in(target: Path, seeded: Seeded) -> None:
    """Every living session of the source is one in the store, of the same user."""
    async with connect(target, create=False) as store:
        for session in seeded.sessions:
            found = await store.get_session_and_user(session.token)
            assert found is not None
            assert found[1].id == session.user_id
            assert abs((found[0].expires - session.expires).total_seconds()) < 1
        for user in seeded.users:
            stored = await store.get_user(user.id)
            assert stored is not None
            assert stored.email == user.email
            assert (stored.email_verified is None) == (user.verified is None)
        for provider, number, user_id in seeded.accounts:
            owner = await store.get_user_by_account(provider, number)
            assert owner is not None
            assert owner.id == user_id


PRISMA = """
CREATE TABLE "User" (id text PRIMARY KEY, name text, email text UNIQUE, "emailVerified" timestamptz, image text);
CREATE TABLE "Session" (
    id text PRIMARY KEY, "sessionToken" text UNIQUE NOT NULL, expires timestamptz NOT NULL,
    "userId" text NOT NULL REFERENCES "User" (id)
);
CREATE TABLE note (
    id serial PRIMARY KEY, author text REFERENCES "User" (id), body text, weight float8, pages int, thumb bytea
);
CREATE INDEX note_author ON note (author);
"""


def people(source: psycopg.Connection[Any], users: int = 50, sessions: int = 3, notes: int = 2) -> None:
    """A small application: users u1, u2, …; sessions of each; notes of each."""
    for statement in PRISMA.split(";\n"):
        if statement.strip():
            source.execute(statement.encode())
    source.execute(
        """INSERT INTO "User" SELECT 'u' || n, 'User ' || n, 'u' || n || '@example.com', now(), NULL
           FROM generate_series(1, %s) AS n""",
        (users,),
    )
    source.execute(
        """INSERT INTO "Session"
           SELECT 's' || n, 'token-of-session-' || n, now() + interval '20 days', 'u' || 1 + n %% %s
           FROM generate_series(1, %s) AS n""",
        (users, users * sessions),
    )
    source.execute(
        """INSERT INTO note (author, body, weight, pages, thumb)
           SELECT 'u' || 1 + n %% %s, repeat('é ' || n, 3), n / 7.0, n,
                  decode('ffd8ffe0' || lpad(to_hex(n), 12, '0'), 'hex')
           FROM generate_series(1, %s) AS n""",
        (users, users * notes),
    )


def expected(source: psycopg.Connection[Any]) -> dict[str, list[tuple[Any, ...]]]:
    """What `people` (changed as it may be) must be in the target, worked out here from the source's plain values."""
    import hashlib

    users = source.execute('SELECT id, email, name FROM "User"').fetchall()
    sessions = source.execute('SELECT id, "sessionToken", "userId" FROM "Session"').fetchall()
    notes = source.execute("SELECT id, author, body, weight, pages, thumb FROM note").fetchall()
    return {
        "users": sorted(users, key=repr),
        "sessions": sorted(
            ((id_, hashlib.sha256(token.encode()).digest(), user) for id_, token, user in sessions), key=repr
        ),
        "note": sorted(notes, key=repr),
    }


def actual(target: Path) -> dict[str, list[tuple[Any, ...]]]:
    queries = {
        "users": "SELECT id, email, name FROM users",
        "sessions": "SELECT id, token_hash, user_id FROM sessions",
        "note": "SELECT id, author, body, weight, pages, thumb FROM note",
    }
    with closing(sqlite3.connect(target)) as connection:
        return {name: sorted(connection.execute(query), key=repr) for name, query in queries.items()}


def names(folder: Path) -> Iterable[str]:
    return sorted(path.name for path in folder.iterdir())


@contextmanager
def traced(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Every statement that any connection of SQLite opened in the block is asked."""
    asked: list[str] = []
    plain = sqlite3.connect

    def connect_traced(*arguments: Any, **options: Any) -> sqlite3.Connection:
        connection = plain(*arguments, **options)
        connection.set_trace_callback(asked.append)
        return connection

    with monkeypatch.context() as patched:
        patched.setattr(sqlite3, "connect", connect_traced)
        yield asked
