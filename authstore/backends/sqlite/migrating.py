"""Runs migrations on a SQLite file or a database in memory, under the write lock."""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from authstore import schema
from authstore.adapter import Clock
from authstore.backends.sqlite.errors import result_code
from authstore.backends.sqlite.units import fetch
from authstore.errors import SchemaError
from authstore.schema import Migration
from authstore.sql import queries


def ledger(connection: sqlite3.Connection) -> list[Mapping[str, Any]]:
    """Which migrations ran. Raises `SchemaError` where a store has forgotten."""
    try:
        rows = fetch(connection, queries.list_migrations())
    except sqlite3.OperationalError as error:
        if result_code(error) != sqlite3.SQLITE_ERROR:
            raise
        rows = []
    if not rows:
        raise SchemaError("the database has lost its ledger of migrations")
    return rows


def run_pending(connection: sqlite3.Connection, known: Sequence[Migration], clock: Clock) -> None:
    """Runs what is pending, each step in its own transaction, looking again once it has the lock: another
    process may have run it."""
    for step in known:
        connection.execute("BEGIN IMMEDIATE")
        try:
            if step in schema.pending(_ledger_or_none(connection), known):
                for statement in statements(step.sql):
                    connection.execute(statement)
                note = {"version": step.version, "name": step.name, "sha256": step.sha256, "applied_at": clock()}
                fetch(connection, queries.insert_migration(**note))
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise


def _ledger_or_none(connection: sqlite3.Connection) -> list[Mapping[str, Any]]:
    is_new = connection.execute("PRAGMA schema_version").fetchone() == (0,)
    return [] if is_new else ledger(connection)


def statements(script: str) -> Iterator[str]:
    """The statements of a script; `executescript` would commit what is open first."""
    unfinished = ""
    for line in script.splitlines(keepends=True):
        unfinished += line
        if sqlite3.complete_statement(unfinished):
            yield unfinished
            unfinished = ""
    if unfinished.strip() and not all(line.startswith("--") for line in unfinished.strip().splitlines()):
        raise SchemaError("a migration ends within a statement")
