"""Rows whose values the source's SQL cannot make: made here, and digested here as both databases digest theirs."""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from authstore.mover.layout import ColumnLayout, Layout

_BETWEEN, _NULL = "\x1f", "\x1enull"


@dataclass(frozen=True)
class Decoding:
    """One table's. `decoders`: by a column's place in the layout, what makes its value of the text that came."""

    layout: Layout
    decoders: Mapping[int, Callable[[str], str]]

    @cached_property
    def _at(self) -> dict[int, Callable[[str], str]]:
        return {self.layout.first[number]: decode for number, decode in self.decoders.items()}

    @cached_property
    def _texts(self) -> tuple[tuple[int | None, str], ...]:
        """By column: where in a row it is, or what it is in every row."""
        return tuple(
            (self.layout.first.get(number), _constant(column)) for number, column in enumerate(self.layout.columns)
        )

    def row(self, row: tuple[Any, ...]) -> tuple[Any, ...]:
        """A row as it must stand in the target behind its digest, of one as the source gave it behind another."""
        values = [self._at[place](value) if place in self._at else value for place, value in enumerate(row[1:])]
        return (self._digest(values), *values)

    def _digest(self, values: list[Any]) -> str:
        texts = _BETWEEN.join(constant if at is None else _text(values[at]) for at, constant in self._texts)
        return hashlib.md5(texts.encode(), usedforsecurity=False).hexdigest()

    def rows(self, rows: Iterator[tuple[Any, ...]]) -> Iterator[tuple[Any, ...]]:
        """Each row made."""
        return map(self.row, rows)


def _constant(column: ColumnLayout) -> str:
    said = column.constant
    if said is None or said == "NULL":
        return _NULL
    return said[1:-1].replace("''", "'") if said.startswith("'") else said


def _text(value: Any) -> str:
    """As `SourceQueries` has it; of floats there are none in tables that are decoded."""
    if value is None:
        return _NULL
    return value.hex() if isinstance(value, bytes) else str(value)
