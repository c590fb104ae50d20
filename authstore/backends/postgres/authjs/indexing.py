"""Makes the unique indexes that Auth.js's pg-adapter leaves out, after looking whether anything is there twice."""

from authstore.backends.postgres.authjs.mapping import Mapped, quote
from authstore.backends.postgres.authjs.recognising import UNIQUE, recognise
from authstore.backends.postgres.connecting import Connector
from authstore.backends.postgres.driver import Connection
from authstore.backends.postgres.errors import translated
from authstore.backends.postgres.servers import servers
from authstore.errors import ConflictError


async def add_indexes(url: str) -> list[str]:
    """The names of the indexes that were made. Writers go on meanwhile.

    Raises `ConflictError`, which tells what is there twice, before any is made; `SchemaError`.
    """
    connector = Connector(servers(url), "on")
    with translated():
        await connector.look()
        connection = await connector.connect()
        try:
            tables = [Mapped(table) for table in (await recognise(connection)).values()]
            wanted = [table for table in tables if not table.table.is_unique]
            for table in wanted:
                await _refuse_duplicates(connection, table)
            return [await _make(connection, table) for table in wanted]
        finally:
            await connection.close(1.0)


async def _refuse_duplicates(connection: Connection, mapped: Mapped) -> None:
    role = mapped.table.role
    columns = [mapped.column(field) for field in UNIQUE[role]]
    keys = [f'lower({column}::text COLLATE "C")' for column in columns] if role == "users" else columns
    counted = f"SELECT 1 FROM {mapped.full_name} AS {role} WHERE {columns[0]} IS NOT NULL GROUP BY {', '.join(keys)}"  # noqa: S608 - names of the catalogue, quoted
    (found,) = await connection.fetch_tuples(
        f"SELECT count(*) AS count FROM ({counted} HAVING count(*) > 1) AS twice",  # noqa: S608 - the same
        (),
        None,
    )
    if found["count"]:
        names = ", ".join(mapped.table.columns[field].name for field in UNIQUE[role])
        raise ConflictError(
            f"{mapped.full_name} holds {found['count']} values of ({names}) more than once: join or delete those rows"
            " first; nothing was changed"
        )


async def _make(connection: Connection, mapped: Mapped) -> str:
    """Without a lock that stops writers. What an attempt that was broken off has left is made anew."""
    name = f"authstore_{mapped.table.role}_unique"
    columns = ", ".join(quote(mapped.table.columns[field].name) for field in UNIQUE[mapped.table.role])
    await connection.script(f"DROP INDEX CONCURRENTLY IF EXISTS {quote(mapped.table.schema)}.{quote(name)}", None)
    await connection.script(f"CREATE UNIQUE INDEX CONCURRENTLY {quote(name)} ON {mapped.full_name} ({columns})", None)
    return name
