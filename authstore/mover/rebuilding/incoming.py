"""A table on its way into PostgreSQL."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from authstore.mover.copies import Reject, TableCopy
from authstore.mover.layout import Layout
from authstore.mover.names import quote
from authstore.mover.postgres.spelling import Written
from authstore.mover.postgres.target import BUILDING
from authstore.mover.postgres.writing import PostgresTable
from authstore.mover.sqlite.file_tables import FileTable

ROW_NUMBER = "authstore_row"  # of the rows of a table without a key, in the order of all they hold
STORED = {"int8": "INTEGER", "float8": "REAL", "text": "TEXT", "bytea": "BLOB"}  # by the kind of what comes


@dataclass(frozen=True)
class Incoming:
    """One table on its way. `copy`: what its rows are in Postgres, as the file writes them; `rejects`: predicates on
    the file's rows; `parents`: the tables it refers to."""

    file: FileTable
    name: str
    layout: Layout
    copy: TableCopy
    names: Mapping[str, str]
    written: Mapping[str, Written]
    rejects: tuple[Reject, ...] = ()
    is_numbered: bool = False
    secrets: tuple[str, ...] = ()
    readings: Mapping[str, tuple[str, str]] = field(default_factory=dict)  # how its values read, and their base types
    is_own: bool = False

    @property
    def target(self) -> str:
        return self.file.name

    @property
    def parents(self) -> frozenset[str]:
        return frozenset(link.table for link in self.file.references) - {self.file.name}

    @property
    def kept(self) -> str:
        """The predicate of the file's rows that move."""
        return " AND ".join(f"NOT {reject.where}" for reject in self.rejects) or "TRUE"

    def in_schema(self, schema: str) -> PostgresTable:
        """The table as it is written and read there."""
        at = f"{quote(schema)}."
        copy = replace(self.copy, source_from=self.copy.source_from.replace(f"{quote(BUILDING)}.", at))
        return PostgresTable(schema, self.name, self.layout, copy, self.names, self.written)
