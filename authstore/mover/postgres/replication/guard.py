"""The guard: a trigger on every table that refuses each write, put there while the tables are locked.

A lock alone loses writes: whoever waits at it writes to the old source once it is given back. With the trigger there
first, such a write is refused, and says why.

All triggers call one function. To open the tables again is to let it refuse nothing, which takes no lock; only to
remove the triggers needs the tables for itself.
"""

from collections.abc import Sequence
from contextlib import suppress

import psycopg

from authstore.mover.catalog import QualifiedName
from authstore.mover.names import literal, quote
from authstore.mover.postgres.connection import SourceConnection, translated
from authstore.mover.postgres.replication.stream import lsn_number

SCHEMA, NAME = "authstore_guard", "authstore_guard"
_MESSAGE = "this table has moved to another database, and takes no more writes here"
_REFUSES, _LETS_THROUGH = "BEGIN RAISE EXCEPTION", "BEGIN RETURN NULL; END"
_LET_GO = "SET LOCAL idle_in_transaction_session_timeout = '10s'"  # of the locks, where nobody hears of our end
_REMOVE_MS = 1000  # milliseconds that readers may be kept waiting while the triggers are removed
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
            connection.execute(_LET_GO)
            connection.execute("SET LOCAL synchronous_commit = on")  # its commit flushes all that came before
            connection.execute(f"LOCK TABLE {listed} IN SHARE ROW EXCLUSIVE MODE".encode())
            row = connection.execute("SELECT pg_current_wal_insert_lsn()::text").fetchone()
            _make_function(connection, _refusal())
            for schema, name in tables:
                connection.execute(_trigger(schema, name).encode())
    except Exception as error:
        if isinstance(error.__cause__, psycopg.errors.LockNotAvailable | psycopg.errors.DeadlockDetected):
            return None
        raise
    return lsn_number(row[0]) if row else 0


def _make_function(connection: SourceConnection, body: str) -> None:
    connection.execute(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}".encode())
    connection.execute(
        f"CREATE OR REPLACE FUNCTION {SCHEMA}.refuse() RETURNS trigger LANGUAGE plpgsql AS {literal(body)}".encode()
    )


def _refusal() -> str:
    return (
        f"{_REFUSES} USING ERRCODE = 'read_only_sql_transaction', MESSAGE = {literal(_MESSAGE)}"
        f" || ': ' || TG_TABLE_SCHEMA || '.' || TG_TABLE_NAME, HINT = {literal(_HINT)}; END"
    )


def _trigger(schema: str, name: str) -> str:
    table = f"{quote(schema)}.{quote(name)}"
    return (
        f"CREATE OR REPLACE TRIGGER {NAME} BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON {table}"
        f" FOR EACH STATEMENT EXECUTE FUNCTION {SCHEMA}.refuse();"
        f" ALTER TABLE {table} ENABLE ALWAYS TRIGGER {NAME}"
    )


def guards(connection: SourceConnection) -> list[tuple[str, bool]]:
    """The tables with a guard on them, and whether it refuses."""
    with translated():
        return connection.execute(
            "SELECT t.tgrelid::regclass::text, position(%s in p.prosrc) = 1 FROM pg_trigger AS t"
            " JOIN pg_proc AS p ON p.oid = t.tgfoid JOIN pg_namespace AS n ON n.oid = p.pronamespace"
            " WHERE n.nspname = %s ORDER BY 1",
            (_REFUSES, SCHEMA),
        ).fetchall()


def guarded_tables(connection: SourceConnection) -> list[str]:
    """The tables that refuse every write."""
    return [name for name, refuses in guards(connection) if refuses]


def reopen_tables(connection: SourceConnection) -> list[str]:
    """Lets every write through again, and removes the guards where nobody reads their tables for long (else the next
    call does, or the next cut-over uses them again); gives the tables that were closed."""
    with translated(), connection.transaction():
        found = guarded_tables(connection)
        if found:
            connection.execute("SET LOCAL synchronous_commit = on")
            _make_function(connection, _LETS_THROUGH)
    with translated(), suppress(psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected):
        _remove(connection)
    return found


def _remove(connection: SourceConnection) -> None:
    with connection.transaction():
        connection.execute(f"SET LOCAL lock_timeout = '{_REMOVE_MS}ms'".encode())
        connection.execute("SET LOCAL client_min_messages = warning")
        connection.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE".encode())
