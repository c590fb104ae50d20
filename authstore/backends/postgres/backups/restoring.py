"""A store's file put in the place of a server's tables, in one transaction: what was there is set aside in a schema of
its own."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg

from authstore import schema
from authstore.backends.postgres.connecting import Connector
from authstore.backends.postgres.driver import Connection
from authstore.backends.postgres.errors import misplaced, translated
from authstore.backends.postgres.migrating import ledger, note
from authstore.backends.postgres.servers import servers
from authstore.backends.postgres.texts import text
from authstore.backends.postgres.units import drive
from authstore.backends.sqlite.backups import loading
from authstore.backends.threads import Stop, in_thread
from authstore.errors import StoreBusyError
from authstore.expiry import utc_now
from authstore.sql import queries

_BATCH = 2000  # rows
_SECONDS = 60.0
_LEAVING_SECONDS = 2.0  # what a server takes at most to notice that somebody left
_LOCK = "SELECT pg_advisory_xact_lock(1096111176, 0)"  # of those who make or migrate a store
_BEGIN = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; SET LOCAL lock_timeout = '5s'; SET LOCAL TimeZone = 'UTC'; "
# Stores say who they are by the application's name; whoever holds a lock on a table is at work with it.
_USERS = """
SELECT count(*) AS users FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
    AND (application_name = current_setting('application_name')
        OR EXISTS (SELECT FROM pg_locks WHERE pg_locks.pid = pg_stat_activity.pid
            AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
            AND relation IN (SELECT oid FROM pg_class
                WHERE relnamespace = current_schema()::regnamespace AND relname = ANY($1))))
"""
# The server itself says how each thing is moved, with its names quoted.
_MOVE = """
SELECT format('ALTER TABLE %s SET SCHEMA %I', oid::regclass, $3::text) AS statement FROM pg_class
WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p') AND relname = ANY($1)
UNION ALL
SELECT format('ALTER FUNCTION %s SET SCHEMA %I', oid::regprocedure, $3::text) FROM pg_proc
WHERE pronamespace = current_schema()::regnamespace AND proname = ANY($2)
"""
_TYPES = """
SELECT relname AS table, attname AS column, atttypid::regtype::text AS type
FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid AND attnum > 0 AND NOT attisdropped
WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p') AND relname = ANY($1)
"""
_NUMBER = """
SELECT format('SELECT setval(pg_get_serial_sequence(%L, %L), coalesce(max(%I), 0) + 1, false) FROM %s',
    pg_class.oid::regclass, attname, attname, pg_class.oid::regclass) AS statement
FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid AND attidentity <> ''
WHERE relnamespace = current_schema()::regnamespace AND relname = ANY($1)
"""
_DECODED: Mapping[str, Callable[[Any], Any]] = {
    "timestamp with time zone": datetime.fromisoformat,
    "boolean": bool,
}


def shown(url: str) -> str:
    """The database that a URL names, without a password."""
    return f"database {servers(url).database}"


async def check_place(url: str) -> None:
    """Raises where no store may be put: `SchemaError` (a newer one is there), `StoreBusyError` (it is open)."""
    async with _opened(url) as connection:
        schema.pending(await ledger(connection), schema.migrations("postgres"))
        await _refuse_users(connection)


async def newest_change(url: str) -> int:
    """The number of the newest row in the change log of what is there; 0 where there is none."""
    async with _opened(url) as connection:
        if len(await ledger(connection)) < _log_version():
            return 0
        (row,) = await connection.fetch_tuples(text(queries.get_newest_change.postgres).sql, (), _SECONDS)
        return int(row["seq"] or 0)


def _log_version() -> int:
    """The first version with a change log."""
    return next(step.version for step in schema.migrations("postgres") if "CREATE TABLE changes" in step.sql)


async def put_back(url: str, made: Path, when: datetime) -> str | None:
    """Puts what a finished, closed file holds into this database; the schema where what was there is now, if anything
    was.

    Raises `StoreBusyError` where somebody has the store open, `StoreReadOnlyError` where the role may make no schema.
    """
    async with _opened(url) as connection:
        await _refuse_users(connection)
        await connection.script(_BEGIN + _LOCK, _SECONDS)
        ran = await ledger(connection)
        schema.pending(ran, schema.migrations("postgres"))
        if await _users(connection):
            raise _in_use()
        aside = await _set_aside(connection, when) if ran else None
        await _make(connection)
        await _fill(connection, made)
        await connection.script("COMMIT", None)
        return aside


@asynccontextmanager
async def _opened(url: str) -> AsyncIterator[Connection]:
    """A connection, and with its end that of whatever transaction is open."""
    connector = Connector(servers(url), "on")
    with translated():
        await connector.look()
        connection = await connector.connect()
        try:
            yield connection
        except asyncpg.PostgresError as error:
            connection.terminate()
            raise misplaced(error) from error
        except BaseException:
            connection.terminate()
            raise
        await connection.close(1.0)


async def _refuse_users(connection: Connection) -> None:
    """Outside a transaction, within which the server would give the same answer each time."""
    deadline = asyncio.get_running_loop().time() + _LEAVING_SECONDS
    while await _users(connection):
        if asyncio.get_running_loop().time() >= deadline:
            raise _in_use()
        await asyncio.sleep(0.1)


async def _users(connection: Connection) -> int:
    (row,) = await connection.fetch_tuples(_USERS, [sorted(schema.tables("postgres"))], _SECONDS)
    return int(row["users"])


def _in_use() -> StoreBusyError:
    return StoreBusyError(
        "somebody has the store open, by the application_name of this URL or at work in its tables:"
        " stop the application first"
    )


async def _set_aside(connection: Connection, when: datetime) -> str:
    """Moves everything that a store consists of into a new schema."""
    aside = f"authstore_set_aside_{when.astimezone(UTC):%Y%m%dt%H%M%Sz}"
    names = [sorted(schema.tables("postgres")), sorted(schema.functions("postgres"))]
    moves = await connection.fetch_tuples(_MOVE, [*names, aside], _SECONDS)
    await connection.script("; ".join([f"CREATE SCHEMA {aside}", *(move["statement"] for move in moves)]), None)
    return aside


async def _make(connection: Connection) -> None:
    for step in schema.migrations("postgres"):
        await connection.script(step.sql, None)
        await drive(connection, note(step, utc_now), None)


async def _fill(connection: Connection, made: Path) -> None:
    """Loads every table, those that others refer to first. No trigger looks on, save those of foreign keys."""
    tables = [table for table in schema.tables("postgres") if table != loading.LEDGER]
    types = await connection.fetch_tuples(_TYPES, [tables], _SECONDS)
    kinds = {(row["table"], row["column"]): row["type"] for row in types}
    await connection.script("; ".join(f"ALTER TABLE {table} DISABLE TRIGGER USER" for table in tables), None)
    await connection.script("; ".join(f"DELETE FROM {table}" for table in tables), None)  # noqa: S608  # our own names
    with loading.rows_of(made) as rows:
        for table, columns in rows.columns.items():
            names = [column for column in columns if (table, column) in kinds]
            decoders = [_DECODED.get(kinds[table, name]) for name in names]
            batches = rows.of(table, names, _BATCH)
            while batch := await in_thread(partial(_next, batches)):
                await connection.load(table, names, [_decoded(row, decoders) for row in batch])
    await connection.script("; ".join(f"ALTER TABLE {table} ENABLE TRIGGER USER" for table in tables), None)
    for row in await connection.fetch_tuples(_NUMBER, [tables], _SECONDS):
        await connection.script(row["statement"], None)


def _next(batches: Iterator[list[tuple[Any, ...]]], _: Stop) -> list[tuple[Any, ...]]:
    return next(batches, [])


def _decoded(row: Sequence[Any], decoders: Sequence[Callable[[Any], Any] | None]) -> tuple[Any, ...]:
    return tuple(
        value if value is None or decode is None else decode(value) for value, decode in zip(row, decoders, strict=True)
    )
