"""A connection, and the thread on which all its work is done."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

import aiosqlite

from authstore.backends.sqlite.units import RUN, UnitConnection
from authstore.backends.turn import closed

T = TypeVar("T")


class ConnectionThread:
    """One SQLite connection on aiosqlite's thread."""

    def __init__(self, connection: aiosqlite.Connection) -> None:
        self._connection = connection
        self._is_closed = False

    async def run(self, work: Callable[[UnitConnection], T]) -> T:
        """Calls `work` there. Once begun it runs to its end, whatever becomes of the caller.

        Raises `StoreClosedError`, and whatever `work` does.
        """
        if self._is_closed:
            raise closed()
        results: list[T] = []
        try:
            await self._connection.executemany(RUN, lambda connection: results.append(work(connection)))
        except asyncio.CancelledError:
            # The thread answers to this event loop, which may be about to close.
            await self._connection.executemany(RUN, lambda _: ())
            raise
        return results[0]

    async def close(self) -> None:
        """Closes the connection after everything queued before."""
        self._is_closed = True
        await self._connection.close()

    def stop(self) -> None:
        """Closes it without an event loop; returns at once."""
        self._is_closed = True
        self._connection.stop()
