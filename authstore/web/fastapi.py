"""FastAPI dependencies: who is signed in, and what they may (extra `authstore[fastapi]`).

```python
@app.get("/me")
async def me(user: CurrentUser): ...

@app.get("/notes")
async def notes(user: PageUser): ...        # a page: an anonymous browser is sent to sign in, and back

@app.delete("/posts/{id}", dependencies=[Depends(require_role("editor"))])
```

They appear in OpenAPI, work for WebSockets too (refused with close code 1008), and every one can be replaced in tests:
`app.dependency_overrides[current_user] = lambda: user`, `app.dependency_overrides[require_role("editor")] = …`.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Annotated, Any, Final, TypeVar, cast

from starlette.requests import HTTPConnection

from authstore import extras
from authstore.errors import StoreError
from authstore.models import Session, User
from authstore.web.guards import CHALLENGE, POLICY_VIOLATION, installed_presence, page_user
from authstore.web.refusals import RETRY_AFTER

try:
    from fastapi import Depends, HTTPException, Path, WebSocketException
    from fastapi.openapi.models import APIKey, APIKeyIn
    from fastapi.params import Depends as Dependency
    from fastapi.security.base import SecurityBase
except ModuleNotFoundError as error:
    raise extras.missing(error, "fastapi") from None

__all__ = [
    "CurrentSession",
    "CurrentUser",
    "OptionalUser",
    "PageUser",
    "current_session",
    "current_user",
    "optional_user",
    "page_user",
    "require_fresh",
    "require_permission",
    "require_role",
]

log = logging.getLogger("authstore.web")

# `Depends(require_role)`, without arguments: FastAPI would read them from the query, and let in whoever sends any.
_GIVEN: Final[Any] = Path(alias="call the requirement with its arguments")
_TRY_AGAIN_LATER: Final = 1013  # IANA's registry of close codes
_HEADERS: Final[Mapping[int, Mapping[str, str]]] = {
    401: CHALLENGE,
    503: {"Retry-After": RETRY_AFTER},
}

T = TypeVar("T")


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
        return installed_presence(connection).user


class _CurrentUser(SessionCookie):
    async def __call__(self, connection: HTTPConnection) -> User:
        """The user. Raises 401."""
        user = installed_presence(connection).user
        if user is None:
            raise _refused(connection, 401, "Not signed in")
        return user


class _CurrentSession(SessionCookie):
    async def __call__(self, connection: HTTPConnection) -> Session:
        """The session, with its token. Raises 401."""
        session = installed_presence(connection).session
        if session is None:
            raise _refused(connection, 401, "Not signed in")
        return session


optional_user: Final = _OptionalUser()
current_user: Final = _CurrentUser()
current_session: Final = _CurrentSession()

OptionalUser = Annotated[User | None, Depends(optional_user)]
CurrentUser = Annotated[User, Depends(current_user)]
CurrentSession = Annotated[Session, Depends(current_session)]
PageUser = Annotated[User, Depends(page_user)]


class _Requirement(Dependency):
    """`Depends(require_role("editor"))`, and `require_role("editor")` by itself.

    FastAPI takes anything but a `Depends` for a default value: who forgot it would let everybody in. Requirements of
    the same are equal, so that `dependency_overrides` finds them.
    """

    _what: tuple[object, ...]

    def _require(self, **what: object) -> None:
        super().__init__(cast("Callable[..., Any]", self))
        for name, value in {**what, "_what": tuple(what.values())}.items():
            object.__setattr__(self, name, value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Requirement) and (type(self), self._what) == (type(other), other._what)

    def __hash__(self) -> int:
        return hash((type(self), self._what))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(map(repr, self._what))})"


class require_role(_Requirement):
    """The signed-in user, where they have this role; else 403."""

    name: str

    def __init__(self, name: Annotated[str, _GIVEN]) -> None:
        self._require(name=name)

    async def __call__(self, connection: HTTPConnection, user: CurrentUser) -> User:
        """The user. Raises 401, 403, 503."""
        roles = await _answered(connection, installed_presence(connection).visitors.source.store.get_roles(user.id))
        if all(role.name != self.name for role in roles):
            raise _refused(connection, 403, "Not permitted")
        return user


class require_permission(_Requirement):
    """The signed-in user, where one of their roles permits `action` on `resource`; else 403."""

    resource: str
    action: str

    def __init__(self, resource: Annotated[str, _GIVEN], action: Annotated[str, _GIVEN]) -> None:
        self._require(resource=resource, action=action)

    async def __call__(self, connection: HTTPConnection, user: CurrentUser) -> User:
        """The user. Raises 401, 403, 503."""
        store = installed_presence(connection).visitors.source.store
        if not await _answered(connection, store.has_permission(user.id, self.resource, self.action)):
            raise _refused(connection, 403, "Not permitted")
        return user


class require_fresh(_Requirement):
    """The signed-in user, where they proved who they are no longer than `limit` ago; else 403."""

    limit: timedelta

    def __init__(self, limit: Annotated[timedelta, _GIVEN]) -> None:
        self._require(limit=limit)

    async def __call__(self, connection: HTTPConnection, user: CurrentUser, session: CurrentSession) -> User:
        """The user. Raises 401, 403."""
        if not installed_presence(connection).visitors.source.is_fresh(session, self.limit):
            raise _refused(connection, 403, "Sign in again to do this")
        return user


async def _answered(connection: HTTPConnection, answer: Awaitable[T]) -> T:
    try:
        return await answer
    except StoreError as error:
        log.warning("what a user may do was not looked up: %s", type(error).__name__)
        raise _refused(connection, 503, "Not possible right now") from error


def _refused(connection: HTTPConnection, status: int, detail: str) -> Exception:
    if status == 403:
        user = installed_presence(connection).user
        log.info("not permitted: user %r, %r", user and user.id, connection.url.path)
    if connection.scope["type"] == "websocket":
        return WebSocketException(_TRY_AGAIN_LATER if status == 503 else POLICY_VIOLATION, detail)
    return HTTPException(status, detail, _HEADERS.get(status))
