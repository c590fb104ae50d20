"""The applications that `benchmarks.web` measures: three answer `GET /me` with the same JSON, one mails letters.

`uvicorn --factory benchmarks.web_apps:NAME`, the database file in BENCHMARK_FILE.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from email.message import EmailMessage
from typing import Annotated, Any

from fastapi import Depends, FastAPI
from fastapi.responses import PlainTextResponse

from authstore import Adapter, User
from authstore.testing.web import link_in
from authstore.web import Auth
from authstore.web.fastapi import CurrentUser

SECRET = "a secret of the benchmark, thirty-two and more"
BASE = "http://127.0.0.1"
_SOMEBODY = User(
    id="01930000-0000-7000-8000-000000000000",
    email="user0@example.com",
    name="User 0",
    created_at=datetime(2026, 1, 1, tzinfo=UTC),
    updated_at=datetime(2026, 1, 1, tzinfo=UTC),
)


def url() -> str:
    """The database file."""
    return f"sqlite:///{os.environ['BENCHMARK_FILE']}"


def auth(store: str | Adapter) -> Auth:
    """Sign-in on a store."""
    return Auth(store, base_url=BASE, secrets=[SECRET], insecure_dev=True)


def hard_coded() -> FastAPI:
    """No session at all."""
    app = FastAPI()

    async def somebody() -> User:
        return _SOMEBODY

    @app.get("/me")
    async def me(user: Annotated[User, Depends(somebody)]) -> dict[str, str | None]:
        return {"id": user.id, "email": user.email, "name": user.name}

    return app


def authstore() -> FastAPI:
    """Sessions in the store."""
    signing_in = auth(url())
    app = FastAPI(lifespan=signing_in.lifespan)
    signing_in.install(app)

    @app.get("/me")
    async def me(user: CurrentUser) -> dict[str, str | None]:
        return {"id": user.id, "email": user.email, "name": user.name}

    return app


def sign_ins() -> FastAPI:
    """Sign-in by letters, which `/letter` shows."""
    links: dict[str, str] = {}

    async def keep(message: EmailMessage) -> None:
        links[str(message["To"])] = link_in(message)

    signing_in = Auth(
        url(),
        base_url="http://localhost",
        secrets=[SECRET],
        mailer=keep,
        insecure_dev=True,
        mails_per_client=1_000_000,  # all of them come from this machine
    )
    app = FastAPI(lifespan=signing_in.lifespan)
    signing_in.install(app)

    @app.get("/letter", response_class=PlainTextResponse)
    async def letter(to: str) -> str:
        return links.get(to, "")

    return app


def fastapi_users() -> FastAPI:
    """fastapi-users, its database strategy, its SQLAlchemy adapter on aiosqlite."""
    from fastapi_users import FastAPIUsers
    from fastapi_users.authentication import AuthenticationBackend, CookieTransport
    from fastapi_users.authentication.strategy.db import DatabaseStrategy
    from fastapi_users_db_sqlalchemy import SQLAlchemyUserDatabase
    from fastapi_users_db_sqlalchemy.access_token import SQLAlchemyAccessTokenDatabase
    from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

    from benchmarks.web_peer import PeerToken, PeerUser, Users

    engine = create_async_engine(url().replace("sqlite:", "sqlite+aiosqlite:"))
    sessions = async_sessionmaker(engine, expire_on_commit=False)

    async def session() -> AsyncIterator[AsyncSession]:
        async with sessions() as opened:
            yield opened

    Opened = Annotated[AsyncSession, Depends(session)]

    def strategy(opened: Opened) -> Any:
        return DatabaseStrategy(SQLAlchemyAccessTokenDatabase(opened, PeerToken), lifetime_seconds=30 * 86_400)

    def users(opened: Opened) -> Users:
        return Users(SQLAlchemyUserDatabase(opened, PeerUser))

    backend = AuthenticationBackend(name="db", transport=CookieTransport(cookie_name="peer"), get_strategy=strategy)
    current = FastAPIUsers(users, [backend]).current_user(active=True)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        yield
        await engine.dispose()

    app = FastAPI(lifespan=lifespan)

    @app.get("/me")
    async def me(user: Annotated[PeerUser, Depends(current)]) -> dict[str, str | None]:
        return {"id": str(user.id), "email": user.email, "name": user.name}

    return app
