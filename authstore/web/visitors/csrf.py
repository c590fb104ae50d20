"""Is it this site's own page that asks? Two answers, both needed: what the browser says, and a token.

A token is a nonce and two signatures of it: one together with what it is bound to, the session, or before there is one,
the browser, so that it works for nobody else, and not across signing in or out (OWASP: HMAC-based token pattern); and
one together with the browser, by which a form is known that was left open there meanwhile.
"""

from collections.abc import Collection, Sequence
from typing import Final

from starlette.datastructures import Headers

from authstore.tokens import new_secret
from authstore.web.visitors.cookies import signer

_MAX_LENGTH: Final = 128


class CsrfTokens:
    """Makes and checks tokens, for the site of this name."""

    def __init__(self, secrets: Sequence[str | bytes], name: str = "authstore") -> None:
        self._signer = signer(secrets, f"{name}.csrf")

    def make(self, binding: str, browser: str) -> str:
        """A token for this session or browser, made in this browser."""
        nonce = new_secret()[:22]
        return f"{nonce}.{self._signed(f'{nonce}.{binding}')}.{self._signed(f'{nonce}.made-in:{browser}')}"

    def is_valid(self, token: object, binding: str) -> bool:
        """Whether we made this token for this session or browser."""
        nonce, bound, _ = _parts(token)
        return self._signer.verify_signature(f"{nonce}.{binding}".encode(), bound)

    def is_of_browser(self, token: object, browser: str) -> bool:
        """Whether we made this token in this browser, whatever it was bound to."""
        nonce, _, made_in = _parts(token)
        return self._signer.verify_signature(f"{nonce}.made-in:{browser}".encode(), made_in)

    def _signed(self, text: str) -> str:
        return self._signer.get_signature(text.encode()).decode("ascii")


def _parts(token: object) -> tuple[str, str, str]:
    if not isinstance(token, str) or len(token) > _MAX_LENGTH or not token.isascii() or token.count(".") != 2:
        return "", "", ""
    nonce, bound, made_in = token.split(".")
    return nonce, bound, made_in


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
