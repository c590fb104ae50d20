"""What was decided about rows holds for those that come later: a followed target is what a fresh move would make."""

import asyncio
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from authstore.mover import UndecidedError, follow
from authstore.mover.names import OWN_TABLES
from authstore.mover.tuning import DEFAULT
from tests.mover.moving import DECIDED, moved
from tests.postgres import PostgresServer, fresh_database

pytestmark = [pytest.mark.postgres, pytest.mark.timeout(300)]

_Link = psycopg.Connection[Any]
Standing = dict[str, list[tuple[Any, ...]]]
MOMENTS = ("created_at", "updated_at", "last_used_at")
QUICK, PATIENCE = replace(DEFAULT, compare_share=1, compare_rest=0.2), 30.0
# As pg-adapter makes them: nothing is unique but the keys, and nothing refers to anything. Of passkeys and letters the
# key itself may be written in two ways.
TABLES = """
CREATE TABLE users (id int PRIMARY KEY, name text, email text, "emailVerified" timestamptz, image text,
    created_at timestamptz DEFAULT '2024-01-01');
CREATE TABLE accounts (id int PRIMARY KEY, "userId" int NOT NULL, type text NOT NULL, provider text NOT NULL,
    "providerAccountId" text NOT NULL);
CREATE TABLE sessions (id int PRIMARY KEY, "userId" int NOT NULL, expires timestamptz NOT NULL,
    "sessionToken" text NOT NULL);
CREATE TABLE verification_token (identifier text, token text, expires timestamptz NOT NULL,
    PRIMARY KEY (identifier, token));
CREATE TABLE authenticators ("credentialID" text PRIMARY KEY, "userId" int NOT NULL, "providerAccountId" text NOT NULL,
    "credentialPublicKey" text NOT NULL, counter int NOT NULL, "credentialDeviceType" text NOT NULL,
    "credentialBackedUp" bool NOT NULL, transports text);
CREATE TABLE roles (id int PRIMARY KEY, name text NOT NULL);
INSERT INTO roles VALUES (1, 'editor'), (2, 'reader');
CREATE TABLE user_roles (user_id int, role_id int);
CREATE TABLE note (id int PRIMARY KEY, author int, body text);
CREATE TABLE loose (author int, kind text);
"""
BEGINNING = """
TRUNCATE users, accounts, sessions, verification_token, authenticators, user_roles, note, loose;
INSERT INTO users SELECT n, 'User ' || n, 'u' || n || '@example.com', now() FROM generate_series(1, 4) AS n;
INSERT INTO accounts SELECT n, n, 'oauth', 'github', 'g' || n FROM generate_series(1, 4) AS n;
INSERT INTO sessions SELECT n, n, '2099-01-01', 'a-token-of-a-session-' || n FROM generate_series(1, 4) AS n;
INSERT INTO note SELECT n, n, 'n' FROM generate_series(1, 4) AS n;
"""
ids, users = st.integers(1, 6), st.integers(1, 6)
ADDRESSES = st.sampled_from(
    ["u1@example.com", "U1@Example.com", "u2@example.com", "U2@EXAMPLE.com", "bücher@example.com", "no address", ""]
)
VERIFIED = st.sampled_from(["2024-01-01", None])
CREATED = st.sampled_from(["2023-01-01", "2024-01-01", "2025-01-01"])
TOKENS = st.sampled_from(["a-token-of-a-session-1", "a-token-of-a-session-2", "a-token-of-nobody-1", "short"])
PROVIDED = st.sampled_from(["g1", "g2", "g7"])
LETTERS = st.sampled_from(["u1@example.com", "U1@example.com", "somebody"])
PASSKEYS = st.sampled_from(["AAEC-_8=", "AAEC+/8=", "AAEC-_8", "AAED"])


def _statement(query: str, *values: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[str, tuple[Any, ...]]]:
    return st.tuples(st.just(query), st.tuples(*values))


