"""From a function of a request to a route: fields read, CSRF checked, refusals made answers, headers set."""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from authstore.errors import AuthStoreError
from authstore.models import Session, User
from authstore.web.presence import Presence
from authstore.web.reading import Fields, read_fields, text_field, wants_json
from authstore.web.redirects import MAX_LENGTH, leads_into, safe_next
from authstore.web.refusals import RETRY_AFTER, RefusedError, refusal_of
from authstore.web.signing import ip_of
from authstore.web.site import Site

log = logging.getLogger("authstore.web")

_HEADERS: Final = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    # The origin alone: links with tokens in them are never told on, and browsers still say who posts.
    "referrer-policy": "strict-origin",
    "x-content-type-options": "nosniff",
}
_HSTS: Final = "max-age=31536000"


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that got as far as our code."""

    site: Site
    request: Request
    presence: Presence
    fields: Fields

    @property
    def wants_json(self) -> bool:
        """Whether a script asks rather than a person."""
        return wants_json(self.request)

    @property
    def next(self) -> str:
        """Where to go afterwards: posted, else in the query; a path of this site, where nothing else is begun."""
        wanted = self.fields.get("next") or self.request.query_params.get("next")
        # Starlette's @requires(redirect=…) passes the whole URL on.
        local = wanted.removeprefix(self.site.address.origin) if isinstance(wanted, str) else None
        kept = safe_next(local, self.site.settings.home)
        # Who signs in must not find themselves linking another account by it: that takes a click of its own.
        return self.site.settings.home if leads_into(kept, self.site.path("/login/")) else kept

    def text(self, name: str, max_length: int = MAX_LENGTH) -> str:
        """A posted field as text; "" where it is missing or too long."""
        return text_field(self.fields, name, max_length)

    def query(self, name: str, max_length: int = MAX_LENGTH) -> str:
        """A parameter of the query; "" where it is missing, repeated or too long."""
        values = self.request.query_params.getlist(name)
        return values[0] if len(values) == 1 and len(values[0]) <= max_length else ""

    def signed_in(self) -> tuple[Session, User]:
        """The session and its user. Raises `RefusedError`."""
        if self.presence.session is None or self.presence.user is None:
            raise RefusedError("sign_in", 401)
        return self.presence.session, self.presence.user

    def freshly_signed_in(self) -> tuple[Session, User]:
        """As `signed_in`, and not long ago: for what decides who gets in tomorrow (ASVS 7.5.1)."""
        session, user = self.signed_in()
        if not self.site.source.is_fresh(session, self.site.settings.limits.fresh_for):
            raise RefusedError("fresh", 403)
        return session, user

    def page(self, template: str, http_status: int = 200, /, **values: object) -> Response:
        """A page of ours."""
        context = self.site.context(self.request.scope, self.presence, values)
        return self.site.pages.page(template, context, http_status, origins=self.site.settings.allowed_origins)

    def done(self, path: str, **values: object) -> Response:
        """The answer after a change: JSON for a script, a way back for a person."""
        return JSONResponse(values) if self.wants_json else redirect(path)


Handler = Callable[[Asked], Awaitable[Response]]


def redirect(path: str) -> Response:
    """Sends a browser on with GET."""
    return RedirectResponse(path, 303)


def get(site: Site, path: str, handler: Handler, name: str, *, answers_head: bool = True) -> Route:
    """A page. `answers_head=False` for what must not happen because a scanner looks at a link."""
    route = Route(path, _endpoint(site, handler), methods=["GET"], name=name)
    if not answers_head and route.methods is not None:
        route.methods.discard("HEAD")
    return route


def post(site: Site, path: str, handler: Handler, name: str, *, checks_csrf: bool = True) -> Route:
    """A change; only pages and scripts of this site can make it unless `checks_csrf=False`."""
    return Route(path, _endpoint(site, handler, checks_csrf=checks_csrf), methods=["POST"], name=name)


def _endpoint(site: Site, handler: Handler, *, checks_csrf: bool = True) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        presence = await site.visitors.presence(request.scope)
        asked = Asked(site, request, presence, {})
        try:
            if request.method == "POST":
                asked = Asked(site, request, presence, await read_fields(request))
                if checks_csrf:
                    token = request.headers.get("x-csrf-token") or asked.fields.get("csrf_token")
                    site.visitors.check_csrf(request, presence, token)
            response = await handler(asked)
        except RefusedError as refused:
            response = _refusal(asked, refused)
        except AuthStoreError as error:
            response = _refusal(asked, _known(error))
        return _finished(asked, response)

    return endpoint


def _known(error: AuthStoreError) -> RefusedError:
    refused = refusal_of(error)
    if refused is None:
        raise error
    return refused


def _refusal(asked: Asked, refused: RefusedError) -> Response:
    response = _told(asked, refused)
    if refused.status in (429, 503):
        response.headers["retry-after"] = RETRY_AFTER
    return response


def _told(asked: Asked, refused: RefusedError) -> Response:
    request = asked.request
    log.info("refused: %s, %s %r, from %s", refused.code, request.method, request.url.path, ip_of(request))
    text = asked.site.pages.error_text(refused.code, provider=refused.provider, site=asked.site.settings.name)
    if asked.wants_json:
        return JSONResponse({"error": refused.code, "message": text}, refused.status)
    return asked.page(
        "error.html",
        refused.status,
        code=refused.code,
        text=text,
        status=refused.status,
        sign_in_url=_sign_in_url(asked.site, refused),
    )


def _sign_in_url(site: Site, refused: RefusedError) -> str:
    """The sign-in page; who must sign in anew for something in their account comes back there."""
    page = site.path("/sign-in")
    return f"{page}?{urlencode({'next': site.path('/sessions')})}" if refused.code in ("fresh", "sign_in") else page


def _finished(asked: Asked, response: Response) -> Response:
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    if asked.site.address.is_secure:
        response.headers.setdefault("strict-transport-security", _HSTS)
    browser = asked.site.visitors.new_name(asked.request.scope)
    if browser is not None:
        response.headers.append("set-cookie", asked.site.visitors.cookies.browser_header(browser))
    return response
