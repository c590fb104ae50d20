"""Values of a SQLite file read for what they mean: there a column's type says little, so each value is looked at."""

import json
from base64 import b64encode, urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NoBase64Error
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any
from zoneinfo import ZoneInfo

from authstore.email import canonical_email
from authstore.errors import InvalidEmailError
from authstore.mover.sqlite.file_tables import NoText
from authstore.tokens import MAX_TOKEN_LENGTH, MIN_TOKEN_LENGTH

_MILLISECONDS = 10**11  # beyond it, either way, an epoch counts milliseconds
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NO_TEXT = "text that is not UTF-8"
_TYPES = ("oauth", "oidc", "email", "webauthn", "credentials")
YES, _NO = ("1", "t", "true", "y", "yes", "on"), ("", "0", "f", "false", "n", "no", "off")


class BadValueError(Exception):
    """A value that is none of what its field holds; its text is the reason, without the value."""


def has_no_text(row: Mapping[str, Any]) -> bool:
    """Whether something in it should be text, and is none that can be read."""
    return any(isinstance(value, NoText) for value in row.values())


def text(value: Any) -> str | None:
    """As text: whole numbers by their digits, bytes by their hexadecimal ones; nothing is None."""
    if value is None:
        return None
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, str) and "\0" in value:
        raise BadValueError("text with NUL")
    return str(value)


def key(value: Any) -> str:
    """A text that must be there."""
    found = text(value)
    if not found:
        raise BadValueError("empty")
    return found


def instant(value: Any, zone: str = "UTC") -> str | None:
    """ISO text of one width; nothing, and empty text, is None.

    Numbers are seconds of the epoch, beyond 10¹¹ milliseconds. `zone` is that of times that name none.
    """
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    try:
        found = _number(value) if isinstance(value, int | float) else _text(str(value).strip(), zone)
    except (ValueError, OverflowError) as error:
        raise BadValueError("bad date") from error
    return f"{found.astimezone(UTC).replace(tzinfo=None).isoformat(timespec='microseconds')}Z".rjust(27, "0")


def _number(value: float) -> datetime:
    if abs(value) > _MILLISECONDS:
        return _EPOCH + timedelta(milliseconds=value)
    return _EPOCH + timedelta(seconds=value)


def _text(value: str, zone: str) -> datetime:
    if value.lstrip("-").isdecimal():
        return _number(int(value))
    found = datetime.fromisoformat(value)
    if found.tzinfo is None:
        found = found.replace(tzinfo=ZoneInfo(zone))
    return found.astimezone(UTC)


def boolean(value: Any) -> bool:
    """0 or 1, or a word for either; nothing is no."""
    said = "" if value is None else str(value).strip().lower()
    if said in YES:
        return True
    if said in _NO:
        return False
    raise BadValueError("neither yes nor no")


def is_said(value: Any) -> bool:
    """Whether something is written there that is no word for no: a flag, or the reason for one."""
    return value is not None and str(value).strip().lower() not in _NO


def address(value: Any) -> str | None:
    """The canonical address; white space alone is none."""
    found = text(value)
    if found is None or not found.strip():
        return None
    try:
        return canonical_email(found)
    except InvalidEmailError as error:
        raise BadValueError("not an e-mail address") from error


def identifier(value: Any) -> str:
    """Of a verification token: an address made canonical, anything else as it is."""
    found = key(value)
    try:
        return canonical_email(found)
    except InvalidEmailError:
        return found


def token_hash(value: Any) -> bytes:
    """The SHA-256 of a token that could be presented."""
    found = key(value)
    if not MIN_TOKEN_LENGTH <= len(found) <= MAX_TOKEN_LENGTH:
        raise BadValueError("no usable token")
    return sha256(found.encode()).digest()


def hashed_already(value: Any) -> bool:
    """Whether it is a SHA-256 in hexadecimal digits, as Lucia's later sessions are known by."""
    return isinstance(value, str) and len(value) == 64 and set(value) <= set("0123456789abcdef")


def account_type(value: Any, provider: str) -> str:
    """One of authstore's: what the source says, else by the provider's name."""
    said = (text(value) or "").strip().lower()
    if not said:
        said = "credentials" if provider == "credential" else "oauth"
    said = "credentials" if said == "credential" else said
    if said not in _TYPES:
        raise BadValueError("unknown account type")
    return said


def decoded(value: Any) -> bytes:
    """Bytes, given as such or in base64 of either alphabet."""
    if isinstance(value, bytes):
        return value
    said = key(value).strip().rstrip("=").replace("+", "-").replace("/", "_")
    try:
        found = urlsafe_b64decode(said + "=" * (-len(said) % 4))
    except (NoBase64Error, ValueError) as error:
        raise BadValueError("no base64") from error
    if not found or urlsafe_b64encode(found).rstrip(b"=").decode() != said:
        raise BadValueError("no base64")
    return found


def credential_id(value: Any) -> str:
    """Base64url without padding."""
    return urlsafe_b64encode(decoded(value)).rstrip(b"=").decode()


def counter(value: Any) -> int:
    """A whole number from 0; nothing is 0."""
    said = "0" if value in (None, "") else str(value).removesuffix(".0")
    if not said.isdecimal() or int(said) >= 2**63:
        raise BadValueError("no counter")
    return int(said)


def device_type(value: Any) -> str | None:
    """`single_device` or `multi_device`, however it is spelled."""
    said = (text(value) or "").strip().lower().translate(str.maketrans("", "", "_- "))
    names = {"": None, "singledevice": "single_device", "multidevice": "multi_device"}
    if said not in names:
        raise BadValueError("unknown device type")
    return names[said]


def transports(value: Any) -> str:
    """A JSON array of words, from one or from words with commas between."""
    said = (text(value) or "").strip()
    if said.startswith("["):
        try:
            words = json.loads(said)
        except ValueError as error:
            raise BadValueError("no list of transports") from error
    else:
        words = [word.strip() for word in said.split(",") if word.strip()] if said != "null" else []
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise BadValueError("no list of transports")
    return json.dumps(words)


def plain(value: Any) -> Any:
    """What is kept in `data`, as JSON has it."""
    return b64encode(value).decode() if isinstance(value, bytes) else value
