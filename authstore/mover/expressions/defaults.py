"""Defaults of columns: the time, random UUIDs, and what is a constant."""

from sqlglot import exp

from authstore.mover.expressions.translate import parse
from authstore.mover.expressions.walk import bare
from authstore.mover.type_names import DATES

_NOW = "(strftime('%Y-%m-%dT%H:%M:%f000Z', 'now'))"
_TODAY = "(date('now'))"
# RFC 9562, version 4: a 4 in the 13th place, one of 8 9 a b in the 17th.
_UUID = (
    "(lower(hex(randomblob(4)) || '-' || hex(randomblob(2)) || '-4' || substr(hex(randomblob(2)), 2) || '-'"
    " || substr('89ab', 1 + (abs(random()) % 4), 1) || substr(hex(randomblob(2)), 2) || '-' || hex(randomblob(6))))"
)
_CLOCKS = ("now", "transaction_timestamp", "statement_timestamp", "clock_timestamp")
_CONSTANTS = (
    exp.Literal,
    exp.Cast,
    exp.Paren,
    exp.Neg,
    exp.Array,
    exp.Boolean,
    exp.Null,
    exp.BitString,
    exp.HexString,
    exp.ByteString,
    exp.DataType,
    exp.DataTypeParam,
    exp.Identifier,
    exp.Dot,
)


def changing_default(default: str, base: str) -> str | None:
    """The words after DEFAULT for what is another value each time, in a column of this base type; None for others.

    Raises `UnsayableError` for what cannot be read.
    """
    node = _uncast(parse(default))
    if _is_now(node):
        return {"timestamptz": _NOW, "timestamp": _NOW, "date": _TODAY}.get(base)
    if isinstance(node, exp.CurrentDate) and base in DATES:
        return _TODAY if base == "date" else "(date('now') || 'T00:00:00.000000Z')"
    if _is_uuid(node) and base in ("uuid", "text", "varchar"):
        return _UUID
    return None


def is_constant(default: str) -> bool:
    """Whether it is the same value each time."""
    parts = list(parse(default).walk())
    return all(isinstance(part, _CONSTANTS) for part in parts) and not any(map(_is_day_word, parts))


def _uncast(node: exp.Expr) -> exp.Expr:
    node = bare(node)
    while isinstance(node, exp.Cast) and not isinstance(bare(node.this), exp.Literal | exp.Array):
        node = bare(node.this)
    return node


def _is_now(node: exp.Expr) -> bool:
    node = _uncast(node)
    if isinstance(node, exp.AtTimeZone):
        return _is_utc(node.args["zone"]) and _is_now(node.this)
    if isinstance(node, exp.Anonymous) and node.name.lower() == "timezone" and len(node.expressions) == 2:
        return _is_utc(node.expressions[0]) and _is_now(node.expressions[1])
    clock = isinstance(node, exp.Anonymous) and node.name.lower() in _CLOCKS
    return clock or type(node).__name__ in ("CurrentTimestamp", "Localtimestamp")


def _is_utc(zone: exp.Expr) -> bool:
    zone = bare(zone)
    zone = bare(zone.this) if isinstance(zone, exp.Cast) else zone
    return isinstance(zone, exp.Literal) and zone.name.upper() in ("UTC", "ETC/UTC", "GMT", "Z")


def _is_uuid(node: exp.Expr) -> bool:
    if isinstance(node, exp.Dot):
        node = node.expression
    named = isinstance(node, exp.Anonymous) and node.name.lower() in ("gen_random_uuid", "uuid_generate_v4", "uuidv4")
    return named or type(node).__name__ == "Uuid"


def _is_day_word(node: object) -> bool:
    return isinstance(node, exp.Literal) and node.name.strip().lower() in ("now", "today", "tomorrow", "yesterday")
