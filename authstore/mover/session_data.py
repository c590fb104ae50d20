"""What session stores of other frameworks keep for a browser, as the JSON object that a visit holds.

JSON as it is; signed texts of Django (`django.core.signing`, and the base64 of before 3.1); MessagePack and JSON in
bytes, as Flask-Session and starsessions write them. Signatures are not looked at: whoever writes the table could write
a visit.
Pickles are never loaded: to load one is to run what is in it.
"""

import json
import re
import zlib
from base64 import b64decode, b64encode, urlsafe_b64decode
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any, Final

import msgspec

from authstore.mover.storable import is_storable

FLASKS_KEY: Final = "sessionid"  # the column, as aliases are compared: "session:" stands before the token in it
PICKLED: Final = "pickled, which is never loaded"
_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False)
_MOST: Final = 16 * 1024 * 1024  # bytes of one session, once it is inflated
_SIGNED: Final = re.compile(r"(\.?)([A-Za-z0-9_-]+=*)(?::[A-Za-z0-9]+)?:[A-Za-z0-9_-]+")
_BASE64: Final = re.compile(r"[A-Za-z0-9+/\s]+=*\s*")
_PICKLE: Final = re.compile(rb"\x80[\x02-\x05].", re.DOTALL)


class UnreadableDataError(Exception):
    """No JSON object can be made of it; the text is the reason, without values."""


def data_of_text(text: str) -> dict[str, Any]:
    """Of a column of texts: JSON, or what Django writes. Raises `UnreadableDataError`."""
    if text.lstrip()[:1] == "{":
        return _object(text.encode("utf-8", "surrogatepass"))
    if (signed := _SIGNED.fullmatch(text)) is not None:
        return _object(_inflated(signed[1], _unbased(signed[2])))
    if _BASE64.fullmatch(text):
        return _object(_unbased(text).partition(b":")[2])
    raise UnreadableDataError("neither JSON nor a signed text")


def data_of_bytes(data: bytes) -> dict[str, Any]:
    """Of a column of bytes: MessagePack or JSON. Raises `UnreadableDataError`."""
    if not data:
        return {}
    if data.lstrip()[:1] == b"{":
        return _object(data)
    if _PICKLE.match(data):
        raise UnreadableDataError(PICKLED)
    return _checked(_unpacked(data))


def json_of(data: Mapping[str, Any]) -> str:
    """The text of what was read, as a visit has it."""
    return _ENCODER.encode(data)


def _object(text: bytes) -> dict[str, Any]:
    if _PICKLE.match(text):
        raise UnreadableDataError(PICKLED)
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UnreadableDataError("no JSON") from error
    return _checked(found)


def _checked(found: Any) -> dict[str, Any]:
    if not isinstance(found, dict):
        raise UnreadableDataError("no JSON object")
    if not is_storable(found):
        raise UnreadableDataError("JSON that cannot be kept")
    return found


def _unbased(text: str) -> bytes:
    try:
        if "-" in text or "_" in text:
            return urlsafe_b64decode(text + "=" * (-len(text) % 4))
        return b64decode(text + "=" * (-len("".join(text.split())) % 4))
    except ValueError as error:
        raise UnreadableDataError("no base64") from error


def _inflated(mark: str, data: bytes) -> bytes:
    """What is behind a full stop is deflated."""
    if not mark:
        return data
    inflating = zlib.decompressobj()
    try:
        text = inflating.decompress(data, _MOST)
    except zlib.error as error:
        raise UnreadableDataError("not deflated as it says") from error
    if not inflating.eof:
        raise UnreadableDataError("cut off, or too large")
    return text


def _unpacked(data: bytes) -> Any:
    try:
        return _plain(msgspec.msgpack.decode(data))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UnreadableDataError("neither JSON nor MessagePack") from error


def _plain(value: Any) -> Any:
    """As JSON has it: keys and instants as text, bytes as base64."""
    match value:
        case dict():
            plain = {_key(key): _plain(item) for key, item in value.items()}
            if len(plain) < len(value):
                raise UnreadableDataError("keys that JSON cannot tell apart")
            return plain
        case list() | tuple():
            return [_plain(item) for item in value]
        case date() | datetime():
            return value.isoformat()
        case bytes():
            return b64encode(value).decode()
        case None | bool() | int() | float() | str():
            return value
        case _:
            raise UnreadableDataError("values that JSON does not have")


def _key(key: Any) -> str:
    if isinstance(key, bool) or not isinstance(key, str | int):
        raise UnreadableDataError("keys that JSON does not have")
    return str(key)
