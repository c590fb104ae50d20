"""How a value that SQLite holds is written for PostgreSQL's COPY, and when two spellings mean one value.

Almost everything is written as it stands. JSON arrays become array literals, JSON objects an hstore's pairs, and times
without a zone the time of their own zone.
"""

import json
import re
import struct
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from authstore.mover.catalog import SourceColumn

Written = Callable[[Any], Any]
_LITERAL = re.compile(r"^(\{|\[-?\d+:-?\d+\])")  # an array that was kept as PostgreSQL writes it
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
_BRACED = str.maketrans({"\\": "\\\\", '"': '\\"'})


def written_as(column: SourceColumn, naive_tz: str = "UTC") -> Written | None:
    """What makes COPY's text of a value of this column; None where it is written as it stands."""
    if column.category == "A" and column.base not in ("int2vector", "oidvector"):
        element: Written = str
        if column.element in ("json", "jsonb"):
            return _json_array
        if column.element == "hstore":
            element = _hstore
        return lambda value: _array(value, element)
    if column.base == "hstore" and column.base_schema != "pg_catalog":
        return _hstore
    if column.base == "timestamp" and naive_tz != "UTC":
        zone = ZoneInfo(naive_tz)
        return lambda value: _local(value, zone)
    return None


def _local(value: Any, zone: ZoneInfo) -> Any:
    """An instant as the clocks of its zone showed it."""
    if not isinstance(value, str) or not _INSTANT.fullmatch(value):
        return value
    return datetime.fromisoformat(value).astimezone(zone).replace(tzinfo=None).isoformat(sep=" ")


def _array(value: Any, element: Written) -> Any:
    """A JSON array as an array literal; numbers keep their digits."""
    if not isinstance(value, str) or _LITERAL.match(value):
        return value
    try:
        parsed = json.loads(value, parse_int=str, parse_float=str, parse_constant=str)
    except ValueError:
        return value  # PostgreSQL says what it thinks of it
    return _braced(parsed, element) if isinstance(parsed, list) else value


def _braced(parsed: list[Any], element: Written) -> str:
    return "{" + ",".join(_element(part, element) for part in parsed) + "}"


def _element(part: Any, element: Written) -> str:
    if part is None:
        return "NULL"
    if isinstance(part, list):
        return _braced(part, element)
    if isinstance(part, bool):
        return "true" if part else "false"
    text = part if isinstance(part, str) else json.dumps(part)
    return f'"{str(element(text)).translate(_BRACED)}"'


def _json_array(value: Any) -> Any:
    """An array of JSON: each element as it is spelt."""
    if not isinstance(value, str) or _LITERAL.match(value) or not value.startswith("["):
        return value
    decoder, found, at = json.JSONDecoder(), [], _skipped(value, 1)
    try:
        while value[at] != "]":
            _, end = decoder.raw_decode(value, at)
            found.append(value[at:end])
            at = _skipped(value, end)
            at = _skipped(value, at + 1) if value[at] == "," else at
    except (ValueError, IndexError):
        return value
    return "{" + ",".join("NULL" if one == "null" else f'"{one.translate(_BRACED)}"' for one in found) + "}"


def _skipped(text: str, at: int) -> int:
    while at < len(text) and text[at].isspace():
        at += 1
    return at


def _hstore(value: Any) -> Any:
    """A JSON object as the pairs of an hstore."""
    try:
        pairs = json.loads(value) if isinstance(value, str) else None
    except ValueError:
        return value
    if not isinstance(pairs, dict):
        return value
    quoted = {f'"{key.translate(_BRACED)}"': part for key, part in pairs.items()}
    return ", ".join(f"{key}=>{'NULL' if part is None else _quoted(part)}" for key, part in quoted.items())


def _quoted(part: Any) -> str:
    return f'"{(part if isinstance(part, str) else json.dumps(part)).translate(_BRACED)}"'


def is_same(reading: str, base: str, ours: Any, theirs: Any) -> bool:
    """Whether what PostgreSQL made of a value (`theirs`, as the source would write it) is that value.

    Of types that only PostgreSQL understands, what it took is what was meant.
    """
    judge = _JUDGES.get(base if base in _JUDGES else reading)
    if judge is None or ours is None or theirs is None:
        return ours == theirs or (judge is None and ours is not None and theirs is not None)
    try:
        return bool(judge(ours, theirs))
    except (ValueError, TypeError, InvalidOperation, struct.error, OverflowError):
        return False


def _instants(ours: Any, theirs: Any) -> bool:
    return _instant(ours) == _instant(theirs)


def _instant(value: Any) -> datetime:
    found = datetime.fromisoformat(str(value).strip())
    return found if found.tzinfo else found.replace(tzinfo=ZoneInfo("UTC"))


def _exactly(ours: Any, theirs: Any) -> bool:
    return bool(ours == theirs)


_JUDGES: dict[str, Callable[[Any, Any], bool]] = {
    "instant": _instants,
    "local": _instants,
    "date": _instants,
    "decimal": lambda ours, theirs: Decimal(str(ours)) == Decimal(str(theirs)),
    "digits": lambda ours, theirs: Decimal(str(ours)) == Decimal(str(theirs)),
    "double": lambda ours, theirs: float(ours) == float(theirs),
    "single": lambda ours, theirs: struct.pack("f", float(ours)) == struct.pack("f", float(theirs)),
    "boolean": lambda ours, theirs: int(ours) == int(theirs),
    "integer": lambda ours, theirs: int(ours) == int(theirs),
    "uuid": lambda ours, theirs: UUID(str(ours)) == UUID(str(theirs)),
    "jsonb": lambda ours, theirs: json.loads(ours, parse_float=Decimal) == json.loads(theirs, parse_float=Decimal),
    "json": lambda ours, theirs: json.loads(ours, parse_float=Decimal) == json.loads(theirs, parse_float=Decimal),
    "padded": lambda ours, theirs: str(ours).rstrip(" ") == str(theirs).rstrip(" "),
    "citext": _exactly,
    "text": _exactly,
    "label": _exactly,
    "bytes": _exactly,
}
