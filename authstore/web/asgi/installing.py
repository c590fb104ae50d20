"""Middleware, routes and answers to errors, put into an application in whatever order that is made."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.types import ASGIApp
from starlette.websockets import WebSocket

from authstore.errors import AuthStoreError, StoreError, UserDisabledError
from authstore.web.asgi.middleware import PresenceMiddleware, log
from authstore.web.asgi.own_routes import OwnRoutes
from authstore.web.guards import POLICY_VIOLATION, SignInNeededError
from authstore.web.refusals import RefusedError
from authstore.web.routing.answers import finished, refused_answer
from authstore.web.routing.asked import Asked
from authstore.web.site import Site
from authstore.web.visitors.presence import Presence

_ANSWERABLE: Final = "answerable_by_authstore"  # of an error
_OURS: Final = "is_of_authstore"  # of a function that describes an application
_BEARER: Final = "authstoreBearer"  # name of a security scheme
_TRY_AGAIN_LATER: Final = 1013  # IANA's registry of close codes


@contextmanager
def answerable() -> Iterator[None]:
    """Whatever is the person's own affair, or passes, may be answered by us where the application lets it go by."""
    try:
        yield
    except (UserDisabledError, StoreError) as error:
        setattr(error, _ANSWERABLE, True)
        raise


def install(app: Starlette, site: Site, route: OwnRoutes) -> None:
    """Puts a site into an application."""
    routes = app.router.routes
    if any(isinstance(each, OwnRoutes) and each.path == route.path and each is not route for each in routes):
        log.warning("of two Auth at %r the pages of one alone are reached: give each a prefix= of its own", route.path)
    app.add_middleware(PresenceMiddleware, site=site)
    _keep_outermost(app)
    routes.insert(route.place_in(routes), route)
    _describe(app, site.visitors.cookies.session_name)
    app.add_exception_handler(SignInNeededError, _sign_in_needed)
    # The application's own answers to these, made before or after, come first.
    app.exception_handlers.setdefault(AuthStoreError, _refusing(site))


def _describe(app: Any, cookie: str) -> None:
    """FastAPI's description names the cookie that this site sets, and the other way to send a token.

    Of several sites the one that was installed first speaks, whose `request.state.user` is.
    """
    describe = getattr(app, "openapi", None)
    if describe is None or getattr(describe, _OURS, False):
        return

    def described() -> dict[str, Any]:
        schema: dict[str, Any] = describe()
        schemes = schema.get("components", {}).get("securitySchemes", {})
        if "authstore" in schemes and _BEARER not in schemes:
            schemes["authstore"]["name"] = cookie
            schemes[_BEARER] = {"type": "http", "scheme": "bearer", "description": "A session's token."}
            for operations in schema["paths"].values():
                for operation in operations.values():
                    if {"authstore": []} in operation.get("security", ()):
                        operation["security"].append({_BEARER: []})
        return schema

    setattr(described, _OURS, True)
    app.openapi = described


def _keep_outermost(app: Starlette) -> None:
    """Middleware that is added later stands around what was there, and would look for a user before we did."""
    build: Callable[[], ASGIApp] = app.build_middleware_stack

    def build_around() -> ASGIApp:
        app.user_middleware.sort(key=_is_not_ours)
        return build()

    app.build_middleware_stack = build_around  # type: ignore[method-assign] # Starlette has no hook before it


def _is_not_ours(middleware: Middleware) -> bool:
    kind: Any = middleware.cls
    return kind is not PresenceMiddleware


async def _sign_in_needed(_: Request, error: Exception) -> Response:
    if not isinstance(error, SignInNeededError):
        raise error
    return await error.answer()


def _refusing(site: Site) -> Callable[[Any, Exception], Any]:
    async def refuse(connection: HTTPConnection, error: Exception) -> Response | None:
        """What a method of `Auth` met with on the way is told; what the application met with itself is its own."""
        if not getattr(error, _ANSWERABLE, False):
            raise error
        if isinstance(error, UserDisabledError):
            refused = RefusedError("disabled", 403)
        else:
            refused = RefusedError("unavailable", 503)
        if isinstance(connection, WebSocket):
            await connection.close(POLICY_VIOLATION if refused.status == 403 else _TRY_AGAIN_LATER)
            return None
        request = Request(connection.scope)
        # Looked up by the middleware; not asked again of a store that may not answer.
        presence = site.visitors.known(connection.scope) or Presence(site.visitors, None, None, None)
        asked = Asked(site, request, presence, {})
        return finished(asked, await refused_answer(asked, refused))

    return refuse
