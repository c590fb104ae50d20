"""The SQL that reads one table of the source: its rows as they must stand in the target, and a digest of each.

A row's digest is the MD5 of its columns as text with U+001F between them: any one changed value changes it.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby

from authstore.mover.copies import TableCopy
from authstore.mover.layout import ColumnLayout, Kind, Layout, in_groups

# Each column is worked out once. '0' and not 0: an offset that is yet to be cast rules parallel workers out.
_FENCE = " OFFSET '0'"
# Between columns, and in place of NULL.
_BETWEEN, _NULL = "E'\\x1f'", "E'\\x1enull'"
_CONSTANT = re.compile(r"('(?:[^']|'')*'|NULL)::text|(-?\d+)::int8")
PARAMETER = "\0"  # no query contains it otherwise


def base_query(copy: TableCopy) -> str:
    """What must stand in the target: columns c0, c1, …; o0, … where a column has a second expression."""
    columns = [f"{column.expression} AS c{number}" for number, column in enumerate(copy.columns)]
    columns += [f"{column.otherwise} AS o{number}" for number, column in enumerate(copy.columns) if column.otherwise]
    common = f"WITH {copy.common} " if copy.common else ""
    return f"{common}SELECT {', '.join(columns)} FROM {copy.source_from} WHERE {moving(copy)}{_FENCE}"


def heading_query(copy: TableCopy) -> str:
    """The columns of `base_query` and no row."""
    return base_query(copy).replace(_FENCE, " LIMIT 0")


def moving(copy: TableCopy) -> str:
    """The predicate of the rows that move."""
    return " AND ".join([f"({copy.where})", *(f"({reject.where}) IS NOT TRUE" for reject in copy.rejects)])


def layout_of(copy: TableCopy, kinds: tuple[Kind, ...]) -> Layout:
    """`kinds`: of the columns' expressions, by position."""
    columns = (
        ColumnLayout(
            name=column.name,
            kind=kind,
            has_other=bool(column.otherwise),
            constant=None if column.otherwise or column.name in copy.key else _constant(column.expression),
        )
        for column, kind in zip(copy.columns, kinds, strict=True)
    )
    return Layout(copy.target, tuple(columns), copy.key)


def _constant(expression: str) -> str | None:
    found = _CONSTANT.fullmatch(expression.strip())
    return found and (found[1] or found[2])


@dataclass(frozen=True)
class SourceQueries:
    """One table's queries. `is_utf8`: the source keeps its texts in UTF-8."""

    copy: TableCopy
    layout: Layout
    is_utf8: bool = False

    @cached_property
    def base(self) -> str:
        return base_query(self.copy)

    @cached_property
    def _key(self) -> str:
        return ", ".join(self._ordered(f"c{number}", number) for number in self.layout.key_columns)

    def _ordered(self, name: str, number: int) -> str:
        return f'{name} COLLATE "C"' if self.layout.columns[number].kind == "text" else name

    def _placeholders(self, array: str = "") -> str:
        columns = self.layout.columns
        return ", ".join(f"{PARAMETER}::{columns[number].kind}{array}" for number in self.layout.key_columns)

    @cached_property
    def _digest(self) -> str:
        groups = [f"concat_ws({_BETWEEN}, {', '.join(group)})" for group in in_groups(list(self._digested()))]
        text = groups[0] if len(groups) == 1 else f"concat_ws({_BETWEEN}, {', '.join(groups)})"
        # In UTF-8, as SQLite has it, whatever the source's own encoding.
        return f"md5({text})" if self.is_utf8 else f"md5(convert_to({text}, 'UTF8'))"

    def _digested(self) -> Iterator[str]:
        """What a digest is made of; neighbours that are the same in every row are one."""
        columns = self.layout.columns
        for are_constant, numbers in groupby(range(len(columns)), lambda number: columns[number].constant is not None):
            texts = [self._text(number) for number in numbers]
            yield from [f" || {_BETWEEN} || ".join(texts)] if are_constant else texts

    def _text(self, number: int) -> str:
        column = self.layout.columns[number]
        name = f"c{number}" if column.constant is None else self.copy.columns[number].expression
        plain = {
            "int8": f"{name}::text",
            # + 0: SQLite keeps -0.0 as 0.0
            "float8": f"encode(float8send({name} + 0), 'hex')",
            "bytea": f"encode({name}, 'hex')",
            "text": name,
        }[column.kind]
        return f"coalesce({plain}, o{number}, {_NULL})" if column.has_other else f"coalesce({plain}, {_NULL})"

    @cached_property
    def _select(self) -> str:
        """A row behind its digest, as the layout has it."""
        names = [f"b.c{number}" for number in self.layout.first] + [f"b.o{number}" for number in self.layout.other]
        return f"SELECT {self._digest} AS digest, {', '.join(names)} FROM ({self.base}) AS b"

    def all_rows(self, *, after: bool = False, until: bool = False) -> str:
        """Every row in key order, its digest first; `after`, `until`: of keys greater than the parameters, or not
        beyond them."""
        beside = ">" if after else "<=" if until else ""
        where = f"WHERE ROW({self._key}) {beside} ROW({self._placeholders()})" if beside else ""
        return escaped(f"{self._select} {where} ORDER BY {self._key}")

    def some_rows(self) -> str:
        """The rows whose keys are in the parameters: one array for each column of the key."""
        numbers = self.layout.key_columns
        wanted = ", ".join(f"k{number}" for number in numbers)
        keys = ", ".join(self._ordered(f"b.c{number}", number) for number in numbers)
        # IN: of a JOIN PostgreSQL expects many more rows, and sorts the whole table for it.
        some = f"({keys}) IN (SELECT {wanted} FROM unnest({self._placeholders('[]')}) AS w({wanted}))"
        # Without the fence, so that of rows which are not wanted only the key is worked out.
        select = self._select.removesuffix(f"{_FENCE}) AS b") + ") AS b"
        return escaped(f"{select} WHERE {some} ORDER BY {self._key}")

    def digests(self, until: bool) -> str:
        """Keys and the digest of each row, in key order; `until`: of keys not beyond the parameters."""
        keys = ", ".join(f"c{number}" for number in self.layout.key_columns)
        where = f"WHERE ROW({self._key}) <= ROW({self._placeholders()})" if until else ""
        return escaped(f"SELECT {keys}, {self._digest} FROM ({self.base}) AS b {where} ORDER BY {self._key}")


def escaped(query: str) -> str:
    """psycopg takes every per cent sign for a parameter once there is one."""
    return query.replace("%", "%%").replace(PARAMETER, "%s") if PARAMETER in query else query
