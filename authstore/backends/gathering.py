"""Statements of one kind that wait together are said by one.

Sharing the statement and its commit is what pays where many ask at once: at 64 tasks an insert costs a sixth. There
are two at a time: while the database is at work on one, the callers of the other make what they write next.
"""

import asyncio
from collections.abc import Sequence, Set
from dataclasses import dataclass, field
from typing import Any

from authstore.backends.uninterrupted import ended
from authstore.errors import UnknownOutcomeError
from authstore.observers import WAITS, Asker, asker
from authstore.sql import Query, Statement

AT_ONCE = 2  # of one kind
MAX_ROWS = 256  # in one statement
MIN_SPLIT = 32  # fewer are not worth a second statement


@dataclass(slots=True, eq=False)
class Job:
    """A statement that is a whole unit, and whether it wrote its row."""

    statement: Statement
    written: "asyncio.Future[bool]"
    asker: Asker = field(default_factory=asker)
    together: "asyncio.Future[None] | None" = None  # done when the statement that it went into is

    @property
    def key(self) -> Any:
        """Of its row."""
        return self.statement.parameters["id"]


class GatheredWrites:
    """A backend says what was gathered, in `_say`."""

    def __init__(self) -> None:
        self._waiting: dict[Query, list[Job]] = {}
        self._running: dict[Query, int] = {}
        self._starting: set[Query] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def write(self, statement: Statement) -> bool:
        """Whether this one statement wrote its row, with others or alone; if not, nothing happened.

        Who is cancelled before it began gets away at once; later, once it has ended.
        """
        job = Job(statement, asyncio.get_running_loop().create_future())
        self._waiting.setdefault(statement.query, []).append(job)
        self._start(statement.query)
        try:
            return await job.written
        except asyncio.CancelledError:
            if job.together is not None:
                await ended(job.together)
            elif job in self._waiting[statement.query]:
                self._waiting[statement.query].remove(job)  # it never began
            raise

    async def finish(self) -> None:
        """Waits until nobody waits."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def _say(self, jobs: Sequence[Job]) -> Set[Any]:
        """Says all of them by one statement; the keys of those that wrote their row. An error is everybody's."""
        raise NotImplementedError

    def _start(self, query: Query) -> None:
        if not self._waiting[query] or query in self._starting or self._running.get(query, 0) >= AT_ONCE:
            return
        # It begins when everybody who is ready to run now has asked.
        self._starting.add(query)
        task = asyncio.get_running_loop().create_task(self._write_all(query))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _write_all(self, query: Query) -> None:
        self._starting.discard(query)
        self._running[query] = self._running.get(query, 0) + 1
        WAITS.set(None)  # this task was begun by one of those who wait, and works for all
        try:
            while self._waiting[query]:
                await self._write(self._take(query))
        finally:
            self._running[query] -= 1

    def _take(self, query: Query) -> list[Job]:
        """Those who wait, save that two statements share them; no two about one row: each must hear what became of
        its own."""
        waiting = self._waiting[query]
        count = min(len(waiting), MAX_ROWS)
        if self._running[query] == 1 and count >= MIN_SPLIT:
            count = (count + 1) // 2
        taken: dict[Any, Job] = {}
        left: list[Job] = []
        for job in waiting:
            if len(taken) < count and job.key not in taken:
                taken[job.key] = job
            else:
                left.append(job)
        self._waiting[query] = left
        self._start(query)
        return [taken[key] for key in sorted(taken)]

    async def _write(self, jobs: list[Job]) -> None:
        together = asyncio.get_running_loop().create_future()
        for job in jobs:
            job.together = together
        try:
            written = await self._say(jobs)
        except asyncio.CancelledError:
            self._abandon(jobs)
            raise
        except Exception as error:
            for job in jobs:
                if not job.written.done():
                    job.written.set_exception(_again(error))
        else:
            for job in jobs:
                if not job.written.done():
                    job.written.set_result(job.key in written)
        finally:
            together.set_result(None)

    def _abandon(self, jobs: list[Job]) -> None:
        """The event loop is shutting down: nobody is left waiting for ever."""
        for job in [*jobs, *(job for waiting in self._waiting.values() for job in waiting)]:
            if not job.written.done() and not job.written.get_loop().is_closed():
                job.written.cancel()


def _again(error: Exception) -> Exception:
    """An error for each: one that several raise grows with every traceback."""
    if isinstance(error, UnknownOutcomeError):
        made = UnknownOutcomeError(*error.args)
        made.__cause__ = error.__cause__
        return made
    return error