WRITES = st.one_of(
    _statement(
        'INSERT INTO users (id, email, "emailVerified", created_at) VALUES (%s, %s, %s, %s)'
        ' ON CONFLICT (id) DO UPDATE SET email = excluded.email, "emailVerified" = excluded."emailVerified",'
        " created_at = excluded.created_at",
        users,
        ADDRESSES,
        VERIFIED,
        CREATED,
    ),
    _statement("DELETE FROM users WHERE id = %s", users),
    _statement("UPDATE users SET id = id + 10 WHERE id = %s AND id < 10", users),
    _statement(
        "INSERT INTO accounts VALUES (%s, %s, 'oauth', 'github', %s) ON CONFLICT (id) DO UPDATE"
        ' SET "userId" = excluded."userId", "providerAccountId" = excluded."providerAccountId"',
        ids,
        users,
        PROVIDED,
    ),
    _statement("DELETE FROM accounts WHERE id = %s", ids),
    _statement(
        "INSERT INTO sessions VALUES (%s, %s, '2099-01-01', %s) ON CONFLICT (id) DO UPDATE"
        ' SET "userId" = excluded."userId", "sessionToken" = excluded."sessionToken"',
        ids,
        users,
        TOKENS,
    ),
    _statement("UPDATE sessions SET expires = '2001-01-01' WHERE id = %s", ids),
    _statement("DELETE FROM sessions WHERE id = %s", ids),
    _statement(
        "INSERT INTO verification_token VALUES (%s, %s, %s) ON CONFLICT DO NOTHING",
        LETTERS,
        TOKENS,
        st.sampled_from(["2098-01-01", "2099-01-01"]),
    ),
    _statement("DELETE FROM verification_token WHERE identifier = %s", LETTERS),
    _statement(
        "INSERT INTO authenticators VALUES (%s, %s, 'p', 'AQID', 3, 'singleDevice', false, 'usb')"
        " ON CONFLICT DO NOTHING",
        PASSKEYS,
        users,
    ),
    _statement('DELETE FROM authenticators WHERE "credentialID" = %s', PASSKEYS),
    _statement("UPDATE note SET author = %s WHERE id = %s", users, ids),
    _statement("INSERT INTO loose VALUES (%s, 'l')", users),
    _statement("INSERT INTO user_roles VALUES (%s, %s)", users, st.integers(1, 2)),
    _statement("DELETE FROM user_roles WHERE user_id = %s", users),
    _statement("TRUNCATE sessions"),
)


PASSKEY = "'p', 'AQID', 3, 'singleDevice', false, 'usb')"


def person(number: int, email: str, created: str = "2024-01-01") -> str:
    """A statement that makes them."""
    return f"INSERT INTO users VALUES ({number}, 'N', '{email}', now(), NULL, '{created}')"


class Follower:
    """At work in a thread of its own; what is undecided ends it."""

    def __init__(self, url: str, target: Path, **options: Any) -> None:
        self.url, self.target, self.options = url, target, options
        self.ended: BaseException | None = None
        self.start()

    def start(self) -> None:
        self.ended, self._stopped = None, asyncio.Event()
        self._thread = threading.Thread(target=asyncio.run, args=(self._run(),), daemon=True)
        self._thread.start()

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        following = asyncio.create_task(follow(self.url, self.target, tuning=QUICK, **self.options))
        stopped = asyncio.create_task(self._stopped.wait())
        await asyncio.wait([following, stopped], return_when=asyncio.FIRST_COMPLETED)
        following.cancel()
        stopped.cancel()
        (self.ended, _) = await asyncio.gather(following, stopped, return_exceptions=True)

    def close(self) -> None:
        with suppress(RuntimeError):  # it has ended by itself
            self._loop.call_soon_threadsafe(self._stopped.set)
        self._thread.join(30)


