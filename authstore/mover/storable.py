"""Which JSON can be kept and read again: Python, SQLite and pydantic have limits of their own."""

import json
import re
from math import isfinite
from typing import Any

DEEPEST = 100  # levels
_SURROGATES = re.compile("[\ud800-\udfff]")


def is_storable_json(text: str) -> bool:
    """Whether JSON can be kept and read again: no NUL, no lone surrogate, no infinite number, not too deep."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return False
    return is_storable(value)


def is_storable(value: Any, depth: int = DEEPEST) -> bool:
    """As `is_storable_json`, of what was read already."""
    match value:
        case str():
            return "\0" not in value and (value.isascii() or not _SURROGATES.search(value))
        case float():
            return isfinite(value)
        case dict():
            return depth > 0 and all(is_storable(k, depth) and is_storable(v, depth - 1) for k, v in value.items())
        case list():
            return depth > 0 and all(is_storable(item, depth - 1) for item in value)
        case _:
            return True
