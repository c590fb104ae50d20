"""The verbs of `Database` inside an open transaction, on the writing connection."""

import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import TypeVar

from pydantic import JsonValue

from authstore.backends.sqlite.errors import translated
from authstore.backends.sqlite.inspecting import explain
from authstore.backends.sqlite.reads import find
from authstore.backends.sqlite.thread import ConnectionThread
from authstore.backends.sqlite.units import UnitConnection, in_savepoint
from authstore.backends.transaction import OpenTransaction
from authstore.backends.uninterrupted import uninterrupted
from authstore.database import Database, Found, Lookup, Row, Unit
from authstore.errors import StoreError
from authstore.sql import Query, Statement

T = TypeVar("T")


class SqliteTransaction(OpenTransaction):
    """One transaction or savepoint. Its calls run one after another; while a nested one is open, they wait."""

    def __init__(self, writer: ConnectionThread, check: Callable[[], None], busy_seconds: float) -> None:
        super().__init__(check, busy_seconds)
        self._writer = writer

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
                await uninterrupted(self._run(_undo))
                raise
            nested.end()
            await uninterrupted(self._run(_keep))

    async def explain(self, query: Query) -> list[str]:
        """See `authstore.database.Database`."""
        return await self._call(lambda connection: explain(_still_open(connection), query))

    async def facts(self) -> dict[str, JsonValue]:
        """See `authstore.database.Database`."""
        await self._call(_still_open)
        return {"backend": "sqlite", "in_transaction": True}

    async def _call(self, work: Callable[[UnitConnection], T]) -> T:
        async with self._turn():
            return await self._run(work)

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
