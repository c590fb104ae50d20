"""What a SQLite file says of its tables, as plain data; and text in it that is none."""

from dataclasses import dataclass

from authstore.mover.names import folded


@dataclass(frozen=True, slots=True)
class FileColumn:
    """A column of a table in the file. `declared`: its type, in capitals; "" where it has none. `formula`: of a
    `generated` one."""

    name: str
    declared: str
    not_null: bool
    default: str | None
    generated: bool
    collation: str
    formula: str


@dataclass(frozen=True, slots=True)
class FileReference:
    """A foreign key of a table in the file. `deferral`: in SQL's words; "" where it is judged at once."""

    columns: tuple[str, ...]
    table: str
    target_columns: tuple[str, ...]
    on_delete: str
    on_update: str
    deferral: str


@dataclass(frozen=True, slots=True)
class FileIndex:
    """An index that somebody made (`sql`), or that makes a UNIQUE of the table hold (`sql` is "")."""

    name: str
    sql: str
    unique: bool
    columns: tuple[str | None, ...]  # None where it is an expression
    partial: bool


@dataclass(frozen=True, slots=True)
class FileTable:
    """A table of the file. `primary`: its key's columns; `counted`: its key counts by itself; `is_numbered`: its rows
    have a number beside their key."""

    name: str
    sql: str
    is_strict: bool
    is_numbered: bool
    columns: tuple[FileColumn, ...]
    primary: tuple[str, ...]
    counted: bool
    references: tuple[FileReference, ...]
    indexes: tuple[FileIndex, ...]

    def column(self, name: str) -> FileColumn:
        """By its name. Raises `KeyError`."""
        for column in self.columns:
            if folded(column.name) == folded(name):
                return column
        raise KeyError(name)


class NoText(bytes):
    """What stands where text should, and is none: another application's file may hold text that is not UTF-8."""


def as_text(value: bytes) -> "str | NoText":
    try:
        return value.decode()
    except UnicodeDecodeError:
        return NoText(value)
