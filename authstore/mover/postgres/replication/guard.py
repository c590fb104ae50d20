"""The guard: a trigger on every table that refuses each write, put there while the tables are locked.

A lock alone loses writes: whoever waits at it writes to the old source once it is given back. With the trigger there
first, such a write is refused, and says why.
"""

from collections.abc import Sequence

import psycopg

from authstore.mover.catalog import QualifiedName
from authstore.mover.names import literal, quote
from authstore.mover.postgres.connection import SourceConnection, translated
from authstore.mover.postgres.replication.stream import lsn_number

SCHEMA, NAME = "authstore_guard", "authstore_guard"
_MESSAGE = "this table has moved to another database, and takes no more writes here"
_HINT = "Switch the application to the new database; `authstore follow --reopen` opens the tables again."


def close_tables(connection: SourceConnection, tables: Sequence[QualifiedName], wait_ms: int) -> int | None:
    """Locks the tables against writing, guards them and lets go. Gives where the log ended under the lock, or nothing
    where the locks were not to be had within so long; then nothing has changed.

    `tables`: parts of partitioned ones too, for a write may name them.
    """
    listed = ", ".join(f"ONLY {quote(schema)}.{quote(name)}" for schema, name in tables)
    try:
        with translated(), connection.transaction():
            connection.execute(f"SET LOCAL lock_timeout = '{wait_ms}ms'".encode())
            connection.execute("SET LOCAL synchronous_commit = on")  # its commit flushes all that came before
            connection.execute(f"LOCK TABLE {listed} IN SHARE ROW EXCLUSIVE MODE".encode())
            row = connection.execute("SELECT pg_current_wal_insert_lsn()::text").fetchone()
            _make_function(connection)
            for schema, name in tables:
                connection.execute(_trigger(schema, name).encode())
    except Exception as error:
        if isinstance(error.__cause__, psycopg.errors.LockNotAvailable | psycopg.errors.DeadlockDetected):
            return None
        raise
    return lsn_number(row[0]) if row else 0


def _make_function(connection: SourceConnection) -> None:
    connection.execute(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}".encode())
    body = (
        f"BEGIN RAISE EXCEPTION USING ERRCODE = 'read_only_sql_transaction', MESSAGE = {literal(_MESSAGE)}"
        f" || ': ' || TG_TABLE_SCHEMA || '.' || TG_TABLE_NAME, HINT = {literal(_HINT)}; END"
    )
    connection.execute(
        f"CREATE OR REPLACE FUNCTION {SCHEMA}.refuse() RETURNS trigger LANGUAGE plpgsql AS {literal(body)}".encode()
    )


def _trigger(schema: str, name: str) -> str:
    table = f"{quote(schema)}.{quote(name)}"
    return (
        f"CREATE OR REPLACE TRIGGER {NAME} BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON {table}"
        f" FOR EACH STATEMENT EXECUTE FUNCTION {SCHEMA}.refuse();"
        f" ALTER TABLE {table} ENABLE ALWAYS TRIGGER {NAME}"
    )


def guarded_tables(connection: SourceConnection) -> list[str]:
    """The tables that have a guard."""
    with translated():
        found = connection.execute(
            "SELECT t.tgrelid::regclass::text FROM pg_trigger AS t JOIN pg_proc AS p ON p.oid = t.tgfoid"
            " JOIN pg_namespace AS n ON n.oid = p.pronamespace WHERE n.nspname = %s ORDER BY 1",
            (SCHEMA,),
        ).fetchall()
    return [name for (name,) in found]


def reopen_tables(connection: SourceConnection) -> list[str]:
    """Takes every guard off; gives the tables that had one."""
    with translated(), connection.transaction():
        found = guarded_tables(connection)
        connection.execute("SET LOCAL client_min_messages = warning")
        connection.execute("SET LOCAL synchronous_commit = on")
        connection.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE".encode())
    return found
