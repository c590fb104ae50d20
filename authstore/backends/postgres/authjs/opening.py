"""Opens a store on the tables of Auth.js that are there. It makes and changes none."""

from authstore.adapter import Durability
from authstore.backends.postgres.authjs.database import AuthJsDatabase, Tables
from authstore.backends.postgres.authjs.mapping import literal
from authstore.backends.postgres.authjs.recognising import recognise
from authstore.backends.postgres.connecting import Connector
from authstore.backends.postgres.database import PostgresDatabase
from authstore.backends.postgres.errors import translated
from authstore.backends.postgres.pool import Pool
from authstore.backends.postgres.servers import COMMIT, servers


async def open_tables(url: str, *, durability: Durability, pool_size: int) -> AuthJsDatabase:
    """The tables, recognised. Raises `SchemaError`, `ConfigurationError`, `StoreUnavailableError`."""
    connector = Connector(servers(url), COMMIT[durability])
    with translated():
        await connector.look()
        connection = await connector.connect()
        try:
            tables = Tables(await recognise(connection))
        finally:
            await connection.close(1.0)
    gate = literal(tables.mapped["users"].full_name)
    return AuthJsDatabase(PostgresDatabase(connector, Pool(connector.connect, pool_size), gate=gate), tables)
