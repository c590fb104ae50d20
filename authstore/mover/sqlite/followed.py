"""A target while it is followed: written in place, and marked, so that nobody else opens it for writing."""

import json
from collections.abc import Collection, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

from authstore.backends.sqlite import file
from authstore.mover.batches import Key
from authstore.mover.layout import Layout
from authstore.mover.names import quote
from authstore.mover.sqlite.building import drop_triggers, own_triggers
from authstore.mover.sqlite.ledger import Ledger, notes_in
from authstore.mover.sqlite.queries import TargetQueries
from authstore.mover.sqlite.reading import row_digest, teach_digests


class FollowedFile:
    """An open target. What is noted belongs to the transaction of the rows that it is about."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.connection = file.connect(path, file.Connection)
        self.connection.execute("PRAGMA journal_mode = WAL").fetchall()
        for setting in ("foreign_keys = OFF", "synchronous = FULL", "cache_size = -32768"):
            self.connection.execute(f"PRAGMA {setting}").fetchall()
        teach_digests(self.connection)
        self.ledger = Ledger(self.connection)
        self._notes = self.ledger.notes()

    @property
    def notes(self) -> Mapping[str, str]:
        return self._notes

    @property
    def lsn(self) -> int:
        return int(self._notes.get("follow_lsn", "0"))

    @property
    def stale(self) -> set[str]:
        """Tables to be compared as a whole."""
        return set(json.loads(self._notes.get("follow_stale", "[]")))

    @property
    def changed(self) -> set[str]:
        """Tables whose stretches are no longer those of the ledger."""
        return set(json.loads(self._notes.get("follow_changed", "[]")))

    @property
    def is_plan_old(self) -> bool:
        return bool(self._notes.get("follow_plan"))

    def mark(self, slot: str, lsn: int) -> None:
        """From now on it is followed. What is written is no event of the store's: its triggers wait."""
        with self.transaction():
            drop_triggers(self.connection)
            self.note({"following": slot, "follow_lsn": str(lsn)})

    def note(self, notes: Mapping[str, str]) -> None:
        self.ledger.note(notes)
        self._notes = {**self._notes, **notes}

    def note_changes(
        self, lsn: int, changed: Collection[str], stale: Collection[str], *, is_plan_old: bool = False
    ) -> None:
        notes = {"follow_lsn": str(max(lsn, self.lsn))}
        if not self.changed >= set(changed):
            notes["follow_changed"] = json.dumps(sorted({*self.changed, *changed}))
        if self.stale != set(stale):
            notes["follow_stale"] = json.dumps(sorted(stale))
        if is_plan_old != self.is_plan_old:
            notes["follow_plan"] = "old" if is_plan_old else ""
        self.note(notes)

    def note_compared(self, table: str) -> None:
        """The table is what its source is, and its stretches are those of the ledger."""
        with self.transaction():
            self.note(
                {
                    "follow_changed": json.dumps(sorted(self.changed - {table})),
                    "follow_stale": json.dumps(sorted(self.stale - {table})),
                }
            )

    @contextmanager
    def transaction(self) -> Iterator[None]:
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")
            self._notes = self.ledger.notes()
            raise
        self.connection.execute("COMMIT")

    def differing(self, layout: Layout, wanted: Mapping[Key, str | None]) -> int:
        """How many rows are not as wanted: a digest as the source's are, or nothing where there must be no such row."""
        queries, count = TargetQueries(layout), 0
        statement = f"SELECT {queries.digested} FROM {queries.table} {queries.where_key}"
        for key, digest in wanted.items():
            row = self.connection.execute(statement, key).fetchone()
            count += (row_digest(row[0]) if row else None) != digest
        return count

    def make_triggers(self) -> None:
        """Those that waited."""
        have = {name for (name,) in self.connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")}
        for name, sql in own_triggers().items():
            if name not in have:
                self.connection.execute(sql)

    def count(self, table: str) -> int:
        return int(self.connection.execute(f"SELECT count(*) FROM {quote(table)}").fetchone()[0])

    def close(self) -> None:
        self.connection.close()


def absorb_followed(path: Path) -> bool:
    """Whether the file is marked as followed. What a killed follower left in its log is put into the file."""
    return "following" in notes_in(path)


@contextmanager
def opened_followed(path: Path) -> Iterator[FollowedFile]:
    """For the length of a block."""
    with closing(FollowedFile(path)) as opened:
        yield opened
