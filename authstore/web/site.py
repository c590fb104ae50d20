"""What every route needs: the store, the address, the cookies, the pages, and who makes a request."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, Protocol, runtime_checkable

from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.types import Scope

from authstore.adapter import Adapter, Clock
from authstore.errors import ConfigurationError, StoreError
from authstore.expiry import SessionPolicy, is_touch_due, utc_now
from authstore.models import Session, User
from authstore.web.address import Address
from authstore.web.cookies import MAX_AGE, Cookies, cookie_line, new_browser
from authstore.web.csrf import CsrfTokens, is_foreign
from authstore.web.limits import Limits, client_of
from authstore.web.pages import Pages
from authstore.web.presence import KEY, Presence
from authstore.web.refusals import RefusedError
from authstore.web.settings import Settings

log = logging.getLogger("authstore.web")

_MAX_USER_AGENT: Final = 512
_MAX_IP: Final = 64
_SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})


@runtime_checkable
class TimedStore(Protocol):
    """A store that tells its limits and its clock, as those of `authstore.connect` do."""

    @property
    def policy(self) -> SessionPolicy:
        """The limits by which it judges sessions."""
        ...

    @property
    def clock(self) -> Clock:
        """Where its "now" comes from."""
        ...


@dataclass(slots=True)
class Site:
    """The site as the routes see it; `store` is there while the application runs."""

    address: Address
    settings: Settings
    cookies: Cookies
    csrf: CsrfTokens
    pages: Pages
    page_values: Mapping[str, Any] = field(default_factory=dict)  # for every template
    opened: Adapter | None = None
    timed: TimedStore | None = None  # the same, where it tells its limits and its clock
    limits: Limits = field(default_factory=Limits)

    def open(self, store: Adapter) -> None:
        """From now on this is the store."""
        self.opened = store
        self.timed = store if isinstance(store, TimedStore) else None

    def close(self) -> None:
        """From now on there is none."""
        self.opened = self.timed = None

    @property
    def store(self) -> Adapter:
        """The open store. Raises `ConfigurationError` where the application runs without our lifespan."""
        if self.opened is None:
            raise ConfigurationError("the store is not open: start the application with lifespan=auth.lifespan")
        return self.opened

    @property
    def policy(self) -> SessionPolicy | None:
        """The store's limits, where it tells them."""
        return None if self.timed is None else self.timed.policy

    def now(self) -> datetime:
        """The store's "now"."""
        return utc_now() if self.timed is None else self.timed.clock()

    @property
    def link_lifetime(self) -> timedelta:
        """How long what is mailed or begun lives: as set, or as the store's policy says where that is shorter."""
        limit = None if self.policy is None else self.policy.token_lifetime
        return self.settings.link_lifetime if limit is None else min(limit, self.settings.link_lifetime)

    def deadline(self) -> datetime | None:
        """When what is mailed or begun now dies; `None` leaves that to a store whose clock is not known."""
        return None if self.timed is None else self.now() + self.link_lifetime

    def is_fresh(self, session: Session, limit: timedelta) -> bool:
        """Whether its user proved who they are within `limit`."""
        return self.now() < session.authenticated_at + limit

    def path(self, path: str) -> str:
        """The path of one of our routes."""
        return self.settings.prefix + path

    def url(self, path: str) -> str:
        """The absolute URL of one of our routes."""
        return self.address.url(self.path(path))

    async def presence(self, scope: Scope, cookies: bytes | None = None) -> Presence:
        """Who makes this request; asked of the store once, and left where applications look for it.

        `cookies`: its `cookie_line`, where the caller has it. Raises `StoreError`.
        """
        known: Presence | None = scope.get(KEY)
        if known is not None and known.site is self:
            return known
        token = self._presented(scope, cookie_line(scope) if cookies is None else cookies)
        found = None if token is None else await self.store.get_session_and_user(token)
        session, user = found or (None, None)
        if token is not None and session is not None and self._is_touch_due(session):
            session = await self._touched(token, session)
        presence = scope[KEY] = Presence(self, token, session, user)
        state = scope.setdefault("state", {})
        state["user"], state["session"] = user, session
        return presence

    def _presented(self, scope: Scope, cookies: bytes) -> str | None:
        """The session token, where it counts."""
        token = self.cookies.presented_token(cookies)
        return None if token is not None and self._is_abused(scope) else token

    def _is_abused(self, scope: Scope) -> bool:
        """Whether another site makes this browser change something, or opens a WebSocket: cookies count for nothing
        then, in the application's own routes too (SameSite=Lax lets sibling subdomains through)."""
        return scope.get("method") not in _SAFE_METHODS and self.is_foreign(HTTPConnection(scope))

    def is_foreign(self, connection: HTTPConnection) -> bool:
        """Whether the browser says that another site makes this request."""
        return is_foreign(connection.headers, (self.address.origin, *self.settings.allowed_origins))

    def _is_touch_due(self, session: Session) -> bool:
        """Whether the use is worth a write; a store that does not tell its policy decides that itself."""
        timed = self.timed
        return timed is None or is_touch_due(timed.policy, timed.clock(), last_used_at=session.last_used_at)

    async def _touched(self, token: str, session: Session) -> Session:
        """Notes the use; a store that cannot write now does not stop the reading."""
        try:
            return await self.store.touch_session(token) or session
        except StoreError as error:
            log.warning("a session's use was not noted: %s", type(error).__name__)
            return session

    # CSRF

    def browser_of(self, scope: Scope) -> str | None:
        """The name of this browser: the one it has, or the one it is being given in this very answer."""
        return scope.get(f"{KEY}.browser") or self.cookies.presented_browser(cookie_line(scope))

    def named_browser(self, scope: Scope) -> str:
        """The name of this browser; a new one is sent with the answer."""
        name = self.browser_of(scope)
        if name is None:
            name = scope[f"{KEY}.browser"] = new_browser()
        return name

    def csrf_token(self, scope: Scope, presence: Presence) -> str:
        """A token for the forms of a page."""
        if presence.session is not None:
            return self.csrf.make(f"session:{presence.session.id}")
        return self.csrf.make(f"browser:{self.named_browser(scope)}")

    def check_csrf(self, connection: HTTPConnection, presence: Presence, token: object) -> None:
        """Raises `RefusedError` unless a page of this site, in this browser and session, sent the request."""
        browser = self.cookies.presented_browser(cookie_line(connection.scope))
        binding = f"session:{presence.session.id}" if presence.session else f"browser:{browser}"
        known = presence.session is not None or browser is not None
        if not known or self.is_foreign(connection) or not self.csrf.is_valid(token, binding):
            raise RefusedError("csrf", 403)

    # Signing in and out

    async def is_within_limit(self, subject: str, limit: int) -> bool:
        """Counts one more for `subject`, of which there may be `limit` while a link lives."""
        return await self.limits.allow(self.store, subject, limit, window=self.settings.link_lifetime, now=self.now())

    async def check_begins(self, connection: HTTPConnection, what: str) -> None:
        """Counts one more sign-in that this client begins. Raises `RefusedError` where it began too many."""
        ip = ip_of(connection)
        if not await self.is_within_limit(
            f"{what}-client:{client_of(ip)}", self.settings.allowances.sign_ins_per_client
        ):
            log.warning("too many sign-ins begun, from %s", ip)
            raise RefusedError("too_many", 429)

    async def begin_session(self, store: Adapter, connection: HTTPConnection, user: User) -> Session:
        """Signs this browser in: always a new session (ASVS 7.2.4); the one it had ends, whoever's it was."""
        presence = await self.presence(connection.scope)
        if presence.token is not None:
            await store.delete_session(presence.token)
        session = await store.create_session(user.id, ip=ip_of(connection), user_agent=user_agent_of(connection))
        log.info("signed in: user %r, session %r, from %s", user.id, session.id, session.ip)
        return session

    def greet(self, response: Response, session: Session) -> Response:
        """Puts the session's cookie into the answer; a former system's is ended."""
        for header in self.cookies.farewell_headers()[1:]:
            response.headers.append("set-cookie", header)
        response.headers.append("set-cookie", self.cookies.session_header(session.token or "", self.max_age(session)))
        return response

    async def sign_out(self, response: Response, presence: Presence) -> Response:
        """Ends the session in the store, and the cookie."""
        if presence.token is not None:
            await self.store.delete_session(presence.token)
        if presence.session is not None:
            log.info("signed out: user %r, session %r", presence.session.user_id, presence.session.id)
        return self.dismiss(response)

    def dismiss(self, response: Response) -> Response:
        """Ends the cookies of a session."""
        for header in self.cookies.farewell_headers():
            response.headers.append("set-cookie", header)
        return response

    def max_age(self, session: Session) -> int:
        """How long a browser keeps the cookie, in seconds; the store decides how long it is good for."""
        policy = self.policy
        if policy is not None and policy.lifetime is None:
            return MAX_AGE
        return min(MAX_AGE, int((session.expires - session.created_at).total_seconds()))

    # Pages

    def context(self, scope: Scope, presence: Presence, values: Mapping[str, Any]) -> dict[str, Any]:
        """What every template gets, and `values`."""
        return {
            "site": self.settings.name,
            "prefix": self.settings.prefix,
            "home": self.settings.home,
            "csrf_token": self.csrf_token(scope, presence),
            "user": presence.user,
            "now": self.now(),
            "messages": [],
            **self.page_values,
            **values,
        }


def ip_of(connection: HTTPConnection) -> str | None:
    """The client's address, as the server tells it (behind a proxy: run uvicorn with `--proxy-headers`)."""
    return connection.client.host[:_MAX_IP] if connection.client else None


def user_agent_of(connection: HTTPConnection) -> str | None:
    """What the browser calls itself, in printable characters, cut to 512."""
    said = connection.headers.get("user-agent", "")[:_MAX_USER_AGENT]
    return "".join(character for character in said if character.isprintable()) or None
