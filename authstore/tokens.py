"""Making, hashing and recognising the secrets that sign somebody in. Only the SHA-256 is ever stored."""

import hashlib
import re
import secrets
from typing import TypeGuard

MIN_TOKEN_LENGTH = 16
MAX_TOKEN_LENGTH = 512

_OWN_TOKEN = re.compile(r"[A-Za-z0-9_-]{1,128}\.[A-Za-z0-9_-]{43}")
_SECRET_LENGTH = 43


def new_secret() -> str:
    """256 bits from the operating system, URL-safe (ASVS 5.0 7.2.3 asks for 128)."""
    return secrets.token_urlsafe(32)


def new_session_token(session_id: str) -> str:
    """A fresh token for this session: `id.secret`.

    Naming the row makes the look-up and the insert follow the time-ordered primary key; the secret alone
    decides. An id that is not URL-safe (moved data) gets a bare secret, which is found by its hash.
    """
    token = f"{session_id}.{new_secret()}"
    return token if _OWN_TOKEN.fullmatch(token) else new_secret()


def named_session(token: str) -> str | None:
    """The id of the session that a token of our own making names; `None` for one that is not of its shape."""
    length = token.find(".")
    return token[:length] if 0 < length == len(token) - _SECRET_LENGTH - 1 else None


def hash_token(token: str) -> bytes:
    """SHA-256 of the token's UTF-8 form: what the database keeps."""
    return hashlib.sha256(token.encode()).digest()


def is_presentable(token: object) -> TypeGuard[str]:
    """Whether this could be a token at all; anything else is not looked up."""
    return (
        isinstance(token, str)
        and MIN_TOKEN_LENGTH <= len(token) <= MAX_TOKEN_LENGTH
        and "\0" not in token
        and (token.isascii() or _has_utf8_form(token))
    )


def _has_utf8_form(token: str) -> bool:
    try:
        return bool(token.encode())
    except UnicodeEncodeError:
        return False
