"""Translated expressions, and when two of them compare in SQLite as their originals do in Postgres."""

import re
from dataclasses import dataclass
from typing import Literal

from authstore.mover.names import literal
from authstore.mover.postgres.types import Reading

Operator = Literal["=", "<>", "<", "<=", ">", ">=", "IS", "IS NOT"]
_EQUALITIES = ("=", "<>", "IS", "IS NOT")


class UnsayableError(Exception):
    """SQLite has no words for this; the text says what is in the way."""


@dataclass(frozen=True, slots=True)
class Translated:
    """A translated expression, how its values read, and its value where it is a constant (a text)."""

    sql: str
    reading: Reading
    constant: str | None = None


NULL = Translated("NULL", "opaque", "NULL")


def text_constant(value: str, reading: Reading = "text") -> Translated:
    """A text, or what is written as one."""
    return Translated(literal(value), reading, value)


def number_constant(value: str) -> Translated:
    """A number; more than 15 digits are more than a REAL can be compared with."""
    if re.fullmatch(r"-?\d{1,18}", value):
        return Translated(value, "integer", value)
    digits = re.sub(r"[eE].*|\D", "", value).strip("0")
    if not re.fullmatch(r"-?\d*\.?\d+([eE][-+]?\d{1,2})?", value) or len(digits) > 15:
        raise UnsayableError(f"the number {value}")
    return Translated(value, "decimal", value)


def moment_constant(value: str, reading: Reading = "instant") -> Translated:
    """A timestamp as Postgres prints it in UTC, in the fixed width of the target."""
    found = re.fullmatch(r"(\d{4}-\d\d-\d\d)(?: (\d\d:\d\d:\d\d)(?:\.(\d{1,6}))?)?(?:\+00)?", value)
    if found is None:
        raise UnsayableError(f"the moment '{value}'")
    day, time, fraction = found.groups()
    return text_constant(f"{day}T{time or '00:00:00'}.{(fraction or '').ljust(6, '0')}Z", reading)


def local_constant(value: str) -> Translated:
    """A timestamp without a zone."""
    return moment_constant(value, "local")


def single_constant(value: str) -> Translated:
    """A float4, where it is the very number that its digits say."""
    number = number_constant(value)
    if not is_short(value):
        raise UnsayableError(f"the number {value} rounded to a float4")
    return number


def uuid_constant(value: str) -> Translated:
    if not re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", value):
        raise UnsayableError(f"the uuid '{value}'")
    return text_constant(value, "exact")


def date_constant(value: str) -> Translated:
    if not re.fullmatch(r"\d{4}-\d\d-\d\d", value):
        raise UnsayableError(f"the date '{value}'")
    return text_constant(value, "date")


def compare(left: Translated, operator: Operator, right: Translated, *, exact: bool) -> Translated:
    """The comparison, or `UnsayableError` where SQLite would judge otherwise.

    Not `exact`: it may let more pass than Postgres does, never less. Numbers kept as text are compared that way.
    """
    if "digits" in (left.reading, right.reading):
        return _compare_digits(left, operator, right, exact)
    if not _comparable(left, operator, right):
        raise UnsayableError(f"{_kind(left)} {operator} {_kind(right)}")
    return Translated(f"{left.sql} {operator} {right.sql}", "boolean")


def _kind(phrase: Translated) -> str:
    return phrase.sql if phrase.constant is not None else f"{phrase.sql} ({phrase.reading})"


def _comparable(left: Translated, operator: Operator, right: Translated) -> bool:
    if left.constant is not None and right.constant is None:
        left, right = right, left
    equality = operator in _EQUALITIES
    pair = (left.reading, right.reading)
    if left.reading == right.reading:
        ordered = left.reading in ("integer", "decimal", "double", "date", "instant", "local")
        return ordered or (equality and left.reading in ("boolean", "text", "label", "exact"))
    if pair in (("integer", "decimal"), ("decimal", "integer")):
        return True
    if left.reading in ("double", "single") and right.constant is not None and right.reading in _NUMBERS:
        return left.reading == "double" or is_short(right.constant)
    if right.constant is not None and right.reading == "text" and equality:
        return left.reading in ("label", "exact", "padded") or (left.reading == "citext" and right.constant.isascii())
    return False


_NUMBERS = ("integer", "decimal", "double")


def is_short(number: str) -> bool:
    """Whether a number is the same as float4, as float8 and by its shortest text."""
    value = float(number)
    return abs(value) < 2**14 and (value * 2**10).is_integer()


_LENIENT: dict[Operator, Operator] = {"<": "<=", ">": ">=", "<=": "<=", ">=": ">=", "=": "="}
# Numbers beside zero that a REAL is too coarse for, by their digits.
_TINY: dict[Operator, str] = {">": "0.*[1-9]*", "<": "-0.*[1-9]*", "<>": "*[1-9]*", "IS NOT": "*[1-9]*"}
_MIRRORED: dict[Operator, Operator] = {"<": ">", ">": "<", "<=": ">=", ">=": "<="}


def _compare_digits(left: Translated, operator: Operator, right: Translated, exact: bool) -> Translated:
    """A REAL may round a long number onto the bound that it is compared with: `>` lets it pass, save for zero."""
    if left.constant is not None:
        left, right, operator = right, left, _MIRRORED.get(operator, operator)
    zero = right.constant is not None and right.reading in _NUMBERS and float(right.constant) == 0
    if exact or right.constant is None or right.reading not in _NUMBERS or (operator not in _LENIENT and not zero):
        raise UnsayableError(f"numbers kept as text: {left.sql} {operator} {right.sql}")
    said = f"CAST({left.sql} AS REAL) {operator if zero else _LENIENT[operator]} {right.sql}"
    if zero and operator in _TINY:
        said = f"({said} OR {left.sql} GLOB '{_TINY[operator]}')"
    return Translated(said, "boolean")
