"""Looking at a store's database without changing it: its facts, its schema, its plans."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from pydantic import JsonValue

from authstore import schema
from authstore.backends.postgres.connecting import Connector
from authstore.backends.postgres.driver import AsyncpgConnection, Connection
from authstore.backends.postgres.errors import translated
from authstore.backends.postgres.migrating import ledger
from authstore.backends.postgres.servers import servers
from authstore.backends.postgres.shape import lacking
from authstore.backends.postgres.texts import text
from authstore.schema import Migration
from authstore.sql import Query

_SECONDS = 60.0
_FACTS = """
SELECT current_setting('server_version') AS server_version, current_schema() AS schema,
    (SELECT count(*) FROM authstore_migrations) AS schema_version,
    current_setting('synchronous_commit') AS synchronous_commit
"""
# Within a transaction, since a pooler may give the next statement to another connection.
_TRANSACTION = ("BEGIN; ", "ROLLBACK; ")
_SAVEPOINT = ("SAVEPOINT explained; ", "ROLLBACK TO explained; RELEASE explained; ")
_PREPARE = "SET LOCAL plan_cache_mode = force_generic_plan; PREPARE authstore_explained AS "


async def facts(connection: Connection, timeout: float) -> dict[str, JsonValue]:
    """What the database knows about itself. Raises the driver's errors."""
    (row,) = await connection.fetch_tuples(_FACTS, (), timeout)
    return dict(row)


async def explain(
    connection: Connection, timeout: float | None, *, query: Query, is_in_transaction: bool = False
) -> list[str]:
    """How PostgreSQL goes about a query whose values it does not know. Raises the driver's errors."""
    said = text(query.postgres or query.whole or "")
    if not said.sql:
        return ["(asks nothing)"]
    given = f"({', '.join(['NULL'] * len(said.names))})" if said.names else ""
    begin, end = _SAVEPOINT if is_in_transaction else _TRANSACTION
    await connection.script(begin + _PREPARE + said.sql, timeout)
    try:
        found = await connection.fetch_tuples(f"EXPLAIN EXECUTE authstore_explained{given}", (), timeout)
        return [str(row["QUERY PLAN"]) for row in found]
    finally:  # what was prepared outlives a transaction that fails
        await connection.script(end + "DEALLOCATE authstore_explained", timeout)


async def pending(url: str) -> tuple[Migration, ...]:
    """The migrations that the database still needs; all of them where there is no store."""
    async with _opened(url) as connection:
        return schema.pending(await ledger(connection), schema.migrations("postgres"))


async def drift(url: str) -> tuple[str, ...]:
    """What the migrations that ran had made, and is there no more."""
    async with _opened(url) as connection:
        ran = await ledger(connection)
        missing = await lacking(connection, schema.migrations("postgres")[: len(ran)], _SECONDS)
        return (*missing.columns, *missing.helpers)


@asynccontextmanager
async def _opened(url: str) -> AsyncIterator[AsyncpgConnection]:
    connector = Connector(servers(url), "on")
    with translated():
        await connector.look()
        connection = await connector.connect()
        try:
            yield connection
        finally:
            await connection.close(1.0)
