"""Rows as the reject file shows them: no living secret, but its SHA-256, by which a row can still be found."""

import json
import re
from base64 import b64encode
from collections.abc import Collection, Mapping, Sequence
from hashlib import sha256
from typing import Any

from authstore.mover.recognition.secrets import says_secret

_IN_AN_ADDRESS = re.compile(r"(?i)([?&#][\w-]*(?:token|secret|password|apikey|key|code|signature)=)([^&#\s]+)")


def concealed(row: Mapping[str, Any], secrets: Collection[str]) -> dict[str, Any]:
    """The row as JSON has it. `secrets`: its columns that hold one; what lies deeper is known by the names there."""
    return {name: _hashed(value) if name in secrets else _searched(value) for name, value in row.items()}


def named_by(names: Sequence[str], key: Sequence[Any]) -> list[str]:
    """The parts of a row's key for a report: secrets hashed, bytes by their first ones."""
    return [
        value.hex()[:16] if isinstance(value, bytes) else str(_hashed(value) if says_secret(name) else value)
        for name, value in zip(names, key, strict=True)
    ]


def _hashed(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _hashed(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_hashed(each) for each in value]
    if value is None or value == "" or isinstance(value, bool):
        return value
    content = value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")
    return f"sha256:{sha256(content).hexdigest()}"


def _searched(value: Any) -> Any:
    """The same of what a value holds: members of JSON, JSON as text, what an address ends in."""
    if isinstance(value, dict):
        return {name: _hashed(each) if says_secret(name) else _searched(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_searched(each) for each in value]
    if isinstance(value, bytes):
        return {"bytes": b64encode(value).decode()}
    return _searched_text(value) if isinstance(value, str) else value


def _searched_text(text: str) -> str:
    if text.lstrip().startswith(("{", "[")):
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            found = None
        if found is not None and (shown := _searched(found)) != found:
            return json.dumps(shown, ensure_ascii=False)
    return _IN_AN_ADDRESS.sub(lambda match: match[1] + _hashed(match[2]), text)
