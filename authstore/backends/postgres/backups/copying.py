"""A copy of a store's own tables as they stand at one moment, in a file of SQLite: such a file is the backup of every
store, whatever its database, so that one can be looked at, drilled and put back in the place of the other."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

from authstore import schema
from authstore.backends.postgres.connecting import Connector
from authstore.backends.postgres.driver import Connection
from authstore.backends.postgres.errors import translated
from authstore.backends.postgres.migrating import ledger
from authstore.backends.postgres.servers import servers
from authstore.backends.sqlite.backups import loading
from authstore.backends.sqlite.backups.loading import Loader
from authstore.backends.threads import Stop, in_thread
from authstore.errors import SchemaError, StoreNotFoundError
from authstore.expiry import utc_now

_SECONDS = 60.0
_BEGIN = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL TimeZone = 'UTC'"
# What stands in a file alone: who acts and what is pushed out, within a transaction.
_FILE_ALONE = {("change_log", name) for name in ("acting_at", "actor", "is_using", "displacing", "displaced_from")}
# The server itself says how the rows of each are read, with its names quoted and its values as a file has them.
_TABLES = """
SELECT tables.relname AS name, array_agg(attname::text ORDER BY attnum) AS columns,
    format('FETCH 2000 FROM %I', 'rows_of_' || tables.relname) AS next_rows,
    format('DECLARE %I NO SCROLL CURSOR FOR SELECT %s FROM %s', 'rows_of_' || tables.relname, string_agg(
       CASE atttypid::regtype::text
        WHEN 'timestamp with time zone'
            THEN format('to_char(%I AT TIME ZONE ''UTC'', ''YYYY-MM-DD"T"HH24:MI:SS.US"Z"'')', attname)
        WHEN 'boolean' THEN format('%I::int', attname)
        WHEN 'json' THEN format('%I::text', attname)
        ELSE format('%I', attname) END || ' AS ' || quote_ident(attname), ', ' ORDER BY attnum),
        tables.oid::regclass) AS read_rows
FROM unnest($1::text[], $2::text[]) AS wanted (table_name, column_name)
JOIN pg_class AS tables ON tables.relname = wanted.table_name
    AND tables.relnamespace = current_schema()::regnamespace AND tables.relkind IN ('r', 'p')
JOIN pg_attribute ON attrelid = tables.oid AND attname = wanted.column_name AND attnum > 0 AND NOT attisdropped
GROUP BY tables.oid, tables.relname
"""


class _Table(NamedTuple):
    name: str
    columns: Sequence[str]
    read_rows: str
    next_rows: str


async def copy(url: str, target: Path) -> None:
    """Writes what the store at this URL holds into an empty file. Raises as `open_server` does."""
    connector = Connector(servers(url), "on")
    with translated():
        await connector.look()
        connection = await connector.connect()
    await copy_from(connection, target)


async def copy_from(connection: Connection, target: Path) -> None:
    """The same, over a connection that is closed at the end."""
    try:
        with translated(), ExitStack() as stack:
            await connection.script(_BEGIN, _SECONDS)
            ran = await ledger(connection)
            if not ran:
                raise StoreNotFoundError("there is no authstore in this database and schema")
            schema.pending(ran, schema.migrations("postgres"))
            making = loading.new_file(target, len(ran), utc_now)
            loader = await in_thread(lambda _: stack.enter_context(making))
            for table in await _tables(connection, loader.columns):
                async for rows in _rows(connection, table):
                    await in_thread(_loading(loader, table, rows))
            await in_thread(lambda _: stack.close())
    finally:
        await connection.close(1.0)


def _loading(loader: Loader, table: _Table, rows: list[tuple[Any, ...]]) -> Callable[[Stop], None]:
    return lambda _: loader.load(table.name, table.columns, rows)


async def _tables(connection: Connection, wanted: Mapping[str, Sequence[str]]) -> list[_Table]:
    """In the order in which they are wanted. Raises `SchemaError` where one of them, or a column, is missing."""
    pairs = [(table, column) for table, columns in wanted.items() for column in columns]
    rows = await connection.fetch_tuples(_TABLES, [list(names) for names in zip(*pairs, strict=True)], _SECONDS)
    found = {row["name"]: _Table(row["name"], row["columns"], row["read_rows"], row["next_rows"]) for row in rows}
    there = {(table.name, column) for table in found.values() for column in table.columns}
    if missing := sorted(f"{table}.{column}" for table, column in {*pairs} - there - _FILE_ALONE):
        raise SchemaError(f"the database lacks {', '.join(missing)}: put a backup back, or make it again")
    return [found[name] for name in wanted]


async def _rows(connection: Connection, table: _Table) -> AsyncIterator[list[tuple[Any, ...]]]:
    await connection.script(table.read_rows, _SECONDS)
    while rows := await connection.fetch_tuples(table.next_rows, (), _SECONDS):
        yield [tuple(row.values()) for row in rows]
