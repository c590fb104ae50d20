"""The contestants: each answers the same questions with the same validated models, by its own means."""

import hashlib
import json
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, closing, contextmanager
from datetime import UTC, datetime, timedelta
from hmac import compare_digest
from importlib.resources import files
from pathlib import Path
from typing import Any

import asyncpg
import redis.asyncio
import sqlalchemy
from sqlalchemy import orm
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine

from authstore import Session, User
from authstore.store.ids import TimeOrderedIds
from authstore.tokens import new_secret
from benchmarks.dataset import USER_AGENT, Dataset, iso

SESSION = ("id", "user_id", "expires", "created_at", "last_used_at", "authenticated_at", "ip", "user_agent", "data")
USER = ("id", "email", "email_verified", "name", "image", "disabled", "data", "created_at", "updated_at")
BOTH = ", ".join(
    [f"s.{column}" for column in (*SESSION, "token_hash")] + [f"u.{column} AS user_{column}" for column in USER]
)
BY_ID = f"SELECT {BOTH} FROM sessions s JOIN users u ON u.id = s.user_id WHERE s.id = "
LIFETIME = timedelta(days=30)

new_id = TimeOrderedIds().next


def is_right(token: str, token_hash: bytes) -> bool:
    """Whether this is the token that was stored."""
    return compare_digest(hashlib.sha256(token.encode()).digest(), token_hash)


def named(token: str) -> str:
    """The id in a token."""
    return token.partition(".")[0]


@contextmanager
def raw_sqlite(path: Path) -> Iterator[sqlite3.Connection]:
    """Python's own sqlite3, as durable as the store."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA cache_size = -32768")
        yield connection


class Postgres:
    """asyncpg with a pool and its prepared statements."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self.pool = pool

    async def get(self, token: str) -> tuple[Session, User] | None:
        row = await self.pool.fetchrow(BY_ID + "$1", named(token))
        if row is None or not is_right(token, row["token_hash"]) or row["expires"] <= datetime.now(UTC):
            return None
        session = {column: row[column] for column in SESSION} | {"token": token, "data": _json(row["data"])}
        user = {column: row["user_" + column] for column in USER} | {"data": _json(row["user_data"])}
        return Session(**session), User(**user)

    async def create(self, user_id: str) -> Session:
        values = new_session(user_id)
        session = Session(**{name: value for name, value in values.items() if name != "token_hash"})
        columns = [name for name in values if name != "token"]
        marks = ", ".join(f"${number}" for number in range(1, len(columns) + 1))
        await self.pool.execute(
            f"INSERT INTO sessions ({', '.join(columns)}) VALUES ({marks})",
            *[_stored(values[column]) for column in columns],
        )
        return session


@asynccontextmanager
async def open_postgres(folder: str, data: Dataset, connections: int) -> AsyncIterator[Postgres]:
    """A PostgreSQL with the data set in it."""

    url = f"postgresql://postgres@/postgres?host={folder}"
    async with asyncpg.create_pool(url, min_size=connections, max_size=connections) as pool:
        await pool.execute(files("authstore.migrations").joinpath("0001_initial.postgres.sql").read_text())
        with closing(sqlite3.connect(data.path)) as source:
            await _copy(pool, source, "users", USER)
            await _copy(pool, source, "sessions", (*SESSION, "token_hash"))
        await pool.execute("VACUUM ANALYZE")
        await pool.execute("CHECKPOINT")
        yield Postgres(pool)


async def _copy(pool: asyncpg.Pool, source: sqlite3.Connection, table: str, columns: tuple[str, ...]) -> None:
    convert = [_CONVERT.get(column, _same) for column in columns]
    rows = source.execute(f"SELECT {', '.join(columns)} FROM {table}")
    records = (tuple(f(value) for f, value in zip(convert, row, strict=True)) for row in rows)
    async with pool.acquire() as connection:
        await connection.copy_records_to_table(table, records=records, columns=columns)


def _same(value: Any) -> Any:
    return value


def _instant(value: str | None) -> datetime | None:
    return None if value is None else datetime.fromisoformat(value)


def _json(text: str) -> Any:
    return {} if text == "{}" else json.loads(text)


def _stored(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, dict) else value


_CONVERT: Mapping[str, Callable[[Any], Any]] = {
    **dict.fromkeys(
        ("expires", "created_at", "last_used_at", "authenticated_at", "updated_at", "email_verified"), _instant
    ),
    "disabled": bool,
}


def new_session(user_id: str) -> dict[str, Any]:
    """The columns of a new session as a careful program makes them."""
    now = datetime.now(UTC)
    session_id = new_id(now)
    token = f"{session_id}.{new_secret()}"
    return {
        "id": session_id,
        "token": token,
        "token_hash": hashlib.sha256(token.encode()).digest(),
        "user_id": user_id,
        "expires": now + LIFETIME,
        "created_at": now,
        "last_used_at": now,
        "authenticated_at": now,
        "ip": "198.51.100.7",
        "user_agent": USER_AGENT,
        "data": {},
    }


