"""Pure ASGI middleware: sets `request.state.user` and `request.state.session` for every request and WebSocket."""

import logging
from collections.abc import Awaitable, Mapping
from typing import Final
from urllib.parse import urlencode

from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from authstore.errors import StoreError
from authstore.web.asgi.health import is_probe
from authstore.web.guards import POLICY_VIOLATION, public_path, sign_in_url
from authstore.web.pages import error_text
from authstore.web.reading import wants_json
from authstore.web.refusals import RETRY_AFTER, RefusedError
from authstore.web.site import Site
from authstore.web.visitors.cookies import cookie_line
from authstore.web.visitors.presence import Presence
from authstore.web.visitors.visits import BrowserSession

log = logging.getLogger("authstore.web")

_MESSAGE_TOO_BIG: Final = 1009  # RFC 6455 §7.4.1
_TRY_AGAIN_LATER: Final = 1013  # IANA's registry of close codes
_TOO_LONG: Final = "The cookies are too long."
_BOTH: Final = "Send the session's cookie or a bearer token, not both."
_STAYS_HERE: Final = "Auth.dev() is for this machine alone: open http://localhost with the port of this server."


class PresenceMiddleware:
    """Looks the session up before the application runs; keeps what signed-in users see out of shared caches."""

    def __init__(self, app: ASGIApp, site: Site) -> None:
        self._app = app
        self._site = site
        self._max_cookie_bytes = site.settings.http.max_cookie_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI. Raises `ConfigurationError` at the first request of an application that runs without our lifespan."""
        if scope["type"] not in ("http", "websocket"):
            return await self._app(scope, receive, send)
        if self._site.answers_probes and is_probe(scope):
            scope.setdefault("state", {}).update(user=None, session=None)  # nobody is looked up for it
            return await self._app(scope, receive, send)
        self._site.source.check_open()
        if not self._site.address.takes(scope):
            log.warning("refused: asked under another name, from elsewhere or through a proxy; Auth.dev() stays here")
            return await _refuse(PlainTextResponse(_STAYS_HERE, 421), POLICY_VIOLATION, scope, receive, send)
        visitors, cookies = self._site.visitors, cookie_line(scope)
        if len(cookies) > self._max_cookie_bytes:
            # Python 3.11 takes seconds to parse a long quoted cookie, and frameworks parse them all.
            too_long = self._told(scope, 431, "request", _TOO_LONG)
            return await _refuse(too_long, _MESSAGE_TOO_BIG, scope, receive, send)
        try:
            presence = await visitors.presence(scope, cookies)
            visit = None if visitors.visits is None else await visitors.visit(scope, presence, cookies)
        except RefusedError:
            return await _refuse(self._told(scope, 400, "request", _BOTH), POLICY_VIOLATION, scope, receive, send)
        except StoreError as error:
            log.warning("a session was not looked up: %s", type(error).__name__)
            return await _refuse(self._unavailable(scope), _TRY_AGAIN_LATER, scope, receive, send)
        if scope["type"] == "websocket":
            await self._app(scope, receive, send)
            return await self._keep_quietly(visit)
        sending = self._sending(scope, send, presence, is_private=presence.user is not None or visit is not None)
        return await self._app(
            scope, receive, sending if visit is None else self._keeping(visit, presence, scope, sending)
        )

    def _keeping(self, visit: BrowserSession, presence: Presence, scope: Scope, send: Send) -> Send:
        """Writes `request.session` down before the answer begins; an answer that would tell of what is not kept does
        not go out. Whoever sends a bearer token is no browser, and gets no cookie."""
        is_refused, can_answer = False, not presence.by_bearer

        async def send_kept(message: Message) -> None:
            nonlocal is_refused
            if message["type"] == "http.response.start":
                try:
                    lines = await self._site.visitors.keep(visit, can_answer=can_answer)
                except StoreError as error:
                    log.warning("request.session was not kept: %s", type(error).__name__)
                    is_refused = True
                    await self._unavailable(scope)(scope, _nothing_more, send)
                else:
                    cookies = [(b"set-cookie", line.encode("latin-1")) for line in lines if can_answer]
                    message = {**message, "headers": [*message.get("headers", ()), *cookies]}
            if not is_refused:
                await send(message)

        return send_kept

    async def _keep_quietly(self, visit: BrowserSession | None) -> None:
        """A WebSocket has no answer: what it put into a visit that is there is kept."""
        if visit is not None:
            try:
                await self._site.visitors.keep(visit, can_answer=False)
            except StoreError as error:
                log.warning("request.session was not kept: %s", type(error).__name__)

    def _sending(self, scope: Scope, send: Send, presence: Presence, *, is_private: bool) -> Send:
        def send_ours(message: Message) -> Awaitable[None]:
            if message["type"] == "http.response.start":
                if is_private:
                    message = _private(message)
                if message["status"] == 303:
                    message = self._led_to_sign_in(scope, presence, message)
            return send(message)

        return send_ours

    def _led_to_sign_in(self, scope: Scope, presence: Presence, message: Message) -> Message:
        """Starlette's `@requires(redirect=…)` makes `next` from the Host header, which anybody can write."""
        visitors, headers = self._site.visitors, list(message.get("headers", ()))
        connection = HTTPConnection(scope)
        written = f"{sign_in_url(visitors, None)}?{urlencode({'next': str(connection.url)})}".encode("latin-1")
        if dict(headers).get(b"location") != written:
            return message
        ours = sign_in_url(visitors, public_path(scope, presence)).encode("latin-1")
        return {**message, "headers": [(name, ours if name == b"location" else value) for name, value in headers]}

    def _unavailable(self, scope: Scope) -> Response:
        text = error_text(self._site.texts_for(HTTPConnection(scope)), "unavailable")
        return self._told(scope, 503, "unavailable", text, {"retry-after": RETRY_AFTER})

    def _told(self, scope: Scope, status: int, code: str, text: str, more: Mapping[str, str] | None = None) -> Response:
        """A refusal before any route: a sentence, or for a script what our routes would answer it."""
        headers = {"cache-control": "no-store", **self._cross_origin(scope), **(more or {})}
        if wants_json(HTTPConnection(scope)):
            return JSONResponse({"error": code, "message": text}, status, headers)
        return PlainTextResponse(text, status, headers)

    def _cross_origin(self, scope: Scope) -> Mapping[str, str]:
        """What lets a page of an allowed origin read this answer, which the application's own middleware never sees."""
        origin = Headers(scope=scope).get("origin")
        if origin not in self._site.settings.allowed_origins:
            return {}
        return {
            "access-control-allow-origin": origin or "",
            "access-control-allow-credentials": "true",
            "vary": "Origin",
        }


async def _nothing_more() -> Message:
    return {"type": "http.disconnect"}


async def _refuse(response: Response, close_code: int, scope: Scope, receive: Receive, send: Send) -> None:
    """Answers with this, or closes the WebSocket."""
    if scope["type"] == "websocket":
        return await send({"type": "websocket.close", "code": close_code})
    return await response(scope, receive, send)


def _private(message: Message) -> Message:
    headers = list(message.get("headers", ()))
    if b"cache-control" in dict(headers):
        return message
    return {**message, "headers": [*headers, (b"cache-control", b"private")]}
