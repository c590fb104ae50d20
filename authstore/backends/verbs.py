"""What databases do alike: each verb first asks whether the store is open, and called where it was opened."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, Protocol, TypeVar

from authstore.backends.ownership import Ownership
from authstore.backends.turn import closed
from authstore.database import Found, Lookup, Row, Unit
from authstore.sql import Statement

T = TypeVar("T")


class Reads(Protocol):
    """Reading, gathered from all who wait."""

    def read(self, statement: Statement) -> Awaitable[list[Row]]: ...

    def lookup(self, lookup: Lookup, key: str) -> Awaitable[Found | None]: ...


class Writes(Protocol):
    """Writing, gathered from all who wait."""

    async def run(self, make: Callable[[], Unit[T]]) -> T: ...


ReadsT = TypeVar("ReadsT", bound=Reads)
WritesT = TypeVar("WritesT", bound=Writes)


class OpenDatabase(Generic[ReadsT, WritesT]):
    """The verbs of `Database` that only hand on."""

    _reads: ReadsT
    _writes: WritesT

    def __init__(self) -> None:
        self._owned = Ownership()
        self._closing: asyncio.Task[None] | None = None

    async def one(self, statement: Statement) -> Row | None:
        """See `authstore.database.Database`."""
        rows = await self.all(statement)
        return rows[0] if rows else None

    async def all(self, statement: Statement) -> list[Row]:
        """See `authstore.database.Database`."""
        self.check()
        return await self._reads.read(statement)

    def lookup(self, lookup: Lookup, key: str) -> Awaitable[Found | None]:
        """See `authstore.database.Database`."""
        self.check()
        return self._reads.lookup(lookup, key)

    async def unit(self, make: Callable[[], Unit[T]]) -> T:
        """See `authstore.database.Database`."""
        self.check()
        return await self._writes.run(make)

    async def close(self) -> None:
        """See `authstore.database.Database`."""
        self._owned.check()
        if self._closing is None:
            self._closing = asyncio.create_task(self._close())
        await asyncio.shield(self._closing)

    def check(self) -> None:
        """Raises `StoreClosedError` or `StoreMisuseError`."""
        self._owned.check()
        if self._closing is not None:
            raise closed()

    async def _close(self) -> None:
        raise NotImplementedError
