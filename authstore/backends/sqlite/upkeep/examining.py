"""What may be wrong with a store's file, its folder, its settings and its schema. Nothing here writes."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

from authstore import schema
from authstore.backends.inspection import Symptom
from authstore.backends.sqlite import file, fork, texts, volume
from authstore.backends.sqlite.errors import files_translated, is_busy
from authstore.backends.sqlite.litestream import newest_copy
from authstore.backends.sqlite.migrating import ledger
from authstore.backends.sqlite.shape import lacking, tables, told
from authstore.backends.sqlite.units import UnitConnection
from authstore.backends.sqlite.upkeep.holders import holders, named
from authstore.errors import SchemaError
from authstore.store.health import LONG_LOG

LOCKED_SECONDS = 2.0  # whoever has the write lock for longer is named
# Whose rows are read as models are: what cannot be is told of all of them.
_MODELLED = frozenset({"users", "accounts", "sessions", "verification_tokens", "authenticators", "roles"})
_BEHIND = timedelta(minutes=1)  # it copies once a second
_INSTANT = "%Y-%m-%d %H:%M:%S UTC"
_MANY_ROWS = 10_000  # from here on the planner's choice can matter


def has_wal_reset_bug(version: tuple[int, ...]) -> bool:
    """Whether a checkpoint that meets a commit may damage the file: https://sqlite.org/wal.html#walresetbug."""
    fixed = {44: (3, 44, 6), 50: (3, 50, 7)}.get(version[1], (3, 51, 3))
    return (3, 7, 0) <= version < fixed


def examine_file(path: Path) -> list[Symptom]:
    """What can be seen without opening it. Raises an error of ours where it is taken away meanwhile."""
    with files_translated():
        if path.exists():
            return [*_volume(path), *_modes(path), *_log(path), *_lock(path)]
        if file.has_lost_its_file(path):
            return [Symptom("lost-file", f"{path} is gone, its log is there")]
        return [Symptom("missing", f"{path} is not there")]


def _volume(path: Path) -> Iterator[Symptom]:
    kind = volume.kind_of_volume(path)
    if kind in volume.REFUSED:
        yield Symptom("network", f"{path} is on {volume.REFUSED[kind]}")
    if kind in volume.DOUBTFUL:
        yield Symptom("shared-volume", f"{path} is on {volume.DOUBTFUL[kind]}")
    if volume.is_mounted_alone(path):
        yield Symptom("mounted-alone", f"{path} is on another device than {path.parent}")


def _modes(path: Path) -> Iterator[Symptom]:
    for place in (path, path.parent):
        # The mode bits too: root may write where nobody is meant to.
        if not os.access(place, os.W_OK) or not place.stat().st_mode & 0o222:
            yield Symptom("read-only", f"{place} cannot be written")
    for each, mode in readable_by_others(path).items():
        yield Symptom("file-mode", f"{each} has mode {mode:04o}")
    if is_writable_by_all(path.parent):
        yield Symptom("folder-mode", f"{path.parent} has mode {path.parent.stat().st_mode & 0o777:04o}")


def readable_by_others(path: Path) -> dict[Path, int]:
    """The file and its logs, where somebody else than the owner may read or write them, with their modes."""
    found: dict[Path, int] = {}
    for each in (path, *file.logs(path)):
        with suppress(FileNotFoundError):  # logs go with whoever closes it
            found[each] = each.stat().st_mode & 0o777
    return {each: mode for each, mode in found.items() if mode & 0o077}


def is_writable_by_all(folder: Path) -> bool:
    """Whether anybody could put another file in the store's place. In a sticky folder (/tmp) only its owner can."""
    mode = folder.stat().st_mode
    return bool(mode & 0o002) and not mode & 0o1000


def _log(path: Path) -> Iterator[Symptom]:
    wal, _, _ = file.logs(path)
    size = file.bytes_of(wal)
    if size > LONG_LOG:
        yield Symptom("long-log", f"{wal} has {size // 2**20} MB; read by {named(holders(path).reading)}")


def _lock(path: Path) -> Iterator[Symptom]:
    """A real try: the lock is let go at once. Not where nobody has it open: whoever closes last writes the log back."""
    if not file.has_log(path):
        return
    before = holders(path)
    try:
        with closing(file.connect(path, UnitConnection, timeout=LOCKED_SECONDS)) as connection:
            fork.note(connection)
            connection.execute("PRAGMA wal_autocheckpoint = 0").fetchall()
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("ROLLBACK")
    except sqlite3.Error as error:
        if is_busy(error):
            who = holders(path).writing or before.writing
            yield Symptom("locked", f"for {LOCKED_SECONDS:.0f} s nobody else could write; the lock has {named(who)}")


