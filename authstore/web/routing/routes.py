"""From a function of a request to a route: fields read, CSRF checked, refusals made answers, headers set."""

import logging
from collections.abc import Awaitable, Callable
from typing import Final, Literal
from urllib.parse import urlencode, urlsplit

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from authstore.errors import AuthStoreError
from authstore.web.reading import read_fields, sends_json, wants_json
from authstore.web.redirects import origin_of
from authstore.web.refusals import RefusedError
from authstore.web.routing.answers import finished, known_refusal, refused_answer
from authstore.web.routing.asked import Asked, redirect
from authstore.web.site import Site

log = logging.getLogger("authstore.web")

Handler = Callable[[Asked], Awaitable[Response]]

# When a change must come from a page or script of this site: "signed-in" where there is a session that it could end,
# "browsers" unless it is JSON without any cookie of ours, which no page can make a browser send elsewhere.
CsrfRule = Literal["always", "signed-in", "browsers", "never"]

_THIS_MACHINE: Final = frozenset({"localhost", "127.0.0.1", "::1", "0.0.0.0", "::"})  # noqa: S104 # as servers print it


def get(site: Site, path: str, handler: Handler, name: str, *, answers_head: bool = True) -> Route:
    """A page. `answers_head=False` for what must not happen because a scanner looks at a link."""

    async def show(asked: Asked) -> Response:
        return _at_base_url(asked) or await handler(asked)

    route = Route(path, _endpoint(site, show), methods=["GET"], name=name)
    if not answers_head and route.methods is not None:
        route.methods.discard("HEAD")
    return route


def post(
    site: Site, path: str, handler: Handler, name: str, *, csrf: CsrfRule = "always", needs_session: bool = False
) -> Route:
    """A change. Whoever's session ended meanwhile is sent to sign in by one that `needs_session`."""

    async def change(asked: Asked) -> Response:
        asked = Asked(site, asked.request, asked.presence, await read_fields(asked.request))
        try:
            _check_csrf(asked, csrf)
            return await handler(asked)
        except RefusedError as refused:
            if needs_session and refused.code == "stale" and asked.presence.session is None and not asked.wants_json:
                return redirect(f"{site.path('/sign-in')}?{urlencode({'next': site.path('/sessions')})}")
            return await refused_answer(asked, refused)

    return Route(path, _endpoint(site, change), methods=["POST"], name=name)


def _check_csrf(asked: Asked, rule: CsrfRule) -> None:
    request, visitors = asked.request, asked.site.visitors
    is_anonymous = asked.presence.session is None and not visitors.is_foreign(request)
    by_bearer = asked.presence.by_bearer and asked.presence.session is not None
    if rule == "never" or by_bearer or (rule == "signed-in" and is_anonymous):
        return
    if rule == "browsers" and is_anonymous and sends_json(request) and not visitors.has_cookies(request.scope):
        return
    token = request.headers.get("x-csrf-token") or asked.fields.get("csrf_token")
    visitors.check_csrf(request, asked.presence, token)


def _endpoint(site: Site, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        asked = Asked(site, request, await site.visitors.presence(request.scope), {})
        try:
            response = await handler(asked)
        except RefusedError as refused:
            response = await refused_answer(asked, refused)
        except AuthStoreError as error:
            response = await refused_answer(asked, known_refusal(error))
        return finished(asked, response)

    return endpoint


def _at_base_url(asked: Asked) -> Response | None:
    """Cookies and passkeys belong to one host: who came by another name of this machine is sent on to `base_url`.

    Any other name is but warned of, once: behind a proxy that changes `Host` it would be sent on for ever.
    """
    site, host = asked.site, asked.request.headers.get("host", "")
    base = urlsplit(site.address.origin)
    origin = origin_of(f"{base.scheme}://{host}")
    if origin in (None, site.address.origin) or wants_json(asked.request):
        return None
    came = urlsplit(origin)
    if {came.hostname, base.hostname} <= _THIS_MACHINE and came.port == base.port:
        query = f"?{asked.request.url.query}" if asked.request.url.query else ""
        path = asked.request.url.path.removeprefix(asked.request.scope.get("root_path", ""))
        return redirect(site.url(path) + query)
    if site.warns_of(host):
        log.warning("asked as %r, but base_url is %r: signing in works there alone", host, site.address.origin)
    return None
