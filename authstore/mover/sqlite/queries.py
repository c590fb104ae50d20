"""The SQL that writes one table of the target and reads it back, with the text that a row's digest is made of."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property

from authstore.mover.layout import ColumnLayout, Layout, in_groups
from authstore.mover.names import quote

# Between columns, and in place of NULL.
_BETWEEN, _NULL = "char(31)", "char(30, 110, 117, 108, 108)"


@dataclass(frozen=True, slots=True)
class Update:
    """An UPDATE. `values`: which of a row's values it takes, for SQLite takes no more than a statement names."""

    statement: str
    values: tuple[int, ...]


@dataclass(frozen=True)
class TargetQueries:
    """One table's queries."""

    layout: Layout

    @cached_property
    def table(self) -> str:
        return quote(self.layout.table)

    @cached_property
    def order(self) -> str:
        # Whatever the column's collation in the target, text is compared as the source compares it.
        return ", ".join(
            quote(column.name) + (" COLLATE BINARY" if column.kind == "text" else "") for column in self._key
        )

    @cached_property
    def _key(self) -> list[ColumnLayout]:
        return [self.layout.columns[number] for number in self.layout.key_columns]

    @cached_property
    def digests(self) -> str:
        """Key columns and the text to digest, in key order."""
        return self._select(self.digested)

    @cached_property
    def digested(self) -> str:
        """The text to digest of a row, as bytes."""
        between = f" || {_BETWEEN} || "
        groups = in_groups([_text(column) for column in self.layout.columns])
        return f"CAST({between.join(f'({between.join(group)})' for group in groups)} AS BLOB)"

    @cached_property
    def lined(self) -> str:
        """As `digested`, with U+001D before what is bytes, and of texts without NUL alone: `printf` ends at one, but
        takes two thirds of the time."""
        forms = ["\x1d%s" if column.kind == "bytea" else "%s" for column in self.layout.columns]
        texts = [_text(column) for column in self.layout.columns]
        groups = zip(in_groups(forms), in_groups(texts), strict=True)
        made = [f"printf('{chr(31).join(form)}', {', '.join(text)})" for form, text in groups]
        return f"CAST({f' || {_BETWEEN} || '.join(made)} AS BLOB)"

    @cached_property
    def keys(self) -> str:
        """Key columns in key order, from an index alone where there is one."""
        return self._select()

    def _select(self, *more: str) -> str:
        columns = ", ".join([*map(quote, self.layout.key), *more])
        return f"SELECT {columns} FROM {self.table} ORDER BY {self.order}"

    def insert(self, rows: int) -> str:
        """An INSERT of this many rows, as the source gave them one behind the other, without their digests.

        OR ROLLBACK: without it SQLite keeps a journal of each such statement, at twice the time.
        """
        values = ", ".join(self._row(row * self.layout.width) for row in range(rows))
        return f"INSERT OR ROLLBACK INTO {self.table} ({self._names}) VALUES {values}"

    @cached_property
    def _names(self) -> str:
        return ", ".join(quote(column.name) for column in self.layout.columns)

    def update(self, indexed: Collection[str]) -> Update | None:
        """Sets in the row with its key, if there is one, the columns that are not among these; None where all are."""
        columns = {
            number: column.name
            for number, column in enumerate(self.layout.columns)
            if column.name in self.layout.key or column.name not in indexed
        }
        positions = [of[number] for of in (self.layout.first, self.layout.other) for number in columns if number in of]
        parameter = {position: f"?{number}" for number, position in enumerate(positions, 1)}
        values = {name: self._value(number, parameter) for number, name in columns.items()}
        changes = [f"{quote(name)} = {value}" for name, value in values.items() if name not in indexed]
        same = " AND ".join(f"{quote(name)} = {values[name]}" for name in self.layout.key)
        statement = f"UPDATE {self.table} SET {', '.join(changes)} WHERE {same}"
        return Update(statement, tuple(positions)) if changes else None

    def upsert(self, indexed: Collection[str]) -> str:
        """As `insert` of one row, or over the one with its key, unless `update` has done all there is to do."""
        key = ", ".join(quote(name) for name in self.layout.key)
        names = [quote(column.name) for column in self.layout.columns]
        changes = ", ".join(f"{name} = excluded.{name}" for name in names)
        # BINARY: to a column without case the same letter in another case would be no change.
        differs = " OR ".join(
            f"{self.table}.{quote(name)} COLLATE BINARY IS NOT excluded.{quote(name)}" for name in sorted(indexed)
        )
        into = f"INSERT INTO {self.table} ({self._names}) VALUES {self._row(0)}"
        return f"{into} ON CONFLICT ({key}) DO UPDATE SET {changes} WHERE {differs}"

    def _row(self, offset: int) -> str:
        parameter = {position: f"?{offset + position + 1}" for position in range(self.layout.width)}
        return f"({', '.join(self._value(number, parameter) for number in range(len(self.layout.columns)))})"

    def _value(self, number: int, parameter: Mapping[int, str]) -> str:
        column = self.layout.columns[number]
        value = column.constant or parameter[self.layout.first[number]]
        return f"coalesce({value}, {parameter[self.layout.other[number]]})" if column.has_other else value

    @cached_property
    def delete(self) -> str:
        """Removes the row with the key in the parameters."""
        return f"DELETE FROM {self.table} WHERE {self._same_key}"

    @cached_property
    def where_key(self) -> str:
        """The row with the key in the parameters."""
        return f"WHERE {self._same_key}"

    @cached_property
    def has_key(self) -> str:
        """Whether there is a row with the key in the parameters."""
        return f"SELECT 1 FROM {self.table} WHERE {self._same_key}"

    @cached_property
    def _same_key(self) -> str:
        parts = [(quote(column.name), f"?{number}", column.kind) for number, column in enumerate(self._key, 1)]
        same = [f"{name} = {value}" for name, value, _ in parts]
        # What is equal to the column's own collation is found by its index; the same it is only byte for byte.
        exact = [f"{name} COLLATE BINARY = {value}" for name, value, kind in parts if kind == "text"]
        return " AND ".join(same + exact)


def _text(column: ColumnLayout) -> str:
    name = quote(column.name)
    if column.kind == "bytea":
        return f"CASE WHEN {name} IS NULL THEN {_NULL} ELSE lower(hex({name})) END"
    plain = f"real_hex({name})" if column.kind == "float8" else name
    plain = f"CASE WHEN typeof({name}) = 'text' THEN {name} ELSE {plain} END" if column.has_other else plain
    return f"coalesce({plain}, {_NULL})"
