"""The SQL of one table: its rows as the source gives and the target takes them, and a digest of each on both sides.

A row's digest is the MD5 of its columns as text with U+001F between them: any one changed value changes it. Postgres
computes it in the query; from SQLite the same text comes as one value.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby

from authstore.mover.batches import Key
from authstore.mover.copies import TableCopy
from authstore.mover.names import quote

# Each column is worked out once. '0' and not 0: an offset that is yet to be cast rules parallel workers out.
_FENCE = " OFFSET '0'"
# Between columns, and in place of NULL.
_BETWEEN, _NULL = "E'\\x1f'", "E'\\x1enull'"
_TARGET_BETWEEN, _TARGET_NULL = "char(31)", "char(30, 110, 117, 108, 108)"
_CONSTANT = re.compile(r"('(?:[^']|'')*'|NULL)::text|(-?\d+)::int8")
_GROUP = 40  # columns
_PARAMETER = "\0"  # no query contains it otherwise


@dataclass(frozen=True, slots=True)
class Update:
    """An UPDATE. `values`: which of a row's values it takes, for SQLite takes no more than a statement names."""

    statement: str
    values: tuple[int, ...]


@dataclass(frozen=True)
class Rows:
    """One table's queries.

    `types`: of the columns' expressions on the wire, by position. `is_utf8`: the source keeps its texts in UTF-8.
    """

    copy: TableCopy
    types: tuple[str, ...]
    is_utf8: bool = False

    @cached_property
    def base(self) -> str:
        """What must stand in the target: columns c0, c1, …; o0, … where a column has a second expression."""
        columns = [f"{column.expression} AS c{number}" for number, column in enumerate(self.copy.columns)]
        columns += [
            f"{column.otherwise} AS o{number}" for number, column in enumerate(self.copy.columns) if column.otherwise
        ]
        return (
            f"{_with(self.copy)}SELECT {', '.join(columns)} FROM {self.copy.source_from}"
            f" WHERE {moving(self.copy)}{_FENCE}"
        )

    @property
    def heading(self) -> str:
        """The columns of `base` and no row."""
        return self.base.replace(_FENCE, " LIMIT 0")

    @cached_property
    def key_columns(self) -> tuple[int, ...]:
        names = [column.name for column in self.copy.columns]
        return tuple(names.index(name) for name in self.copy.key)

    @cached_property
    def _source_key(self) -> str:
        return ", ".join(self._ordered(f"c{number}", self.types[number]) for number in self.key_columns)

    @cached_property
    def _target_order(self) -> str:
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
        groups = [f"concat_ws({_BETWEEN}, {', '.join(group)})" for group in _groups(list(self._digested()))]
        text = groups[0] if len(groups) == 1 else f"concat_ws({_BETWEEN}, {', '.join(groups)})"
        # In UTF-8, as SQLite has it, whatever the source's own encoding.
        return f"md5({text})" if self.is_utf8 else f"md5(convert_to({text}, 'UTF8'))"

    def _digested(self) -> Iterator[str]:
        """What a digest is made of; neighbours that are the same in every row are one."""
        for are_constant, numbers in groupby(range(len(self.copy.columns)), self.constants.__contains__):
            texts = [self._text(number) for number in numbers]
            yield from [f" || {_BETWEEN} || ".join(texts)] if are_constant else texts

    def _text(self, number: int) -> str:
        name = self.copy.columns[number].expression if number in self.constants else f"c{number}"
        otherwise = f"o{number}" if self.copy.columns[number].otherwise else ""
        return _source_text(name, self.types[number], otherwise)

    @cached_property
    def constants(self) -> dict[int, str]:
        """Columns that are the same in every row, and what: they need not come from the source each time."""
        found = {
            number: match[1] or match[2]
            for number, column in enumerate(self.copy.columns)
            if number not in self.key_columns and (match := _CONSTANT.fullmatch(column.expression.strip()))
        }
        return {number: value for number, value in found.items() if not self.copy.columns[number].otherwise}

    @cached_property
    def _fetched(self) -> tuple[str, ...]:
        """The names in `base` that a row from the source consists of, behind its digest."""
        columns = range(len(self.copy.columns))
        plain = [f"c{number}" for number in columns if number not in self.constants]
        return (*plain, *(f"o{number}" for number in columns if self.copy.columns[number].otherwise))

    @cached_property
    def _select(self) -> str:
        names = ", ".join(f"b.{name}" for name in self._fetched)
        return f"SELECT {self._digest} AS digest, {names} FROM ({self.base}) AS b"

    def all_rows(self, after: bool) -> str:
        """Every row in key order, its digest first; `after`: of keys greater than the parameters."""
        where = f"WHERE ROW({self._source_key}) > ROW({self._placeholders()})" if after else ""
        return _escaped(f"{self._select} {where} ORDER BY {self._source_key}")

    def some_rows(self) -> str:
        """The rows whose keys are in the parameters: one array for each column of the key."""
        wanted = ", ".join(f"k{number}" for number in self.key_columns)
        keys = ", ".join(self._ordered(f"b.c{number}", self.types[number]) for number in self.key_columns)
        # IN: of a JOIN PostgreSQL expects many more rows, and sorts the whole table for it.
        some = f"({keys}) IN (SELECT {wanted} FROM unnest({self._placeholders('[]')}) AS w({wanted}))"
        # Without the fence, so that of rows which are not wanted only the key is worked out.
        select = self._select.removesuffix(f"{_FENCE}) AS b") + ") AS b"
        return _escaped(f"{select} WHERE {some} ORDER BY {self._source_key}")

    def digests(self, until: bool) -> str:
        """Keys and the digest of each row, in key order; `until`: of keys not beyond the parameters."""
        keys = ", ".join(f"c{number}" for number in self.key_columns)
        where = f"WHERE ROW({self._source_key}) <= ROW({self._placeholders()})" if until else ""
        return _escaped(f"SELECT {keys}, {self._digest} FROM ({self.base}) AS b {where} ORDER BY {self._source_key}")

    @cached_property
    def target_digests(self) -> str:
        """On the target: key columns and the text to digest, in key order."""
        parts = [
            _target_text(quote(column.name), self.types[number], bool(column.otherwise))
            for number, column in enumerate(self.copy.columns)
        ]
        between = f" || {_TARGET_BETWEEN} || "
        return self._from_target(
            f"CAST({between.join(f'({between.join(group)})' for group in _groups(parts))} AS BLOB)"
        )

    @cached_property
    def target_keys(self) -> str:
        """On the target: key columns in key order, from an index alone where there is one."""
        return self._from_target()

    def _from_target(self, *more: str) -> str:
        columns = ", ".join([*map(quote, self.copy.key), *more])
        return f"SELECT {columns} FROM {quote(self.copy.target)} ORDER BY {self._target_order}"

    @cached_property
    def width(self) -> int:
        """Of a row from the source without its digest, in values."""
        return len(self._fetched)

    def insert(self, rows: int) -> str:
        """An INSERT of this many rows, as the source gave them one behind the other, without their digests.

        OR ROLLBACK: without it SQLite keeps a journal of each such statement, at twice the time.
        """
        names = ", ".join(quote(column.name) for column in self.copy.columns)
        values = ", ".join(self._values(row * self.width) for row in range(rows))
        return f"INSERT OR ROLLBACK INTO {quote(self.copy.target)} ({names}) VALUES {values}"

    def update(self, indexed: Collection[str]) -> "Update | None":
        """Sets in the row with its key, if there is one, the columns that are not among these; None where all are."""
        columns = {
            number: column.name
            for number, column in enumerate(self.copy.columns)
            if column.name in self.copy.key or column.name not in indexed
        }
        used = [position for position, name in enumerate(self._fetched) if int(name[1:]) in columns]
        parameter = {self._fetched[position]: f"?{number}" for number, position in enumerate(used, 1)}
        values = {name: self._value(number, parameter) for number, name in columns.items()}
        changes = [f"{quote(name)} = {value}" for name, value in values.items() if name not in indexed]
        same = " AND ".join(f"{quote(name)} = {values[name]}" for name in self.copy.key)
        statement = f"UPDATE {quote(self.copy.target)} SET {', '.join(changes)} WHERE {same}"
        return Update(statement, tuple(used)) if changes else None

    def upsert(self, indexed: Collection[str]) -> str:
        """As `insert` of one row, or over the one with its key, unless `update` has done all there is to do."""
        names = [quote(column.name) for column in self.copy.columns]
        key = ", ".join(quote(name) for name in self.copy.key)
        changes = ", ".join(f"{name} = excluded.{name}" for name in names)
        table = quote(self.copy.target)
        # BINARY: to a column without case the same letter in another case would be no change.
        differs = " OR ".join(
            f"{table}.{quote(name)} COLLATE BINARY IS NOT excluded.{quote(name)}" for name in sorted(indexed)
        )
        into = f"INSERT INTO {table} ({', '.join(names)}) VALUES {self._values(0)}"
        return f"{into} ON CONFLICT ({key}) DO UPDATE SET {changes} WHERE {differs}"

    def _values(self, offset: int) -> str:
        return f"({', '.join(self._row(offset))})"

    def _row(self, offset: int) -> list[str]:
        parameter = {name: f"?{offset + number}" for number, name in enumerate(self._fetched, 1)}
        return [self._value(number, parameter) for number in range(len(self.copy.columns))]

    def _value(self, number: int, parameter: Mapping[str, str]) -> str:
        value = self.constants.get(number) or parameter[f"c{number}"]
        return f"coalesce({value}, {parameter[f'o{number}']})" if self.copy.columns[number].otherwise else value

    def delete(self) -> str:
        """Removes the row with the key in the parameters."""
        return f"DELETE FROM {quote(self.copy.target)} WHERE {self._same_key}"

    @cached_property
    def target_key(self) -> str:
        """On the target: whether there is a row with the key in the parameters."""
        return f"SELECT 1 FROM {quote(self.copy.target)} WHERE {self._same_key}"

    @cached_property
    def _same_key(self) -> str:
        parts = [(quote(name), f"?{number}") for number, name in enumerate(self.copy.key, 1)]
        same = [f"{name} = {value}" for name, value in parts]
        # What is equal to the column's own collation is found by its index; the same it is only byte for byte.
        exact = [
            f"{name} COLLATE BINARY = {value}"
            for (name, value), number in zip(parts, self.key_columns, strict=True)
            if self.types[number] == "text"
        ]
        return " AND ".join(same + exact)

    @cached_property
    def _key_positions(self) -> tuple[int, ...]:
        return tuple(self._fetched.index(f"c{number}") for number in self.key_columns)

    def key_of(self, row: Sequence[object]) -> Key:
        """The key of a row as the source gave it, without its digest."""
        return tuple(row[position] for position in self._key_positions)


def _groups(parts: Sequence[str]) -> Iterator[Sequence[str]]:
    """Tables have up to 1600 columns; a function of Postgres takes 100, an expression of SQLite is 1000 deep."""
    return (parts[start : start + _GROUP] for start in range(0, len(parts), _GROUP))


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
        "int8": f"{name}::text",
        # + 0: SQLite keeps -0.0 as 0.0
        "float8": f"encode(float8send({name} + 0), 'hex')",
        "bytea": f"encode({name}, 'hex')",
    }.get(type_, name)
    return f"coalesce({plain}, {otherwise}, {_NULL})" if otherwise else f"coalesce({plain}, {_NULL})"


def _target_text(name: str, type_: str, is_mixed: bool) -> str:
    if type_ == "bytea":
        return f"CASE WHEN {name} IS NULL THEN {_TARGET_NULL} ELSE lower(hex({name})) END"
    plain = f"real_hex({name})" if type_ == "float8" else name
    plain = f"CASE WHEN typeof({name}) = 'text' THEN {name} ELSE {plain} END" if is_mixed else plain
    return f"coalesce({plain}, {_TARGET_NULL})"
