"""What the loop asks of the two sides. A direction is a pair of them: a reader of one database, a writer of another."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from authstore.mover.batches import Batch, Digests, Key, Keys, Pack
from authstore.mover.layout import Layout
from authstore.mover.reading_ahead import ReadAhead
from authstore.mover.stretches import Stretch


class Reader(Protocol):
    """One table of the source. What it gives is read ahead, and to be closed."""

    @property
    def layout(self) -> Layout: ...

    def rows(self, after: Key | None = None) -> ReadAhead[Batch]:
        """Every row in key order, or those behind a key."""
        ...

    def some_rows(self, keys: Keys) -> ReadAhead[Batch]:
        """The rows with these keys."""
        ...

    def packs(self, until: Key | None = None) -> ReadAhead[Pack]:
        """Keys and digests in key order; `until`: the last key wanted."""
        ...


class Writer(Protocol):
    """One table of the target."""

    layout: Layout

    @property
    def digest_query(self) -> str:
        """By which the ledger reads the table once nobody knows its layout any more."""
        ...

    def begin(self, *, joining: bool = False) -> None:
        """A transaction; `joining`: or the one that is open, with what was written to tables before."""
        ...

    def commit(self) -> None: ...
    def rollback(self) -> None: ...
    def savepoint(self) -> AbstractContextManager[None]:
        """What `CannotOverwriteError` ends is taken back."""
        ...

    def insert(self, batch: Batch) -> None:
        """All of these. Raises `TargetError` where the target's rules forbid one."""
        ...

    def overwrite(self, batch: Batch) -> None:
        """Over the rows with their keys. Raises `CannotOverwriteError`, having written some."""
        ...

    def delete(self, keys: Iterable[Key], *, unless_referred_to: bool = False) -> None:
        """The rows with these keys, where they are there; on demand not those that other rows refer to."""
        ...

    def packs(self) -> Iterator[Pack]:
        """Keys and digests in key order."""
        ...

    def keys(self) -> Iterator[Any]:
        """All keys in their order."""
        ...

    def columns(self) -> Collection[str]:
        """What may be asked for by name; empty where there is no such table."""
        ...

    def has(self, key: Key) -> bool: ...
    def count(self) -> int: ...
    def clear(self) -> None:
        """Deletes every row."""
        ...


class StretchLedger(Protocol):
    """What is known of the rows that a move put into the target. Writes belong to the writer's transaction."""

    def is_whole(self, table: str) -> bool: ...
    def set_table(self, table: str, query: str, *, is_whole: bool) -> None: ...
    def forget(self, table: str, query: str) -> None: ...
    def stretches(self, table: str) -> list[Stretch]: ...
    def digests(self, table: str, number: int) -> Digests: ...
    def next_number(self, table: str) -> int: ...
    def put(self, table: str, number: int, last_key: Key, digests: Sequence[str]) -> None: ...
