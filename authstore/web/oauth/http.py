"""Requests to a provider: over TLS, no redirects followed, and never more of an answer than is good for us."""

from functools import cache
from ssl import SSLContext
from typing import Any, Final

import httpx2

from authstore.web.oauth.provider import Transport

MAX_ANSWER: Final = 1 << 20  # bytes

_REQUEST_SECONDS: Final = 10.0
# Nothing compressed: what a small answer unfolds to is not known before.
_HEADERS: Final = {"accept": "application/json", "accept-encoding": "identity"}


class ProviderHttp(httpx2.AsyncClient):
    """A client for one exchange. Its answers are read when it returns them."""

    def __init__(self, transport: Transport | None) -> None:
        if transport is None:
            super().__init__(timeout=_REQUEST_SECONDS, headers=_HEADERS, verify=_trusted())
        else:
            super().__init__(timeout=_REQUEST_SECONDS, headers=_HEADERS, transport=_Carried(transport))

    async def send(
        self,
        request: httpx2.Request,
        *,
        stream: bool = False,  # noqa: ARG002  # the library's signature; an answer is read here, whatever is asked
        **more: Any,
    ) -> httpx2.Response:
        """See `httpx2.AsyncClient.send`. Raises `ValueError` for more than `MAX_ANSWER` bytes."""
        answer = await super().send(request, stream=True, **more)
        body = bytearray()
        try:
            async for chunk in answer.aiter_bytes():
                body += chunk
                if len(body) > MAX_ANSWER:
                    raise ValueError(f"an answer of more than {MAX_ANSWER} bytes")
        finally:
            await answer.aclose()
        headers = {"content-type": answer.headers.get("content-type", "")}
        return httpx2.Response(answer.status_code, headers=headers, content=bytes(body), request=request)


def is_jwt(answer: httpx2.Response) -> bool:
    """Whether it says that it is signed, as user info may be (OpenID Connect Core §5.3.2)."""
    kind: str = answer.headers.get("content-type", "")
    return kind.partition(";")[0].strip().lower() == "application/jwt"


class _Carried(httpx2.AsyncBaseTransport):
    """A transport of the application's, of which no more is asked than to answer requests."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        try:
            answer: httpx2.Response = await self._transport.handle_async_request(request)
        except (httpx2.HTTPError, OSError):
            raise
        except Exception as error:  # of whatever library carries it
            raise httpx2.TransportError(f"the transport failed: {type(error).__name__}") from error
        return answer


@cache
def _trusted() -> SSLContext:
    """Made once: reading all certificates takes milliseconds."""
    return httpx2.create_ssl_context()
