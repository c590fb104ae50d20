"""The verbs of `Database` inside an open transaction, on the writing connection."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TypeVar

from pydantic import JsonValue

from authstore.backends.sqlite.errors import translated
from authstore.backends.sqlite.inspecting import explain
from authstore.backends.sqlite.reads import find
from authstore.backends.sqlite.thread import ConnectionThread
from authstore.backends.sqlite.units import UnitConnection, in_savepoint
from authstore.backends.sqlite.writes import uninterrupted
from authstore.backends.turn import Turn
from authstore.database import Database, Found, Lookup, Row, Unit
from authstore.errors import StoreError, StoreMisuseError
from authstore.observers import Watch
from authstore.sql import Query, Statement

T = TypeVar("T")


class SqliteTransaction:
    """One transaction or savepoint. Its calls run one after another; while a nested one is open, they wait."""

    def __init__(self, writer: ConnectionThread, check: Callable[[], None], busy_seconds: float) -> None:
        self._writer = writer
        self._check = check
        self._busy_seconds = busy_seconds
        self._mine = Turn()
        self._is_over = False

    def end(self) -> None:
        """From here on every call is refused."""
        self._is_over = True

    async def one(self, statement: Statement) -> Row | None:
        """See `authstore.database.Database`."""
        rows = await self.all(statement)
        return rows[0] if rows else None

    async def all(self, statement: Statement) -> list[Row]:
        """See `authstore.database.Database`."""
        return await self._call(lambda connection: find(_still_open(connection), statement))

    async def lookup(self, lookup: Lookup, key: str) -> Found | None:
        """See `authstore.database.Database`."""
        return await self._call(lambda connection: find(_still_open(connection), (lookup, key)))

    async def unit(self, make: Callable[[], Unit[T]]) -> T:
        """See `authstore.database.Database`."""
        return await self._call(lambda connection: in_savepoint(connection, make))

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Database]:
        """A savepoint. See `authstore.database.Database`."""
        async with self._turn():
            nested = SqliteTransaction(self._writer, self._check, self._busy_seconds)
            try:
                await self._run(_savepoint)
                yield nested
            except BaseException:
                nested.end()
                await self._to_the_end(_undo)
                raise
            nested.end()
            await self._to_the_end(_keep)

    def watch(self, watch: Watch) -> None:
        """Whoever watches the store watches its transactions."""

    def change_log(self) -> None:
        """A transaction sees what it wrote itself: nothing is kept for it."""

    async def explain(self, query: Query) -> list[str]:
        """See `authstore.database.Database`."""
        return await self._call(lambda connection: explain(_still_open(connection), query))

    async def facts(self) -> dict[str, JsonValue]:
        """See `authstore.database.Database`."""
        await self._call(_still_open)
        return {"backend": "sqlite", "in_transaction": True}

    async def copy_to(self, path: Path) -> None:
        """What is not committed is in no backup."""
        raise StoreMisuseError(f"{path.name} would be a copy of what may be undone: back up the store itself")

    async def close(self) -> None:
        """A transaction ends with its block."""
        raise StoreMisuseError("a transaction is ended by leaving its block; close the store it came from")

    async def _call(self, work: Callable[[UnitConnection], T]) -> T:
        async with self._turn():
            return await self._run(work)

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        self._refuse_late()
        await self._mine.take(asyncio.get_running_loop().time() + self._busy_seconds)
        try:
            self._refuse_late()
            yield
        finally:
            self._mine.give()

    async def _to_the_end(self, work: Callable[[UnitConnection], None]) -> None:
        task = asyncio.create_task(self._run(work))
        await uninterrupted(task)
        task.result()

    def _refuse_late(self) -> None:
        self._check()
        if self._is_over:
            raise StoreMisuseError("this transaction is over")

    async def _run(self, work: Callable[[UnitConnection], T]) -> T:
        with translated():
            return await self._writer.run(work)


def _still_open(connection: UnitConnection) -> UnitConnection:
    if not connection.in_transaction:
        raise StoreError("the database rolled the transaction back after an earlier error")
    return connection


def _savepoint(connection: UnitConnection) -> None:
    _still_open(connection).execute("SAVEPOINT nested")


def _keep(connection: UnitConnection) -> None:
    _still_open(connection).execute("RELEASE nested")


def _undo(connection: UnitConnection) -> None:
    # Where the caller was cancelled before the savepoint stood, or SQLite gave up by itself, there is none.
    with suppress(sqlite3.OperationalError):
        connection.execute("ROLLBACK TO nested")
        connection.execute("RELEASE nested")
