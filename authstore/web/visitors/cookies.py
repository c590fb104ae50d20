"""The cookies: `__Host-authstore` holds the signed session token, `__Host-authstore-browser` names the browser,
`__Host-authstore-visit` the signed token of what the site keeps for it.

A site that shares its host with another takes another name for "authstore".

The prefix makes browsers refuse them from a subdomain or without TLS, so nobody can plant one (RFC 6265bis §4.1.3).
"""

import hmac
import logging
import re
from binascii import b2a_base64
from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from hashlib import sha256
from typing import Final

from itsdangerous import Signer
from itsdangerous.encoding import want_bytes
from starlette.types import Scope

from authstore.errors import ConfigurationError
from authstore.expiry import SessionPolicy
from authstore.tokens import MAX_TOKEN_LENGTH, new_secret
from authstore.web.former import FormerCookie, former_cookies

log = logging.getLogger("authstore.web")

MIN_SECRET_LENGTH: Final = 32
MAX_AGE: Final = 400 * 86_400  # seconds; browsers keep no cookie longer
BROWSER_AGE: Final = 86_400  # seconds

_SIGNATURE_LENGTH: Final = 43
_URL_SAFE: Final = bytes.maketrans(b"+/", b"-_")  # RFC 4648 §5
_WAY: Final = re.compile(r"[a-z0-9_-]{1,64}")
_BROWSER: Final = re.compile(r"[A-Za-z0-9_-]{43}")


class QuickSigner(Signer):
    """The signatures of itsdangerous: HMAC-SHA-256, under keys that are derived and made ready once."""

    def __init__(self, keys: Sequence[bytes], salt: str) -> None:
        super().__init__(keys, salt, key_derivation="hmac", digest_method=sha256)
        self._keyed = [hmac.new(self.derive_key(key), digestmod="sha256") for key in self.secret_keys]

    def get_signature(self, value: str | bytes) -> bytes:
        """See `itsdangerous.Signer.get_signature`."""
        return _signature(self._keyed[-1], want_bytes(value))

    def verify_signature(self, value: str | bytes, sig: str | bytes) -> bool:
        """See `itsdangerous.Signer.verify_signature`; of each signature only one spelling counts."""
        signed, given = want_bytes(value), want_bytes(sig)
        for keyed in self._keyed:  # noqa: SIM110 - any() leaves a generator behind; to close that takes the longest
            if hmac.compare_digest(_signature(keyed, signed), given):
                return True
        return False


def _signature(keyed: hmac.HMAC, value: bytes) -> bytes:
    made = keyed.copy()  # a copy: OpenSSL takes longer to find the algorithm and take in the key than for all the rest
    made.update(value)
    return b2a_base64(made.digest(), newline=False).translate(_URL_SAFE).rstrip(b"=")


