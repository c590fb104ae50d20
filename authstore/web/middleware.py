"""Pure ASGI middleware: sets `request.state.user` and `request.state.session` for every request and WebSocket."""

from collections.abc import Awaitable

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from authstore.web.cookies import MAX_HEADER, cookie_line
from authstore.web.site import Site


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
            return await self._refuse(scope, receive, send)
        presence = await self._site.presence(scope, cookies)
        if presence.user is None or scope["type"] == "websocket":
            return await self._app(scope, receive, send)
        return await self._app(scope, receive, _private(send))

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            return await send({"type": "websocket.close", "code": 1009})
        return await PlainTextResponse("The cookies are too long.", 431)(scope, receive, send)


def _private(send: Send) -> Send:
    def send_private(message: Message) -> Awaitable[None]:
        if message["type"] == "http.response.start":
            headers = list(message.get("headers", ()))
            if b"cache-control" not in [name for name, _ in headers]:
                message = {**message, "headers": [*headers, (b"cache-control", b"private")]}
        return send(message)

    return send_private
