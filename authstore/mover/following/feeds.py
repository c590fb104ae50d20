"""Which rows of which tables of the target a change of the source's table touches.

A table whose key is made of its source's own replica identity is fed by keys. Every other is compared as a whole when
something changes that its query speaks of. What the plan was made of (addresses, words, rows that cannot move) is
watched: a row that would have made it another lets it be made anew. Where the log does not say which rows those are,
the table is asked before it is compared.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from authstore.mover.catalog import QualifiedName, SourceTable
from authstore.mover.copies import TableCopy
from authstore.mover.names import quote
from authstore.mover.plan import Scheme
from authstore.mover.postgres.queries import base_query
from authstore.mover.postgres.reading import PostgresReader, reader_of
from authstore.mover.postgres.replication.changes import Touched
from authstore.mover.postgres.replication.keyed import KeyedRows, is_plan_outgrown
from authstore.mover.postgres.snapshot import Snapshot
from authstore.mover.tuning import Tuning

_DECIDED = "::text[]"  # constants of the plan's own: rows it has decided on, by name


@dataclass(frozen=True, slots=True)
class Mention:
    """A table of the target whose query speaks of another source table. `updates`: more than whether a row is there."""

    target: str
    updates: bool


@dataclass(frozen=True, slots=True)
class Feeds:
    """Made of one scheme. `leaves`: parts of partitioned tables, and whole ones, by what they are a part of."""

    readers: Mapping[str, PostgresReader]
    keyed: Mapping[str, KeyedRows]
    own: Mapping[QualifiedName, tuple[str, ...]]
    mentions: Mapping[QualifiedName, tuple[Mention, ...]]
    watched_parents: frozenset[QualifiedName]
    decided: frozenset[QualifiedName]
    unpublished: tuple[str, ...]
    leaves: Mapping[QualifiedName, QualifiedName]

    def stale(self, table: QualifiedName, touched: Touched) -> set[str]:
        """Tables of the target to be compared as a whole."""
        found = {
            one.target for one in self.mentions.get(table, ()) if one.updates or touched.came or touched.went
        }  # fmt: skip
        for target in self.own.get(table, ()):
            keyed = self.keyed.get(target)
            if touched.is_whole or keyed is None or keyed.names != touched.names:
                found.add(target)
            elif (touched.came or touched.went) and not keyed.copy.is_told_apart:
                found.add(target)  # which rows come to one key only all of them tell
        return found

    def is_decided_by(self, table: QualifiedName, touched: Touched) -> bool:
        """Whether the plan may have decided otherwise about rows that have not changed themselves."""
        return table in self.decided or (table in self.watched_parents and (touched.went or touched.is_whole))

    def is_plan_outgrown(self, targets: Collection[str], view: Snapshot) -> bool:
        """Whether the plan may have decided otherwise about what one of these tables holds, as the view shows it."""
        readers = [reader for target, reader in self.readers.items() if target in targets]
        return any(
            reader.queries.copy.source in self.decided or is_plan_outgrown(reader.on(view.main)) for reader in readers
        )

    def fed(self, table: QualifiedName, touched: Touched) -> list[KeyedRows]:
        """What is fed by these keys."""
        if touched.is_whole:
            return []
        return [
            self.keyed[target]
            for target in self.own.get(table, ())
            if target in self.keyed and self.keyed[target].names == touched.names
        ]


def feeds_of(
    scheme: Scheme,
    view: Snapshot,
    published: Sequence[QualifiedName],
    leaves: Mapping[QualifiedName, QualifiedName],
    tuning: Tuning,
) -> Feeds:
    """Asks the source whether keys are made of identities; reads no row."""
    tables = {(table.schema, table.name): table for table in scheme.source.tables}
    readers = {
        copy.target: reader_of(copy, view.main, scheme.widths[copy.target], tuning) for copy in scheme.copies
    }  # fmt: skip
    own: dict[QualifiedName, tuple[str, ...]] = {}
    mentions: dict[QualifiedName, tuple[Mention, ...]] = {}
    keyed, watched, decided, unpublished = {}, set(), set(), []
    users = {copy.source for copy in scheme.copies if copy.role == "users"}
    for copy in scheme.copies:
        own[copy.source] = (*own.get(copy.source, ()), copy.target)
        query, watching = base_query(copy), " ".join(copy.watched)
        others = [at for at in tables if at != copy.source and _name(at) in query]
        for at in others:
            speaks = _speaks_of(query, tables[at])
            mentions[at] = (*mentions.get(at, ()), Mention(copy.target, speaks))
        watched |= {at for at in tables if _name(at) in watching}
        decided |= _deciding(copy, users)
        if not {copy.source, *others} <= set(published):
            unpublished.append(copy.target)
        elif not _is_decoded(copy) and (rows := _keyed(copy, readers[copy.target], tables[copy.source], query)):
            keyed[copy.target] = rows
    return Feeds(
        readers, keyed, own, mentions, frozenset(watched), frozenset(decided), tuple(unpublished), leaves
    )  # fmt: skip


def _is_decoded(copy: TableCopy) -> bool:
    """Whether the plan has looked into every row."""
    return any(column.decode for column in copy.columns)


def _deciding(copy: TableCopy, users: set[QualifiedName]) -> set[QualifiedName]:
    """The tables of which any change may let the plan decide otherwise about other rows."""
    found = set()
    are_named = _is_decoded(copy) or any(_DECIDED in reject.where for reject in copy.rejects)
    if are_named or (copy.rejects and copy.role in ("users", "roles")):  # what hangs on these stays behind by name
        found.add(copy.source)
    if any(reject.decision == "on_duplicate" for reject in copy.rejects):
        found |= users  # whose addresses are verified says who may be merged
    return found


def _name(at: QualifiedName) -> str:
    return f"{quote(at[0])}.{quote(at[1])}"


def _speaks_of(query: str, table: SourceTable) -> bool:
    """Whether a query looks at more of another table than the columns of its primary key."""
    key = {name for one in table.keys if one.primary for name in one.columns}
    others = [re.escape(quote(column.name)) for column in table.columns if column.name not in key]
    return bool(others) and re.search(rf'(?<!\bs)(?<!"s")\.({"|".join(others)})', query) is not None


def _keyed(copy: TableCopy, reader: PostgresReader, table: SourceTable, query: str) -> KeyedRows | None:
    """By the primary key or, without one, the replica identity that is told in the log: a key with no nulls."""
    if query.count(_name(copy.source)) != 1:
        return None  # it looks at other rows of its own table
    types = {column.name: column.type for column in table.columns}
    for key in sorted(table.keys, key=lambda one: (not one.primary, one.name)):
        rows = KeyedRows(copy, reader, tuple((name, types[name]) for name in sorted(key.columns)))
        if rows.is_possible():
            return rows
    return None
