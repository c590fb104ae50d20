"""Is it this site's own page that asks? Two answers, both needed: what the browser says, and a token.

A token is a nonce and its signature together with what it is bound to: the session, or before there is one, the
browser. So it works for nobody else, and not across signing in or out (OWASP: HMAC-based token pattern).
"""

from collections.abc import Collection, Sequence
from typing import Final

from starlette.datastructures import Headers

from authstore.tokens import new_secret
from authstore.web.cookies import signer

_MAX_LENGTH: Final = 128


class CsrfTokens:
    """Makes and checks tokens."""

    def __init__(self, secrets: Sequence[str | bytes]) -> None:
        self._signer = signer(secrets, "authstore.csrf")

    def make(self, binding: str) -> str:
        """A token for this session or browser."""
        nonce = new_secret()[:22]
        return f"{nonce}.{self._signer.get_signature(_signed_text(nonce, binding)).decode('ascii')}"

    def is_valid(self, token: object, binding: str) -> bool:
        """Whether we made this token for this session or browser."""
        if not isinstance(token, str) or len(token) > _MAX_LENGTH or not token.isascii():
            return False
        nonce, _, signature = token.partition(".")
        return self._signer.verify_signature(_signed_text(nonce, binding), signature)


def _signed_text(nonce: str, binding: str) -> bytes:
    return f"{nonce}.{binding}".encode()


def is_foreign(headers: Headers, origins: Collection[str]) -> bool:
    """Whether the browser says that another site makes this request; clients that say nothing are not browsers."""
    said, fetched_by = headers.get("origin"), headers.get("sec-fetch-site")
    if said in origins:
        return False
    if fetched_by is not None:
        return fetched_by not in ("same-origin", "none")
    return said is not None


def is_embedded(headers: Headers) -> bool:
    """Whether the browser says that a page fetches this as a part of itself (a picture, a frame), unseen by anybody."""
    return headers.get("sec-fetch-dest", "document") != "document"
