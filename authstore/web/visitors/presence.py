"""Who makes a request: the session behind it, the browser it comes from, and whether a page of this site sent it."""

import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Final

from starlette.requests import HTTPConnection
from starlette.types import Scope

from authstore.errors import StoreError
from authstore.expiry import is_touch_due
from authstore.models import Session, User
from authstore.tokens import MAX_TOKEN_LENGTH
from authstore.web.address import Address
from authstore.web.refusals import RefusedError
from authstore.web.source import Source
from authstore.web.visitors.cookies import Cookies, cookie_line, new_browser
from authstore.web.visitors.csrf import CsrfTokens, is_foreign
from authstore.web.visitors.visits import BrowserSession, Visits

log = logging.getLogger("authstore.web")

_INNERMOST: Final = "authstore"  # of the ASGI scope: the presence at the site that is nearest to the application

_SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(slots=True)
class Presence:
    """Of one request: the token it presented, and the living session and user behind it, or `None`.

    `visitors` is whose store was asked. `by_bearer`: the token came as `Authorization: Bearer`, from no browser.
    `visit` is `request.session`, where the site keeps visits. `root` is the `root_path` of the application that the
    site is installed in, which may be mounted in another.
    """

    visitors: "Visitors"
    token: str | None
    session: Session | None
    user: User | None
    by_bearer: bool = False
    visit: BrowserSession | None = None
    root: str = ""

    def renew_visit(self) -> None:
        """Whoever signs in or out goes on under a new token of the visit too."""
        if self.visit is not None:
            self.visit.renew()


def presence_of(scope: Scope) -> Presence | None:
    """What our middleware found out about this request; `None` where it did not run."""
    presence: Presence | None = scope.get(_INNERMOST)
    return presence


def bearer_token(scope: Scope) -> str | None:
    """What came as `Authorization: Bearer` (RFC 6750 §2.1); other schemes are not ours."""
    for name, value in scope["headers"]:
        if name == b"authorization" and value[:7].lower() == b"bearer ":
            return str(value[7:].strip().decode("latin-1")[: MAX_TOKEN_LENGTH + 1])
    return None


