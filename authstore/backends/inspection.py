"""What is found by looking at a store, whatever its database, and who looks."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeVar

from authstore.database import Unit
from authstore.errors import AuthStoreError, SchemaError, StoreBusyError, StoreCorruptError, StoreNotFoundError

T = TypeVar("T")

COUNTED_ROWS = 1_000_000  # a table of more is not counted but estimated


@dataclass(frozen=True, slots=True)
class TableInfo:
    """A table. `rows` is an estimate unless `is_exact`; `bytes` with its indexes, None where that was not asked for or
    the database cannot say."""

    name: str
    rows: int
    bytes: int | None
    indexes: tuple[str, ...]
    is_exact: bool = True


@dataclass(frozen=True, slots=True)
class StoreSize:
    """A store's tables and sizes in bytes, and its schema version.

    place: where it is, without a password. wal_bytes: SQLite's log beside the file. free_bytes: within the file, to be
    filled before it grows.
    """

    place: str
    bytes: int
    wal_bytes: int
    free_bytes: int
    schema_version: int
    tables: tuple[TableInfo, ...]


class Symptom(NamedTuple):
    """Something that is not as it should be: a kind of `authstore.ops.findings` by name, and what is the case here."""

    kind: str
    detail: str


_KINDS: tuple[tuple[type[AuthStoreError], str], ...] = (
    (SchemaError, "foreign"),
    (StoreNotFoundError, "missing"),
    (StoreCorruptError, "damaged"),
    (StoreBusyError, "locked"),
)


def symptom_of(error: AuthStoreError) -> str:
    """The kind of symptom that it is when a look ends so."""
    return next((kind for error_type, kind in _KINDS if isinstance(error, error_type)), "unreachable")


class Inspector(Protocol):
    """Looks at one store by a connection of its own, which keeps nobody from reading or writing."""

    async def ask(self, make: Callable[[], Unit[T]], *, seconds: float | None = None) -> T:
        """Runs a unit that only reads; each of its statements sees what is committed. Raises `AuthStoreError`.

        `seconds`: the database is stopped when it takes longer (`StoreBusyError`, `StoreUnavailableError`).
        """
        ...

    async def size(self, *, with_tables: bool, counted: int = COUNTED_ROWS, seconds: float | None = None) -> StoreSize:
        """How large it is; `with_tables`: also each table, even where that reads the whole file. A table of more than
        `counted` rows is estimated. `seconds`: as for `ask`.

        Raises `StoreNotFoundError`, `SchemaError`, `StoreCorruptError`, `StoreUnavailableError`.
        """
        ...

    async def examine(self) -> list[Symptom]:
        """What is wrong with the database itself. Whatever state it is in, that is an answer, not an error."""
        ...

    async def mend(self, kind: str) -> None:
        """Mends this. Raises `AuthStoreError` where it cannot; `LookupError` for what nobody mends by machine."""
        ...
