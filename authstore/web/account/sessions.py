"""The session itself: `/session`, `/csrf`, `/logout`."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from authstore.models import Session, User
from authstore.web.routing.asked import Asked
from authstore.web.routing.routes import get, post
from authstore.web.site import Site

# `data` is the application's own and may hold what its users must not see.
_USER_FIELDS: Final = {"id", "email", "email_verified", "name", "image", "created_at"}
_SESSION_FIELDS: Final = {"id", "expires", "created_at", "last_used_at", "authenticated_at"}


# Where a browser goes on to end a session elsewhere and come back to a URL; `None`: there is no such place.
Onward = Callable[[Session, str], Awaitable[str | None]]


@dataclass(frozen=True, slots=True)
class Sessions:
    """The routes about the session of this browser; `onward` is for who signs out everywhere."""

    site: Site
    onward: Onward

    def routes(self) -> list[Route]:
        """Paths below the prefix."""
        return [
            get(self.site, "/session", self.session, "session"),
            get(self.site, "/csrf", self.csrf, "csrf"),
            post(self.site, "/logout", self.logout, "logout", csrf="signed-in"),
        ]

    async def session(self, asked: Asked) -> Response:
        """Who is signed in, as JSON, or `null`."""
        session, user = asked.presence.session, asked.presence.user
        if session is None or user is None:
            return JSONResponse(None)
        return JSONResponse({"user": shown_user(user), "session": shown_session(session)})

    async def csrf(self, asked: Asked) -> Response:
        """A token for scripts."""
        return JSONResponse({"csrf_token": self.site.visitors.csrf_token(asked.request.scope, asked.presence)})

    async def logout(self, asked: Asked) -> Response:
        """Ends the session; with `everywhere=1` the browser goes on to end the provider's own, and comes back."""
        session, onward = asked.presence.session, None
        if session is not None and asked.text("everywhere") == "1":
            where = asked.next  # a path of ours, or a URL of an allowed origin
            back_to = self.site.address.url(where) if where.startswith("/") else where
            onward = await self.onward(session, back_to)
        further = {} if onward is None else {"next": onward}
        response = asked.done(onward or asked.next, signed_out=True, **further)
        return await self.site.sign_ins.end(response, asked.presence)


def shown_user(user: User) -> dict[str, Any]:
    """What a browser is told of its user."""
    return user.model_dump(mode="json", include=_USER_FIELDS)


def shown_session(session: Session) -> dict[str, Any]:
    """What a browser is told of its session."""
    return session.model_dump(mode="json", include=_SESSION_FIELDS)
