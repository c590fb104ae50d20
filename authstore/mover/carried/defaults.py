"""Defaults of columns: constants as they land, the time, random UUIDs."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from authstore.mover.carried.columns import CarriedColumn, CarriedTable
from authstore.mover.expressions.defaults import changing_default, is_constant
from authstore.mover.expressions.translated import UnsayableError
from authstore.mover.names import literal
from authstore.mover.postgres.asking import Asking, Constants, NoValueError
from authstore.mover.postgres.types import land
from authstore.mover.postgres.values import key_text


class Defaults(NamedTuple):
    """By column of the source: the words after DEFAULT, and why there are none where SQLite cannot say it."""

    said: Mapping[str, str]
    unsaid: Mapping[str, UnsayableError]


def read_defaults(table: CarriedTable) -> Asking[Defaults]:
    """The defaults of a table, save those that count by themselves.

    A constant is put through the column's own landing by the server, so that it is what a moved value would be.
    """
    said: dict[str, str] = {}
    unsaid: dict[str, UnsayableError] = {}
    constants: dict[str, str] = {}
    for name, column in table.columns.items():
        if not column.source.default or column.source.sequence is not None:
            continue
        try:
            changing = changing_default(column.source.default, column.source.base)
            if changing is not None:
                said[name] = changing
            else:
                constants[name] = _constant(column)
        except UnsayableError as error:
            unsaid[name] = error
    for name, value in (yield from _values(constants)).items():
        if isinstance(value, UnsayableError):
            unsaid[name] = value
        elif value is not None:
            said[name] = _written(value)
    return Defaults(said, unsaid)


def _constant(column: CarriedColumn) -> str:
    """The expression whose value the column would hold."""
    default = column.source.default or "NULL"
    if not is_constant(default):
        raise UnsayableError(f"the default {default}")
    if column.mapped == "roles":
        raise UnsayableError(f"the default {default}, a role's old key")
    value = f"(({default})::{column.source.type})"
    return key_text(column.source, value).sql if column.mapped else land(column.source, value).expression


def _values(constants: Mapping[str, str]) -> Asking[dict[str, Any]]:
    """All at once; where one of them is no value, one by one."""
    if not constants:
        return {}
    try:
        [values] = yield Constants(tuple(constants.values()))
    except NoValueError as error:
        if len(constants) == 1:
            return dict.fromkeys(constants, UnsayableError(f"a default that is no value: {error}"))
        found: dict[str, Any] = {}
        for name, sql in constants.items():
            found |= yield from _values({name: sql})
        return found
    return dict(zip(constants, values, strict=True))


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
