"""Opening a store: the server that takes writes is found, and what is there is checked, made or brought up to date."""

from collections.abc import Sequence

from authstore import schema
from authstore.adapter import Clock, Durability
from authstore.backends.postgres.connecting import Connector
from authstore.backends.postgres.database import PostgresDatabase
from authstore.backends.postgres.driver import Connection
from authstore.backends.postgres.errors import translated
from authstore.backends.postgres.migrating import ledger, run_pending
from authstore.backends.postgres.servers import servers
from authstore.errors import SchemaError, StoreNotFoundError
from authstore.schema import Migration, migrations


async def open_server(
    url: str,
    *,
    durability: Durability,
    create: bool,
    migrate: bool,
    clock: Clock,
    pool_size: int,
    steps: Sequence[Migration] | None = None,
) -> PostgresDatabase:
    """Opens the store in this database; `steps` are the migrations, authstore's own unless told.

    Raises `ConfigurationError`, `StoreNotFoundError`, `SchemaError`, `StoreUnavailableError`, `StoreReadOnlyError`.
    """
    connector = Connector(servers(url), durability)
    with translated():
        await connector.look()
        connection = await connector.connect()
        try:
            await _prepare(connection, steps or migrations("postgres"), clock, create=create, migrate=migrate)
        finally:
            await connection.close(1.0)
    return PostgresDatabase(connector, durability, pool_size)


async def _prepare(
    connection: Connection, steps: Sequence[Migration], clock: Clock, *, create: bool, migrate: bool
) -> None:
    ran = await ledger(connection)
    if not ran and not create:
        raise StoreNotFoundError("there is no authstore in this database and schema: open it with create=True")
    pending = schema.pending(ran, steps)
    if ran and pending and not migrate:
        raise SchemaError(f"the schema is {len(pending)} migrations behind: open it with migrate=True")
    if pending:
        await run_pending(connection, steps, clock)
