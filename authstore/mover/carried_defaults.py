"""Defaults of columns: constants as they land, the time, random UUIDs."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import psycopg
from psycopg.rows import tuple_row
from sqlglot import exp

from authstore.mover.carried_columns import CarriedColumn
from authstore.mover.field_values import key_text
from authstore.mover.names import literal
from authstore.mover.phrases import UnsayableError
from authstore.mover.translate import parse
from authstore.mover.translation import bare
from authstore.mover.types import land

_NOW = "(strftime('%Y-%m-%dT%H:%M:%f000Z', 'now'))"
_TODAY = "(date('now'))"
# RFC 9562, version 4: a 4 in the 13th place, one of 8 9 a b in the 17th.
_UUID = (
    "(lower(hex(randomblob(4)) || '-' || hex(randomblob(2)) || '-4' || substr(hex(randomblob(2)), 2) || '-'"
    " || substr('89ab', 1 + (abs(random()) % 4), 1) || substr(hex(randomblob(2)), 2) || '-' || hex(randomblob(6))))"
)
_NO_VALUE = (psycopg.DataError, psycopg.IntegrityError, psycopg.ProgrammingError, psycopg.NotSupportedError)
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


def defaults_of(
    columns: Iterable[CarriedColumn], connection: psycopg.Connection[Any]
) -> tuple[dict[str, str], dict[str, UnsayableError]]:
    """By column of the source: the words after DEFAULT, and why there are none where SQLite cannot say it.

    A constant is put through the column's own landing by the server, so that it is what a moved value would be.
    """
    said: dict[str, str] = {}
    unsaid: dict[str, UnsayableError] = {}
    constants: dict[str, str] = {}
    for column in columns:
        name = column.source.name
        try:
            moving = _moving(_uncast(parse(column.source.default or "NULL")), column)
            if moving is not None:
                said[name] = moving
            else:
                constants[name] = _constant(column)
        except UnsayableError as error:
            unsaid[name] = error
    for name, value in _values(constants, connection).items():
        if isinstance(value, UnsayableError):
            unsaid[name] = value
        elif value is not None:
            said[name] = _written(value)
    return said, unsaid


def _uncast(node: exp.Expr) -> exp.Expr:
    node = bare(node)
    while isinstance(node, exp.Cast) and not isinstance(bare(node.this), exp.Literal | exp.Array):
        node = bare(node.this)
    return node


def _moving(node: exp.Expr, column: CarriedColumn) -> str | None:
    """What is another value each time."""
    base = column.source.base
    if _is_now(node) and not column.mapped:
        return {"timestamptz": _NOW, "timestamp": _NOW, "date": _TODAY}.get(base)
    if isinstance(node, exp.CurrentDate) and base in ("date", "timestamptz", "timestamp"):
        return _TODAY if base == "date" else "(date('now') || 'T00:00:00.000000Z')"
    if _is_uuid(node) and base in ("uuid", "text", "varchar"):
        return _UUID
    return None


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


def _constant(column: CarriedColumn) -> str:
    """The expression whose value the column would hold."""
    default = column.source.default or "NULL"
    parts = list(parse(default).walk())
    if not all(isinstance(part, _CONSTANTS) for part in parts) or any(map(_is_day_word, parts)):
        raise UnsayableError(f"the default {default}")
    if column.mapped == "roles":
        raise UnsayableError(f"the default {default}, a role's old key")
    value = f"(({default})::{column.source.type})"
    return key_text(column.source, value).sql if column.mapped else land(column.source, value).expression


def _values(constants: Mapping[str, str], connection: psycopg.Connection[Any]) -> dict[str, Any]:
    """All at once; where one of them is no value, one by one."""
    if not constants:
        return {}
    try:
        with connection.transaction(), connection.cursor(row_factory=tuple_row) as cursor:
            row = cursor.execute(f"SELECT {', '.join(constants.values())}".encode()).fetchone()
        return dict(zip(constants, row or (), strict=True))
    except _NO_VALUE as error:
        if len(constants) == 1:
            return dict.fromkeys(constants, UnsayableError(f"a default that is no value: {error}".splitlines()[0]))
    return {name: _values({name: sql}, connection)[name] for name, sql in constants.items()}


def _written(value: int | float | str | bytes) -> str:
    return _WRITERS[type(value)](value)


def _float(value: float) -> str:
    if value in (float("inf"), float("-inf")):
        return "(9e999)" if value > 0 else "(-9e999)"
    return repr(value)


_WRITERS: dict[type, Callable[[Any], str]] = {
    int: str,
    float: _float,
    str: literal,
    bytes: lambda value: f"x'{value.hex()}'",
}
