"""The SQL of one table: its rows as the source gives and the target takes them, and a digest of each on both sides.

A row's digest is the MD5 of its columns as text, each `=value` (or nothing, for NULL) and U+001F behind it: any one
changed value changes it. Postgres computes it in the query; from SQLite the same text comes as one value.
"""

import sqlite3
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from authstore.mover.link import Link, translated
from authstore.mover.names import quote
from authstore.mover.shapes import TableCopy

_END = "E'\\x1f'"
_TYPES = {20: "int8", 701: "float8", 25: "text", 17: "bytea"}
_DIGEST_BYTES = 16
MOST_ROWS_A_STATEMENT = 100
_PARAMETER = "\0"  # no query contains it otherwise

Key = tuple[Any, ...]


@dataclass(frozen=True)
class Rows:
    """One table's queries. `types`: of the columns' expressions on the wire, by position."""

    copy: TableCopy
    types: tuple[str, ...]

    @cached_property
    def base(self) -> str:
        """What must stand in the target: columns c0, c1, …; o0, … where a column has a second expression."""
        columns = [f"{column.expression} AS c{number}" for number, column in enumerate(self.copy.columns)]
        columns += [
            f"{column.otherwise} AS o{number}" for number, column in enumerate(self.copy.columns) if column.otherwise
        ]
        return (
            f"{_with(self.copy)}SELECT {', '.join(columns)} FROM {self.copy.source_from}"
            f" WHERE {moving(self.copy)} OFFSET 0"
        )

    @cached_property
    def key_columns(self) -> tuple[int, ...]:
        names = [column.name for column in self.copy.columns]
        return tuple(names.index(name) for name in self.copy.key)

    @cached_property
    def _source_key(self) -> str:
        return ", ".join(self._ordered(f"c{number}", self.types[number]) for number in self.key_columns)

    @cached_property
    def _target_key(self) -> str:
        # Whatever the column's collation in the target, text is compared as the source compares it.
        return ", ".join(
            quote(name) + (" COLLATE BINARY" if self.types[number] == "text" else "")
            for name, number in zip(self.copy.key, self.key_columns, strict=True)
        )

    @staticmethod
    def _ordered(name: str, type_: str) -> str:
        return f'{name} COLLATE "C"' if type_ == "text" else name

    def _placeholders(self, array: str = "") -> str:
        return ", ".join(f"{_PARAMETER}::{self.types[number]}{array}" for number in self.key_columns)

    @cached_property
    def _digest(self) -> str:
        parts = (
            f"{_source_text(f'c{number}', self.types[number], f'o{number}' if column.otherwise else '')}, {_END}"
            for number, column in enumerate(self.copy.columns)
        )
        # In UTF-8, as SQLite has it, whatever the source's own encoding.
        return f"decode(md5(convert_to(concat({', '.join(parts)}), 'UTF8')), 'hex')"

    def all_rows(self, after: bool) -> str:
        """Every row in key order, its digest first; `after`: of keys greater than the parameters."""
        where = f"WHERE ROW({self._source_key}) > ROW({self._placeholders()})" if after else ""
        return _escaped(
            f"SELECT {self._digest} AS digest, b.* FROM ({self.base}) AS b {where} ORDER BY {self._source_key}"
        )

    def some_rows(self) -> str:
        """The rows whose keys are in the parameters: one array for each column of the key."""
        wanted = ", ".join(f"k{number}" for number in self.key_columns)
        same = " AND ".join(
            f"{self._ordered(f'b.c{number}', self.types[number])} = w.k{number}" for number in self.key_columns
        )
        return _escaped(
            f"SELECT {self._digest} AS digest, b.* FROM ({self.base}) AS b"
            f" JOIN unnest({self._placeholders('[]')}) AS w({wanted}) ON {same} ORDER BY {self._source_key}"
        )

    def digests(self, group: int, until: bool) -> str:
        """Keys and digests in key order, packed `group` rows to one; `until`: of keys not beyond the parameters."""
        keys = ", ".join(f"c{number}" for number in self.key_columns)
        packed = ", ".join(f"array_agg(c{number} ORDER BY n)" for number in self.key_columns)
        where = f"WHERE ROW({self._source_key}) <= ROW({self._placeholders()})" if until else ""
        return _escaped(
            f"SELECT {packed}, string_agg(digest, ''::bytea ORDER BY n) FROM ("
            f"SELECT {keys}, digest, row_number() OVER (ORDER BY {self._source_key}) - 1 AS n FROM ("
            f"SELECT {keys}, {self._digest} AS digest FROM ({self.base}) AS b {where} OFFSET 0) AS h OFFSET 0) AS g"
            f" GROUP BY n / {group} ORDER BY n / {group}"
        )

    @cached_property
    def target_digests(self) -> str:
        """On the target: key columns and the text to digest, in key order."""
        parts = (
            f"coalesce({_target_text(quote(column.name), self.types[number], bool(column.otherwise))}, '') || char(31)"
            for number, column in enumerate(self.copy.columns)
        )
        keys = ", ".join(quote(name) for name in self.copy.key)
        text = f"CAST({' || '.join(parts)} AS BLOB)"
        return f"SELECT {keys}, {text} FROM {quote(self.copy.target)} ORDER BY {self._target_key}"

    @cached_property
    def _width(self) -> int:
        return len(self.copy.columns) + sum(1 for column in self.copy.columns if column.otherwise) + 1

    def rows_a_statement(self, target: sqlite3.Connection) -> int:
        """How many rows one INSERT can take."""
        most = target.getlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER) // self._width
        return max(1, min(MOST_ROWS_A_STATEMENT, most))

    def insert(self, rows: int) -> str:
        """An INSERT of this many rows, as the source gave them one behind the other; their digests are passed over.

        OR ROLLBACK: without it SQLite keeps a journal of each such statement, at twice the time.
        """
        names = ", ".join(quote(column.name) for column in self.copy.columns)
        values = ", ".join(self._values(row * self._width) for row in range(rows))
        return f"INSERT OR ROLLBACK INTO {quote(self.copy.target)} ({names}) VALUES {values}"

    def _values(self, offset: int) -> str:
        second = offset + 1 + len(self.copy.columns)
        values = []
        for number, column in enumerate(self.copy.columns, offset + 2):
            second += 1 if column.otherwise else 0
            values.append(f"coalesce(?{number}, ?{second})" if column.otherwise else f"?{number}")
        return f"({', '.join(values)})"

    def delete(self) -> str:
        """Removes the row with the key in the parameters."""
        same = " AND ".join(
            f"{quote(name)}{' COLLATE BINARY' if self.types[number] == 'text' else ''} = ?"
            for name, number in zip(self.copy.key, self.key_columns, strict=True)
        )
        return f"DELETE FROM {quote(self.copy.target)} WHERE {same}"

    def key_of(self, row: Sequence[object]) -> Key:
        """The key of a row as the source gave it."""
        return tuple(row[number + 1] for number in self.key_columns)


