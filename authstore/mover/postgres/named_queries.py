"""The SQL files beside this module, query by query."""

import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files


@cache
def named_queries(file: str) -> Mapping[str, str]:
    """The queries of a file, by the name in the line before each."""
    text = (files("authstore.mover.postgres") / file).read_text("utf-8")
    parts = re.split(r"^-- name: (\w+)\n", text, flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))
