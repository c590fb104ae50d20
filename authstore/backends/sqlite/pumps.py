"""Waiting calls share a hop to the connection's thread; waiting writes also share a commit.

At one task nothing is lost by it; at many, the hop (the main cost of aiosqlite) and the fsync are divided.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, TypeVar

import aiosqlite

from authstore.backends.sqlite.turn import Turn, busy, closed
from authstore.backends.sqlite.work import (
    RUN,
    ReadJob,
    UnitConnection,
    UnitJob,
    run_reads,
    run_units,
    settle,
)
from authstore.database import Row, Unit
from authstore.errors import StoreBusyError, StoreClosedError, StoreError
from authstore.sql import Statement

T = TypeVar("T")

MAX_UNITS = 256  # in one transaction: bounds how long a reader of the result waits for the others'
MAX_READS = 512  # in one hop


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
        await self._connection.executemany(RUN, lambda connection: results.append(work(connection)))
        return results[0]

    async def close(self) -> None:
        """Closes the connection after everything queued before."""
        self._is_closed = True
        await self._connection.close()

    def stop(self) -> None:
        """Closes it without an event loop; returns at once."""
        self._is_closed = True
        self._connection.stop()


class ReadPump:
    """Reads wait for nobody but each other."""

    def __init__(self, thread: ConnectionThread) -> None:
        self._thread = thread
        self._waiting: list[ReadJob] = []
        self._task: asyncio.Task[None] | None = None

    def submit(self, statement: Statement, key: str | None = None) -> "asyncio.Future[list[Row]]":
        """The rows of a statement, or of a look-up by `key`."""
        loop = asyncio.get_running_loop()
        job = ReadJob(statement, loop.create_future(), key)
        self._waiting.append(job)
        if self._task is None:
            self._task = loop.create_task(self._drain())
        future: asyncio.Future[list[Row]] = job.future
        return future

    async def finish(self) -> None:
        """Waits until nobody waits."""
        while self._task is not None:
            await asyncio.wait([self._task])

    async def _drain(self) -> None:
        jobs: list[ReadJob] = []
        try:
            while self._waiting:
                jobs, self._waiting = self._waiting[:MAX_READS], self._waiting[MAX_READS:]
                await self._thread.run(partial(run_reads, jobs))
                for job in jobs:
                    settle(job, job.rows)
        finally:
            self._task = None
            _abandon(jobs + self._waiting)


class WritePump:
    """Writes take turns with open transactions, and wait at most the busy timeout from their call."""

    def __init__(self, thread: ConnectionThread, turn: Turn, busy_seconds: float) -> None:
        self._thread = thread
        self._turn = turn
        self._busy_seconds = busy_seconds
        self._waiting: list[UnitJob[Any]] = []
        self._batch: _Batch | None = None
        self._task: asyncio.Task[None] | None = None

    async def run(self, make: Callable[[], Unit[T]]) -> T:
        """The result of a unit of work.

        A caller cancelled before the unit began gets away at once, and it never happens; one cancelled later
        waits for its end, so that what it finds afterwards no longer changes.
        """
        loop = asyncio.get_running_loop()
        job = UnitJob(make, loop.create_future(), loop.time() + self._busy_seconds)
        self._waiting.append(job)
        if self._task is None:
            self._task = loop.create_task(self._drain())
        try:
            result: T = await job.future
        except asyncio.CancelledError:
            if self._batch is not None and job in self._batch.jobs:
                await uninterrupted(self._batch.done)
            raise
        return result

    async def finish(self) -> None:
        """Waits until nobody waits."""
        while self._task is not None:
            await asyncio.wait([self._task])

    async def _drain(self) -> None:
        jobs: list[UnitJob[Any]] = []
        try:
            while self._waiting:
                if not await self._take_turn():
                    continue
                try:
                    jobs = self._next_batch()
                    await self._run_batch(jobs)
                finally:
                    self._turn.give()
                jobs = []
        finally:
            self._task = None
            _abandon(jobs + self._waiting)

    async def _run_batch(self, jobs: list[UnitJob[Any]]) -> None:
        if not jobs:
            return
        self._batch = _Batch(jobs, asyncio.get_running_loop().create_future())
        try:
            is_done = await self._thread.run(partial(run_units, jobs))
        finally:
            self._batch.done.set_result(None)
            self._batch = None
        if is_done:
            for job in jobs:
                settle(job, job.result)
        else:
            self._waiting[:0] = jobs
            self._expire()

    def _next_batch(self) -> list[UnitJob[Any]]:
        batch, self._waiting = self._waiting[:MAX_UNITS], self._waiting[MAX_UNITS:]
        return [job for job in batch if not job.future.done()]

    async def _take_turn(self) -> bool:
        try:
            await self._turn.take(min(job.deadline for job in self._waiting))
        except StoreBusyError:
            self._expire()
            return False
        except StoreClosedError:
            refused, self._waiting = self._waiting, []
            _refuse(refused, closed)
            return False
        return True

    def _expire(self) -> None:
        now = asyncio.get_running_loop().time()
        late = [job for job in self._waiting if job.deadline <= now]
        self._waiting = [job for job in self._waiting if job.deadline > now]
        _refuse(late, busy)


class _Batch(NamedTuple):
    """What is on the thread now."""

    jobs: list[UnitJob[Any]]
    done: "asyncio.Future[None]"


async def uninterrupted(future: "asyncio.Future[T]") -> None:
    """Waits for the future, and only then lets a cancellation through."""
    cancelled: asyncio.CancelledError | None = None
    while not future.done():
        try:
            await asyncio.wait([future])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled


def _refuse(jobs: list[UnitJob[Any]], error: Callable[[], StoreError]) -> None:
    for job in jobs:
        job.error = error()
        settle(job, None)


def _abandon(jobs: "list[ReadJob] | list[UnitJob[Any]]") -> None:
    """The event loop is shutting down: nobody is left waiting for ever."""
    for job in jobs:
        if not job.future.done() and not job.future.get_loop().is_closed():
            job.future.cancel()
