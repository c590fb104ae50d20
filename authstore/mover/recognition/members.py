"""The members of a JSON object by the keys that lead to them."""

import json
from collections.abc import Iterator
from typing import Any

Path = tuple[str, ...]


def paths_in(text: str) -> Iterator[Path]:
    """The keys of a JSON object and of those in it; none where there is no object to be read."""
    for key, value in object_in(text).items():
        yield (key,)
        if isinstance(value, dict):
            yield from ((key, below) for below in value)


def object_in(text: str) -> dict[str, Any]:
    """The object that a text of JSON is; an empty one where it is none."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