@dataclass
class Watched:
    """A source, what follows it, and where a fresh move goes."""

    source: _Link
    follower: Follower
    aside: Path
    marks: Iterator[int] = field(default_factory=lambda: count(1000))

    def writes(self, *statements: str) -> None:
        for statement in statements:
            self.source.execute(statement.encode())

    def is_what_a_move_makes(self) -> bool:
        """Once everything has arrived. False where a move would stop, and the follower has stopped too."""
        mark = next(self.marks)
        self.writes(f"INSERT INTO note VALUES ({mark}, NULL, 'mark')", f"INSERT INTO loose VALUES ({mark}, 'mark')")
        wanted, end = self._moved(), time.monotonic() + PATIENCE
        while self.follower.ended is None and not is_settled(self.follower.target, mark):
            assert time.monotonic() < end
            time.sleep(0.05)
        if self.follower.ended is not None:
            if wanted is None and isinstance(self.follower.ended, UndecidedError):
                return False
            raise AssertionError("the follower stopped") from self.follower.ended
        assert wanted is not None, "a move would stop, and the follower does not"
        assert standing(self.follower.target) == wanted
        return True

    def _moved(self) -> Standing | None:
        """What a move of now makes; nothing where it stops."""
        for path in self.aside.parent.glob(f"*{self.aside.name}*"):
            path.unlink()
        try:
            asyncio.run(moved(self.follower.url, self.aside, **self.follower.options))
        except UndecidedError:
            return None
        return standing(self.aside)


def is_settled(target: Path, mark: int) -> bool:
    """Whether a mark has arrived, by the log and by comparison, and nothing is left to be compared or planned."""
    arrived = "SELECT (SELECT count(*) FROM note WHERE id = ?), (SELECT count(*) FROM loose WHERE author = ?)"
    waiting = "SELECT count(*) FROM authstore_move WHERE (name, value) IN (VALUES ('follow_plan', 'old'))"
    stale = "SELECT count(*) FROM authstore_move WHERE name = 'follow_stale' AND value <> '[]'"
    with suppress(sqlite3.OperationalError), closing(sqlite3.connect(f"file:{target}?mode=ro", uri=True)) as file:
        file.execute("BEGIN")
        there = file.execute(arrived, (mark, mark)).fetchone() == (1, 1)
        return there and (file.execute(waiting).fetchone(), file.execute(stale).fetchone()) == ((0,), (0,))
    return False


def standing(target: Path) -> Standing:
    """What a target holds, less the moments, which are each move's own."""
    found = {}
    with closing(sqlite3.connect(f"file:{target}?mode=ro", uri=True)) as file:
        for name in (*OWN_TABLES, "note", "loose"):
            columns = [row[1] for row in file.execute("SELECT * FROM pragma_table_info(?)", (name,))]
            own = ", ".join(f'"{column}"' for column in columns if column not in MOMENTS)
            found[name] = sorted(file.execute(f'SELECT {own} FROM "{name}"'), key=repr)
    return found


@pytest.fixture(scope="module")
def watched(
    request: pytest.FixtureRequest, server: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Watched]:
    """`request.param`: what was decided about duplicates."""
    folder = tmp_path_factory.mktemp("decided")
    with fresh_database(server.url) as url, psycopg.connect(url, autocommit=True) as source:
        source.execute(TABLES)
        source.execute(BEGINNING)
        with closing(Follower(url, folder / "auth.db", **{**DECIDED, "on_duplicate": request.param})) as follower:
            found = Watched(source, follower, folder / "fresh.db")
            assert found.is_what_a_move_makes()
            yield found
        asyncio.run(follow(url, folder / "auth.db", do="drop"))


