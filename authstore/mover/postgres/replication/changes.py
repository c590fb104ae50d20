"""What the log says has changed: keys, by table. Nothing else is kept of a change, for rows are read again."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from authstore.mover.catalog import QualifiedName

Identity = tuple[str, ...]  # the values of a row's replica identity, as text
_MOST = 50_000  # keys of one table that are listed; beyond it the table is compared as a whole


@dataclass(slots=True)
class Touched:
    """The rows of one table that changed. `names`: the columns of its replica identity; none: it has no usable one.

    `is_whole`: TRUNCATE, a table without a usable identity, or too many keys to list. `came`, `went`: rows were added
    or taken away, or changed their key.
    """

    names: tuple[str, ...]
    keys: set[Identity] = field(default_factory=set)
    is_whole: bool = False
    came: bool = False
    went: bool = False

    def add(self, key: Identity | None) -> None:
        if key is None:
            self.is_whole = True
        elif not self.is_whole:
            self.keys.add(key)
            self.is_whole = len(self.keys) > _MOST
        if self.is_whole:
            self.keys.clear()

    def join(self, later: "Touched") -> None:
        self.is_whole |= later.is_whole or self.names != later.names
        self.came |= later.came
        self.went |= later.went
        for key in later.keys:
            self.add(key)
        if self.is_whole:
            self.keys.clear()


@dataclass(slots=True)
class Changes:
    """What some transactions changed. `until`: the end of the last one in the log. `since`: when the first was
    committed, in seconds of the epoch; 0 where there is none. `transactions`: their numbers, of 32 bits: the log may
    tell of one that a new snapshot does not show yet."""

    until: int = 0
    since: float = 0.0
    rows: int = 0
    transactions: set[int] = field(default_factory=set)
    tables: dict[QualifiedName, Touched] = field(default_factory=dict)

    def touched(self, table: QualifiedName, names: tuple[str, ...]) -> Touched:
        if (found := self.tables.get(table)) is None:
            found = self.tables[table] = Touched(names)
        return found

    def join(self, later: "Changes") -> None:
        self.until = max(self.until, later.until)
        self.since = self.since or later.since
        self.rows += later.rows
        self.transactions |= later.transactions
        for table, touched in later.tables.items():
            if table in self.tables:
                self.tables[table].join(touched)
            else:
                self.tables[table] = touched

    def __iter__(self) -> Iterator[tuple[QualifiedName, Touched]]:
        return iter(self.tables.items())
