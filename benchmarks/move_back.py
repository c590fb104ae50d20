"""From the file to PostgreSQL without the mover: what one would write by hand, and pgloader.

pgloader (apt-get install pgloader) makes the tables from what the file says: instants become text, flags whole
numbers, and no CHECK comes along. It reads fewer rows ahead than it would, or its gigabyte of memory does not always
do. Keys, indexes and foreign keys it makes after the rows, as the others do; it reads nothing back, and after a kill it
begins anew.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg

PROGRAM = "pgloader"
MISSING = f"{PROGRAM} is not installed (apt-get install {PROGRAM}): left out"
_TABLES = ("users", "accounts", "sessions", "verification_tokens")
_TOGETHER, _COMMIT_ROWS = 5000, 50_000
_COMMAND = """LOAD DATABASE FROM sqlite://{file} INTO {url}
WITH create tables, create indexes, foreign keys, reset sequences, prefetch rows = 20000
EXCLUDING TABLE NAMES LIKE 'authstore_move%', 'sqlite_%';
"""
_LATER = """
SELECT k.conrelid::regclass::text, k.conname::text, k.contype::text, pg_get_constraintdef(k.oid)
FROM pg_constraint k WHERE k.connamespace = 'public'::regnamespace AND k.contype IN ('p', 'u', 'f')
UNION ALL
SELECT i.indrelid::regclass::text, i.indexrelid::regclass::text, 'i', pg_get_indexdef(i.indexrelid)
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
WHERE c.relnamespace = 'public'::regnamespace
  AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = i.indexrelid)
"""


def pgloader_command(file: Path, url: str) -> list[str]:
    """The command that loads a file, by an order beside it."""
    order = file.with_suffix(".load")
    order.write_text(_COMMAND.format(file=file, url=url))
    return [PROGRAM, "--quiet", "--on-error-stop", str(order)]


def check_arrived(file: Path, url: str) -> None:
    """pgloader ends well whatever became of single rows. Raises `SystemExit` where some are missing."""
    with closing(sqlite3.connect(file)) as source, psycopg.connect(url) as target:
        for table in _TABLES:
            count = f"SELECT count(*) FROM {table}"
            here, there = source.execute(count).fetchone(), target.execute(count.encode()).fetchone()
            if here != there:
                raise SystemExit(f"{table}: of {here} rows {there} arrived")


def run_naive_back(file: Path, url: str) -> None:
    """The same schema, `executemany`, a commit with a progress row every 50,000 rows; keys, indexes and foreign keys
    after the data."""
    with closing(sqlite3.connect(file)) as source, psycopg.connect(url, autocommit=True) as target:
        target.execute("SET timezone = 'UTC'")
        target.execute("SET maintenance_work_mem = '128MB'")
        for step in sorted((Path(__file__).parent.parent / "migrations").glob("*.postgres.sql")):
            target.execute(step.read_text().encode())
        later = _taken_away(target)
        target.execute("CREATE TABLE progress (name text, rows bigint)")
        for table in _TABLES:
            target.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER".encode())
            _copy(source, target, table)
            target.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER".encode())
        for statement in later:
            target.execute(statement.encode())
        target.execute("ANALYZE")


def _taken_away(target: psycopg.Connection[Any]) -> list[str]:
    """Keys, indexes and foreign keys are gone; the statements that make them again."""
    found = sorted(target.execute(_LATER).fetchall(), key=lambda row: "puif".index(row[2]))
    for table, name, kind, _ in reversed(found):
        gone = f"DROP INDEX {name}" if kind == "i" else f"ALTER TABLE {table} DROP CONSTRAINT {name}"
        target.execute(gone.encode())
    return [
        words if kind == "i" else f"ALTER TABLE {table} ADD CONSTRAINT {name} {words}"
        for table, name, kind, words in found
    ]


def _copy(source: sqlite3.Connection, target: psycopg.Connection[Any], table: str) -> None:
    columns = "SELECT name FROM pragma_table_info(?) ORDER BY cid"
    names = [name for (name,) in source.execute(columns, (table,))]
    flags = [number for number, name in enumerate(names) if name in ("disabled", "token_indexed")]
    rows = source.execute(f"SELECT {', '.join(names)} FROM {table}")
    insert = f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join(['%s'] * len(names))})".encode()
    copied = 0
    with target.cursor() as cursor:
        cursor.execute("BEGIN")
        while batch := rows.fetchmany(_TOGETHER):
            cursor.executemany(insert, list(_with_booleans(batch, flags)))
            copied += len(batch)
            if copied % _COMMIT_ROWS == 0:
                cursor.execute("INSERT INTO progress VALUES (%s, %s)", (table, copied))
                cursor.execute("COMMIT")
                cursor.execute("BEGIN")
        cursor.execute("COMMIT")


def _with_booleans(rows: list[tuple[Any, ...]], flags: list[int]) -> Iterator[list[Any]]:
    for row in rows:
        values = list(row)
        for number in flags:
            values[number] = bool(values[number])
        yield values
