"""A table's copy while it is being drawn up: what goes into which column, and what can be wrong with a row."""

from dataclasses import dataclass
from functools import cached_property

from authstore.mover.catalog import SourceColumn, SourceTable
from authstore.mover.copies import Reject, TargetColumn
from authstore.mover.names import quote, relation
from authstore.mover.postgres.dates import Instant, instant
from authstore.mover.postgres.values import Value, key_text, text
from authstore.mover.recognition.aliases import column_named, normalised, role_aliases
from authstore.mover.recognition.recognised import Recognised
from authstore.mover.recognition.secrets import is_secret
from authstore.mover.reports import Problem

_SORTS_BY_LOCALE = frozenset({"S", "E"})


@dataclass(frozen=True, slots=True)
class Unique:
    """What no two rows may share. `columns`: the source's columns that decide it, () where values are changed."""

    name: str
    sql: tuple[str, ...]
    columns: tuple[str, ...] = ()
    harmless: bool = False  # rows that share it say the same: one of them stays, and nothing is lost


@dataclass(frozen=True, slots=True)
class Draft:
    """A role's copy before anybody has looked at the rows."""

    one: Recognised
    target: str
    source_from: str
    columns: tuple[TargetColumn, ...]
    key: tuple[str, ...]
    row_id: str
    identity: str
    rejects: tuple[Reject, ...] = ()
    uniques: tuple[Unique, ...] = ()  # the first is what the key is made of
    order: tuple[str, ...] = ()  # the oldest first
    over: str = ""  # predicate, may be null: the row has expired
    ended: str = "FALSE"  # predicate, never null: revoked or spent at the source; never moves, whatever the options
    noted: tuple[Problem, ...] = ()  # what drawing it up has found
    user: str = "NULL::text"  # the user the row belongs to, as text
    verified: str = "FALSE"
    shown: str = "NULL::text"  # an address, to be masked
    watched: tuple[str, ...] = ()  # predicates: what no row holds that was looked at

    @property
    def secrets(self) -> tuple[str, ...]:
        """The source's columns that hold a secret."""
        fields = ("token", "access_token", "refresh_token", "id_token")
        named = [self.one.fields[name] for name in fields if name in self.one.fields]
        return (*named, *(column.name for column in self.one.table.columns if is_secret(column)))

    @property
    def name(self) -> str:
        """SQL text that names a row in reports: its id, or where it lies when it has none."""
        return f"COALESCE(NULLIF({self.row_id}, ''), 'row at ' || s.ctid)"


class Fields:
    """A recognised table's columns by the field they play, as SQL over an alias."""

    def __init__(self, one: Recognised, zone: str, alias: str = "s") -> None:
        self.one = one
        self.zone = zone
        self.alias = alias

    @property
    def table(self) -> SourceTable:
        return self.one.table

    def __contains__(self, name: str) -> bool:
        return name in self.one.fields

    def column(self, name: str) -> SourceColumn:
        """The column that plays this field; `KeyError` where none does."""
        return column_named(self.table, self.one.fields[name])

    def ref(self, name: str) -> str:
        return f"{self.alias}.{quote(self.one.fields[name])}"

    def text(self, name: str) -> str:
        """SQL text of a field, NULL where the source lacks it."""
        return text(self.column(name), self.ref(name)).sql if name in self else "NULL::text"

    def key(self, name: str) -> Value:
        return key_text(self.column(name), self.ref(name))

    def instant(self, name: str) -> Instant | None:
        return instant(self.column(name), self.ref(name), self.zone) if name in self else None

    def source_from(self) -> str:
        return relation(self.table, self.alias)

    @cached_property
    def extra(self) -> tuple[SourceColumn, ...]:
        """The columns without a field, less those known to be of no use."""
        # Of a column that only says who is shut out, more is kept than a yes or no.
        flags = ("disabled", "isdisabled")
        fields = self.one.fields.items()
        taken = {column for name, column in fields if name != "disabled" or normalised(column) in flags}
        left = role_aliases()[self.one.role].left
        return tuple(c for c in self.table.columns if c.name not in taken and normalised(c.name) not in left)

    @cached_property
    def secret(self) -> tuple[SourceColumn, ...]:
        """Those of the extra columns that seem to hold a secret."""
        return tuple(column for column in self.extra if is_secret(column))

    def kept(self, secrets: str) -> tuple[SourceColumn, ...]:
        """The columns that live on in `data`; those of secrets only where `secrets` says "keep"."""
        return tuple(column for column in self.extra if secrets == "keep" or column not in self.secret)

    @cached_property
    def of_no_use(self) -> tuple[SourceColumn, ...]:
        left = role_aliases()[self.one.role].left
        taken = set(self.one.fields.values())
        return tuple(c for c in self.table.columns if c.name not in taken and normalised(c.name) in left)

    @cached_property
    def key_columns(self) -> tuple[SourceColumn, ...]:
        """The columns of a key that tells every row from every other; () where the table has none."""
        for key in sorted(self.table.keys, key=lambda key: (not key.primary, len(key.columns), key.name)):
            columns = tuple(column_named(self.table, name) for name in key.columns)
            if not any(column.nullable for column in columns):
                return columns
        return ()

    @property
    def identity(self) -> str:
        """SQL text that tells every row of one snapshot from every other."""
        if not self.key_columns:
            return f"concat_ws(' ', {self.alias}.tableoid, {self.alias}.ctid)"
        parts = [text(column, f"{self.alias}.{quote(column.name)}").sql for column in self.key_columns]
        return parts[0] if len(parts) == 1 else f"concat_ws(E'\\x1f', {', '.join(parts)})"

    @property
    def by_key(self) -> tuple[str, ...]:
        """ORDER BY terms: the smallest key first, the same under every collation."""
        if not self.key_columns:
            return (f'({self.alias}.*)::text COLLATE "C"', f"{self.alias}.ctid")
        return tuple(self._sortable(column) for column in self.key_columns)

    def _sortable(self, column: SourceColumn) -> str:
        value = f"{self.alias}.{quote(column.name)}"
        return f'{value}::text COLLATE "C"' if column.category in _SORTS_BY_LOCALE else value
