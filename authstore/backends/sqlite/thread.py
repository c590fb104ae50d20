"""A connection, and the thread on which all its work is done."""

import asyncio
from collections.abc import Callable, Sequence
from time import monotonic
from typing import TypeVar

import aiosqlite

from authstore.backends.sqlite.units import RUN, UnitConnection
from authstore.backends.turn import closed
from authstore.observers import WAITS, Asker, Statistic, Watch, answered, logging_watch

T = TypeVar("T")


class ConnectionThread:
    """One SQLite connection on aiosqlite's thread."""

    def __init__(self, connection: aiosqlite.Connection) -> None:
        self._connection = connection
        self._is_closed = False
        self.watch: Watch | None = None

    async def run(self, work: Callable[[UnitConnection], T], askers: Sequence[Asker] = ()) -> T:
        """Calls `work` there. Once begun it runs to its end, whatever becomes of the caller. `askers`: those it is done
        for, the first of them first, where that is not the caller alone.

        Raises `StoreClosedError`, and whatever `work` does.
        """
        if self._is_closed:
            raise closed()
        watch = self.watch or logging_watch()
        if watch is None:
            return await self._run(work)
        asked = askers or ((monotonic(), WAITS.get()),)
        executed: list[Statistic] = []

        def noted(connection: UnitConnection) -> T:
            begun = monotonic()
            answered(asked, begun)
            connection.executed, connection.waited, connection.locked = executed, begun - asked[0][0], 0.0
            try:
                return work(connection)
            finally:
                connection.executed = None

        try:
            return await self._run(noted)
        finally:
            for statistic in executed:
                watch.statement(statistic)

    async def _run(self, work: Callable[[UnitConnection], T]) -> T:
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
