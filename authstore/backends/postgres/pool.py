"""The connections of a store: never more than it may have, and one of them kept for those who only read."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from time import monotonic

from authstore.backends.postgres.driver import Connection
from authstore.errors import StoreBusyError, StoreClosedError
from authstore.observers import WAITS, Watch, logging_watch

_TRUSTED_SECONDS = 0.5

Connect = Callable[[], Awaitable[Connection]]


class Pool:
    """Connections are opened when asked for, kept, and handed to whoever has waited longest."""

    def __init__(self, connect: Connect, size: int) -> None:
        self._connect = connect
        self._size = size
        self._idle: list[tuple[Connection, float]] = []  # since when
        self._count = 0  # open, being opened, or in use
        self._writing = 0
        self._waiting: dict[bool, deque[asyncio.Future[None]]] = {True: deque(), False: deque()}
        self._in_use: set[Connection] = set()
        self._is_closed = False
        self._is_empty: asyncio.Future[None] | None = None
        self.watch: Watch | None = None

    async def take(self, deadline: float, *, to_write: bool) -> Connection:
        """A connection, to be given back. Raises the driver's errors, `StoreBusyError`, `StoreClosedError`."""
        began, waits = monotonic(), WAITS.get()
        try:
            connection = await self._take(deadline, to_write=to_write)
        finally:
            waited = monotonic() - began
            if waits is not None:
                waits.waited += waited
        connection.watch = self.watch or logging_watch()
        connection.waited, connection.locked = waited, 0.0
        return connection

    async def _take(self, deadline: float, *, to_write: bool) -> Connection:
        while not self._may_take(to_write):
            await self._wait(deadline, to_write)
        self._writing += to_write
        try:
            connection = await self._ready() or await self._open()
        except BaseException:
            self._writing -= to_write
            self._wake()
            raise
        self._in_use.add(connection)
        return connection

    def give(self, connection: Connection, *, to_write: bool) -> None:
        """Back from whoever took it."""
        self._in_use.discard(connection)
        self._writing -= to_write
        if connection.is_closed() or self._is_closed:
            self._drop(connection)
        else:
            self._idle.append((connection, asyncio.get_running_loop().time()))
        self._wake()
        if self._is_empty is not None and not self._in_use and not self._is_empty.done():
            self._is_empty.set_result(None)

    def distrust(self) -> None:
        """The server went away, or is no longer the one that takes writes: what is idle leads to the old one."""
        while self._idle:
            self._drop(self._idle.pop()[0])

    async def close(self, patience: float) -> None:
        """Refuses everybody from here on, and waits for those at work, for so long."""
        self._is_closed = True
        for waiting in self._waiting.values():
            for waiter in waiting:
                if not waiter.done():
                    waiter.set_result(None)
        idle, self._idle = self._idle, []
        self._count -= len(idle)
        await asyncio.gather(*(connection.close(patience) for connection, _ in idle))
        if self._in_use:
            self._is_empty = asyncio.get_running_loop().create_future()
            await asyncio.wait([self._is_empty], timeout=patience)
        for connection in list(self._in_use):
            connection.terminate()

    def _may_take(self, to_write: bool) -> bool:
        if self._is_closed:
            raise StoreClosedError("the store is closed")
        if to_write and self._writing >= max(self._size - 1, 1):
            return False  # writers may wait for each other for long; readers for nobody
        return bool(self._idle) or self._count < self._size

    async def _ready(self) -> Connection | None:
        while self._idle:
            connection, since = self._idle.pop()
            if asyncio.get_running_loop().time() - since > _TRUSTED_SECONDS:
                # The server may have said goodbye: what has arrived is read in the next turns of the event loop. Else
                # a write that was never sent would be one of which nobody can tell what became.
                for _ in range(3):
                    await asyncio.sleep(0)
            if not connection.is_closed():
                return connection
            self._count -= 1
        return None

    async def _open(self) -> Connection:
        self._count += 1
        try:
            connection = await self._connect()
        except BaseException:
            self._count -= 1
            raise
        if self._is_closed:
            self._drop(connection)
            raise StoreClosedError("the store is closed")
        return connection

    def _drop(self, connection: Connection) -> None:
        self._count -= 1
        connection.terminate()

    async def _wait(self, deadline: float, to_write: bool) -> None:
        loop = asyncio.get_running_loop()
        waiter = loop.create_future()
        self._waiting[to_write].append(waiter)
        try:
            async with asyncio.timeout_at(deadline):
                await waiter
        except BaseException as error:
            if waiter in self._waiting[to_write]:
                self._waiting[to_write].remove(waiter)
            else:
                self._wake()  # it was this one's turn: now it is the next one's
            if isinstance(error, TimeoutError):
                raise StoreBusyError("all connections of this store were in use: raise pool_size") from None
            raise

    def _wake(self) -> None:
        """One reader and one writer look again."""
        for waiting in self._waiting.values():
            while waiting:
                waiter = waiting.popleft()
                if not waiter.done():
                    waiter.set_result(None)
                    break
