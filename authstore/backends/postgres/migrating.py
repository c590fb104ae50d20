"""Runs migrations, each in a transaction of its own, under a lock that one process has at a time."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import asyncpg

from authstore import schema
from authstore.adapter import Clock
from authstore.backends.postgres.driver import Connection
from authstore.backends.postgres.errors import is_lost_race, misplaced
from authstore.backends.postgres.texts import text
from authstore.backends.postgres.units import abandon, drive
from authstore.database import Unit
from authstore.errors import StoreBusyError
from authstore.schema import Migration
from authstore.sql import queries

PATIENCE_SECONDS = 60.0
# A step that waits for a table has everybody else wait behind it: so it gives up soon, and tries again.
_BEGIN = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; SET LOCAL lock_timeout = '1s'; SET LOCAL TimeZone = 'UTC'; "
_LOCK = "SELECT pg_advisory_xact_lock(1096111176, 0)"
# Not by to_regclass(): that may remember from before the lock that there was none.
_LEDGER = """
SELECT EXISTS (SELECT FROM pg_class WHERE relname = 'authstore_migrations' AND pg_table_is_visible(oid)) AS is_there
"""


async def ledger(connection: Connection) -> list[Mapping[str, Any]]:
    """Which migrations ran; none where there is no store yet."""
    (found,) = await connection.fetch_tuples(_LEDGER, (), PATIENCE_SECONDS)
    if not found["is_there"]:
        return []
    return await connection.fetch_tuples(text(queries.list_migrations.postgres).sql, (), PATIENCE_SECONDS)


async def run_pending(connection: Connection, known: Sequence[Migration], clock: Clock) -> None:
    """Runs what is pending, looking again once it has the lock: another process may have run it.

    The old version may go on serving meanwhile. Raises `SchemaError`, `StoreBusyError` after a minute.
    """
    deadline = asyncio.get_running_loop().time() + PATIENCE_SECONDS
    for step in known:
        while not await _ran(connection, step, known, clock):
            if asyncio.get_running_loop().time() >= deadline:
                raise StoreBusyError("somebody held what a migration needs for a minute: end that transaction first")


async def _ran(connection: Connection, step: Migration, known: Sequence[Migration], clock: Clock) -> bool:
    """Whether the step is done; if not, somebody was in the way."""
    try:
        await connection.script(_BEGIN + _LOCK, PATIENCE_SECONDS)
        if step in schema.pending(await ledger(connection), known):
            await connection.script(step.sql, None)
            await drive(connection, note(step, clock), None)
        await connection.script("COMMIT", None)
    except asyncpg.PostgresError as error:
        await abandon(connection)
        if getattr(error, "sqlstate", "") == "55P03" or is_lost_race(error):
            return False
        raise misplaced(error) from error
    except BaseException:
        await abandon(connection)
        raise
    return True


def note(step: Migration, clock: Clock) -> Unit[None]:
    """Writes down that a step ran."""
    yield queries.insert_migration(version=step.version, name=step.name, sha256=step.sha256, applied_at=clock())
