"""Who answers the store's questions on PostgreSQL beside it: asyncpg with the same SQL, Redis, SQLAlchemy's ORM and
fastapi-users' adapter. Each makes validated models, compares the token's hash, and commits what it writes."""

import hashlib
import json
import secrets
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import redis.asyncio
import sqlalchemy
from fastapi_users_db_sqlalchemy import SQLAlchemyUserDatabase
from fastapi_users_db_sqlalchemy.access_token import SQLAlchemyAccessTokenDatabase
from sqlalchemy import orm
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine

from authstore import Session, User
from authstore.backends.postgres.texts import text
from authstore.sql import queries
from authstore.store.sessions import kept
from authstore.tokens import new_secret
from benchmarks.peers import SESSION, USER, is_right, named, new_session
from benchmarks.web_peer import Base as PeerBase
from benchmarks.web_peer import PeerToken, PeerUser

POOL = 32
GET = text(queries.session_and_user_by_id.postgres).sql
INSERT = text(queries.insert_session.postgres)


class Asyncpg:
    """A pool of prepared statements; what it asks is the store's own SQL."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self.pool = pool

    async def get(self, token: str) -> tuple[Session, User]:
        row = await self.pool.fetchrow(GET, named(token))
        if row is None or not is_right(token, row[0]) or row[3] <= datetime.now(UTC):
            raise AssertionError("a session was not found")
        values = dict(zip(kept.COLUMNS, row, strict=True))
        session = {name: values[f"sessions.{name}"] for name in SESSION} | {"token": token, "data": json.loads(row[9])}
        user = {name: values[f"users.{name}"] for name in USER if name != "id"} | {"data": json.loads(row[15])}
        return Session(**session), User(id=row[2], **user)

    async def create(self, user_id: str) -> Session:
        values = new_session(user_id)
        session = Session(**{name: value for name, value in values.items() if name != "token_hash"})
        stored = {**values, "token_indexed": False, "expires_asked": None, "data": json.dumps(values["data"])}
        await self.pool.execute(INSERT.sql, *INSERT.values(stored))
        return session


@asynccontextmanager
async def open_asyncpg(url: str) -> AsyncIterator[Asyncpg]:
    """asyncpg on the store's own tables."""
    async with asyncpg.create_pool(url, min_size=POOL, max_size=POOL) as pool:
        yield Asyncpg(pool)


@asynccontextmanager
async def open_lean(url: str) -> AsyncIterator[asyncpg.Pool]:
    """A pool that leaves what a connection was set to as it is."""

    async def leave(_: asyncpg.Connection) -> None:
        return

    async with asyncpg.create_pool(url, min_size=0, max_size=POOL, reset=leave) as pool:
        yield pool


class Redis:
    """A key for a session, with its user in it; every SET is on disk before it is answered."""

    def __init__(self, client: redis.asyncio.Redis) -> None:
        self._client = client

    async def get(self, token: str) -> tuple[Session, User]:
        found = await self._client.get("session:" + hashlib.sha256(token.encode()).hexdigest())
        if found is None:
            raise AssertionError("a session was not found")
        session, user = json.loads(found)
        return Session.model_validate(session), User.model_validate(user)

    async def create(self, user_id: str) -> Session:
        values = new_session(user_id)
        session = Session(**{name: value for name, value in values.items() if name != "token_hash"})
        await self._client.set("session:" + values["token_hash"].hex(), session.model_dump_json())
        return session


@asynccontextmanager
async def open_redis(
    socket: str, tasks: int, known: Sequence[tuple[Session, User]]
) -> AsyncIterator[tuple[Redis, int]]:
    """A Redis that knows these sessions by their tokens, and the number of its process."""
    client = redis.asyncio.Redis.from_url(f"unix://{socket}", max_connections=tasks)
    for session, user in known:
        key = "session:" + hashlib.sha256((session.token or "").encode()).hexdigest()
        await client.set(key, json.dumps([session.model_dump(mode="json"), user.model_dump(mode="json")]))
    yield Redis(client), (await client.info("server"))["process_id"]
    await client.aclose()


class Base(orm.DeclarativeBase):
    """The store's tables as an ORM sees them."""

    type_annotation_map = {datetime: sqlalchemy.DateTime(timezone=True), dict[str, Any]: sqlalchemy.JSON}  # noqa: RUF012 - SQLAlchemy's own way


