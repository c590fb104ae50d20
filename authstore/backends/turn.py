"""The right to write: one holder at a time, first come, first served, and nobody waits beyond a deadline."""

import asyncio
from collections import deque

from authstore.errors import StoreBusyError, StoreClosedError, StoreError


class Turn:
    """Taken and given back, by tasks of one event loop."""

    def __init__(self) -> None:
        self._is_taken = False
        self._is_closed = False
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def is_taken(self) -> bool:
        """Whether somebody holds it."""
        return self._is_taken

    async def take(self, deadline: float) -> None:
        """Waits until the turn is the caller's, at most until `deadline` (in the event loop's time).

        Raises `StoreBusyError`, and `StoreClosedError` where somebody holds it and the store was closed.
        """
        if not self._is_taken:
            self._is_taken = True
            return
        if self._is_closed:
            raise closed()
        loop = asyncio.get_running_loop()
        waiter = loop.create_future()
        self._waiting.append(waiter)
        timer = loop.call_at(deadline, _refuse, waiter, busy())
        try:
            await waiter
        except asyncio.CancelledError:
            if not waiter.cancelled() and waiter.exception() is None:
                self.give()
            raise
        finally:
            timer.cancel()

    def give(self) -> None:
        """Hands the turn to whoever has waited longest."""
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return
        self._is_taken = False

    def close(self) -> None:
        """From here on nobody waits."""
        self._is_closed = True
        while self._waiting:
            _refuse(self._waiting.popleft(), closed())


def busy() -> StoreBusyError:
    """What a writer gets who waited in vain."""
    return StoreBusyError("another writer held the database for the whole busy timeout")


def closed() -> StoreClosedError:
    """What a caller gets who comes too late."""
    return StoreClosedError("the store is closed")


def _refuse(waiter: "asyncio.Future[None]", error: StoreError) -> None:
    if not waiter.done():
        waiter.set_exception(error)
