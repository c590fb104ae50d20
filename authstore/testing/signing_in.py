"""Being signed in at once, for the tests of an application."""

from collections.abc import Coroutine
from http.cookiejar import Cookie
from typing import Any, Protocol, overload

from authstore.adapter import Adapter
from authstore.models import Session, User


class InstalledAuth(Protocol):
    """What is used of `authstore.web.Auth`."""

    @property
    def store(self) -> Adapter:
        """The open store."""
        ...

    def cookie_for(self, session: Session) -> tuple[str, str]:
        """Name and value of the session's cookie."""
        ...


class AsyncClient(Protocol):
    """An `AsyncClient` of httpx2 or httpx, with the application behind an `ASGITransport`."""

    async def aclose(self) -> None:
        """Closes it."""
        ...


class SyncClient(Protocol):
    """Starlette's `TestClient`, entered with `with`."""

    app: Any
    portal: Any

    def close(self) -> None:
        """Closes it."""
        ...


@overload
def sign_in(
    client: AsyncClient, user: User | str, *, auth: InstalledAuth | None = None
) -> Coroutine[Any, Any, Session]: ...
@overload
def sign_in(client: SyncClient, user: User | str, *, auth: InstalledAuth | None = None) -> Session: ...
def sign_in(
    client: AsyncClient | SyncClient, user: User | str, *, auth: InstalledAuth | None = None
) -> Coroutine[Any, Any, Session] | Session:
    """Signs the client in as this user (or the user with this id): a real session, and its cookie.

        session = await sign_in(client, user)      # httpx2.AsyncClient(transport=ASGITransport(app), base_url=…)
        session = sign_in(client, user)            # with TestClient(app) as client:

    `auth` is found in the application, `app.state.authstore`, unless it is given. The application must be running
    (its lifespan entered), and the client needs a `base_url`. Raises `LookupError` or `ValueError` where one of these
    is missing, `UserNotFoundError`, `UserDisabledError`.
    """
    found = auth if auth is not None else _installed(_application(client))
    host = _host(client)
    signing_in = _signed_in(client, host, found, user if isinstance(user, str) else user.id)
    return _run_inside(client, signing_in) if hasattr(client, "portal") else signing_in


def _run_inside(client: Any, signing_in: Coroutine[Any, Any, Session]) -> Session:
    """On the loop of a `TestClient`, where its application runs."""
    if client.portal is None:
        signing_in.close()
        raise ValueError("the application is not running: with TestClient(app) as client: …")

    async def run() -> Session:
        return await signing_in

    session: Session = client.portal.call(run)
    return session


async def _signed_in(client: Any, host: str, auth: InstalledAuth, user_id: str) -> Session:
    session = await auth.store.create_session(user_id, user_agent="authstore.testing")
    name, value = auth.cookie_for(session)
    is_secure = client.base_url.scheme == "https"
    client.cookies.jar.set_cookie(_cookie(name, value, host, is_secure=is_secure))
    return session


def _cookie(name: str, value: str, host: str, *, is_secure: bool) -> Cookie:
    """As if this host had set it; over http without `secure`, so that the client sends it."""
    return Cookie(
        version=0,
        name=name,
        value=value,
        port=None,
        port_specified=False,
        domain=host if "." in host else f"{host}.local",  # what http.cookiejar makes of such a host
        domain_specified=False,
        domain_initial_dot=False,
        path="/",
        path_specified=True,
        secure=is_secure,
        expires=None,
        discard=True,
        comment=None,
        comment_url=None,
        rest={"HttpOnly": ""},
    )


def _host(client: Any) -> str:
    host = str(client.base_url.host)
    if not host:
        raise ValueError("the client has no base_url: cookies belong to a host")
    return host


def _application(client: Any) -> Any:
    if hasattr(client, "app"):
        return client.app
    return getattr(getattr(client, "_transport", None), "app", None)


def _installed(app: Any) -> InstalledAuth:
    """The `Auth` installed in this application, looked for under what is wrapped around it."""
    while app is not None:
        auth: InstalledAuth | None = getattr(getattr(app, "state", None), "authstore", None)
        if auth is not None:
            return auth
        app = getattr(app, "app", None)
    raise LookupError(
        "there is no app.state.authstore: no Auth is installed, or one of another cookie_name: pass auth="
    )
