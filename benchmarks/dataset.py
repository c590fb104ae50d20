"""The data every contestant works on: made once, the same bytes each time, kept under benchmarks/data/."""

import asyncio
import base64
import hashlib
import os
import random
import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from authstore import connect
from authstore.schema import migrations

FOLDER = Path(__file__).parent / "data"
FRESH_DAYS = 5  # the store's default policy ends sessions after seven days without use
USER_AGENT = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"


class Size(NamedTuple):
    """How many rows of each."""

    users: int
    accounts: int
    sessions: int
    tokens: int

    def scaled(self, scale: float) -> "Size":
        return Size(*(max(1000, int(count * scale)) for count in self))


FULL = Size(users=100_000, accounts=150_000, sessions=500_000, tokens=50_000)


class Dataset(NamedTuple):
    """A database file and what is needed to ask it questions."""

    path: Path
    size: Size

    def session_tokens(self, count: int, seed: int = 1) -> list[str]:
        """The secrets of some sessions, in random order."""
        numbers = random.Random(seed).sample(range(self.size.sessions), min(count, self.size.sessions))
        return [session_token(_id(2, number), number) for number in numbers]

    def user_ids(self, count: int, seed: int = 2) -> list[str]:
        """The ids of some users, in random order."""
        numbers = random.Random(seed).sample(range(self.size.users), min(count, self.size.users))
        return [_id(0, number) for number in numbers]

    def copy(self, name: str) -> Path:
        """A file of one's own, to write to."""
        target = self.path.with_name(f"{name}.db")
        remove(target)
        shutil.copyfile(self.path, target)
        os.sync()  # or the kernel would still be writing it while others wait for their commits
        return target


def dataset(size: Size) -> Dataset:
    """The data set of this size, made unless it is there and fresh."""
    FOLDER.mkdir(exist_ok=True)
    schema = hashlib.sha256("".join(step.sha256 for step in migrations("sqlite")).encode()).hexdigest()[:8]
    path = FOLDER / f"{schema}-{'-'.join(map(str, size))}.db"
    if not path.exists() or time.time() - path.stat().st_mtime > FRESH_DAYS * 86400:
        remove(path)
        _build(path, size)
    return Dataset(path, size)


def remove(path: Path) -> None:
    """Forgets a database file and what SQLite keeps beside it."""
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def session_token(session_id: str, number: int) -> str:
    """The token of the session with this number: the same each time, so that it need not be kept."""
    secret = hashlib.sha256(b"secret %d" % number).digest()
    return f"{session_id}.{base64.urlsafe_b64encode(secret).decode().rstrip('=')}"


def _id(kind: int, number: int) -> str:
    """A UUIDv7 whose order is the order of the numbers."""
    noise = hashlib.sha256(b"%d %d" % (kind, number)).hexdigest()
    tick = f"{0x19A000000000 + number * 10:012x}"
    return f"{tick[:8]}-{tick[8:]}-7{noise[:3]}-8{noise[3:6]}-{noise[6:18]}"


def iso(when: datetime) -> str:
    """An instant as SQLite keeps it."""
    return when.isoformat(timespec="microseconds").replace("+00:00", "Z")


def _build(path: Path, size: Size) -> None:
    building = path.with_name("building.db")
    remove(building)
    asyncio.run(_create(building))
    with closing(sqlite3.connect(building, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = OFF").fetchall()
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("PRAGMA cache_size = -500000")
        index = connection.execute("SELECT sql FROM sqlite_master WHERE name = 'sessions_user_id'").fetchone()[0]
        connection.execute("DROP INDEX sessions_user_id")
        connection.execute("BEGIN")
        for table, rows in _tables(size):
            insert(connection, table, rows)
        connection.execute(index)
        connection.execute("COMMIT")
        connection.execute("PRAGMA journal_mode = WAL").fetchall()
    building.rename(path)


async def _create(path: Path) -> None:
    await (await connect(path)).close()


def insert(connection: sqlite3.Connection, table: str, rows: Iterator[dict[str, Any]]) -> None:
    """Rows into a table, all with the columns of the first."""
    first = next(rows, None)
    if first is None:
        return
    statement = f"INSERT INTO {table} ({', '.join(first)}) VALUES ({', '.join('?' * len(first))})"
    connection.execute(statement, tuple(first.values()))
    connection.executemany(statement, (tuple(row.values()) for row in rows))


def _tables(size: Size) -> Iterator[tuple[str, Iterator[dict[str, Any]]]]:
    now = datetime.now(UTC)
    yield "users", users(size, now)
    yield "accounts", _accounts(size, now)
    yield "sessions", sessions(size, now)
    yield "verification_tokens", verification_tokens(now, size.tokens)


def users(size: Size, now: datetime) -> Iterator[dict[str, Any]]:
    """People with an address, a name and a picture."""
    made = iso(now - timedelta(days=300))
    for number in range(size.users):
        yield {
            "id": _id(0, number),
            "email": f"user{number}@example.com",
            "email_verified": made,
            "name": f"User Number {number}",
            "image": f"https://images.example.com/avatars/{number}.png",
            "created_at": made,
            "updated_at": made,
        }


def _accounts(size: Size, now: datetime) -> Iterator[dict[str, Any]]:
    made = iso(now - timedelta(days=300))
    for number in range(size.accounts):
        yield {
            "id": _id(1, number),
            "user_id": _id(0, number % size.users),
            "provider": "github" if number < size.users else "google",
            "provider_account_id": str(1_000_000 + number),
            "type": "oauth",
            "access_token": f"gho_{number:036d}",
            "scope": "read:user user:email",
            "created_at": made,
            "updated_at": made,
        }


def sessions(size: Size, now: datetime) -> Iterator[dict[str, Any]]:
    """Sessions of the last day, each of a random user."""
    owner = random.Random(3)
    begin, step = now - timedelta(days=1), timedelta(days=1) / size.sessions
    for number in range(size.sessions):
        session_id, made = _id(2, number), begin + number * step
        yield {
            "id": session_id,
            "token_hash": hashlib.sha256(session_token(session_id, number).encode()).digest(),
            "user_id": _id(0, owner.randrange(size.users)),
            "expires": iso(made + timedelta(days=30)),
            "created_at": iso(made),
            "last_used_at": iso(made),
            "authenticated_at": iso(made),
            "ip": f"198.51.{number >> 8 & 255}.{number & 255}",
            "user_agent": USER_AGENT,
        }


def verification_tokens(now: datetime, count: int, prefix: str = "user") -> Iterator[dict[str, Any]]:
    """Outstanding tokens, one for each address; the secret is the address."""
    for number in range(count):
        identifier = f"{prefix}{number}@example.com"
        yield {
            "identifier": identifier,
            "purpose": "sign-in",
            "token_hash": hashlib.sha256(identifier.encode()).digest(),
            "expires": iso(now + timedelta(days=30)),
            "created_at": iso(now),
        }


def batches(rows: Iterator[dict[str, Any]], size: int) -> Iterator[list[dict[str, Any]]]:
    """The rows in lists of at most `size`."""
    while batch := list(islice(rows, size)):
        yield batch
