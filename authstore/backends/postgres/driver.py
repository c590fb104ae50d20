"""The driver behind a face of four verbs, so that another could take its place: asyncpg."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import asyncpg

from authstore.observers import Watch

_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_UNKNOWN_COMMIT = ("01000", "57P01")  # warnings: committed here, but on no synchronous standby
_CACHED_STATEMENTS = 100


class Connection(Protocol):
    """One connection. All raise the driver's own errors: `errors` tells what they mean."""

    is_in_doubt: bool
    """Whether the server warned that what it just committed may not survive it."""
    watch: Watch | None
    """Who is told of its statements."""
    waited: float
    """How many seconds its next statement had to wait for it."""
    locked: float
    """How many seconds its next statement had to wait for the right to write."""

    async def run(self, sql: str, values: Sequence[Any], timeout: float | None) -> int:
        """How many rows a statement wrote."""
        ...

    async def fetch_tuples(self, sql: str, values: Sequence[Any], timeout: float | None) -> list[Mapping[str, Any]]:
        """The rows of a statement: mappings whose `values()` stand in the order of its columns."""
        ...

    async def script(self, sql: str, timeout: float | None) -> str:
        """Runs one or many statements without values in one round trip; gives the server's word for the last."""
        ...

    async def load(self, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        """Writes many rows into a table of the current schema."""
        ...

    def is_closed(self) -> bool:
        """Whether it can no longer be used."""
        ...

    async def close(self, timeout: float) -> None:
        """Takes leave of the server, or ends it where that does not answer in time."""
        ...

    def terminate(self) -> None:
        """Ends it without a word to the server."""
        ...


class AsyncpgConnection:
    """`Connection` by asyncpg."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self.is_in_doubt = False
        self.watch: Watch | None = None
        self.waited = self.locked = 0.0
        connection.add_log_listener(self._hear)

    async def run(self, sql: str, values: Sequence[Any], timeout: float | None) -> int:
        """See `Connection`."""
        self.is_in_doubt = False
        tag = await self._connection.execute(sql, *values, timeout=timeout)
        count = tag.rpartition(" ")[2]
        return int(count) if count.isdigit() else 0

    async def fetch_tuples(self, sql: str, values: Sequence[Any], timeout: float | None) -> list[Mapping[str, Any]]:
        """See `Connection`."""
        self.is_in_doubt = False
        rows: list[Any] = await self._connection.fetch(sql, *values, timeout=timeout)
        return rows

    async def script(self, sql: str, timeout: float | None) -> str:
        """See `Connection`."""
        self.is_in_doubt = False
        return str(await self._connection.execute(sql, timeout=timeout))

    async def load(self, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        """See `Connection`."""
        await self._connection.copy_records_to_table(table, columns=columns, records=rows)

    def is_closed(self) -> bool:
        """See `Connection`."""
        return bool(self._connection.is_closed())

    async def close(self, timeout: float) -> None:
        """See `Connection`."""
        with suppress(Exception):  # it is gone either way
            await self._connection.close(timeout=timeout)

    def terminate(self) -> None:
        """See `Connection`."""
        self._connection.terminate()

    def is_pooled(self, backend: int) -> bool:
        """Whether somebody stands in between: what the server says of itself is not what we were told at first."""
        return bool(backend != self._connection.get_server_pid())

    def _hear(self, _: Any, message: Any) -> None:
        # A trigger of somebody's may warn as well: who warned is told by the server's own function.
        if message.sqlstate in _UNKNOWN_COMMIT and message.server_source_function == "SyncRepWaitForLSN":
            self.is_in_doubt = True


async def connect(dsn: str, *, settings: Mapping[str, str], timeout: float, is_pooled: bool) -> AsyncpgConnection:
    """Connects to one server. Raises the driver's errors, `OSError`, `TimeoutError`."""
    connection = await asyncpg.connect(
        dsn,
        timeout=timeout,  # pyright: ignore[reportArgumentType]  # its signature says int, its code takes any number
        statement_cache_size=0 if is_pooled else _CACHED_STATEMENTS,
        server_settings=dict(settings),
    )
    try:
        async with asyncio.timeout(timeout):
            # asyncpg takes the end of time for infinity, and gives infinity back without a time zone.
            await connection.set_type_codec(
                "timestamptz", schema="pg_catalog", encoder=_encoded, decoder=_decoded, format="tuple"
            )
    except BaseException:
        connection.terminate()
        raise
    return AsyncpgConnection(connection)


def _encoded(instant: datetime) -> tuple[int]:
    return ((instant - _EPOCH) // _MICROSECOND,)


def _decoded(value: tuple[int]) -> datetime | str:
    try:
        return _EPOCH + timedelta(microseconds=value[0])
    except OverflowError:
        return "an instant beyond what Python knows"  # which no model takes