@dataclass(frozen=True, slots=True)
class Visitors:
    """Whoever visits a site; `entrance` is the path of its sign-in page.

    `name` is the site's own: several may be installed in one application. The pages of `allowed_origins` may act for
    signed-in users too.
    """

    name: str
    address: Address
    entrance: str
    source: Source
    cookies: Cookies
    csrf: CsrfTokens
    allowed_origins: Collection[str]
    visits: Visits | None = None
    _key: str = field(init=False)  # of the ASGI scope: the presence at this site

    def __post_init__(self) -> None:
        object.__setattr__(self, "_key", f"authstore:{self.name}")

    async def presence(self, scope: Scope, cookies: bytes | None = None) -> Presence:
        """Who makes this request; asked of the store once, and left where applications look for it.

        `cookies`: its `cookie_line`, where the caller has it. Raises `StoreError`.
        """
        known: Presence | None = scope.get(self._key)
        if known is not None and known.visitors is self:
            return known
        line, bearer = cookie_line(scope) if cookies is None else cookies, bearer_token(scope)
        tokens = self._presented(scope, line) if bearer is None else [bearer]
        if bearer is not None:
            await self._check_alone(line)
        token, session, user = await self._look_up(tokens) if tokens else (None, None, None)
        if token is not None and session is None:
            log.debug("no session: the token is unknown, or its session has ended or expired")
        if token is not None and session is not None and self._is_touch_due(session):
            session = await self._touched(token, session)
        presence = scope[_INNERMOST] = scope[self._key] = Presence(
            self, token, session, user, bearer is not None, root=scope.get("root_path", "")
        )
        state = scope.setdefault("state", {})
        state["user"], state["session"] = user, session
        return presence

    async def visit(self, scope: Scope, presence: Presence, cookies: bytes) -> BrowserSession | None:
        """`request.session`, where this site keeps visits; looked up once. Raises `StoreError`."""
        if self.visits is None:
            return None
        if presence.visit is None:
            is_abused = self._is_abused(scope)
            presence.visit = BrowserSession(None, is_kept=False) if is_abused else await self.visits.find(cookies)
        scope["session"] = presence.visit
        return presence.visit

    async def keep(self, visit: BrowserSession, *, can_answer: bool = True) -> Sequence[str]:
        """See `Visits.keep`."""
        return [] if self.visits is None else await self.visits.keep(visit, can_answer=can_answer)

    async def _look_up(self, tokens: Sequence[str]) -> tuple[str | None, Session | None, User | None]:
        """The first token that finds a session; several come from cookies of a former system alone."""
        for token in tokens:
            found = await self.source.store.get_session_and_user(token)
            if found is not None:
                return (token, *found)
        return (tokens[0] if tokens else None, None, None)

    async def _check_alone(self, cookies: bytes) -> None:
        """Raises `RefusedError` where a living session's cookie stands beside a bearer: whose request is it?"""
        _, session, _ = await self._look_up(self.cookies.presented_tokens(cookies))
        if session is not None:
            raise RefusedError("request")

    def known(self, scope: Scope) -> Presence | None:
        """What was found out about this request at this very site, if it was."""
        known: Presence | None = scope.get(self._key)
        return known if known is not None and known.visitors is self else None

    def _presented(self, scope: Scope, cookies: bytes) -> Sequence[str]:
        """The session's token, where it counts; of a former system's there may be several."""
        tokens = self.cookies.presented_tokens(cookies)
        if tokens and self._is_abused(scope):
            log.debug("no session: another site made the browser send this, so its cookie does not count")
            return []
        return tokens

    def _is_abused(self, scope: Scope) -> bool:
        """Whether another site makes this browser change something, or opens a WebSocket: cookies count for nothing
        then, in the application's own routes too (SameSite=Lax lets sibling subdomains through)."""
        return scope.get("method") not in _SAFE_METHODS and self.is_foreign(HTTPConnection(scope))

    def is_foreign(self, connection: HTTPConnection) -> bool:
        """Whether the browser says that another site makes this request."""
        return is_foreign(connection.headers, (self.address.origin, *self.allowed_origins))

    def _is_touch_due(self, session: Session) -> bool:
        """Whether the use is worth a write; a store that does not tell its policy decides that itself."""
        timed = self.source.timed
        return timed is None or is_touch_due(timed.policy, timed.clock(), last_used_at=session.last_used_at)

    async def _touched(self, token: str, session: Session) -> Session:
        """Notes the use; a store that cannot write now does not stop the reading."""
        try:
            return await self.source.store.touch_session(token) or session
        except StoreError as error:
            log.warning("a session's use was not noted: %s", type(error).__name__)
            return session

    def has_cookies(self, scope: Scope) -> bool:
        """Whether a browser that was here before makes this request."""
        line = cookie_line(scope)
        return self.cookies.presented_browser(line) is not None or self.cookies.presented_token(line) is not None

    def browser_of(self, scope: Scope) -> str | None:
        """The name of this browser: the one it has, or the one it is being given in this very answer; a client without
        cookies is known by its session."""
        known = self.known(scope)
        if known is not None and known.by_bearer:
            return None if known.session is None else f"session:{known.session.id}"
        return self.new_name(scope) or self.cookies.presented_browser(cookie_line(scope))

    def named_browser(self, scope: Scope) -> str:
        """The name of this browser; a new one is sent with the answer."""
        name = self.browser_of(scope)
        if name is None:
            name = scope[f"{self._key}.browser"] = new_browser()
        return name

    def new_name(self, scope: Scope) -> str | None:
        """The name that this browser is given with the answer, if it is given one."""
        name: str | None = scope.get(f"{self._key}.browser")
        return name

    def csrf_token(self, scope: Scope, presence: Presence) -> str:
        """A token for the forms of a page."""
        browser = self.named_browser(scope)
        return self.csrf.make(browser if presence.session is None else f"session:{presence.session.id}", browser)

    def check_csrf(self, connection: HTTPConnection, presence: Presence, token: object) -> None:
        """Raises `RefusedError` unless a page of this site, in this browser and session, sent the request.

        The code is "stale" for a form that was left open in this browser while somebody signed in or out.
        """
        browser = self.cookies.presented_browser(cookie_line(connection.scope))
        binding = browser if presence.session is None else f"session:{presence.session.id}"
        if binding is None or self.is_foreign(connection):
            raise RefusedError("csrf", 403)
        if not self.csrf.is_valid(token, binding):
            is_stale = browser is not None and self.csrf.is_of_browser(token, browser)
            raise RefusedError("stale" if is_stale else "csrf", 403)