class UserRow(Base):
    """A user's row."""

    __tablename__ = "users"
    id: orm.Mapped[str] = orm.mapped_column(primary_key=True)
    email: orm.Mapped[str | None]
    email_verified: orm.Mapped[datetime | None]
    name: orm.Mapped[str | None]
    image: orm.Mapped[str | None]
    disabled: orm.Mapped[bool]
    data: orm.Mapped[dict[str, Any]]
    created_at: orm.Mapped[datetime]
    updated_at: orm.Mapped[datetime]


class SessionRow(Base):
    """A session's row, with its user."""

    __tablename__ = "sessions"
    id: orm.Mapped[str] = orm.mapped_column(primary_key=True)
    token_hash: orm.Mapped[bytes]
    user_id: orm.Mapped[str] = orm.mapped_column(sqlalchemy.ForeignKey("users.id"))
    expires: orm.Mapped[datetime]
    created_at: orm.Mapped[datetime]
    last_used_at: orm.Mapped[datetime]
    authenticated_at: orm.Mapped[datetime]
    ip: orm.Mapped[str | None]
    user_agent: orm.Mapped[str | None]
    data: orm.Mapped[dict[str, Any]]
    user: orm.Mapped[UserRow] = orm.relationship()


class Alchemy:
    """SQLAlchemy 2's async ORM on the store's own tables: a session for each call."""

    def __init__(self, sessions: async_sessionmaker[Any]) -> None:
        self._sessions = sessions
        self._query = sqlalchemy.select(SessionRow).options(orm.joinedload(SessionRow.user, innerjoin=True))

    async def get(self, token: str) -> tuple[Session, User]:
        async with self._sessions() as database:
            found = await database.scalar(self._query.where(SessionRow.id == named(token)))
        if found is None or not is_right(token, found.token_hash) or found.expires <= datetime.now(UTC):
            raise AssertionError("a session was not found")
        session = Session(token=token, **{column: getattr(found, column) for column in SESSION})
        return session, User(**{column: getattr(found.user, column) for column in USER})

    async def create(self, user_id: str) -> Session:
        values = new_session(user_id)
        token = values.pop("token")
        async with self._sessions() as database, database.begin():
            database.add(SessionRow(**values))
        return Session(token=token, **{column: values[column] for column in SESSION})


class FastapiUsers:
    """fastapi-users' own adapter on its own tables: its database strategy's two look-ups, its insert."""

    def __init__(self, sessions: async_sessionmaker[Any]) -> None:
        self._sessions = sessions

    async def get(self, token: str) -> PeerUser:
        async with self._sessions() as database:
            since = datetime.now(UTC) - timedelta(days=30)
            found = await SQLAlchemyAccessTokenDatabase(database, PeerToken).get_by_token(token, since)
            user = None if found is None else await SQLAlchemyUserDatabase(database, PeerUser).get(found.user_id)
        if user is None:
            raise AssertionError("a session was not found")
        return user

    async def create(self, user_id: uuid.UUID) -> PeerToken:
        async with self._sessions() as database:
            tokens = SQLAlchemyAccessTokenDatabase(database, PeerToken)
            return await tokens.create({"token": secrets.token_urlsafe(), "user_id": user_id})


@asynccontextmanager
async def open_alchemy(url: str) -> AsyncIterator[async_sessionmaker[Any]]:
    """SQLAlchemy on asyncpg."""
    engine = create_async_engine(url.replace("postgresql://", "postgresql+asyncpg://"), pool_size=POOL, max_overflow=0)
    yield async_sessionmaker(engine, expire_on_commit=False)
    await engine.dispose()


async def fill_fastapi_users(sessions: async_sessionmaker[Any], count: int) -> tuple[list[uuid.UUID], list[str]]:
    """Its tables, its users with a session each."""
    users = [uuid.uuid4() for _ in range(count)]
    tokens = [new_secret() for _ in users]
    async with sessions() as database, database.begin():
        await (await database.connection()).run_sync(PeerBase.metadata.create_all)
        for number, (user, token) in enumerate(zip(users, tokens, strict=True)):
            database.add(PeerUser(id=user, email=f"user{number}@example.com", hashed_password="", name="User"))
            await database.flush()
            database.add(PeerToken(token=token, user_id=user))
    return users, tokens
