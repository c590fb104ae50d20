"""Puts modes, settings, indexes, triggers, statistics and the log in order; no row of people's is touched."""

import re
import sqlite3
from contextlib import suppress
from pathlib import Path

from authstore import schema
from authstore.backends.sqlite.errors import files_translated
from authstore.backends.sqlite.migrating import ledger, statements
from authstore.backends.sqlite.shape import lacking, told
from authstore.backends.sqlite.upkeep.examining import has_wal_reset_bug, is_writable_by_all, readable_by_others
from authstore.backends.sqlite.upkeep.holders import holders, named
from authstore.errors import StoreBusyError

_SETTINGS = {
    "journal-mode": "PRAGMA journal_mode = WAL",
    "no-foreign-keys": "PRAGMA foreign_keys = ON",
    "no-statistics": "ANALYZE",
}


def mend_files(path: Path, kind: str) -> bool:
    """Mends modes; whether it was this that had to be mended. Raises `StoreReadOnlyError` where they are not ours."""
    with files_translated():
        if kind == "read-only":
            path.chmod(path.stat().st_mode & 0o777 | 0o600)
            path.parent.chmod(path.parent.stat().st_mode & 0o7777 | 0o700)
        elif kind == "file-mode":
            for each in readable_by_others(path):
                with suppress(FileNotFoundError):  # logs go with whoever closes it
                    each.chmod(0o600)
        elif kind == "folder-mode" and is_writable_by_all(path.parent):
            path.parent.chmod(path.parent.stat().st_mode & 0o7775)
        else:
            return False
    return True


def mend_within(path: Path | None, kind: str, connection: sqlite3.Connection, *, is_store: bool) -> None:
    """Mends what is in the file. `is_store`: the connection is that by which an open store writes.

    Raises `sqlite3.Error`, `StoreBusyError`, `LookupError` for what nobody mends by machine.
    """
    if kind in ("missing-index", "missing-trigger"):
        _make_again(kind.removeprefix("missing-"), connection)
    elif kind == "long-log" and path is not None:
        _cut_log(path, connection, is_store=is_store)
    else:
        if kind == "no-statistics":
            connection.execute("PRAGMA analysis_limit = 1000").fetchall()
        connection.execute(_SETTINGS[kind]).fetchall()


def _make_again(kind: str, connection: sqlite3.Connection) -> None:
    ran = schema.migrations("sqlite")[: len(ledger(connection))]
    made: dict[str, str] = {}
    for step in ran:
        for statement in statements(step.sql):
            if found := re.search(rf"^CREATE (?:UNIQUE )?{kind.upper()} (\w+)", statement, re.MULTILINE):
                made[f"{kind} {found[1]}"] = statement
    connection.execute("BEGIN IMMEDIATE")
    try:
        for name in told(lacking(connection, ran).helpful):
            if name in made:
                connection.execute(made[name])
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def _cut_log(path: Path, connection: sqlite3.Connection, *, is_store: bool) -> None:
    others = holders(path).others
    if others and not is_store and has_wal_reset_bug(sqlite3.sqlite_version_info):
        raise StoreBusyError(
            f"{named(others)} has the store open, and SQLite {sqlite3.sqlite_version} may damage a file whose log is"
            " written back from outside: end that, or call ops.doctor(store, fix=True) there"
        )
    connection.execute("PRAGMA busy_timeout = 250").fetchall()  # meanwhile nobody writes
    is_held, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    if is_held:
        raise StoreBusyError(f"the log is being read: by {named(holders(path).reading)}")
