"""The cookies: `__Host-authstore` holds the signed session token, `__Host-authstore-browser` names the browser.

The prefix makes browsers refuse them from a subdomain or without TLS, so nobody can plant one (RFC 6265bis §4.1.3).
"""

import hmac
import re
from collections.abc import Sequence
from hashlib import sha256
from typing import Final

from itsdangerous import Signer
from itsdangerous.signer import SigningAlgorithm
from starlette.types import Scope

from authstore.errors import ConfigurationError
from authstore.tokens import MAX_TOKEN_LENGTH, new_secret

MIN_SECRET_LENGTH: Final = 32
MAX_HEADER: Final = 8192  # all cookies of a request, in bytes
MAX_AGE: Final = 400 * 86_400  # seconds; browsers keep no cookie longer
BROWSER_AGE: Final = 86_400  # seconds

_SIGNATURE_LENGTH: Final = 43
_BROWSER: Final = re.compile(r"[A-Za-z0-9_-]{43}")


class OneShot(SigningAlgorithm):
    """HMAC-SHA-256 in one call of OpenSSL instead of three: every request waits for it."""

    def get_signature(self, key: bytes, value: bytes) -> bytes:
        """See `itsdangerous.SigningAlgorithm.get_signature`."""
        return hmac.digest(key, value, "sha256")


class QuickSigner(Signer):
    """Derives each key once instead of at every signature."""

    def derive_key(self, secret_key: str | bytes | None = None) -> bytes:
        """See `itsdangerous.Signer.derive_key`."""
        secret = self.secret_keys[-1] if secret_key is None else secret_key
        derived: dict[str | bytes, bytes] = self.__dict__.setdefault("_derived", {})
        if secret not in derived:
            derived[secret] = super().derive_key(secret)
        return derived[secret]


def signer(secrets: Sequence[str | bytes], salt: str) -> Signer:
    """A signer with a salt of its own; `secrets` newest first (itsdangerous signs with the last of its list)."""
    keys = [secret.encode() if isinstance(secret, str) else secret for secret in reversed(secrets)]
    return QuickSigner(keys, salt, key_derivation="hmac", digest_method=sha256, algorithm=OneShot())


def checked_secrets(secrets: str | bytes | Sequence[str | bytes]) -> tuple[str | bytes, ...]:
    """The secrets, newest first. Raises `ConfigurationError` where there is none or one is short."""
    listed = tuple(secrets) if isinstance(secrets, Sequence) and not isinstance(secrets, (str, bytes)) else (secrets,)
    if not all(isinstance(secret, (str, bytes)) for secret in listed):
        raise ConfigurationError("secrets is a list of texts: is one of your settings missing?")
    if not listed:
        raise ConfigurationError(
            'secrets is empty: make one with python -c "import secrets; print(secrets.token_hex())"'
        )
    if any(len(secret) < MIN_SECRET_LENGTH for secret in listed):
        raise ConfigurationError(f"a secret has at least {MIN_SECRET_LENGTH} characters")
    return listed


class Cookies:
    """Reads and writes our cookies, and reads those of a former system (`former`: names; values are bare tokens)."""

    def __init__(self, secrets: Sequence[str | bytes], *, is_secure: bool, former: Sequence[str] = ()) -> None:
        prefix = "__Host-" if is_secure else ""
        self.session_name = f"{prefix}authstore"
        self.browser_name = f"{prefix}authstore-browser"
        self._former = tuple(former)
        self._attributes = "; Path=/; HttpOnly; SameSite=Lax" + ("; Secure" if is_secure else "")
        self._signer = signer(secrets, "authstore.session")

    def presented_token(self, scope: Scope) -> str | None:
        """The session token of this request, if it carries one that we signed, or one of a former system."""
        signed = read_cookie(scope, self.session_name)
        if signed is not None:
            return self._unsigned(signed)
        for name in self._former:
            token = read_cookie(scope, name)
            if token is not None and len(token) <= MAX_TOKEN_LENGTH:
                return token
        return None

    def presented_browser(self, scope: Scope) -> str | None:
        """What names this browser, if anything does yet."""
        value = read_cookie(scope, self.browser_name)
        return value if value is not None and _BROWSER.fullmatch(value) else None

    def signed(self, token: str) -> str:
        """The value of the session cookie for a token."""
        return self._signer.sign(token.encode()).decode("ascii")

    def session_header(self, token: str, max_age: int) -> str:
        """The Set-Cookie header that signs a browser in; `max_age` in seconds."""
        return self._header(self.session_name, self.signed(token), max_age)

    def browser_header(self, browser: str) -> str:
        """The Set-Cookie header that names a browser."""
        return self._header(self.browser_name, browser, BROWSER_AGE)

    def farewell_headers(self) -> list[str]:
        """The Set-Cookie headers that end the cookies of a session, a former system's included."""
        return [self._header(name, "", 0) for name in (self.session_name, *self._former)]

    def _unsigned(self, value: str) -> str | None:
        if len(value) > MAX_TOKEN_LENGTH + 1 + _SIGNATURE_LENGTH:
            return None
        token, _, signature = value.encode("latin-1").rpartition(b".")
        # Nearly always the newest secret made it, and making it again is quicker than trying them all.
        is_newest = hmac.compare_digest(self._signer.get_signature(token), signature)
        return token.decode() if is_newest or self._signer.verify_signature(token, signature) else None

    def _header(self, name: str, value: str, max_age: int) -> str:
        # A former system's cookie with such a prefix can only be ended with the attribute Secure.
        secure = "; Secure" if name.startswith("__") and "Secure" not in self._attributes else ""
        return f"{name}={value}; Max-Age={max_age}{self._attributes}{secure}"


def new_browser() -> str:
    """A name for a browser that nobody can guess."""
    return new_secret()


def header_length(scope: Scope) -> int:
    """Bytes of all Cookie headers of a request together."""
    return sum(len(value) for name, value in scope["headers"] if name == b"cookie")


def read_cookie(scope: Scope, name: str) -> str | None:
    """The value of a cookie; `None` where it is missing, or there twice: then somebody planted one.

    Of white space only what browsers take off too: with more, a planted name would become one with a prefix.
    """
    wanted = name.encode()
    found = [
        value.strip(b" \t")
        for header, line in scope["headers"]
        if header == b"cookie"
        for key, is_pair, value in (pair.partition(b"=") for pair in line.split(b";"))
        if is_pair and key.strip(b" \t") == wanted
    ]
    return found[0].decode("latin-1") if len(found) == 1 else None