def signer(secrets: Sequence[str | bytes], salt: str) -> Signer:
    """A signer with a salt of its own; `secrets` newest first (itsdangerous signs with the last of its list)."""
    keys = [secret.encode() if isinstance(secret, str) else secret for secret in reversed(secrets)]
    return QuickSigner(keys, salt)


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
    """Reads and writes our cookies, and reads those of a former system."""

    def __init__(
        self,
        secrets: Sequence[str | bytes],
        *,
        is_secure: bool,
        former: Sequence[str | FormerCookie] = (),
        name: str = "authstore",
    ) -> None:
        prefix = "__Host-" if is_secure else ""
        self.session_name = f"{prefix}{name}"
        self.browser_name = f"{prefix}{name}-browser"
        self._last_name = f"{prefix}{name}-last"
        self.visit_name = f"{prefix}{name}-visit"
        self._former = former_cookies(former)
        self._ended = (self.session_name, *(former.name for former in self._former))
        self._attributes = "; Path=/; HttpOnly; SameSite=Lax" + ("; Secure" if is_secure else "")
        self._signer = signer(secrets, f"{name}.session")
        self._visit_signer = signer(secrets, f"{name}.visit")

    def presented_token(self, line: bytes) -> str | None:
        """The session token among these cookies that counts first, if there is any."""
        return next(iter(self.presented_tokens(line)), None)

    def presented_tokens(self, line: bytes) -> Sequence[str]:
        """The session token among these cookies that we signed; without a cookie of ours, those of a former system."""
        signed = read_cookie(line, self.session_name)
        if signed is None:
            return self.former_tokens(line)
        token = _unsigned(self._signer, signed)
        if token is None:
            log.debug("no session: the cookie is not signed by any of the secrets")
        return [] if token is None else [token]

    def brings_visit(self, line: bytes) -> bool:
        """Whether there is a cookie of ours for a visit among these, whoever signed it."""
        return read_cookie(line, self.visit_name) is not None

    def presented_visit(self, line: bytes) -> str | None:
        """The token of a visit among these cookies, if there is one that we signed."""
        signed = read_cookie(line, self.visit_name)
        return None if signed is None else _unsigned(self._visit_signer, signed)

    def former_tokens(self, line: bytes) -> Sequence[str]:
        """The tokens in cookies of a former system; where one is signed there, those whose signature is good."""
        found = [(former, read_cookie(line, former.name)) for former in self._former]
        tokens = [former.token(value) for former, value in found if value is not None]
        return [token for token in tokens if token is not None]

    def presented_browser(self, line: bytes) -> str | None:
        """What names this browser, if anything does yet."""
        value = (read_cookie(line, self.browser_name) or b"").decode("latin-1")
        return value if _BROWSER.fullmatch(value) else None

    def presented_last(self, line: bytes) -> str | None:
        """The way in that was taken last in this browser, where that is known."""
        value = (read_cookie(line, self._last_name) or b"").decode("latin-1")
        return value if _WAY.fullmatch(value) else None

    def last_header(self, way: str) -> str:
        """The Set-Cookie header that remembers the way in: a provider's name, "email" or "passkey"."""
        return self._header(self._last_name, way, MAX_AGE)

    def signed(self, token: str) -> str:
        """The value of the session cookie for a token."""
        return self._signer.sign(token.encode()).decode("ascii")

    def session_header(self, token: str, max_age: int) -> str:
        """The Set-Cookie header that signs a browser in; `max_age` in seconds."""
        return self._header(self.session_name, self.signed(token), max_age)

    def browser_header(self, browser: str) -> str:
        """The Set-Cookie header that names a browser."""
        return self._header(self.browser_name, browser, BROWSER_AGE)

    def visit_header(self, token: str, max_age: int) -> str:
        """The Set-Cookie header that keeps a browser's visit; `max_age` in seconds."""
        return self._header(self.visit_name, self._visit_signer.sign(token.encode()).decode("ascii"), max_age)

    def visit_farewell(self) -> str:
        """The Set-Cookie header that ends a visit's cookie."""
        return self._header(self.visit_name, "", 0)

    def farewell_headers(self) -> list[str]:
        """The Set-Cookie headers that end the cookies of a session, a former system's included."""
        return [self._header(name, "", 0) for name in self._ended]

    def _header(self, name: str, value: str, max_age: int) -> str:
        # A former system's cookie with such a prefix can only be ended with the attribute Secure.
        secure = "; Secure" if name.startswith("__") and "Secure" not in self._attributes else ""
        return f"{name}={value}; Max-Age={max_age}{self._attributes}{secure}"


def _unsigned(signing: Signer, value: bytes) -> str | None:
    if len(value) > MAX_TOKEN_LENGTH + 1 + _SIGNATURE_LENGTH:
        return None
    token, _, signature = value.rpartition(b".")
    return token.decode() if signing.verify_signature(token, signature) else None


def cookie_age(policy: SessionPolicy | None, created_at: datetime, expires: datetime) -> int:
    """How long a browser keeps a cookie, in seconds; the store decides how long it is good for."""
    if policy is not None and policy.lifetime is None:
        return MAX_AGE
    return min(MAX_AGE, int((expires - created_at).total_seconds()))


def new_browser() -> str:
    """A name for a browser that nobody can guess."""
    return new_secret()


def cookie_line(scope: Scope) -> bytes:
    """All cookies of a request, in one line; HTTP/2 may bring them in several (RFC 9113 §8.2.3)."""
    return b";".join([value for name, value in scope["headers"] if name == b"cookie"])


def read_cookie(line: bytes, name: str) -> bytes | None:
    """The value of a cookie; `None` where it is missing, or there twice: then somebody planted one.

    Of white space only what browsers take off too: with more, a planted name would become one with a prefix.
    """
    found = _pairs_of(name).findall(line)
    return found[0].strip(b" \t") if len(found) == 1 else None


@lru_cache
def _pairs_of(name: str) -> re.Pattern[bytes]:
    return re.compile(rb"(?:\A|;)[ \t]*" + re.escape(name.encode()) + rb"[ \t]*=([^;]*)")