# One round trip: the session, and the user it names.
_LUA = """
local session = redis.call('GET', KEYS[1])
if not session then return nil end
return {session, redis.call('GET', 'user:' .. cjson.decode(session)['user_id'])}
"""


class Redis:
    """redis-py with hiredis, JSON documents, one round trip by a script."""

    def __init__(self, client: redis.asyncio.Redis) -> None:
        self._script = client.register_script(_LUA)

    async def get(self, token: str) -> tuple[Session, User] | None:
        key = "session:" + hashlib.sha256(token.encode()).hexdigest()
        found = await self._script(keys=[key])
        if found is None:
            return None
        session, user = Session.model_validate_json(found[0]), User.model_validate_json(found[1])
        return (session, user) if datetime.now(UTC) < session.expires else None


@asynccontextmanager
async def open_redis(socket: str, data: Dataset, tasks: int) -> AsyncIterator[Redis]:
    """A Redis with the data set in it."""
    pool = redis.asyncio.ConnectionPool.from_url(f"unix://{socket}", max_connections=tasks)
    client = redis.asyncio.Redis(connection_pool=pool)
    with closing(sqlite3.connect(data.path)) as source:
        await _fill(client, source, "user:", "users", USER, "id")
        await _fill(client, source, "session:", "sessions", SESSION, "lower(hex(token_hash))")
    yield Redis(client)
    await client.aclose()
    await pool.disconnect()


async def _fill(
    client: redis.asyncio.Redis, source: sqlite3.Connection, prefix: str, table: str, columns: tuple[str, ...], key: str
) -> None:
    fields = ", ".join(f"'{column}', {_AS_JSON.get(column, column)}" for column in columns)
    rows = source.execute(f"SELECT {key}, json_object({fields}) FROM {table}")
    while batch := rows.fetchmany(5000):
        await client.mset({prefix + name: document for name, document in batch})


_AS_JSON = {"data": "json(data)", "disabled": "json(iif(disabled, 'true', 'false'))"}


class Base(orm.DeclarativeBase):
    """The tables as SQLAlchemy's ORM sees them."""


class UserRow(Base):
    """A user's row."""

    __tablename__ = "users"
    id: orm.Mapped[str] = orm.mapped_column(primary_key=True)
    email: orm.Mapped[str | None]
    email_verified: orm.Mapped[str | None]
    name: orm.Mapped[str | None]
    image: orm.Mapped[str | None]
    disabled: orm.Mapped[bool]
    data: orm.Mapped[dict[str, Any]] = orm.mapped_column(sqlalchemy.JSON)
    created_at: orm.Mapped[str]
    updated_at: orm.Mapped[str]


class SessionRow(Base):
    """A session's row, with its user."""

    __tablename__ = "sessions"
    id: orm.Mapped[str] = orm.mapped_column(primary_key=True)
    token_hash: orm.Mapped[bytes]
    user_id: orm.Mapped[str] = orm.mapped_column(sqlalchemy.ForeignKey("users.id"))
    expires: orm.Mapped[str]
    created_at: orm.Mapped[str]
    last_used_at: orm.Mapped[str]
    authenticated_at: orm.Mapped[str]
    ip: orm.Mapped[str | None]
    user_agent: orm.Mapped[str | None]
    data: orm.Mapped[dict[str, Any]] = orm.mapped_column(sqlalchemy.JSON)
    user: orm.Mapped[UserRow] = orm.relationship()


class Alchemy:
    """SQLAlchemy 2 async ORM on aiosqlite, on the same file."""

    def __init__(self, sessions: async_sessionmaker[Any]) -> None:
        self._sessions = sessions
        self._query = sqlalchemy.select(SessionRow).options(orm.joinedload(SessionRow.user, innerjoin=True))

    async def get(self, token: str) -> tuple[Session, User] | None:
        async with self._sessions() as database:
            found = await database.scalar(self._query.where(SessionRow.id == named(token)))
        if found is None or not is_right(token, found.token_hash) or found.expires <= iso(datetime.now(UTC)):
            return None
        session = Session(token=token, **{column: getattr(found, column) for column in SESSION})
        return session, User(**{column: getattr(found.user, column) for column in USER})


@asynccontextmanager
async def open_alchemy(path: Path) -> AsyncIterator[Alchemy]:
    """The ORM on this file."""
    engine = create_async_engine(f"sqlite+aiosqlite:///{path}", pool_size=5)
    yield Alchemy(async_sessionmaker(engine, expire_on_commit=False))
    await engine.dispose()