# Each with people of its own, but for the last ones; step by step.
STORIES = {
    "the oldest of two goes": (
        [person(11, "a@example.com"), person(12, "A@example.com", created="2024-02-01")],
        ["DELETE FROM users WHERE id = 11"],
    ),
    "the oldest of two gets another address": (
        [person(21, "b@example.com")],
        [person(22, "B@example.com", created="2024-02-01"), "INSERT INTO note VALUES (22, 22, 'hers')"],
        ["UPDATE users SET email = 'other@example.com' WHERE id = 21"],
    ),
    "an older one comes, and was not the oldest after all": (
        [person(31, "c@example.com")],
        [person(32, "C@example.com", created="2023-01-01")],
        ["UPDATE users SET created_at = '2025-01-01' WHERE id = 32"],
    ),
    "somebody who could not come is mended, and has a session": (
        [
            person(51, "g@example.com"),
            "INSERT INTO sessions VALUES (51, 51, '2099-01-01', 'a-token-of-a-session-51')",
            "UPDATE users SET \"emailVerified\" = 'infinity' WHERE id = 51",
        ],
        ['UPDATE users SET "emailVerified" = now() WHERE id = 51'],
    ),
    "a passkey is there in another spelling, of which one goes": (
        [f"INSERT INTO authenticators VALUES ('AAEC-_8=', 1, {PASSKEY}"],
        [f"INSERT INTO authenticators VALUES ('AAEC+/8=', 2, {PASSKEY}"],
        ["UPDATE authenticators SET counter = 9 WHERE \"credentialID\" = 'AAEC-_8='"],
        ["DELETE FROM authenticators WHERE \"credentialID\" = 'AAEC-_8='"],
    ),
    "a letter went to one address in two spellings, of which one is answered": (
        ["INSERT INTO verification_token VALUES ('d@example.com', 'a-token-of-a-letter', '2098-01-01')"],
        ["INSERT INTO verification_token VALUES ('D@example.com', 'a-token-of-a-letter', '2099-01-01')"],
        ["DELETE FROM verification_token WHERE identifier = 'D@example.com'"],
    ),
    "a role is granted twice, in a table without a key": (
        ["INSERT INTO user_roles VALUES (1, 1), (2, 1)"],
        ["INSERT INTO user_roles VALUES (1, 1)"],
        ["DELETE FROM user_roles WHERE user_id = 1"],
    ),
    "nobody's row, in a table without a key, becomes somebody's": (
        ["INSERT INTO user_roles VALUES (41, 1)"],
        [person(41, "e@example.com")],
    ),
    "all sessions are new, and one has no token that is one": (
        [
            "BEGIN",
            "TRUNCATE sessions",
            "INSERT INTO sessions VALUES (1, 2, '2099-01-01', 'short'), (2, 2, '2099-01-01', 'a-token-of-session-2')",
            "COMMIT",
        ],
    ),
    "all are new, and two of them share an address": (
        [
            "BEGIN",
            "TRUNCATE users",
            person(1, "f@example.com"),
            person(2, "F@example.com", created="2023-01-01"),
            "COMMIT",
        ],
        ["DELETE FROM users WHERE id = 2"],
    ),
    "all are new, and one has no address": (
        ["BEGIN", "TRUNCATE users", person(1, "no address"), person(2, "ü@example.com"), "COMMIT"],
    ),
}


@pytest.mark.parametrize("story", STORIES)
@pytest.mark.parametrize("watched", ["keep-oldest"], indirect=True)
def test_what_was_decided_holds_for_rows_that_come_later(watched: Watched, story: str) -> None:
    for statements in STORIES[story]:
        watched.writes(*statements)
        assert watched.is_what_a_move_makes()


@pytest.mark.parametrize("watched", ["merge"], indirect=True)
def test_what_was_merged_is_parted_again_and_what_may_not_be_stops(watched: Watched) -> None:
    watched.writes(person(11, "a@example.com"), person(12, "A@example.com", created="2024-02-01"))
    watched.writes("INSERT INTO sessions VALUES (12, 12, '2099-01-01', 'a-token-of-a-session-12')")
    assert watched.is_what_a_move_makes()
    watched.writes("DELETE FROM users WHERE id = 11")
    assert watched.is_what_a_move_makes()
    watched.writes("INSERT INTO accounts VALUES (11, 2, 'oauth', 'github', 'g1')")  # an account of two users
    assert watched.is_what_a_move_makes()
    watched.writes('UPDATE users SET "emailVerified" = NULL WHERE id = 2')
    assert not watched.is_what_a_move_makes()


@settings(
    max_examples=2,
    deadline=None,
    phases=(Phase.explicit, Phase.generate),  # a smaller example would take as long again
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(rounds=st.lists(st.lists(WRITES, min_size=2, max_size=6), min_size=1, max_size=3))
@pytest.mark.parametrize("watched", ["keep-oldest"], indirect=True)
def test_so_it_is_whatever_is_written(watched: Watched, rounds: list[list[tuple[str, tuple[Any, ...]]]]) -> None:
    watched.writes(BEGINNING)
    assert watched.is_what_a_move_makes()
    for writes in rounds:
        for query, values in writes:
            with suppress(psycopg.errors.UniqueViolation):
                watched.source.execute(query.encode(), values)
        assert watched.is_what_a_move_makes()
