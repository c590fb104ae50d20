"""Writes that wait together share a hop to the writing thread and a commit.

At one task nothing is lost by it; at many, the hop (the main cost of aiosqlite) and the fsync are divided.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import NamedTuple, TypeVar, cast

from authstore.backends.sqlite.gathered import GatheredStatements
from authstore.backends.sqlite.thread import ConnectionThread
from authstore.backends.sqlite.units import Begun, UnitJob, abandon, run_units, settle
from authstore.backends.turn import Turn, busy, closed
from authstore.backends.uninterrupted import ended
from authstore.database import Unit, finished
from authstore.errors import StoreBusyError, StoreClosedError, StoreError
from authstore.observers import WAITS
from authstore.sql import Decides

T = TypeVar("T")

MAX_UNITS = 256  # in one transaction: bounds how long a reader of the result waits for the others'


class Writes:
    """Writes take turns with open transactions, and wait at most the busy timeout from their call."""

    def __init__(self, thread: ConnectionThread, turn: Turn, busy_seconds: float) -> None:
        self._thread = thread
        self._turn = turn
        self._busy_seconds = busy_seconds
        self._gathered = GatheredStatements(thread, turn)
        self._waiting: list[UnitJob] = []
        self._batch: _Batch | None = None
        self._task: asyncio.Task[None] | None = None

    async def run(self, make: Callable[[], Unit[T]]) -> T:
        """The result of a unit of work.

        A caller cancelled before the unit began gets away at once, and it never happens; one cancelled later
        waits for its end, so that what it finds afterwards no longer changes.
        """
        asked, unit = asyncio.get_running_loop().time(), make()
        try:
            statement = next(unit)
        except StopIteration as end:
            return cast(T, end.value)
        if (
            statement.decides is Decides.UNIT
            and statement.query.sqlite_gathered is not None
            and await self._gathered.write(statement)
        ):
            return finished(unit)
        return await self._run_in_turn(make, (unit, statement), asked)

    async def _run_in_turn(self, make: Callable[[], Unit[T]], begun: Begun[T], asked: float) -> T:
        loop = asyncio.get_running_loop()
        job = UnitJob(make, begun, loop.create_future(), asked, asked + self._busy_seconds)
        self._waiting.append(job)
        if self._task is None:
            self._task = loop.create_task(self._drain())
        try:
            result: T = await job.future
        except asyncio.CancelledError:
            if self._batch is not None and job in self._batch.jobs:
                await ended(self._batch.done)
            raise
        return result

    async def finish(self) -> None:
        """Waits until nobody waits."""
        await self._gathered.finish()
        while self._task is not None:
            await asyncio.wait([self._task])

    async def _drain(self) -> None:
        jobs: list[UnitJob] = []
        WAITS.set(None)  # this task was begun by one of those who wait, and works for all
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
            abandon(job.future for job in jobs + self._waiting)

    async def _run_batch(self, jobs: list[UnitJob]) -> None:
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
                settle(job.future, job.result, job.error)
        else:
            self._waiting[:0] = jobs
            self._expire()

    def _next_batch(self) -> list[UnitJob]:
        batch, self._waiting = self._waiting[:MAX_UNITS], self._waiting[MAX_UNITS:]
        return [job for job in batch if not job.future.done()]

    async def _take_turn(self) -> bool:
        waiting, began = list(self._waiting), asyncio.get_running_loop().time()
        try:
            await self._turn.take(min(job.deadline for job in waiting))
        except StoreBusyError:
            _note_turn(waiting, began)
            self._expire()
            return False
        except StoreClosedError:
            refused, self._waiting = self._waiting, []
            _refuse(refused, closed)
            return False
        _note_turn(waiting, began)
        return True

    def _expire(self) -> None:
        now = asyncio.get_running_loop().time()
        late = [job for job in self._waiting if job.deadline <= now]
        self._waiting = [job for job in self._waiting if job.deadline > now]
        _refuse(late, busy)


class _Batch(NamedTuple):
    """What is on the thread now."""

    jobs: list[UnitJob]
    done: "asyncio.Future[None]"


def _note_turn(jobs: list[UnitJob], began: float) -> None:
    seconds = asyncio.get_running_loop().time() - began
    for job in jobs:
        job.locked += seconds


def _refuse(jobs: list[UnitJob], error: Callable[[], StoreError]) -> None:
    for job in jobs:
        job.note_waits(0.0)
        job.error = error()
        settle(job.future, job.result, job.error)
