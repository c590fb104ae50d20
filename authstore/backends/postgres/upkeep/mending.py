"""Puts indexes, triggers, statistics and tables in order; no row of people's is touched."""

from authstore import schema
from authstore.backends.postgres.driver import Connection
from authstore.backends.postgres.migrating import ledger
from authstore.backends.postgres.shape import columns, helpers, lacking

_SECONDS = 60.0
_INVALID = """
SELECT format('DROP INDEX CONCURRENTLY %s', indexrelid::regclass) AS drop_it FROM pg_index
JOIN pg_class ON pg_class.oid = indexrelid
WHERE relnamespace = current_schema()::regnamespace AND relname = $1 AND NOT indisvalid
"""
# The server itself says it, with the names of our schema's tables quoted.
_EACH_TABLE = """
SELECT format('%s %s', CAST($1 AS text), pg_class.oid::regclass) AS command FROM pg_class
WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r' AND relname = ANY(CAST($2 AS text[]))
"""


async def mend(connection: Connection, kind: str) -> None:
    """Mends this. Raises the driver's errors, `LookupError` for what nobody mends by machine."""
    if kind in ("missing-index", "missing-trigger"):
        await _make_again(connection, kind.removeprefix("missing-"))
        return
    command = {"bloat": "VACUUM (ANALYZE)", "no-statistics": "ANALYZE"}[kind]
    known = schema.migrations("postgres")
    tables = sorted({name.partition(".")[0] for name in columns(known)})
    for row in await connection.fetch_tuples(_EACH_TABLE, (command, tables), _SECONDS):
        await connection.script(row["command"], None)


async def _make_again(connection: Connection, kind: str) -> None:
    ran = schema.migrations("postgres")[: len(await ledger(connection))]
    made = helpers(ran)
    for name in (await lacking(connection, ran, _SECONDS)).helpers:
        if not name.startswith(kind):
            continue
        if kind == "index":
            for row in await connection.fetch_tuples(_INVALID, (name.removeprefix("index "),), _SECONDS):
                await connection.script(row["drop_it"], None)
            # Nobody waits for it meanwhile.
            await connection.script(made[name].replace(" INDEX ", " INDEX CONCURRENTLY ", 1), None)
        else:
            # One that is switched off is there: then it is replaced.
            await connection.script(made[name].replace("CREATE TRIGGER", "CREATE OR REPLACE TRIGGER", 1), _SECONDS)
