"""The verbs of `Database` on SQLite: one writing connection, one reading, each on its own thread."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from pydantic import JsonValue

from authstore.backends.sqlite.backups import copying
from authstore.backends.sqlite.changelog import FileChangeLog
from authstore.backends.sqlite.closing import forget, stop_at_exit, stop_when_forgotten
from authstore.backends.sqlite.errors import translated
from authstore.backends.sqlite.file import FilePlace
from authstore.backends.sqlite.inspecting import explain
from authstore.backends.sqlite.litestream import newest_copy
from authstore.backends.sqlite.reads import Reads
from authstore.backends.sqlite.thread import ConnectionThread
from authstore.backends.sqlite.transaction import SqliteTransaction
from authstore.backends.sqlite.units import UnitConnection, check_place, check_written, roll_back, try_begin
from authstore.backends.sqlite.writes import Writes
from authstore.backends.threads import in_thread
from authstore.backends.turn import Turn, busy
from authstore.backends.uninterrupted import uninterrupted
from authstore.backends.verbs import OpenDatabase
from authstore.database import ChangeLog, Database
from authstore.errors import StoreError
from authstore.observers import Watch, locking
from authstore.sql import Query

T = TypeVar("T")


class SqliteDatabase(OpenDatabase[Reads, Writes]):
    """An open SQLite database. `reader` is `writer` in memory, where there is only one connection."""

    def __init__(
        self, writer: ConnectionThread, reader: ConnectionThread, place: FilePlace | None, busy_seconds: float
    ) -> None:
        super().__init__()
        self._writer = writer
        self._reader = reader
        self._place = place
        self._busy_seconds = busy_seconds
        self._turn = Turn()
        self._reads = Reads(reader)
        self._writes = Writes(writer, self._turn, busy_seconds)
        self._log: FileChangeLog | None = None
        self._ending: set[asyncio.Task[Any]] = set()
        self._forgotten = stop_when_forgotten(self, writer, reader)
        stop_at_exit(self)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Database]:
        """See `authstore.database.Database`."""
        self.check()
        deadline = self._owned.loop.time() + self._busy_seconds
        with locking():
            await self._turn.take(deadline)
        open_transaction = SqliteTransaction(self._writer, self.check, self._busy_seconds)
        try:
            self.check()
            with locking():
                await self._begin(deadline)
            yield open_transaction
        except BaseException:
            open_transaction.end()
            await self._end(_abandon)
            raise
        open_transaction.end()
        await self._end(_commit)

    @property
    def path(self) -> str | None:
        """Where the file is; `None` in memory."""
        return self._place.path if self._place else None

    async def on_writer(self, work: Callable[[UnitConnection], T]) -> T:
        """Runs a function on the writing connection, at its turn and outside any transaction of the store's."""
        self.check()
        await self._turn.take(self._owned.loop.time() + self._busy_seconds)

        async def run() -> T:
            try:
                return await self._run(self._writer, work)
            finally:
                self._turn.give()

        return await self._to_the_end(run())

    def watch(self, watch: Watch) -> None:
        """See `authstore.database.Database`."""
        self._writer.watch = self._reader.watch = watch

    def change_log(self) -> ChangeLog | None:
        """See `authstore.database.Database`."""
        self.check()
        if self._place is None or self._log is not None:
            return None
        with translated():
            log = FileChangeLog(self._place, self.check)
            if not log.is_whole:
                log.close()
                return None
        self._log = log
        return log

    async def explain(self, query: Query) -> list[str]:
        """See `authstore.database.Database`."""
        self.check()
        return await self._run(self._reader, partial(explain, query=query))

    async def facts(self) -> dict[str, JsonValue]:
        """See `authstore.database.Database`."""
        self.check()
        facts = await self._run(self._reader, _facts)
        if self._place is not None:  # in a thread of its own: there may be thousands of files to look at
            copied = await asyncio.to_thread(newest_copy, Path(self._place.path))
            facts |= {} if copied is None else {"litestream_newest": copied.isoformat()}
        return {"backend": "sqlite", "file": self.path, **facts}

    async def copy_to(self, path: Path) -> None:
        """See `authstore.database.Database`."""
        self.check()
        if self._place is not None:
            await in_thread(partial(copying.copy, Path(self._place.path), path))
            return
        serialized = await self._run(self._writer, lambda connection: (connection.snapshot or connection).serialize())
        await in_thread(partial(copying.copy_bytes, serialized, path))

    def stop(self) -> None:
        """Lets the threads end, without an event loop."""
        for thread in {self._writer, self._reader}:
            thread.stop()

    def check(self) -> None:
        """Raises `StoreClosedError`, `StoreMisuseError`, or `StoreNotFoundError` where a writer lost the file."""
        super().check()
        if self._place is not None and self._place.is_lost:
            self._place.check()

    async def _begin(self, deadline: float) -> None:
        begin = _begin_memory if self._reader is self._writer else try_begin
        while not await self._run(self._writer, begin):
            if self._owned.loop.time() >= deadline:
                raise busy()

    async def _end(self, how: Callable[[UnitConnection], None]) -> None:
        """Ends the open transaction and the turn, even when the caller is cancelled meanwhile."""

        async def end() -> None:
            try:
                if self._closing is None or how is _commit:
                    self.check()
                    await self._run(self._writer, how)
            finally:
                self._turn.give()

        await self._to_the_end(end())

    async def _to_the_end(self, work: Coroutine[Any, Any, T]) -> T:
        task = asyncio.create_task(work)
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)
        return await uninterrupted(task)

    async def _run(self, thread: ConnectionThread, work: Callable[[UnitConnection], T]) -> T:
        with translated():
            return await thread.run(work)

    async def _close(self) -> None:
        forget(self)
        self._forgotten.detach()
        self._turn.close()
        await self._writes.finish()
        await self._reads.finish()
        if self._ending:
            await asyncio.wait(self._ending)
        with translated():
            if self._log is not None:
                self._log.close()
            if self._reader is not self._writer:
                await self._reader.close()
            await self._writer.close()


def _begin_memory(connection: UnitConnection) -> bool:
    """In memory there is one connection: others read what stood before from a copy."""
    if not try_begin(connection):
        return False
    snapshot = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False, factory=UnitConnection)
    snapshot.deserialize(connection.serialize())
    connection.snapshot = snapshot
    return True


def _commit(connection: UnitConnection) -> None:
    try:
        if not connection.in_transaction:
            raise StoreError("the database rolled the transaction back after an earlier error")
        connection.execute("COMMIT")
        check_written(connection)
    finally:
        _abandon(connection)


def _abandon(connection: UnitConnection) -> None:
    roll_back(connection)
    if connection.snapshot is not None:
        connection.snapshot.close()
        connection.snapshot = None


def _facts(connection: UnitConnection) -> dict[str, JsonValue]:
    check_place(connection)

    def pragma(name: str) -> JsonValue:
        value: JsonValue = connection.execute(name).fetchone()[0]
        return value

    connection.execute("SELECT id FROM users LIMIT 1").fetchall()
    return {
        "sqlite_version": sqlite3.sqlite_version,
        "schema_version": pragma("PRAGMA user_version"),
        "journal_mode": pragma("PRAGMA journal_mode"),
        "page_count": pragma("PRAGMA page_count"),
        "page_size": pragma("PRAGMA page_size"),
        "freelist_count": pragma("PRAGMA freelist_count"),
        "wal_bytes": 0 if connection.place is None else connection.place.log_bytes(),
    }
