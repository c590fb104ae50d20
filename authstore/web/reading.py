"""Reading what was posted: capped before it is parsed, form or JSON, into one mapping."""

import json
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qsl

from starlette.requests import ClientDisconnect, HTTPConnection, Request

from authstore.web.refusals import RefusedError

MAX_BODY: Final = 65_536  # bytes; a passkey's attestation needs a few thousand
_MAX_FIELDS: Final = 20

Fields = Mapping[str, Any]


async def read_fields(request: Request) -> Fields:
    """The posted fields. Raises `RefusedError`: 413 for too much, 400 for no form, no JSON, half a body."""
    try:
        body = await _capped_body(request)
    except ClientDisconnect:
        raise RefusedError("request") from None
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if not body:
        return {}
    try:
        if kind == "application/json":
            return _object(json.loads(body))
        if kind == "application/x-www-form-urlencoded":
            return dict(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=_MAX_FIELDS))
    except (ValueError, RecursionError):
        raise RefusedError("request") from None
    raise RefusedError("request", 415)


def text_field(fields: Fields, name: str, max_length: int) -> str:
    """A field as text; "" where it is missing, too long or no text at all (NUL is in none)."""
    value = fields.get(name)
    return value if isinstance(value, str) and len(value) <= max_length and "\0" not in value else ""


def wants_json(connection: HTTPConnection) -> bool:
    """Whether a script asks rather than a person."""
    accepted = connection.headers.get("accept", "").lower()
    sent = connection.headers.get("content-type", "").lower()
    return "text/html" not in accepted and "application/json" in accepted + sent


def sends_json(request: Request) -> bool:
    """Whether the body says that it is JSON."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower() == "application/json"


def _object(parsed: Any) -> Fields:
    if not isinstance(parsed, dict):
        raise ValueError("not an object")
    json.dumps(parsed, ensure_ascii=False).encode()  # a lone surrogate can be escaped, and then neither shown nor kept
    return parsed


async def _capped_body(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
            raise RefusedError("request", 413)
    return bytes(body)
