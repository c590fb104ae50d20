"""Names of tables, columns and indexes: quoting them, and keeping them apart where SQLite sees no difference."""

import re
from collections.abc import Iterable
from typing import get_args

from authstore.mover.catalog import SourceTable
from authstore.mover.copies import Role
from authstore.schema import migrations

OWN_TABLES: tuple[Role, ...] = get_args(Role)  # parents first
ROW_IDS = ("rowid", "_rowid_", "oid")  # what SQLite calls the number of a row, where no column is called so
_MADE = re.compile(r"^CREATE (?:UNIQUE )?(?:TABLE|INDEX|TRIGGER|VIEW) (\w+)", re.MULTILINE)
_RESERVED = ("sqlite_", "authstore_")


def quote(name: str) -> str:
    """A name as Postgres and SQLite both read it, whatever is in it.

    SQLite takes a quoted name that it does not know for a string: use it only for names that are there.
    psycopg reads a per cent sign in a query as a placeholder once the query has parameters; `quote` leaves it alone.
    """
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text as a constant in both dialects (Postgres with standard_conforming_strings, the default)."""
    return "'" + text.replace("'", "''") + "'"


def relation(table: SourceTable, alias: str = "s") -> str:
    """A source table in FROM. The rows of its inheritance children are theirs; those of its partitions are its own."""
    only = "ONLY " if table.inherited else ""
    return f"{only}{quote(table.schema)}.{quote(table.name)} AS {quote(alias)}"


def label(schema: str, name: str) -> str:
    """A table as reports name it."""
    return f"{schema}.{name}"


def folded(name: str) -> str:
    """What SQLite compares: it ignores the case of ASCII letters and of no others."""
    return "".join(letter.lower() if letter.isascii() else letter for letter in name)


POSTGRES_BYTES = 63  # of a name: what is longer, PostgreSQL cuts off, and two names may be one then


def cut(name: str, *, end: str = "") -> str:
    """As much of a name as PostgreSQL takes, with `end` behind it."""
    return name.encode()[: POSTGRES_BYTES - len(end.encode())].decode(errors="ignore") + end


class Namespace:
    """Names given out once each. Tables, indexes and views of SQLite share one."""

    def __init__(self, taken: Iterable[str] = (), *, is_postgres: bool = False) -> None:
        """`is_postgres`: they are told apart by case too, and have so many bytes at most."""
        self._is_postgres = is_postgres
        self._taken = {self._as_compared(name) for name in taken}
        self._schemas: dict[str, str] = {}  # of the tables that have a name

    def take(self, wanted: str) -> str:
        """`wanted`, or with the first free number behind it."""
        name, number = self._fitted(wanted), 1
        while self._as_compared(name) in self._taken:
            number += 1
            name = self._fitted(wanted, f"_{number}")
        self._taken.add(self._as_compared(name))
        return name

    def _fitted(self, wanted: str, end: str = "") -> str:
        return cut(wanted, end=end) if self._is_postgres else f"{wanted}{end}"

    def _as_compared(self, name: str) -> str:
        return name if self._is_postgres else folded(name)

    def take_table(self, wanted: str, schema: str = "") -> str:
        """As `take`; a name that is gone, or authstore's or SQLite's own, is first tried as `source_…`, as `schema_…`
        where a table of another schema has it."""
        if folded(wanted) in self._taken or folded(wanted).startswith(_RESERVED):
            other = self._schemas.get(folded(wanted), schema)
            return self.take(f"{schema if other != schema else 'source'}_{wanted}")
        self._schemas[folded(wanted)] = schema
        return self.take(wanted)

    def take_index(self, table: str, wanted: str) -> str:
        """As `take`; an index is named after its table, for SQLite knows each name once in the whole file."""
        own = folded(wanted).startswith(folded(table)) and not folded(wanted).startswith(_RESERVED)
        return self.take(wanted if own else f"{table}_{wanted}")


def own_namespace() -> Namespace:
    """A namespace in which whatever authstore's migrations make is gone: tables, indexes, triggers."""
    return Namespace(name for step in migrations("sqlite") for name in _MADE.findall(step.sql))
