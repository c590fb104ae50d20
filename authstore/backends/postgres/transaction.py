"""The verbs of `Database` inside an open transaction, on a connection of its own."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from pydantic import JsonValue

from authstore.backends.postgres.driver import Connection
from authstore.backends.postgres.errors import DRIVER_ERRORS, is_lost_race, translated
from authstore.backends.postgres.inspecting import explain
from authstore.backends.postgres.reads import look_up
from authstore.backends.postgres.units import drive, fetch
from authstore.backends.transaction import OpenTransaction
from authstore.backends.uninterrupted import uninterrupted
from authstore.database import Database, Found, Lookup, Row, Unit
from authstore.sql import Query, Statement

T = TypeVar("T")

_TRIES = 3  # of a unit that loses a race against plain SQL, which does not wait at the gate


class PostgresTransaction(OpenTransaction):
    """One transaction or savepoint. Its calls run one after another; while a nested one is open, they wait."""

    def __init__(self, connection: Connection, check: Callable[[], None], busy_seconds: float) -> None:
        super().__init__(check, busy_seconds)
        self._connection = connection

    async def all(self, statement: Statement) -> list[Row]:
        """See `authstore.database.Database`."""
        async with self._turn():
            return await uninterrupted(fetch(self._connection, statement, None))

    async def lookup(self, lookup: Lookup, key: str) -> Found | None:
        """See `authstore.database.Database`."""
        async with self._turn():
            return await uninterrupted(look_up(self._connection, None, lookup=lookup, key=key))

    async def unit(self, make: Callable[[], Unit[T]]) -> T:
        """See `authstore.database.Database`."""
        async with self._turn():
            for _ in range(_TRIES - 1):
                try:
                    return await self._in_savepoint(lambda: drive(self._connection, make(), None))
                except DRIVER_ERRORS as error:
                    if not is_lost_race(error):
                        raise
            return await self._in_savepoint(lambda: drive(self._connection, make(), None))

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Database]:
        """A savepoint. See `authstore.database.Database`."""
        async with self._turn():
            nested = PostgresTransaction(self._connection, self._check, self._busy_seconds)
            await uninterrupted(self._connection.script("SAVEPOINT nested", None))
            try:
                yield nested
            except BaseException:
                nested.end()
                await uninterrupted(self._connection.script("ROLLBACK TO nested; RELEASE nested", None))
                raise
            nested.end()
            await uninterrupted(self._connection.script("RELEASE nested", None))

    async def explain(self, query: Query) -> list[str]:
        """See `authstore.database.Database`."""
        async with self._turn():
            return await uninterrupted(explain(self._connection, None, query=query, is_in_transaction=True))

    async def facts(self) -> dict[str, JsonValue]:
        """See `authstore.database.Database`."""
        async with self._turn():
            await uninterrupted(self._connection.script("SELECT 1", None))
        return {"backend": "postgresql", "in_transaction": True}

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        async with super()._turn():
            with translated():
                yield

    async def _in_savepoint(self, work: Callable[[], Awaitable[T]]) -> T:
        """Whatever fails, fails alone."""

        async def run() -> T:
            await self._connection.script("SAVEPOINT unit", None)
            try:
                result = await work()
            except BaseException:
                await self._connection.script("ROLLBACK TO unit; RELEASE unit", None)
                raise
            await self._connection.script("RELEASE unit", None)
            return result

        return await uninterrupted(run())
