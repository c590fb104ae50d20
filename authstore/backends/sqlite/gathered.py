"""Writes that are one statement each: many that wait together are said by one, which commits by itself.

SQLite runs such a statement from its lock to its flush without Python's lock. So there are two hops, as for reads:
while one is under way, the callers of the other make what they write next.
"""

import asyncio
from dataclasses import dataclass, field
from functools import partial

from authstore.backends.sqlite.thread import ConnectionThread
from authstore.backends.sqlite.units import abandon, settle, write_together
from authstore.backends.turn import Turn
from authstore.backends.uninterrupted import ended
from authstore.observers import WAITS, Asker, asker
from authstore.sql import Statement

HOPS = 2
MAX_ROWS = 256  # in one statement
MIN_SPLIT = 32  # fewer are not worth a second hop


@dataclass(slots=True, eq=False)
class _Job:
    statement: Statement
    written: "asyncio.Future[bool]"
    asker: Asker = field(default_factory=asker)
    hop: "asyncio.Future[None] | None" = None  # done when the statement that it went into is


class GatheredWrites:
    """Whoever has the turn is waited for by units: where somebody has it, nothing is written here."""

    def __init__(self, thread: ConnectionThread, turn: Turn) -> None:
        self._thread = thread
        self._turn = turn
        self._loop = asyncio.get_running_loop()
        self._waiting: list[_Job] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_starting = False
        self._running = 0

    async def write(self, statement: Statement) -> bool:
        """Whether this one statement is written, with others or alone; if not, nothing happened."""
        job = _Job(statement, self._loop.create_future())
        self._waiting.append(job)
        self._start()
        try:
            return await job.written
        except asyncio.CancelledError:
            if job in self._waiting:
                self._waiting.remove(job)  # it never began
            elif job.hop is not None:
                await ended(job.hop)
            raise

    async def finish(self) -> None:
        """Waits until nobody waits."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    def _start(self) -> None:
        if not self._waiting or self._is_starting or self._running >= HOPS:
            return
        # It begins when everybody who is ready to run now has asked.
        self._is_starting = True
        task = self._loop.create_task(self._write_all())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _write_all(self) -> None:
        self._is_starting = False
        self._running += 1
        WAITS.set(None)  # this task was begun by one of those who wait, and works for all
        try:
            while self._waiting:
                await self._write(self._take())
        finally:
            self._running -= 1

    def _take(self) -> list[_Job]:
        """Those who wait, save that two hops share them; all of one kind."""
        query = self._waiting[0].statement.query
        alike = [job for job in self._waiting if job.statement.query is query]
        count = min(len(alike), MAX_ROWS)
        if self._running == 1 and count >= MIN_SPLIT:
            count = (count + 1) // 2
        jobs = alike[:count]
        taken = set(jobs)
        self._waiting = [job for job in self._waiting if job not in taken]
        self._start()
        return jobs

    async def _write(self, jobs: list[_Job]) -> None:
        # What is on the thread goes before whoever takes the turn from here on: it need not be held.
        is_written, failed = False, None
        hop = self._loop.create_future()
        try:
            if not self._turn.is_taken:
                for job in jobs:
                    job.hop = hop
                work = partial(write_together, [job.statement for job in jobs])
                is_written = await self._thread.run(work, [job.asker for job in jobs])
        except asyncio.CancelledError:
            abandon(job.written for job in jobs + self._waiting)
            raise
        except Exception as error:
            failed = error
        finally:
            hop.set_result(None)
        for job in jobs:
            settle(job.written, is_written, failed)
