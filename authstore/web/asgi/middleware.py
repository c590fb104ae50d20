"""Pure ASGI middleware: sets `request.state.user` and `request.state.session` for every request and WebSocket."""

import logging
from collections.abc import Awaitable

from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from authstore.errors import StoreError
from authstore.web.cookies import MAX_HEADER, cookie_line
from authstore.web.refusals import RETRY_AFTER
from authstore.web.site import Site

log = logging.getLogger("authstore.web")


class PresenceMiddleware:
    """Looks the session up before the application runs; keeps what signed-in users see out of shared caches."""

    def __init__(self, app: ASGIApp, site: Site) -> None:
        self._app = app
        self._site = site

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] not in ("http", "websocket"):
            return await self._app(scope, receive, send)
        cookies = cookie_line(scope)
        if len(cookies) > MAX_HEADER:
            # Python 3.11 takes seconds to parse a long quoted cookie, and frameworks parse them all.
            too_long = PlainTextResponse("The cookies are too long.", 431)
            return await _refuse(too_long, 1009, scope, receive, send)
        try:
            presence = await self._site.visitors.presence(scope, cookies)
        except StoreError as error:
            log.warning("a session was not looked up: %s", type(error).__name__)
            return await _refuse(self._unavailable(), 1013, scope, receive, send)
        if presence.user is None or scope["type"] == "websocket":
            return await self._app(scope, receive, send)
        return await self._app(scope, receive, _private(send))

    def _unavailable(self) -> Response:
        text = self._site.pages.error_text("unavailable")
        return PlainTextResponse(text, 503, {"cache-control": "no-store", "retry-after": RETRY_AFTER})


async def _refuse(response: Response, close_code: int, scope: Scope, receive: Receive, send: Send) -> None:
    """Answers with this, or closes the WebSocket (codes: RFC 6455 §7.4.1 and IANA's registry)."""
    if scope["type"] == "websocket":
        return await send({"type": "websocket.close", "code": close_code})
    return await response(scope, receive, send)


def _private(send: Send) -> Send:
    def send_private(message: Message) -> Awaitable[None]:
        if message["type"] == "http.response.start":
            headers = list(message.get("headers", ()))
            if b"cache-control" not in dict(headers):
                message = {**message, "headers": [*headers, (b"cache-control", b"private")]}
        return send(message)

    return send_private
