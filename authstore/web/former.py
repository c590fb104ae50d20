"""Cookies of the system that a site had before: how the token in them is read, and whose signature it needs.

A name alone is a cookie that holds the bare token: Auth.js, Django (`sessionid`), starsessions, Flask-Session.
"""

import hmac
import re
from base64 import b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final
from urllib.parse import unquote

from itsdangerous import BadSignature, Signer

from authstore.errors import ConfigurationError
from authstore.tokens import MAX_TOKEN_LENGTH

_MOST: Final = 3 * MAX_TOKEN_LENGTH  # characters of a value: signed, and every character escaped
_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # a cookie's (RFC 6265 §4.1.1)

Secrets = str | bytes | Sequence[str | bytes]  # as the former system was given them


@dataclass(frozen=True, slots=True)
class FormerCookie:
    """A cookie of a former system. `read`: the token in its value, or `None` where that is not as it was signed."""

    name: str
    read: Callable[[str], str | None] = field(default=lambda value: value, repr=False)

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not _NAME.fullmatch(self.name):
            raise ConfigurationError(f"former_cookies: {self.name!r} is no name of a cookie")

    def token(self, value: bytes) -> str | None:
        """The token in a value that a browser sent; a too long one is none."""
        token = self.read(value.decode("latin-1")) if len(value) <= _MOST else None
        return token if token is not None and len(token) <= MAX_TOKEN_LENGTH else None


def express_cookie(secrets: Secrets, *, name: str = "connect.sid") -> FormerCookie:
    """The cookie of express-session: `s:ID.SIGNATURE`, by HMAC-SHA-256 (npm's cookie-signature) under one of `secrets`.

    Raises `ConfigurationError` where there is no secret.
    """
    return FormerCookie(name, partial(_unsigned_by_express, _listed(secrets)))


def better_auth_cookie(secrets: Secrets, *, name: str = "__Secure-better-auth.session_token") -> FormerCookie:
    """The cookie of Better Auth: `TOKEN.SIGNATURE`, by HMAC-SHA-256 under one of its `secret`s; its `name` begins with
    `__Secure-` where that site was on https.

    Raises `ConfigurationError` where there is no secret.
    """
    return FormerCookie(name, partial(_unsigned_by_better_auth, _listed(secrets)))


def flask_cookie(secrets: Secrets, *, name: str = "session") -> FormerCookie:
    """The cookie of Flask-Session with `SESSION_USE_SIGNER`, under one of the application's `SECRET_KEY`s.

    Without that setting it holds the bare id: then its name alone is enough. Raises `ConfigurationError` where there is
    no secret.
    """
    signer = Signer(_listed(secrets), salt="flask-session", key_derivation="hmac")
    return FormerCookie(name, partial(_unsigned_by_flask, signer))


def former_cookies(listed: Sequence[str | FormerCookie]) -> tuple[FormerCookie, ...]:
    """What was given as `former_cookies`. Raises `ConfigurationError`."""
    if isinstance(listed, str) or not all(isinstance(each, str | FormerCookie) for each in listed):
        raise ConfigurationError("former_cookies is a list of names and of what express_cookie(…) and its like make")
    return tuple(FormerCookie(each) if isinstance(each, str) else each for each in listed)


def _listed(secrets: Secrets) -> tuple[bytes, ...]:
    listed = tuple(secrets) if isinstance(secrets, Sequence) and not isinstance(secrets, str | bytes) else (secrets,)
    if not listed or not all(isinstance(secret, str | bytes) and secret for secret in listed):
        raise ConfigurationError("the secrets of a former cookie are texts or bytes: is one of your settings missing?")
    return tuple(secret.encode() if isinstance(secret, str) else secret for secret in listed)


def _unsigned_by_express(secrets: Sequence[bytes], value: str) -> str | None:
    marked = unquote(value)
    token, _, signature = marked.removeprefix("s:").rpartition(".")
    made = [each.rstrip("=") for each in _signatures(secrets, token)]
    return token if marked.startswith("s:") and _is_one_of(signature, made) else None


def _unsigned_by_better_auth(secrets: Sequence[bytes], value: str) -> str | None:
    token, _, signature = unquote(value).rpartition(".")
    return token if _is_one_of(signature, _signatures(secrets, token)) else None


def _signatures(secrets: Sequence[bytes], token: str) -> list[str]:
    signed = token.encode("utf-8", "replace")
    return [b64encode(hmac.digest(secret, signed, "sha256")).decode() for secret in secrets]


def _is_one_of(signature: str, made: Sequence[str]) -> bool:
    given = signature.encode("utf-8", "replace")
    return True in [hmac.compare_digest(each.encode(), given) for each in made]


def _unsigned_by_flask(signer: Signer, value: str) -> str | None:
    try:
        return signer.unsign(value).decode()
    except (BadSignature, UnicodeDecodeError):
        return None
