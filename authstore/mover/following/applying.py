"""What the log says has changed, brought into the target: rows by their keys, or tables as a whole.

One transaction of the target holds the rows and the place in the log up to which they are there. A change that is
applied twice does no harm, for what is written is what the source holds now.
"""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import islice

from authstore.mover.batches import Batch, CannotOverwriteError
from authstore.mover.catalog import QualifiedName
from authstore.mover.errors import TargetError
from authstore.mover.following.feeds import Feeds
from authstore.mover.following.order import Order
from authstore.mover.postgres.replication.changes import Changes, Identity
from authstore.mover.postgres.replication.keyed import KeyedRows
from authstore.mover.postgres.snapshot import Snapshot
from authstore.mover.reports import Phase, ProgressEvent, TableEvent
from authstore.mover.sqlite.followed import FollowedFile
from authstore.mover.sqlite.writing import SqliteWriter
from authstore.mover.sync.equalise import FirstRead, Table, equalise
from authstore.mover.tuning import Tuning

_AT_ONCE = 5000  # keys in one question


@dataclass(slots=True)
class Applying:
    """`changed`: by the source's table, the keys that came since everything was compared; collected for the verdict of
    a cut-over alone. `compared`: tables that were compared as a whole since then."""

    order: Order
    target: FollowedFile
    feeds: Feeds
    changed: dict[QualifiedName, set[Identity]] | None = None
    compared: set[str] = field(default_factory=set)

    def apply(self, changes: Changes, view: Snapshot) -> None:
        """All of it, or, where a table's rows do not fit so, all but that table, which is stale then."""
        changes = self._rooted(changes)
        left: set[str] = set()
        while True:
            try:
                self._apply(changes, view, left)
                return
            except _MisfitError as error:
                left.add(error.table)

    def _rooted(self, changes: Changes) -> Changes:
        """Parts of partitioned tables are those tables here."""
        rooted = Changes(changes.until, changes.since, changes.rows, changes.transactions)
        for table, touched in changes:
            root = self.feeds.leaves.get(table, table)
            if root in rooted.tables:
                rooted.tables[root].join(touched)
            else:
                rooted.tables[root] = touched
        return rooted

    def _apply(self, changes: Changes, view: Snapshot, left: set[str]) -> None:
        stale, written, is_plan_old = self.target.stale | left, set[str](), self.target.is_plan_old or bool(left)
        with self.target.transaction():
            for table, touched in changes:
                stale |= self.feeds.stale(table, touched)
                is_plan_old |= self.feeds.is_decided_by(table, touched)
                for keyed in self.feeds.fed(table, touched):
                    if keyed.copy.target in stale:
                        continue
                    is_plan_old |= self._feed(keyed.on(view.main), touched.keys)
                    written.add(keyed.copy.target)
                    if self.changed is not None:
                        self.changed.setdefault(table, set()).update(touched.keys)
            self.target.note_changes(changes.until, written, stale, is_plan_old=is_plan_old)
        self.order.applied += changes.rows

    def _feed(self, keyed: KeyedRows, identities: set[Identity]) -> bool:
        """Whether the plan has to be made anew for one of the rows."""
        writer = SqliteWriter(self.target.connection, keyed.reader.layout)
        is_watched = False
        for some in _in_parts(identities):
            is_watched |= keyed.is_watched(some)
            batches = list(keyed.rows(some))
            there = {keyed.reader.layout.key_of(row) for batch in batches for row in batch.rows(0, len(batch))}
            gone = keyed.keys(some) - there
            if gone and not keyed.copy.is_told_apart:
                raise _MisfitError(keyed.copy.target)  # what stands there may be another row's
            writer.delete(gone)
            try:
                _write(writer, batches)
            except TargetError as error:
                raise _MisfitError(keyed.copy.target) from error
        return is_watched

    def equalise(self, table: str, view: Snapshot, meanwhile: Callable[[], None]) -> None:
        """Compares the table as a whole, and mends it; readers of the target see it before or after. `meanwhile`: is
        called every now and then. Raises `TargetError` where the target's rules forbid a row."""
        reader = self.feeds.readers[table].on(view.main)

        def say(phase: Phase, rows: int) -> None:
            self.order.heed_stop()
            meanwhile()
            self.order.emit(ProgressEvent(table, phase, rows, rows))

        tuning: Tuning = replace(self.order.tuning, most_keys=sys.maxsize)
        whole = Table(SqliteWriter(self.target.connection, reader.layout), self.target.ledger, say, tuning)
        outcome = equalise(whole, FirstRead(whole, reader), reader, judge=False)
        if self.target.connection.in_transaction:  # a small table waits for others
            self.target.connection.execute("COMMIT")
        self.compared.add(table)
        self.target.note_compared(table)
        if outcome.copied or outcome.deleted:
            self.order.applied += outcome.copied + outcome.deleted
            self.order.emit(TableEvent(table, "done", self.target.count(table), outcome.copied, outcome.deleted))


class _MisfitError(Exception):
    """Rows that the table does not take as it is. Never leaves this module."""

    def __init__(self, table: str) -> None:
        super().__init__(table)
        self.table = table


def _write(writer: SqliteWriter, batches: list[Batch]) -> None:
    """Row over row; where two exchange something unique, all go first and then come."""
    try:
        with writer.savepoint():
            for batch in batches:
                writer.overwrite(batch)
    except CannotOverwriteError:
        for batch in batches:
            writer.delete(writer.layout.key_of(row) for row in batch.rows(0, len(batch)))
        for batch in batches:
            writer.insert(batch)


def _in_parts(identities: set[Identity]) -> Iterator[list[Identity]]:
    rest = iter(sorted(identities))
    while some := list(islice(rest, _AT_ONCE)):
        yield some
