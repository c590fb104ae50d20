"""How the rows of one table cross: which values a row consists of, in which order, and where its key is. No SQL."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from authstore.mover.batches import Key

Kind = Literal["int8", "float8", "text", "bytea"]  # of a value on its way


@dataclass(frozen=True, slots=True)
class ColumnLayout:
    """A column of the target.

    `has_other`: of two values that come for it one is null; the other is what it holds. `constant`: what it is in
    every row, as a constant that both dialects know; it does not come with the rows then.
    """

    name: str
    kind: Kind
    has_other: bool = False
    constant: str | None = None


@dataclass(frozen=True)
class Layout:
    """A table of the target, and its rows as they come from the source: without constants, other values last."""

    table: str
    columns: tuple[ColumnLayout, ...]
    key: tuple[str, ...]

    @cached_property
    def key_columns(self) -> tuple[int, ...]:
        """Where in `columns` the key is, in the key's own order."""
        names = [column.name for column in self.columns]
        return tuple(names.index(name) for name in self.key)

    @cached_property
    def first(self) -> dict[int, int]:
        """Where in a row the value of a column is, by its place among the columns."""
        coming = [number for number, column in enumerate(self.columns) if column.constant is None]
        return {number: position for position, number in enumerate(coming)}

    @cached_property
    def other(self) -> dict[int, int]:
        """Where in a row the other value of a column is."""
        coming = [number for number, column in enumerate(self.columns) if column.has_other]
        return {number: position for position, number in enumerate(coming, len(self.first))}

    @property
    def width(self) -> int:
        """Of a row, in values."""
        return len(self.first) + len(self.other)

    @cached_property
    def _key_positions(self) -> tuple[int, ...]:
        return tuple(self.first[number] for number in self.key_columns)

    def key_of(self, row: Sequence[object]) -> Key:
        """The key of a row, given without its digest."""
        return tuple(row[position] for position in self._key_positions)


_GROUP = 40  # columns


def in_groups(parts: Sequence[str]) -> list[Sequence[str]]:
    """Tables have up to 1600 columns; a function of Postgres takes 100, an expression of SQLite is 1000 deep."""
    return [parts[start : start + _GROUP] for start in range(0, len(parts), _GROUP)]
