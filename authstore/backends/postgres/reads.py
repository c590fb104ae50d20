"""Reads go straight to a connection of their own; look-ups that wait together are answered by one query.

At one task nothing is lost by it: who is alone asks alone.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from time import monotonic
from typing import TypeVar

from authstore.backends.postgres.driver import Connection
from authstore.backends.postgres.errors import DRIVER_ERRORS, is_gone, ours, unreadable
from authstore.backends.postgres.pool import Pool
from authstore.backends.postgres.standby import PATIENCE_SECONDS, Standby
from authstore.backends.postgres.units import fetch
from authstore.backends.tuning import Tuning
from authstore.database import Found, Lookup, Row
from authstore.errors import AuthStoreError, StoreBusyError
from authstore.observers import WAITS, Asker, answered, asker
from authstore.sql import Statement

T = TypeVar("T")

MAX_KEYS = 512  # in one query
AT_ONCE = 2  # while one is answered, the callers of the other run
_PAUSE_SECONDS = 0.02

_Waiting = dict[str, list["asyncio.Future[Found | None]"]]


class Reads:
    """Reads wait for nobody but each other; where the server is away they try again, for the busy timeout."""

    def __init__(self, pool: Pool, standby: Standby | None, tuning: Tuning) -> None:
        self._pool = pool
        self._busy_seconds = tuning.busy_seconds
        self._standby = standby
        self._waiting: dict[Lookup, _Waiting] = {}
        self._running = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_starting = False
        self._askers: dict[asyncio.Future[Found | None], Asker] = {}  # where somebody watches

    async def read(self, statement: Statement) -> list[Row]:
        """The rows of a statement."""
        return await self.ask(partial(_rows, statement=statement))

    def lookup(self, lookup: Lookup, key: str) -> Awaitable[Found | None]:
        """What a look-up finds for one key."""
        if not self._running and not self._is_starting:
            return self._alone(lookup, key)
        waiting: asyncio.Future[Found | None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(lookup, {}).setdefault(key, []).append(waiting)
        if self._pool.watch is not None:
            self._askers[waiting] = asker()
        self._start()
        return waiting

    async def finish(self) -> None:
        """Waits until nobody waits."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def _alone(self, lookup: Lookup, key: str) -> Found | None:
        """In the caller's own task, which spares a lonely caller two turns of the event loop."""
        self._running += 1
        try:
            return await self.ask(partial(look_up, lookup=lookup, key=key))
        finally:
            self._running -= 1
            self._start()

    def _start(self) -> None:
        if not self._waiting or self._is_starting or self._running >= AT_ONCE:
            return
        # It begins when everybody who is ready to run now has asked.
        self._is_starting = True
        task = asyncio.get_running_loop().create_task(self._answer_all())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer_all(self) -> None:
        self._is_starting = False
        self._running += 1
        WAITS.set(None)  # this task was begun by one of those who wait, and works for all
        try:
            while self._waiting:
                lookup, waiting = self._take()
                await self._answer(lookup, waiting)
        finally:
            self._running -= 1

    def _take(self) -> tuple[Lookup, _Waiting]:
        lookup, waiting = next(iter(self._waiting.items()))
        taken = {key: waiting.pop(key) for key in list(waiting)[:MAX_KEYS]}
        if not waiting:
            del self._waiting[lookup]
        self._start()
        return lookup, taken

    async def _answer(self, lookup: Lookup, waiting: _Waiting) -> None:
        try:
            found = await self.ask(partial(self._many, lookup=lookup, waiting=waiting))
        except ValueError:  # one row cannot be read: only who asked for that one fails
            await self._answer_each(lookup, waiting)
        except BaseException as error:
            _settle(waiting, None, error)
            if isinstance(error, asyncio.CancelledError):
                raise
        else:
            for key, futures in waiting.items():
                _settle({key: futures}, found.get(key), None)
        finally:
            self._askers_of(waiting)

    async def _many(
        self, connection: Connection, deadline: float, *, lookup: Lookup, waiting: _Waiting
    ) -> Mapping[str, Found]:
        askers, now = self._askers_of(waiting), monotonic()
        answered(askers, now)
        connection.waited = max([connection.waited, *(now - since for since, _ in askers)])
        rows = await fetch(connection, lookup.many(keys=list(waiting)), deadline)
        return lookup.read([tuple(row.values()) for row in rows])

    def _askers_of(self, waiting: _Waiting) -> list[Asker]:
        """Who waits for these, each told once."""
        if not self._askers:
            return []
        asked = (self._askers.pop(future, None) for futures in waiting.values() for future in futures)
        return [each for each in asked if each is not None]

    async def _answer_each(self, lookup: Lookup, waiting: _Waiting) -> None:
        for key, futures in waiting.items():
            try:
                found = await self.ask(partial(look_up, lookup=lookup, key=key))
            except AuthStoreError as error:
                _settle({key: futures}, None, error)
            else:
                _settle({key: futures}, found, None)

    async def ask(
        self,
        ask: Callable[[Connection, float], Awaitable[T]],
        *,
        of_primary: bool = False,
        patience: float | None = None,
    ) -> T:
        """What this finds out on some connection; tried again while the server is away, for so many seconds."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._busy_seconds
        given_up = deadline if patience is None else loop.time() + patience
        standby = None if of_primary else self._standby
        while True:
            if standby is not None and standby.is_trusted:
                found = await _ask_standby(standby, ask)
                if found and standby.is_trusted:
                    return found[0]
            try:
                return await self._ask_once(ask, deadline)
            except DRIVER_ERRORS as error:
                if loop.time() >= given_up or not is_gone(error):
                    raise ours(error) from error
                self._pool.distrust()
                await asyncio.sleep(_PAUSE_SECONDS)

    async def _ask_once(self, ask: Callable[[Connection, float], Awaitable[T]], deadline: float) -> T:
        connection = await self._pool.take(deadline, to_write=False)
        try:
            return await ask(connection, deadline)
        except DRIVER_ERRORS as error:
            if is_gone(error):
                connection.terminate()
            raise
        finally:
            self._pool.give(connection, to_write=False)


async def _ask_standby(standby: Standby, ask: Callable[[Connection, float], Awaitable[T]]) -> tuple[T] | None:
    """What the standby answers; nothing where it goes away, or breaks off for what the primary changes meanwhile."""
    try:
        async with standby.connection() as connection:
            return (await ask(connection, asyncio.get_running_loop().time() + PATIENCE_SECONDS),)
    except (*DRIVER_ERRORS, StoreBusyError) as error:
        if is_gone(error) and not isinstance(error, TimeoutError):
            standby.leave_out()
        return None


async def look_up(connection: Connection, deadline: float | None, *, lookup: Lookup, key: str) -> Found | None:
    """What there is under one key. Raises `StoreCorruptError` where a row does not hold what the schema says."""
    rows = await fetch(connection, lookup.one(key=key), deadline)
    try:
        return lookup.check(tuple(rows[0].values())) if rows else None
    except ValueError:
        raise unreadable() from None


async def _rows(connection: Connection, deadline: float, *, statement: Statement) -> list[Row]:
    return await fetch(connection, statement, deadline)


def _settle(waiting: _Waiting, found: Found | None, error: BaseException | None) -> None:
    for futures in waiting.values():
        for future in futures:
            if future.done() or future.get_loop().is_closed():
                continue
            if isinstance(error, asyncio.CancelledError):
                future.cancel()
            elif error is not None:
                future.set_exception(error)
            else:
                future.set_result(found)
