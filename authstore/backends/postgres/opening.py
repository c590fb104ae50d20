"""Opening a store: the server that takes writes is found, and what is there is checked, made or brought up to date."""

import asyncio
import warnings
from collections.abc import Sequence

from authstore import schema
from authstore.adapter import Clock, Durability
from authstore.backends.postgres.connecting import Connector
from authstore.backends.postgres.database import PostgresDatabase
from authstore.backends.postgres.driver import Connection
from authstore.backends.postgres.errors import translated
from authstore.backends.postgres.migrating import ledger, run_pending
from authstore.backends.postgres.pool import Pool
from authstore.backends.postgres.servers import COMMIT, servers
from authstore.backends.postgres.shape import Missing, lacking
from authstore.backends.postgres.standby import Standby
from authstore.backends.tuning import DEFAULT, Tuning
from authstore.errors import SchemaError, StoreNotFoundError
from authstore.schema import Migration, migrations

_SECONDS = 10.0


async def open_server(
    url: str,
    *,
    durability: Durability,
    create: bool,
    migrate: bool,
    clock: Clock,
    pool_size: int,
    read_url: str | None = None,
    steps: Sequence[Migration] | None = None,
    tuning: Tuning = DEFAULT,
) -> PostgresDatabase:
    """Opens the store in this database; `steps` are the migrations, authstore's own unless told.

    Raises `ConfigurationError`, `StoreNotFoundError`, `SchemaError`, `StoreUnavailableError`, `StoreReadOnlyError`.
    """
    commit = COMMIT[durability] if read_url is None else "remote_apply"
    connector = Connector(servers(url), commit, tuning=tuning)
    with translated():
        await connector.look()
        connection = await connector.connect()
        try:
            await _prepare(connection, steps or migrations("postgres"), clock, create=create, migrate=migrate)
        finally:
            await connection.close(1.0)
    if read_url is None:
        return PostgresDatabase(connector, Pool(connector.connect, pool_size))
    pool = Pool(connector.connect, pool_size - pool_size // 2)
    standby = Standby(Connector(servers(read_url), "on", wants_standby=True), pool_size // 2, pool, connector)
    try:
        with translated():
            await standby.open()
    except BaseException:
        await asyncio.gather(standby.close(1.0), pool.close(1.0))
        raise
    return PostgresDatabase(connector, pool, standby)


async def _prepare(
    connection: Connection, steps: Sequence[Migration], clock: Clock, *, create: bool, migrate: bool
) -> None:
    ran = await ledger(connection)
    if not ran and not create:
        raise StoreNotFoundError("there is no authstore in this database and schema: open it with create=True")
    pending = schema.pending(ran, steps)
    _check_shape(await lacking(connection, steps[: len(ran)], _SECONDS))
    if ran and pending and not migrate:
        raise SchemaError(f"the schema lacks the newest {len(pending)} of its migrations: open it with migrate=True")
    if pending:
        await run_pending(connection, steps, clock)


def _check_shape(missing: Missing) -> None:
    """Raises `SchemaError` where something is gone without which nothing works; warns of what only helps."""
    if missing.columns:
        raise SchemaError(f"the database lacks {', '.join(missing.columns)}: put a backup back, or make it again")
    if missing.helpers:
        warnings.warn(
            f"the database lacks {', '.join(missing.helpers)}: what needs it will be slow, or not done", stacklevel=1
        )
