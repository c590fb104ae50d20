"""Whoever looks at a store in PostgreSQL, and mends it; each look by a connection of its own."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from authstore.backends.inspection import COUNTED_ROWS, StoreSize, Symptom, TableInfo, symptom_of
from authstore.backends.postgres.connecting import Connector
from authstore.backends.postgres.driver import AsyncpgConnection, Connection
from authstore.backends.postgres.errors import translated
from authstore.backends.postgres.migrating import ledger
from authstore.backends.postgres.servers import Servers
from authstore.backends.postgres.units import drive
from authstore.backends.postgres.upkeep.examining import examine_schema, examine_server
from authstore.backends.postgres.upkeep.mending import mend
from authstore.database import Unit
from authstore.errors import AuthStoreError, SchemaError

T = TypeVar("T")

_SECONDS = 60.0
_UNIT_SECONDS = 600.0
# The server itself says how the rows of each are counted, with its names quoted.
_TABLES = """
SELECT tables.relname AS name, pg_total_relation_size(tables.oid) AS bytes,
    format('SELECT count(*) AS rows FROM (SELECT FROM %s LIMIT $1) AS few', tables.oid::regclass) AS count_rows,
    format('EXPLAIN (FORMAT JSON) SELECT FROM %s', tables.oid::regclass) AS plan_rows, reltuples::bigint AS estimate,
    ARRAY(SELECT indexes.relname::text FROM pg_index JOIN pg_class AS indexes ON indexes.oid = pg_index.indexrelid
        WHERE pg_index.indrelid = tables.oid ORDER BY indexes.relname) AS indexes
FROM pg_class AS tables
WHERE tables.relnamespace = current_schema()::regnamespace AND tables.relkind IN ('r', 'p')
ORDER BY tables.relname
"""


class PostgresInspector:
    """See `authstore.backends.inspection.Inspector`. Its connections are set as the server sets them for anybody."""

    def __init__(self, servers: Servers) -> None:
        self._servers = servers

    async def ask(self, make: Callable[[], Unit[T]], *, seconds: float | None = None) -> T:
        """See `authstore.backends.inspection.Inspector`."""
        async with self._connected(seconds) as connection:
            await connection.script("BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY", _SECONDS)
            return await drive(connection, make(), asyncio.get_running_loop().time() + (seconds or _UNIT_SECONDS))

    async def size(
        self,
        *,
        with_tables: bool,  # noqa: ARG002  # the server knows each table's anyway
        counted: int = COUNTED_ROWS,
        seconds: float | None = None,
    ) -> StoreSize:
        """See `authstore.backends.inspection.Inspector`."""
        async with self._connected(seconds) as connection:
            (named,) = await connection.fetch_tuples("SELECT current_schema() AS schema", (), _SECONDS)
            version = len(await ledger(connection))
            if not version:
                raise SchemaError("there is no authstore in this database and schema")
            found = await connection.fetch_tuples(_TABLES, (), _SECONDS)
            tables = [await _table(connection, row, counted) for row in found]
        place = f"database {self._servers.database}, schema {named['schema']}"
        return StoreSize(place, sum(table.bytes or 0 for table in tables), 0, 0, version, tuple(tables))

    async def examine(self) -> list[Symptom]:
        """See `authstore.backends.inspection.Inspector`."""
        try:
            async with self._connected() as connection:
                return [*await examine_schema(connection), *await examine_server(connection)]
        except AuthStoreError as error:
            return [Symptom(symptom_of(error), str(error))]

    async def mend(self, kind: str) -> None:
        """See `authstore.backends.inspection.Inspector`."""
        async with self._connected() as connection:
            await mend(connection, kind)

    @asynccontextmanager
    async def _connected(self, seconds: float | None = None) -> AsyncIterator[AsyncpgConnection]:
        connector = Connector(self._servers, "on")
        connector.is_pooled = True  # perhaps: nothing is asked of the server at the start, and no statement is kept
        with translated():
            async with asyncio.timeout(seconds):  # a query under way is cancelled at the server too
                connection = await connector.connect()
                try:
                    yield connection
                finally:
                    await connection.close(1.0)


async def _table(connection: Connection, row: Mapping[str, Any], most: int) -> TableInfo:
    """A table; one that nobody has analysed yet is as large as the planner takes it for by its pages."""
    rows = row["estimate"]
    if rows < 0:
        (plan,) = await connection.fetch_tuples(row["plan_rows"], (), _SECONDS)
        rows = json.loads(plan["QUERY PLAN"])[0]["Plan"]["Plan Rows"]
    is_exact = rows <= most
    if is_exact:
        (counted,) = await connection.fetch_tuples(row["count_rows"], (most + 1,), _SECONDS)
        rows, is_exact = counted["rows"], counted["rows"] <= most
    return TableInfo(row["name"], rows, row["bytes"], tuple(row["indexes"]), is_exact)