def examine_database(path: Path | None, connection: sqlite3.Connection) -> list[Symptom]:
    """What can be seen within. Raises `sqlite3.Error` where it cannot be read on."""
    return [*_pages(path, connection), *_schema(connection), *_settings(path, connection), *_tables(path, connection)]


def _pages(path: Path | None, connection: sqlite3.Connection) -> Iterator[Symptom]:
    found = [text for (text,) in connection.execute("PRAGMA quick_check(3)")]
    if found != ["ok"]:
        yield Symptom("damaged", "; ".join(" ".join(str(text).split()) for text in found))
    if path is None:
        return
    wal, _, _ = file.logs(path)
    (page,) = connection.execute("PRAGMA page_size").fetchone()
    if path.stat().st_size % page and not file.bytes_of(wal):
        yield Symptom("damaged", f"{path} is cut off within a page")


def _schema(connection: sqlite3.Connection) -> Iterator[Symptom]:
    known = schema.migrations("sqlite")
    try:
        ran = ledger(connection)
        pending = schema.pending(ran, known)
    except SchemaError as error:
        yield Symptom("unknown-schema", str(error))
        return
    if pending:
        yield Symptom("old-schema", "pending: " + ", ".join(f"{step.version:04} {step.name}" for step in pending))
    missing = lacking(connection, known[: len(ran)])
    if missing.needed:
        yield Symptom("missing-table", ", ".join(told(missing.needed)))
        return
    for table in sorted(set(tables(known[: len(ran)])) - _MODELLED):
        if keys := list(islice(texts.undecodable(connection, table), 5)):
            yield Symptom("unreadable", f"{table}: {', '.join(map(str, keys))}")
    for kind in ("index", "trigger"):
        names = [name for name in told(missing.helpful) if name.startswith(kind)]
        if names:
            yield Symptom(f"missing-{kind}", ", ".join(names))


def _settings(path: Path | None, connection: sqlite3.Connection) -> Iterator[Symptom]:
    (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
    if path is not None and mode != "wal":
        yield Symptom("journal-mode", f"the journal mode is {mode}")
    if path is not None and has_wal_reset_bug(sqlite3.sqlite_version_info):
        yield Symptom("wal-reset", f"this Python has SQLite {sqlite3.sqlite_version}")


def _tables(path: Path | None, connection: sqlite3.Connection) -> Iterator[Symptom]:
    there = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    if "_litestream_seq" in there:
        yield from _litestream(path)
    if "sessions" not in there:
        return
    (newest,) = connection.execute("SELECT max(rowid) FROM sessions").fetchone()
    is_known = "sqlite_stat1" in there and connection.execute("SELECT 1 FROM sqlite_stat1 LIMIT 1").fetchone()
    if (newest or 0) > _MANY_ROWS and not is_known:
        yield Symptom("no-statistics", "ANALYZE never ran")


def _litestream(path: Path | None) -> Iterator[Symptom]:
    newest = None if path is None else newest_copy(path)
    if path is None or newest is None:
        yield Symptom("litestream", "the tables of Litestream are there: _litestream_seq")
        return
    yield Symptom("litestream", f"the tables of Litestream are there; its newest file is of {newest:{_INSTANT}}")
    written = _last_written(path)
    if written - newest > _BEHIND:
        yield Symptom("litestream-behind", f"written to at {written:{_INSTANT}}, newest file of {newest:{_INSTANT}}")


def _last_written(path: Path) -> datetime:
    wal, _, _ = file.logs(path)
    seconds = path.stat().st_mtime
    with suppress(FileNotFoundError):
        seconds = max(seconds, wal.stat().st_mtime)
    return datetime.fromtimestamp(seconds, UTC)


def examine_writer(connection: sqlite3.Connection) -> list[Symptom]:
    """How the connection by which an open store writes is set."""
    found = []
    if connection.execute("PRAGMA foreign_keys").fetchone() != (1,):
        found.append(Symptom("no-foreign-keys", "foreign_keys is off on the connection by which this store writes"))
    if connection.execute("PRAGMA synchronous").fetchone() < (2,):
        found.append(Symptom("relaxed", "this store was opened with durability='relaxed'"))
    return found
