"""Looking at a store's database without changing it: its tables and sizes, its schema version."""

from collections.abc import Mapping
from typing import Any

from pydantic import JsonValue

from authstore import schema
from authstore.backends.inspection import StoreSize, TableSize
from authstore.backends.postgres.connecting import Connector
from authstore.backends.postgres.driver import Connection
from authstore.backends.postgres.errors import translated
from authstore.backends.postgres.migrating import ledger
from authstore.backends.postgres.servers import servers
from authstore.backends.postgres.texts import text
from authstore.errors import SchemaError
from authstore.schema import Migration
from authstore.sql import Query

_SECONDS = 60.0
_FACTS = """
SELECT current_setting('server_version') AS server_version, current_schema() AS schema,
    (SELECT count(*) FROM authstore_migrations) AS schema_version,
    current_setting('synchronous_commit') AS synchronous_commit
"""
# The server itself says how the rows of each are counted, with its names quoted.
_TABLES = """
SELECT tables.relname AS name, pg_total_relation_size(tables.oid) AS bytes,
    format('SELECT count(*) AS rows FROM %s', tables.oid::regclass) AS count_rows,
    ARRAY(SELECT indexes.relname::text FROM pg_index JOIN pg_class AS indexes ON indexes.oid = pg_index.indexrelid
        WHERE pg_index.indrelid = tables.oid ORDER BY indexes.relname) AS indexes
FROM pg_class AS tables
WHERE tables.relnamespace = current_schema()::regnamespace AND tables.relkind IN ('r', 'p')
ORDER BY tables.relname
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
    said = text(query.postgres)
    given = f"({', '.join(['NULL'] * len(said.names))})" if said.names else ""
    begin, end = _SAVEPOINT if is_in_transaction else _TRANSACTION
    await connection.script(begin + _PREPARE + said.sql, timeout)
    try:
        found = await connection.fetch_tuples(f"EXPLAIN EXECUTE authstore_explained{given}", (), timeout)
        return [str(row["QUERY PLAN"]) for row in found]
    finally:  # what was prepared outlives a transaction that fails
        await connection.script(end + "DEALLOCATE authstore_explained", timeout)


async def look(url: str) -> StoreSize:
    """Tables, rows and sizes. Raises `ConfigurationError`, `SchemaError`, `StoreUnavailableError`."""
    connector, connection, found = await _open(url)
    try:
        with translated():
            version = len(await ledger(connection))
            if not version:
                raise SchemaError("there is no authstore in this database and schema")
            tables = [await _table(connection, row) for row in await connection.fetch_tuples(_TABLES, (), _SECONDS)]
    finally:
        await connection.close(1.0)
    place = f"database {connector.database}, schema {found['schema']}"
    return StoreSize(place, sum(table.bytes or 0 for table in tables), version, tuple(tables))


async def pending(url: str) -> tuple[Migration, ...]:
    """The migrations that the database still needs; all of them where there is no store."""
    _, connection, _ = await _open(url)
    try:
        with translated():
            return schema.pending(await ledger(connection), schema.migrations("postgres"))
    finally:
        await connection.close(1.0)


async def _open(url: str) -> tuple[Connector, Connection, Mapping[str, Any]]:
    connector = Connector(servers(url), "on")
    with translated():
        found = await connector.look()
        return connector, await connector.connect(), found


async def _table(connection: Connection, row: Mapping[str, Any]) -> TableSize:
    (counted,) = await connection.fetch_tuples(row["count_rows"], (), _SECONDS)
    return TableSize(row["name"], counted["rows"], row["bytes"], tuple(row["indexes"]))
