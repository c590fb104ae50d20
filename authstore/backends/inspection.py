"""What is found by looking at a store, whatever its database."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TableSize:
    """A table; `bytes` with its indexes, None where the database cannot say."""

    name: str
    rows: int
    bytes: int | None
    indexes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StoreSize:
    """A store's tables, its size in bytes, and its schema version; `place`: where it is, without a password."""

    place: str
    bytes: int
    version: int
    tables: tuple[TableSize, ...]
