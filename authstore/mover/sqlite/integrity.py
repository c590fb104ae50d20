"""The new file looked at before it takes its place: by SQLite's own check, and for rows that point to nothing."""

import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import TypeVar

from authstore.backends.sqlite import file
from authstore.mover.names import quote
from authstore.mover.sqlite.references import Broken, broken_references

_Answer = TypeVar("_Answer")
_Look = Callable[[sqlite3.Connection, str], list[str]]
_CHECKERS = 2
_CACHE = -32768  # KiB. The check looks for every row in every index; what does not fit is read again and again.


def check(path: Path, tables: Sequence[str], *, thorough: bool) -> tuple[list[str], Broken]:
    """What SQLite's own check says of these tables (nothing is well), and their rows that point to nothing.

    `tables`: the biggest first, for they are looked at side by side. `thorough`: every index entry and every CHECK
    too, for a file that was loaded without; one that stood this when it was made, and has been changed row by row
    since, need not be looked at entry by entry again.
    """
    looks = list(_looks(tables, thorough=thorough))
    # Not "ro": a connection that cannot write has no use for CHECKs, and SQLite forgets them.
    with closing(_Readers(path, "rw")) as readers, ThreadPoolExecutor(_CHECKERS) as pool:
        damage = [pool.submit(readers.ask, look, table) for look, table in looks]
        broken = _references(pool, readers, tables)
        return list(dict.fromkeys(line for one in damage for line in one.result())), _together(broken)


def _looks(tables: Sequence[str], *, thorough: bool) -> Iterator[tuple[_Look, str]]:
    """At the biggest table in two halves: it is often as big as all the others, and would be looked at when nothing
    else is left to do."""
    halves = [(look, table) for table in tables[:1] for look in (_look_at_indexes, _look_at_rows)] if thorough else []
    yield from halves
    for table in tables[1:] if halves else tables:
        yield _look_thoroughly if thorough else _look_quickly, table


def references_of(path: Path, tables: Sequence[str]) -> Broken:
    """Rows that point to nothing, counted by table and the table they point to."""
    with closing(_Readers(path, "ro")) as readers, ThreadPoolExecutor(_CHECKERS) as pool:
        return _together(_references(pool, readers, tables))


class _Readers:
    """A connection for each thread that asks, since each reads the whole schema first. To be closed."""

    def __init__(self, path: Path, mode: str) -> None:
        self._path = path
        self._mode = mode
        self._own = threading.local()
        self._opened: list[sqlite3.Connection] = []

    def ask(self, question: Callable[[sqlite3.Connection, str], _Answer], table: str) -> _Answer:
        if not hasattr(self._own, "reader"):
            self._own.reader = self._open()
        return question(self._own.reader, table)

    def _open(self) -> sqlite3.Connection:
        reader = file.connect(self._path, file.Connection, mode=self._mode)
        self._opened.append(reader)
        reader.execute("PRAGMA query_only = ON")
        reader.execute(f"PRAGMA cache_size = {_CACHE}")
        return reader

    def close(self) -> None:
        for reader in self._opened:
            reader.close()


def _look_thoroughly(reader: sqlite3.Connection, table: str) -> list[str]:
    return _said(reader, f"integrity_check({quote(table)})", checks=True)


def _look_at_indexes(reader: sqlite3.Connection, table: str) -> list[str]:
    """Whether every entry is there; with `_look_at_rows` it sees what `_look_thoroughly` sees."""
    return _said(reader, f"integrity_check({quote(table)})", checks=False)


def _look_at_rows(reader: sqlite3.Connection, table: str) -> list[str]:
    return _said(reader, f"quick_check({quote(table)})", checks=True)


def _look_quickly(reader: sqlite3.Connection, table: str) -> list[str]:
    return _said(reader, f"quick_check({quote(table)})", checks=False)


def _said(reader: sqlite3.Connection, pragma: str, *, checks: bool) -> list[str]:
    """`checks`: the table's CHECKs are asked too."""
    reader.execute(f"PRAGMA ignore_check_constraints = {'OFF' if checks else 'ON'}")
    return [line for (line,) in reader.execute(f"PRAGMA {pragma}") if line != "ok"]


def _references(pool: ThreadPoolExecutor, readers: _Readers, tables: Sequence[str]) -> list[Future[Broken]]:
    return [pool.submit(readers.ask, broken_references, table) for table in tables]


def _together(counts: Iterable[Future[Broken]]) -> Broken:
    return {pair: count for one in counts for pair, count in one.result().items()}