def rows_of(copy: TableCopy, link: Link) -> Rows:
    """The queries of a table, once the source has said what type each expression has."""
    with translated():
        cursor = link.execute(Rows(copy, ()).base.replace("OFFSET 0", "LIMIT 0").encode())
    kinds = [column.type_code for column in cursor.description or ()]
    return Rows(copy, tuple(_TYPES.get(kind, "text") for kind in kinds[: len(copy.columns)]))


def moving(copy: TableCopy) -> str:
    """The predicate of the rows that move."""
    return " AND ".join([f"({copy.where})", *(f"({reject.where}) IS NOT TRUE" for reject in copy.rejects)])


def _escaped(query: str) -> str:
    """psycopg takes every per cent sign for a parameter once there is one."""
    return query.replace("%", "%%").replace(_PARAMETER, "%s") if _PARAMETER in query else query


def _with(copy: TableCopy) -> str:
    return f"WITH {copy.common} " if copy.common else ""


def _source_text(name: str, type_: str, otherwise: str) -> str:
    plain = {
        "int8": f"'=' || {name}::text",
        # + 0: SQLite keeps -0.0 as 0.0
        "float8": f"'=' || encode(float8send({name} + 0), 'hex')",
        "bytea": f"'=' || encode({name}, 'hex')",
    }.get(type_, f"'=' || {name}")
    return f"coalesce({plain}, '=' || {otherwise})" if otherwise else plain


def _target_text(name: str, type_: str, is_mixed: bool) -> str:
    plain = {
        "float8": f"'=' || real_hex({name})",
        "bytea": f"CASE WHEN {name} IS NOT NULL THEN '=' || lower(hex({name})) END",
    }.get(type_, f"'=' || {name}")
    return f"CASE WHEN typeof({name}) = 'text' THEN '=' || {name} ELSE {plain} END" if is_mixed else plain


def real_hex(value: object) -> str | None:
    """A float's eight bytes, as Postgres's float8send gives them; anything else says what it is."""
    if value is None:
        return None
    return (
        struct.pack(">d", value + 0.0).hex() if isinstance(value, float | int) else f"{type(value).__name__} {value!r}"
    )
