"""Rows that point to nothing: asked the short way first, and counted by SQLite's own check where that finds any."""

import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from authstore.mover.names import folded, quote

Broken = dict[tuple[str, str], int]


def broken_references(reader: sqlite3.Connection, table: str) -> Broken:
    """Rows of the table that point to no row, counted by the table and the one they point to."""
    counts: Broken = {}
    if _may_be_broken(reader, table):
        for _, _, parent, _ in reader.execute(f"PRAGMA foreign_key_check({quote(table)})"):
            counts[table, parent] = counts.get((table, parent), 0) + 1
    return counts


def _may_be_broken(reader: sqlite3.Connection, table: str) -> bool:
    """False only where no row points to nothing.

    The check looks row after row for the parent; a query looks for each parent once, in the order of an index.
    """
    return any(
        not link.is_plain(reader) or reader.execute(link.question()).fetchone()[0] for link in _links(reader, table)
    )


@dataclass(frozen=True, slots=True)
class _Reference:
    """A foreign key. `pairs`: its columns, each with the parent's that it points to ("" for the parent's key)."""

    child: str
    parent: str
    pairs: tuple[tuple[str, str], ...]

    def is_plain(self, reader: sqlite3.Connection) -> bool:
        """Whether `=` says what the foreign key says: between columns of one type nothing is converted."""
        own, other = _types(reader, self.child), _types(reader, self.parent)
        return all(to and folded(to) in other and own[folded(name)] == other[folded(to)] for name, to in self.pairs)

    def question(self) -> str:
        """Whether there is a row that points to nothing; the parent's column stands first, for its collation counts."""
        # BINARY: a column without case would give one of two texts that are not the same to the parent.
        values = ", ".join(f"{quote(name)} COLLATE BINARY AS {quote(name)}" for name, _ in self.pairs)
        given = " AND ".join(f"{quote(name)} IS NOT NULL" for name, _ in self.pairs)
        pointers = f"SELECT DISTINCT {values} FROM {quote(self.child)} WHERE {given}"
        same = " AND ".join(f"p.{quote(to)} = c.{quote(name)}" for name, to in self.pairs)
        found = f"SELECT 1 FROM {quote(self.parent)} AS p WHERE {same}"
        return f"SELECT EXISTS (SELECT 1 FROM ({pointers}) AS c WHERE NOT EXISTS ({found}))"


def _links(reader: sqlite3.Connection, table: str) -> Iterator[_Reference]:
    pairs: dict[int, list[tuple[str, str]]] = {}
    parents: dict[int, str] = {}
    for number, _, parent, name, to, *_ in _rows(reader, f"PRAGMA foreign_key_list({quote(table)})"):
        pairs.setdefault(number, []).append((name, to or ""))
        parents[number] = parent
    for number, found in pairs.items():
        yield _Reference(table, parents[number], tuple(found))


def _types(reader: sqlite3.Connection, table: str) -> dict[str, str]:
    found = _rows(reader, f"PRAGMA table_xinfo({quote(table)})")
    return {folded(name): folded(declared) for _, name, declared, *_ in found}


def _rows(reader: sqlite3.Connection, pragma: str) -> Iterable[tuple[int, str, str, str, str]]:
    return reader.execute(pragma).fetchall()
