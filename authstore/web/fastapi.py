"""FastAPI dependencies: who is signed in, and what they may (extra `authstore[fastapi]`).

```python
@app.get("/me")
async def me(user: CurrentUser): ...

@app.delete("/posts/{id}", dependencies=[Depends(require_role("editor"))])
```

They appear in OpenAPI, work for WebSockets too (refused with close code 1008), and every one can be replaced in tests:
`app.dependency_overrides[current_user] = lambda: user`, `app.dependency_overrides[require_role("editor")] = …`.
"""

import logging
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any, Final

from fastapi import Depends, HTTPException, WebSocketException
from fastapi.openapi.models import APIKey, APIKeyIn
from fastapi.security.base import SecurityBase
from starlette.requests import HTTPConnection

from authstore.errors import ConfigurationError
from authstore.models import Session, User
from authstore.web.presence import Presence, presence_of

__all__ = [
    "CurrentSession",
    "CurrentUser",
    "OptionalUser",
    "current_session",
    "current_user",
    "optional_user",
    "require_fresh",
    "require_permission",
    "require_role",
]

log = logging.getLogger("authstore.web")

_POLICY_VIOLATION: Final = 1008  # RFC 6455 §7.4.1


class SessionCookie(SecurityBase):
    """The session cookie, as OpenAPI shows it."""

    def __init__(self) -> None:
        self.model = APIKey.model_validate(
            {"in": APIKeyIn.cookie, "name": "__Host-authstore", "description": "The session cookie."}
        )
        self.scheme_name = "authstore"


class _OptionalUser(SessionCookie):
    async def __call__(self, connection: HTTPConnection) -> User | None:
        """The user, or `None`."""
        return _presence(connection).user


class _CurrentUser(SessionCookie):
    async def __call__(self, connection: HTTPConnection) -> User:
        """The user. Raises 401."""
        user = _presence(connection).user
        if user is None:
            raise _refused(connection, 401, "Not signed in")
        return user


class _CurrentSession(SessionCookie):
    async def __call__(self, connection: HTTPConnection) -> Session:
        """The session, with its token. Raises 401."""
        session = _presence(connection).session
        if session is None:
            raise _refused(connection, 401, "Not signed in")
        return session


optional_user: Final = _OptionalUser()
current_user: Final = _CurrentUser()
current_session: Final = _CurrentSession()

OptionalUser = Annotated[User | None, Depends(optional_user)]
CurrentUser = Annotated[User, Depends(current_user)]
CurrentSession = Annotated[Session, Depends(current_session)]


@dataclass(frozen=True)
class require_role:
    """The signed-in user, where they have this role; else 403."""

    name: str

    async def __call__(self, connection: HTTPConnection, user: CurrentUser) -> User:
        """The user. Raises 401, 403."""
        roles = await _presence(connection).site.store.get_roles(user.id)
        if all(role.name != self.name for role in roles):
            raise _refused(connection, 403, "Not permitted")
        return user


@dataclass(frozen=True)
class require_permission:
    """The signed-in user, where one of their roles permits `action` on `resource`; else 403."""

    resource: str
    action: str

    async def __call__(self, connection: HTTPConnection, user: CurrentUser) -> User:
        """The user. Raises 401, 403."""
        store = _presence(connection).site.store
        if not await store.has_permission(user.id, self.resource, self.action):
            raise _refused(connection, 403, "Not permitted")
        return user


@dataclass(frozen=True)
class require_fresh:
    """The signed-in user, where they proved who they are no longer than `limit` ago; else 403."""

    limit: timedelta

    async def __call__(self, connection: HTTPConnection, user: CurrentUser, session: CurrentSession) -> User:
        """The user. Raises 401, 403."""
        if not _presence(connection).site.is_fresh(session, self.limit):
            raise _refused(connection, 403, "Sign in again to do this")
        return user


def _presence(connection: HTTPConnection) -> Presence:
    presence = presence_of(connection.scope)
    if presence is None:
        raise ConfigurationError("nobody looks sessions up: call auth.install(app) where the application is made")
    return presence


def _refused(connection: HTTPConnection, status: int, detail: str) -> Exception:
    if status == 403:
        user = _presence(connection).user
        log.info("not permitted: user %r, %r", user and user.id, connection.url.path)
    if connection.scope["type"] == "websocket":
        return WebSocketException(_POLICY_VIOLATION, detail)
    # RFC 9110 §15.5.2 wants a challenge; for cookies there is no registered one.
    headers: dict[str, Any] | None = {"WWW-Authenticate": "Cookie"} if status == 401 else None
    return HTTPException(status, detail, headers)
