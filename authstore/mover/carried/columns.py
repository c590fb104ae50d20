"""The columns of a carried table: their names in the target, how they land, and what their values turn out to be."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from authstore.mover.catalog import SourceColumn, SourceTable
from authstore.mover.expressions.translated import Translated
from authstore.mover.names import Namespace, label, quote
from authstore.mover.postgres.types import Landing, Oddity, land, land_with_nan
from authstore.mover.reports import Problem
from authstore.mover.type_names import DATES, FLOATS

_EQUAL_BY_VALUE = frozenset(
    (
        "boolean",
        "integer",
        "decimal",
        "double",
        "single",
        "text",
        "padded",
        "label",
        "date",
        "instant",
        "local",
        "bytes",
        "exact",
    )
)
_PRINTED = frozenset(("inet", "cidr", "macaddr", "macaddr8", "time", "timetz", "bit", "varbit"))
# Columns in which infinities or NaN stand read as no moment and no number any more.
_EQUAL_BY_TEXT = _PRINTED | DATES | FLOATS


@dataclass(frozen=True, slots=True)
class CarriedColumn:
    """A column on both sides."""

    source: SourceColumn
    name: str
    landing: Landing
    mapped: str = ""  # the role whose key it refers to: it holds that key as authstore knows it

    @property
    def value(self) -> str:
        return source_value(self.source.name)

    @property
    def keeps_equality(self) -> bool:
        """Whether two values are equal in SQLite if and only if they are in Postgres."""
        if self.landing.reading == "digits":
            return self.source.modifier >= 4 or self.source.base == "money"  # one scale, one spelling
        if self.mapped or self.landing.storage == "ANY":
            return True
        return self.landing.reading in _EQUAL_BY_VALUE or self.source.base in _EQUAL_BY_TEXT


@dataclass(frozen=True, slots=True)
class CarriedTable:
    """A table on both sides. `columns` by their names in the source, in order."""

    source: SourceTable
    target: str
    columns: Mapping[str, CarriedColumn]
    watched: tuple[str, ...] = ()  # predicates: a column would land otherwise for such a row

    @property
    def at(self) -> tuple[str, str]:
        return self.source.schema, self.source.name

    @property
    def label(self) -> str:
        return label(*self.at)

    def quoted(self, names: Sequence[str]) -> str:
        """Target columns in a list, by their names in the source."""
        return ", ".join(quote(self.columns[name].name) for name in names)

    def columns_by_name(self) -> dict[str, Translated]:
        """The columns as expressions may use them, by their names in the source."""
        return {name: Translated(quote(column.name), column.landing.reading) for name, column in self.columns.items()}

    def names(self) -> dict[tuple[str, str], Translated]:
        """The same for expressions about this table alone."""
        return {("", name): phrase for name, phrase in self.columns_by_name().items()}


@dataclass(frozen=True, slots=True)
class Values:
    """What the values of a table are at the source. `odd`: how many of a column's values are so. `colliding`: keys
    that SQLite would not hold without the case of these columns (a Turkish I and i, for example)."""

    odd: tuple[tuple[str, Oddity, int], ...]
    colliding: tuple[tuple[str, tuple[str, ...]], ...]
    unseen: tuple[str, ...] = ()  # predicates: oddities that no row has


def source_value(name: str, alias: str = "s") -> str:
    """A column of the source in the SELECT that reads it."""
    return f"{quote(alias)}.{quote(name)}"


def land_columns(table: SourceTable, naive_tz: str) -> dict[str, CarriedColumn]:
    """Every column under its own name, or a numbered one where SQLite would see the same name twice."""
    space = Namespace()
    return {
        column.name: CarriedColumn(
            column, space.take(column.name), land(column, source_value(column.name), naive_tz=naive_tz)
        )
        for column in table.columns
    }


def settle_columns(table: CarriedTable, values: Values) -> tuple[CarriedTable, list[Problem]]:
    """The table with its columns as their values need them, and what is to be said of them."""
    columns = dict(table.columns)
    for name, odd, _ in values.odd:
        columns[name] = replace(columns[name], landing=_settled(columns[name], odd))
    problems = [
        Problem(
            "type", table.label, f'values of column "{name}" ({table.columns[name].source.type}) {odd.message}', count
        )
        for name, odd, count in values.odd
    ]
    for key, names in values.colliding:
        for name in names:
            columns[name] = replace(columns[name], landing=replace(columns[name].landing, collation=""))
        message = f'unique key "{key}" holds texts that differ in the case of ASCII letters: its case is kept apart'
        problems.append(Problem("type", table.label, message))
    return replace(table, columns=columns, watched=values.unseen), [*_notes(table), *_renamed(table), *problems]


def _settled(column: CarriedColumn, odd: Oddity) -> Landing:
    if odd.is_nan:
        return land_with_nan(column.landing, column.value)
    return replace(column.landing, reading=odd.reading or column.landing.reading)


def _notes(table: CarriedTable) -> list[Problem]:
    return [
        Problem("type", table.label, f'column "{name}" ({column.source.type}): {column.landing.note}')
        for name, column in table.columns.items()
        if column.landing.note
    ]


def _renamed(table: CarriedTable) -> list[Problem]:
    return [
        Problem("name", table.label, f'column "{name}" differs from another in case only and becomes "{column.name}"')
        for name, column in table.columns.items()
        if column.name != name
    ]
