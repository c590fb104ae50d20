"""The new file looked at before it takes its place: by SQLite's own check, and for rows that point to nothing."""

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import TypeVar

from authstore.backends.sqlite import file
from authstore.mover.names import quote
from authstore.mover.sqlite.references import Broken, broken_references

_Answer = TypeVar("_Answer")
_CHECKERS = 2
_BIG, _TOGETHER = 16, 64  # tables
_CACHE = -32768  # KiB. The check looks for every row in every index; what does not fit is read again and again.


def check(path: Path, tables: Sequence[str], *, thorough: bool) -> tuple[list[str], Broken]:
    """What SQLite's own check says of these tables (nothing is well), and their rows that point to nothing.

    `tables`: the biggest first, for they are looked at side by side. `thorough`: every index entry and every CHECK
    too, for a file that was loaded without; one that stood this when it was made, and has been changed row by row
    since, need not be looked at entry by entry again.
    """
    look = _look_thoroughly if thorough else _look_quickly
    with ThreadPoolExecutor(_CHECKERS) as pool:
        damage = [pool.submit(_ask, path, look, some) for some in _shared_out(tables)]
        broken = _references(pool, path, tables)
        return [line for one in damage for line in one.result()], _together(broken)


def references_of(path: Path, tables: Sequence[str]) -> Broken:
    """Rows that point to nothing, counted by table and the table they point to."""
    with ThreadPoolExecutor(_CHECKERS) as pool:
        return _together(_references(pool, path, tables))


def _shared_out(tables: Sequence[str]) -> list[Sequence[str]]:
    """The big ones alone, the small ones many together: each connection reads the whole schema first."""
    big, small = tables[:_BIG], tables[_BIG:]
    return [*((table,) for table in big), *(small[at : at + _TOGETHER] for at in range(0, len(small), _TOGETHER))]


def _look_thoroughly(reader: sqlite3.Connection, tables: Sequence[str]) -> list[str]:
    return [line for table in tables for line in _said(reader.execute(f"PRAGMA integrity_check({quote(table)})"))]


def _look_quickly(reader: sqlite3.Connection, tables: Sequence[str]) -> list[str]:
    reader.execute("PRAGMA ignore_check_constraints = ON")
    return [line for table in tables for line in _said(reader.execute(f"PRAGMA quick_check({quote(table)})"))]


def _count_broken(reader: sqlite3.Connection, tables: Sequence[str]) -> Broken:
    return {pair: count for table in tables for pair, count in broken_references(reader, table).items()}


def _said(lines: Iterable[tuple[str]]) -> list[str]:
    return [line for (line,) in lines if line != "ok"]


def _references(pool: ThreadPoolExecutor, path: Path, tables: Sequence[str]) -> list[Future[Broken]]:
    return [pool.submit(_ask, path, _count_broken, some, mode="ro") for some in _shared_out(tables)]


def _together(counts: Iterable[Future[Broken]]) -> Broken:
    return {pair: count for one in counts for pair, count in one.result().items()}


def _ask(
    path: Path,
    question: Callable[[sqlite3.Connection, Sequence[str]], _Answer],
    tables: Sequence[str],
    *,
    mode: str = "rw",
) -> _Answer:
    # Not "ro" for SQLite's own check: a connection that cannot write has no use for CHECKs, and SQLite forgets them.
    with closing(file.connect(path, sqlite3.Connection, mode=mode)) as reader:
        reader.execute("PRAGMA query_only = ON")
        reader.execute(f"PRAGMA cache_size = {_CACHE}")
        return question(reader, tables)
