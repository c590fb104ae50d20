"""The verbs of `Database` on PostgreSQL: a pool of connections to whichever server takes writes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TypeVar

from pydantic import JsonValue

from authstore.backends.postgres.backups.copying import copy_from
from authstore.backends.postgres.connecting import Connector
from authstore.backends.postgres.driver import Connection
from authstore.backends.postgres.errors import DRIVER_ERRORS, is_gone, ours, translated
from authstore.backends.postgres.inspecting import explain, facts
from authstore.backends.postgres.pool import Pool
from authstore.backends.postgres.reads import Reads
from authstore.backends.postgres.standby import Standby
from authstore.backends.postgres.transaction import PostgresTransaction
from authstore.backends.postgres.units import Units, abandon, begin, begun, committed
from authstore.backends.postgres.writes import Writes
from authstore.backends.uninterrupted import uninterrupted
from authstore.backends.verbs import OpenDatabase
from authstore.database import Database
from authstore.errors import ConfigurationError, StoreError
from authstore.observers import Watch
from authstore.sql import Query

T = TypeVar("T")

_PAUSE_SECONDS = 0.02
_AWAY_SECONDS = 0.3  # a look at its health is often given a second, and less


class PostgresDatabase(OpenDatabase[Reads, Writes]):
    """An open PostgreSQL database."""

    def __init__(
        self, connector: Connector, pool: Pool, standby: Standby | None = None, *, gate: str = "'users'"
    ) -> None:
        super().__init__()
        self.servers = connector.servers
        self._tuning = connector.tuning
        self._pool = pool
        self._standby = standby
        self._units = Units(self._pool, begin(connector.commit, is_exclusive=False, gate=gate), self._tuning)
        self._reads = Reads(self._pool, standby, self._tuning)
        self._writes = Writes(self._units, is_pooled=connector.is_pooled)
        self._begin = begin(connector.commit, is_exclusive=True, gate=gate)
        self._is_pooled = connector.is_pooled
        self._connect = connector.connect

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Database]:
        """See `authstore.database.Database`."""
        self.check()
        connection = await self._open_transaction(asyncio.get_running_loop().time() + self._tuning.busy_seconds)
        inside = PostgresTransaction(connection, self.check, self._tuning.busy_seconds)
        try:
            try:
                yield inside
            except BaseException:
                inside.end()
                await uninterrupted(abandon(connection))
                raise
            inside.end()
            await uninterrupted(self._commit(connection))
        finally:
            self._pool.give(connection, to_write=True)

    def watch(self, watch: Watch) -> None:
        """See `authstore.database.Database`."""
        self._pool.watch = watch
        if self._standby is not None:
            self._standby.watch(watch)

    def change_log(self) -> None:
        """See `authstore.database.Database`. Notices come later than a commit is acknowledged."""
        raise ConfigurationError("a cache on PostgreSQL could not be kept true: leave out cache, or write cache=0")

    async def explain(self, query: Query) -> list[str]:
        """See `authstore.database.Database`."""
        self.check()
        return await self._reads.ask(partial(explain, query=query), of_primary=True)

    async def facts(self) -> dict[str, JsonValue]:
        """See `authstore.database.Database`. Who asks how the server is wants to know that it is away."""
        self.check()
        found = await self._reads.ask(facts, of_primary=True, patience=_AWAY_SECONDS)
        if self._standby is not None:
            is_read = self._standby.is_trusted
            found["standby"] = "read" if is_read else f"left out: {self._standby.left_out_because}"
        return {"backend": "postgresql", "is_pooled": self._is_pooled, **found}

    async def copy_to(self, path: Path) -> None:
        """See `authstore.database.Database`. Over a connection of its own, beside those of the pool."""
        self.check()
        with translated():
            connection = await self._connect()
        await copy_from(connection, path)

    async def _open_transaction(self, deadline: float) -> Connection:
        loop = asyncio.get_running_loop()
        while True:
            try:
                return await self._try_to_open(deadline)
            except DRIVER_ERRORS as error:
                if loop.time() >= deadline or not is_gone(error):
                    raise ours(error) from error
                self._pool.distrust()
                await asyncio.sleep(_PAUSE_SECONDS)

    async def _try_to_open(self, deadline: float) -> Connection:
        connection = await self._pool.take(deadline, to_write=True)
        try:
            await begun(connection, self._begin, max(deadline - self._owned.loop.time(), 0.1) + 0.5)
        except BaseException:
            await uninterrupted(abandon(connection))
            self._pool.give(connection, to_write=True)
            raise
        return connection

    async def _commit(self, connection: Connection) -> None:
        try:
            self.check()
        except BaseException:
            await abandon(connection)
            raise
        with translated():
            word = await committed(connection, connection.script("COMMIT", None), self._tuning.commit_seconds)
        if word != "COMMIT":
            raise StoreError("the database rolled the transaction back after an earlier error")

    async def _close(self) -> None:
        await self._writes.finish()
        await self._reads.finish()
        if self._standby is not None:
            await self._standby.close(self._tuning.busy_seconds)
        await self._pool.close(self._tuning.busy_seconds)
