"""Defaults of columns: constants as they land, the time, random UUIDs."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from authstore.mover.carried.columns import CarriedColumn
from authstore.mover.expressions.defaults import changing_default, is_constant
from authstore.mover.expressions.translated import UnsayableError
from authstore.mover.names import literal
from authstore.mover.postgres.connection import SourceConnection
from authstore.mover.postgres.statements import NoValueError, evaluated
from authstore.mover.postgres.types import land
from authstore.mover.postgres.values import key_text


def defaults_of(
    columns: Iterable[CarriedColumn], connection: SourceConnection
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
            changing = changing_default(column.source.default or "NULL", column.source.base)
            if changing is not None:
                said[name] = changing
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


def _constant(column: CarriedColumn) -> str:
    """The expression whose value the column would hold."""
    default = column.source.default or "NULL"
    if not is_constant(default):
        raise UnsayableError(f"the default {default}")
    if column.mapped == "roles":
        raise UnsayableError(f"the default {default}, a role's old key")
    value = f"(({default})::{column.source.type})"
    return key_text(column.source, value).sql if column.mapped else land(column.source, value).expression


def _values(constants: Mapping[str, str], connection: SourceConnection) -> dict[str, Any]:
    """All at once; where one of them is no value, one by one."""
    if not constants:
        return {}
    try:
        return dict(zip(constants, evaluated(connection, tuple(constants.values())), strict=True))
    except NoValueError as error:
        if len(constants) == 1:
            return dict.fromkeys(constants, UnsayableError(f"a default that is no value: {error}"))
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
