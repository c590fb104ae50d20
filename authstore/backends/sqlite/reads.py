"""Reads that wait together share a hop to the reading thread, and look-ups of one kind also a query.

Two hops may be under way at once: while SQLite answers one (without Python's lock, a look-up being a single
row), the callers of the other run.
"""

import asyncio
import json
import sqlite3
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

from authstore.backends.sqlite.thread import ConnectionThread
from authstore.backends.sqlite.work import Job, UnitConnection, abandon, fail, fetch, settle
from authstore.database import Found, Row
from authstore.sql import Query, Statement

HOPS = 2
MAX_READS = 512  # in one hop
MIN_SPLIT = 32  # fewer are not worth a second hop


class ReadJob(Job):
    """A statement."""

    __slots__ = ("statement",)

    def __init__(self, statement: Statement, future: "asyncio.Future[Any]") -> None:
        super().__init__(future)
        self.statement = statement


class LookupJob(Job):
    """A look-up by key."""

    __slots__ = ("key", "sql")

    def __init__(self, sql: str, key: str, future: "asyncio.Future[Any]") -> None:
        super().__init__(future)
        self.sql = sql
        self.key = key


class ReadPump:
    """Reads wait for nobody but each other."""

    def __init__(self, thread: ConnectionThread) -> None:
        self._thread = thread
        self._loop = asyncio.get_running_loop()
        self._waiting: list[Job] = []
        self._hops: set[asyncio.Task[None]] = set()
        self._is_starting = False
        self._is_lonely = True  # the last who asked was alone
        self._running = 0

    async def read(self, statement: Statement) -> list[Row]:
        """The rows of a statement."""
        rows: list[Row] = await self._answer_to(ReadJob(statement, self._loop.create_future()))
        return rows

    async def lookup(self, query: Query, key: str) -> Found | None:
        """What a look-up finds for one key."""
        found: Found | None = await self._answer_to(LookupJob(query.sql, key, self._loop.create_future()))
        return found

    async def finish(self) -> None:
        """Waits until nobody waits."""
        while self._hops:
            await asyncio.wait(self._hops)

    async def _answer_to(self, job: Job) -> Any:
        if self._is_lonely and not self._running and not self._is_starting:
            await self._answer_alone(job)
        else:
            self._waiting.append(job)
            self._start()
        return await job.future

    async def _answer_alone(self, job: Job) -> None:
        """In the caller's own task, which spares a lonely caller two turns of the event loop."""
        self._running += 1
        try:
            await self._thread.run(partial(run_reads, [job]))
        finally:
            self._running -= 1
            self._start()
        settle(job)

    def _start(self) -> None:
        if not self._waiting or self._is_starting or self._running >= HOPS:
            return
        # It begins when everybody who is ready to run now has asked.
        self._is_starting = True
        task = self._loop.create_task(self._answer_all())
        self._hops.add(task)
        task.add_done_callback(self._hops.discard)

    async def _answer_all(self) -> None:
        self._is_starting = False
        self._running += 1
        try:
            while self._waiting:
                await self._answer(self._take())
        finally:
            self._running -= 1

    async def _answer(self, jobs: list[Job]) -> None:
        try:
            await self._thread.run(partial(run_reads, jobs))
        except asyncio.CancelledError:
            abandon(jobs + self._waiting)
            raise
        except Exception as error:
            fail(jobs, error)
        for job in jobs:
            settle(job)

    def _take(self) -> list[Job]:
        count = min(len(self._waiting), MAX_READS)
        if self._running == 1 and count >= MIN_SPLIT:
            count = (count + 1) // 2
        self._is_lonely = count == 1 and self._running == 1
        taken, self._waiting = self._waiting[:count], self._waiting[count:]
        self._start()
        return taken


def run_reads(jobs: Iterable[Job], connection: UnitConnection) -> None:
    """Answers everything that waits."""
    source = connection.snapshot or connection
    merged: dict[str, list[LookupJob]] = {}
    for job in jobs:
        if isinstance(job, LookupJob):
            merged.setdefault(job.sql, []).append(job)
        elif isinstance(job, ReadJob):
            _read(source, job)
    for sql, lookups in merged.items():
        try:
            found = look_up(source, sql, [job.key for job in lookups])
        except BaseException as error:
            fail(lookups, error)
        else:
            for job in lookups:
                job.result = found.get(job.key)


def _read(connection: sqlite3.Connection, job: ReadJob) -> None:
    try:
        job.result = fetch(connection, job.statement)
    except BaseException as error:
        job.error = error


def look_up(connection: sqlite3.Connection, sql: str, keys: Sequence[str]) -> dict[str, Found]:
    """Asks for all keys at once. See `authstore.database.Database.lookup`."""
    rows = connection.execute(sql, {"keys": json.dumps(keys)}).fetchall()
    found: dict[str, Found] = json.loads(rows[0][0])
    return found
