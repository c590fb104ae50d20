"""Reaching an ASGI application from an HTTP client in the same process."""

import sys

import httpx2
from starlette.types import ASGIApp


class InProcessTransport(httpx2.AsyncBaseTransport):
    """Answers the requests of httpx and of httpx2: Authlib takes the second where it is installed."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Hands the request to the application, in the types of the client it came from."""
        library = sys.modules[type(request).__module__.partition(".")[0]]
        response: httpx2.Response = await library.ASGITransport(self._app).handle_async_request(request)
        return response
