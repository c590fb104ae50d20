"""A browser is signed in and out: a session in the store, a cookie in the answer."""

import logging
from dataclasses import dataclass
from typing import Final

from starlette.requests import HTTPConnection
from starlette.responses import Response

from authstore.adapter import Adapter
from authstore.models import Session, User
from authstore.web.source import Source
from authstore.web.visitors.cookies import Cookies, cookie_age
from authstore.web.visitors.presence import Presence, Visitors

log = logging.getLogger("authstore.web")

_MAX_USER_AGENT: Final = 512
_MAX_IP: Final = 64


@dataclass(frozen=True, slots=True)
class SignIns:
    """Begins and ends the sessions of a site."""

    source: Source
    cookies: Cookies
    visitors: Visitors

    async def begin(self, store: Adapter, connection: HTTPConnection, user: User) -> Session:
        """Signs this browser in: always a new session (ASVS 7.2.4); the one it had ends, whoever's it was."""
        presence = await self.visitors.presence(connection.scope)
        if presence.token is not None:
            await store.delete_session(presence.token, reason="replaced")
        presence.renew_visit()
        session = await store.create_session(user.id, ip=ip_of(connection), user_agent=user_agent_of(connection))
        log.info("signed in: user %r, session %r, from %s", user.id, session.id, session.ip)
        return session

    def greet(self, response: Response, session: Session, way: str | None = None) -> Response:
        """Puts the session's cookie into the answer, and by which way one came; a former system's is ended."""
        if way is not None:
            response.headers.append("set-cookie", self.cookies.last_header(way))
        for header in self.cookies.farewell_headers()[1:]:
            response.headers.append("set-cookie", header)
        age = cookie_age(self.source.policy, session.created_at, session.expires)
        header = self.cookies.session_header(session.token or "", age)
        response.headers.append("set-cookie", header)
        return response

    async def end(self, response: Response, presence: Presence) -> Response:
        """Ends the session in the store, and the cookie."""
        if presence.token is not None:
            await self.source.store.delete_session(presence.token)
        if presence.session is not None:
            log.info("signed out: user %r, session %r", presence.session.user_id, presence.session.id)
        return self.dismiss(response, presence)

    def dismiss(self, response: Response, presence: Presence) -> Response:
        """Ends the cookies of a session, and what the browser kept of the pages that it opened."""
        response.headers["clear-site-data"] = '"cache"'
        if presence.by_bearer:
            return response
        presence.renew_visit()
        for header in self.cookies.farewell_headers():
            response.headers.append("set-cookie", header)
        return response


def ip_of(connection: HTTPConnection) -> str | None:
    """The client's address, as the server tells it (behind a proxy: run uvicorn with `--proxy-headers`)."""
    return connection.client.host[:_MAX_IP] if connection.client else None


def user_agent_of(connection: HTTPConnection) -> str | None:
    """What the browser calls itself, in printable characters, cut to 512."""
    said = connection.headers.get("user-agent", "")[:_MAX_USER_AGENT]
    return "".join(character for character in said if character.isprintable()) or None
