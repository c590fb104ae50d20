"""For pages of an application: the user, or the way to the sign-in page and back."""

from typing import Final
from urllib.parse import quote, urlencode

from starlette.exceptions import HTTPException, WebSocketException
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.types import Scope

from authstore.errors import ConfigurationError
from authstore.models import User
from authstore.web.reading import wants_json
from authstore.web.redirects import safe_next, safe_target
from authstore.web.visitors.presence import Presence, Visitors, presence_of

# RFC 9110 §15.5.2 wants a challenge; for cookies there is no registered one.
CHALLENGE: Final = {"WWW-Authenticate": "Cookie"}
POLICY_VIOLATION: Final = 1008  # RFC 6455 §7.4.1

_QUERY: Final = "/?:@!$&'()*+,;=%"  # what stands in a query as it is (RFC 3986 §3.4), escapes included


class SignInNeededError(HTTPException):
    """Nobody is signed in: the answer says so, or sends the browser to the sign-in page."""

    async def answer(self) -> Response:
        """Without a body, whatever the application makes of its other errors."""
        return Response(status_code=self.status_code, headers=self.headers)


async def page_user(connection: HTTPConnection) -> User:
    """The signed-in user, for a page.

    An anonymous browser is sent to the sign-in page, which is at `base_url` whatever `Host` says, and afterwards back
    here; HTMX by `HX-Redirect`. A script that asks for JSON gets 401, a WebSocket is closed with 1008. Raises what
    `Auth.install` makes that answer of; `ConfigurationError` where it was not called.
    """
    presence = installed_presence(connection)
    if presence.user is not None:
        return presence.user
    if not isinstance(connection, Request):
        raise WebSocketException(POLICY_VIOLATION, "Not signed in")
    if connection.headers.get("hx-request") == "true":
        url = sign_in_url(presence.visitors, _htmx_page(connection, presence))
        raise SignInNeededError(401, "Not signed in", {**CHALLENGE, "HX-Redirect": url})
    if wants_json(connection):
        raise SignInNeededError(401, "Not signed in", CHALLENGE)
    page = public_path(connection.scope, presence) if connection.method in ("GET", "HEAD") else None
    raise SignInNeededError(303, "Not signed in", {"Location": sign_in_url(presence.visitors, page)})


def installed_presence(connection: HTTPConnection) -> Presence:
    """Who makes this request. Raises `ConfigurationError` where nobody looked."""
    presence = presence_of(connection.scope)
    if presence is None:
        raise ConfigurationError("nobody looks sessions up: call auth.install(app) where the application is made")
    return presence


def sign_in_url(visitors: Visitors, back_to: str | None) -> str:
    """Of the sign-in page, wherever the request was sent to."""
    url = visitors.address.url(visitors.entrance)
    return url if back_to is None else f"{url}?{urlencode({'next': back_to})}"


def public_path(scope: Scope, presence: Presence) -> str:
    """Path and query of this request as browsers see them: below `base_url`, not below what a proxy made of it."""
    base, root, path = presence.visitors.address.path, presence.root, scope["path"]
    within = path.removeprefix(root) if path == root or path.startswith(f"{root}/") else path
    written = quote(within or "/", safe="/:@!$&'()*+,;=~")
    query = quote(scope.get("query_string", b""), safe=_QUERY)
    return safe_next(base + written + (f"?{query}" if query else ""), base + "/")


def _htmx_page(request: Request, presence: Presence) -> str | None:
    """The page in the browser, of which HTMX asks for a part."""
    page = request.headers.get("hx-current-url")
    if page is not None:
        return safe_target(page, presence.visitors.address.origin, (), "") or None
    return public_path(request.scope, presence) if request.method == "GET" else None
