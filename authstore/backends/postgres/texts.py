"""A query's text with the places that the server wants, and its values in their order."""

import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

_GIVEN = re.compile(r"(?<![:\w]):(\w+)")
_WRITES = re.compile(r"^(INSERT|UPDATE|DELETE)\b", re.MULTILINE)


class Text(NamedTuple):
    """What is sent: `names` are the values' names, `$1` first; `returns`: whether rows come back."""

    sql: str
    names: tuple[str, ...]
    returns: bool

    def values(self, parameters: Mapping[str, Any]) -> Sequence[Any]:
        """The values in the order of their places."""
        return [parameters[name] for name in self.names]


@cache
def text(sql: str) -> Text:
    """Of a text of queries.sql, made once."""
    names = tuple(dict.fromkeys(_GIVEN.findall(sql)))
    places = {name: f"${number}" for number, name in enumerate(names, 1)}
    placed = _GIVEN.sub(lambda found: places[found[1]], sql)
    return Text(placed, names, not _WRITES.search(sql) or "RETURNING" in sql)
