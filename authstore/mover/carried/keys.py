"""Keys of a carried table: the primary key, the uniques, and the key by which its rows are copied and compared."""

from collections.abc import Collection
from functools import cached_property

from authstore.mover.carried.columns import CarriedColumn, CarriedTable, source_value
from authstore.mover.carried.ddl import create_index
from authstore.mover.catalog import SourceKey
from authstore.mover.copies import TargetColumn
from authstore.mover.names import ROW_IDS, Namespace, folded, quote, relation
from authstore.mover.postgres.values import token_hash
from authstore.mover.recognition.secrets import is_secret
from authstore.mover.reports import Problem
from authstore.mover.type_names import INTEGERS


class Keys:
    """What makes the rows of one table different. `generated`: columns that SQLite works out itself."""

    def __init__(self, table: CarriedTable, generated: Collection[str]) -> None:
        self._table = table
        self._generated = generated
        self._keys = _distinct(table)

    @cached_property
    def primary(self) -> SourceKey | None:
        return next((key for key in self._keys if key.primary), None)

    @cached_property
    def _copied_by(self) -> SourceKey | None:
        """The first key whose columns are never null, are written by us, and hold one kind of value."""
        for key in self._keys:
            columns = [self._table.columns[name] for name in key.columns]
            if all(self._is_firm(column) for column in columns):
                return key
        return None

    def _is_firm(self, column: CarriedColumn) -> bool:
        given = column.source.name not in self._generated and column.landing.storage != "ANY"
        return given and not column.source.nullable

    @cached_property
    def inline(self) -> tuple[SourceKey, ...]:
        """The keys that stand in CREATE TABLE: rows are found by them while they are copied."""
        return tuple(key for key in self._keys if key in (self.primary, self._copied_by))

    @cached_property
    def counted(self) -> str | None:
        """The column whose next number SQLite shall give: a serial or identity primary key."""
        if self.primary is None or len(self.primary.columns) != 1:
            return None
        column = self._table.columns[self.primary.columns[0]]
        counts = column.source.sequence is not None and column.source.base in INTEGERS and not column.mapped
        return column.source.name if counts else None

    @property
    def sequence(self) -> tuple[str, str] | None:
        if self.counted is None:
            return None
        column = self._table.columns[self.counted]
        return (column.name, column.source.sequence or "") if column.source.sequence_readable else None

    @cached_property
    def chunk(self) -> tuple[str, ...]:
        """The target's columns by which rows are told apart."""
        if self._copied_by is None:
            return (self._row_id_name,)
        return tuple(self._table.columns[name].name for name in self._copied_by.columns)

    @cached_property
    def _row_id_name(self) -> str:
        taken = {folded(column.name) for column in self._table.columns.values()}
        return next((name for name in ROW_IDS if name not in taken), "")

    @cached_property
    def _ordinal(self) -> str:
        """A name for the number of a row that has no other name, free in the source's table."""
        return Namespace(self._table.columns).take("authstore_row")

    @cached_property
    def hidden(self) -> tuple[TargetColumn, ...]:
        """Of a table without a key: SQLite's own row number, which is no column of the table."""
        if self._copied_by is not None:
            return ()
        return (TargetColumn(self._row_id_name, "INTEGER", source_value(self._ordinal)),)

    @cached_property
    def source_from(self) -> str:
        """The source; without a key its rows are numbered in the order of all they hold, equal ones one by one."""
        table = relation(self._table.source)
        if self._copied_by is not None:
            return table
        order = ", ".join(_sorted(column) for column in self._table.columns.values())
        numbered = f"row_number() OVER (ORDER BY {order}) AS {quote(self._ordinal)}"
        return f'(SELECT "s".*, "s".tableoid, "s".ctid, {numbered} FROM {table}) AS "s"'

    @cached_property
    def row_id(self) -> str:
        """How reports name a row of the source: by its key there, of which a secret is hashed."""
        if self._copied_by is None:
            return f"{source_value(self._ordinal)}::text"
        columns = [self._table.columns[name] for name in self._copied_by.columns]
        parts = [_named_by(column) for column in columns]
        return parts[0] if len(parts) == 1 else f"concat_ws(', ', {', '.join(parts)})"

    def indexes(self, space: Namespace) -> list[str]:
        """The uniques that can wait until the data is there."""
        rest = [key for key in self._keys if key not in self.inline]
        return [self._unique(key, space) for key in rest]

    def _unique(self, key: SourceKey, space: Namespace) -> str:
        name = space.take_index(self._table.target, key.name)
        return create_index(self._table, name, self._table.quoted(key.columns), unique=True)

    @property
    def problems(self) -> list[Problem]:
        return [*self._nameless(), *self._unasked(), *(problem for key in self._keys for problem in self._weaker(key))]

    def _unasked(self) -> list[Problem]:
        if self.counted is None or self.sequence is not None:
            return []
        sequence = self._table.columns[self.counted].source.sequence
        message = f"this role may not read sequence {sequence}: numbers go on from the largest that is there"
        return [Problem("permission", self._table.label, message)]

    def _nameless(self) -> list[Problem]:
        if self._copied_by is not None:
            return []
        if not self._row_id_name:
            message = "has no key, and columns called rowid, _rowid_ and oid: give it a primary key to move it"
            return [Problem("type", self._table.label, message, stops=True)]
        return [Problem("type", self._table.label, "has no key: its rows are compared as a whole")]

    def _weaker(self, key: SourceKey) -> list[Problem]:
        said = []
        if not key.nulls_distinct:
            said.append("NULLS NOT DISTINCT: SQLite lets several nulls in")
        if key.deferrable:
            said.append("deferrable: SQLite judges it at once")
        if not all(self._table.columns[name].keeps_equality for name in key.columns):
            said.append("SQLite compares the texts, Postgres the values: it may let more in")
        return [Problem("left-behind", self._table.label, f'unique key "{key.name}": {text}') for text in said]


def _distinct(table: CarriedTable) -> list[SourceKey]:
    """The keys on different columns, the primary one first."""
    found: dict[frozenset[str], SourceKey] = {}
    for key in sorted(table.source.keys, key=lambda key: not key.primary):
        if all(name in table.columns for name in key.columns):
            found.setdefault(frozenset(key.columns), key)
    return list(found.values())


def _named_by(column: CarriedColumn) -> str:
    value = f"({column.value if column.mapped else column.landing.expression})::text"
    return f"'sha256:' || encode({token_hash(value)}, 'hex')" if is_secret(column.source) else value


def _sorted(column: CarriedColumn) -> str:
    landing = column.landing
    parts = [f'({landing.expression}) COLLATE "C"' if landing.storage == "TEXT" else f"({landing.expression})"]
    if landing.otherwise:
        parts.append(f'({landing.otherwise}) COLLATE "C"')
    return ", ".join(parts)
