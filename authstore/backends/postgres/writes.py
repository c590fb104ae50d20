"""Writes: each is a unit of its own; those that are one statement need no BEGIN, and wait for each other only to
share that statement.

PostgreSQL shares the flush of a commit among connections by itself. Sharing the statement is what pays: at 64 tasks
an insert costs a sixth.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import Any, TypeVar, cast

from authstore.backends.postgres.errors import DRIVER_ERRORS
from authstore.backends.postgres.texts import text
from authstore.backends.postgres.units import GATE, Units
from authstore.backends.uninterrupted import ended
from authstore.database import Row, Unit, finished
from authstore.errors import UnknownOutcomeError
from authstore.observers import WAITS, Asker, answered, asker
from authstore.sql import Decides, Query, Statement

T = TypeVar("T")

MAX_ROWS = 256  # in one statement
AT_ONCE = 2  # of one kind


@dataclass(slots=True, eq=False)
class _Job:
    statement: Statement
    written: "asyncio.Future[bool]"
    asker: Asker
    batch: "asyncio.Future[None] | None" = None  # done when the statement that it went into is


class Writes:
    """Runs units, by the shortest way that each one allows."""

    def __init__(self, units: Units, *, is_pooled: bool) -> None:
        self._units = units
        self._is_pooled = is_pooled
        self._waiting: dict[Query, list[_Job]] = {}
        self._running: dict[Query, int] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self, make: Callable[[], Unit[T]]) -> T:
        """The result of a unit of work."""
        if not self._is_pooled:  # a pooler's session has whatever durability others left it with
            unit = make()
            try:
                statement = next(unit)
                is_whole = statement.decides is Decides.UNIT and statement.query.whole is not None
                if is_whole and await self._write(statement):
                    return finished(unit)
            except StopIteration as end:
                return cast(T, end.value)
            finally:
                unit.close()
        return await self._units.run(make)

    async def finish(self) -> None:
        """Waits until nobody waits."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def _write(self, statement: Statement) -> bool:
        """Whether this one statement wrote a row; if not, nothing happened."""
        query = statement.query
        if query.gathered is None or not self._running.get(query):
            return await self._write_alone(statement)
        job = _Job(statement, asyncio.get_running_loop().create_future(), asker())
        self._waiting.setdefault(query, []).append(job)
        self._start(query)
        return await self._outcome(job)

    async def _outcome(self, job: _Job) -> bool:
        try:
            return await job.written
        except asyncio.CancelledError:
            if job.batch is None:
                self._waiting[job.statement.query].remove(job)  # it never began
            else:
                await ended(job.batch)
            raise

    async def _write_alone(self, statement: Statement) -> bool:
        query = statement.query
        said = text(query.whole or "")
        self._running[query] = self._running.get(query, 0) + 1
        try:
            values = said.values({**statement.parameters, "gate": GATE})
            return bool(await self._units.alone(query, said, values))
        except DRIVER_ERRORS:
            return False
        finally:
            self._running[query] -= 1
            self._start(query)

    def _start(self, query: Query) -> None:
        if not self._waiting.get(query) or self._running.get(query, 0) >= AT_ONCE:
            return
        self._running[query] = self._running.get(query, 0) + 1
        task = asyncio.get_running_loop().create_task(self._write_all(query))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _write_all(self, query: Query) -> None:
        WAITS.set(None)  # this task was begun by one of those who wait, and works for all
        try:
            while self._waiting.get(query):
                await self._write_together(query, self._take(query))
        finally:
            self._running[query] -= 1

    def _take(self, query: Query) -> list[_Job]:
        """As many as fit, no two of them about the same row: each must hear what became of its own."""
        taken: dict[Any, _Job] = {}
        left: list[_Job] = []
        for job in self._waiting.pop(query):
            key = job.statement.parameters["id"]
            if len(taken) < MAX_ROWS and key not in taken:
                taken[key] = job
            else:
                left.append(job)
        if left:
            self._waiting[query] = left
            self._start(query)
        batch = asyncio.get_running_loop().create_future()
        for job in taken.values():
            job.batch = batch
        return [taken[key] for key in sorted(taken)]

    async def _write_together(self, query: Query, jobs: list[_Job]) -> None:
        said, given = text(query.gathered or ""), [job.statement.parameters for job in jobs]
        answered((job.asker for job in jobs), monotonic())
        try:
            values = [GATE if name == "gate" else [one[name] for one in given] for name in said.names]
            rows = await self._units.alone(query, said, values)
        except DRIVER_ERRORS:
            written: set[Any] = set()  # one of them spoilt it, or the server is away: each by itself finds out
        except BaseException as error:
            _settle(jobs, error)
            if isinstance(error, asyncio.CancelledError):
                raise
            return
        else:
            written = {row["id"] for row in cast(list[Row], rows)}
        _settle(jobs, written)


def _settle(jobs: list[_Job], outcome: set[Any] | BaseException) -> None:
    """Tells each what became of its own."""
    for job in jobs:
        if job.written.done():
            continue
        if isinstance(outcome, set):
            job.written.set_result(job.statement.parameters["id"] in outcome)
        elif isinstance(outcome, asyncio.CancelledError):
            job.written.cancel()
        else:
            job.written.set_exception(_again(outcome))
    batch = jobs[0].batch
    if batch is not None and not batch.done():
        batch.set_result(None)


def _again(error: BaseException) -> BaseException:
    """An error for each: one that several raise grows with every traceback."""
    if isinstance(error, UnknownOutcomeError):
        made = UnknownOutcomeError(*error.args)
        made.__cause__ = error.__cause__
        return made
    return error
