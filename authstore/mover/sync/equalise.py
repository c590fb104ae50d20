"""Making one table equal: what is not there is copied, what differs is copied again, what is gone is deleted."""

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

from authstore.mover.batches import STRETCH, Batch, Key, Keys, Pack, whole
from authstore.mover.names import quote
from authstore.mover.postgres.connection import SourceConnection
from authstore.mover.postgres.reading import rows_in_batches, source_packs
from authstore.mover.reading_ahead import ReadAhead
from authstore.mover.reports import Phase
from authstore.mover.rows import Rows
from authstore.mover.sqlite.building import drop_indexes
from authstore.mover.sqlite.connection import TargetConnection
from authstore.mover.sqlite.ledger import Ledger, Stretch
from authstore.mover.sqlite.reading import target_packs
from authstore.mover.sqlite.remembered import Remembered
from authstore.mover.sqlite.writing import CannotOverwriteError, Writer
from authstore.mover.sync.pieces import Piece, pieces, remembered_pieces

COMMIT_ROWS = 50_000
MOST_KEYS = 100_000  # that differ; beyond it the table is copied anew

Say = Callable[[Phase, int], None]


@dataclass(slots=True)
class Outcome:
    """What became of a table. `foreign`: rows that somebody else than a move changed in the target."""

    copied: int = 0
    deleted: int = 0
    foreign: int = 0


@dataclass(slots=True)
class Table:
    """A table of the building and the queries of its rows."""

    building: TargetConnection
    ledger: Ledger
    rows: Rows
    width: int
    say: Say
    keeps_referred: bool = False  # rows that only the target has stay where others refer to them
    is_sealed: bool = False  # the file is as the last move left it: its rows are those of the ledger
    outcome: Outcome = field(default_factory=Outcome)

    @property
    def name(self) -> str:
        return self.rows.copy.target


class FirstRead:
    """The first thing that a table needs of the source, begun ahead of its turn."""

    def __init__(self, table: Table, connection: SourceConnection) -> None:
        self._is_whole = table.ledger.is_whole(table.name)
        self._last = _last_key(table)
        self.packs: ReadAhead[Pack] | None = None
        self.batches: ReadAhead[Batch] | None = None
        if self._is_whole:
            self.packs = source_packs(table.rows, connection)
        else:
            self.batches = rows_behind(table, connection, self._last)

    def close(self) -> None:
        for feed in (self.packs, self.batches):
            if feed is not None:
                feed.close()


def rows_behind(table: Table, connection: SourceConnection, after: Key | None) -> ReadAhead[Batch]:
    """The rows behind a key, or all."""
    query = table.rows.all_rows(after is not None)
    return rows_in_batches(connection, query, after or (), width=table.width, most=STRETCH)


def _last_key(table: Table) -> Key | None:
    stretches = table.ledger.stretches(table.name)
    return stretches[-1].last_key if stretches else None


def equalise(table: Table, first: FirstRead, connection: SourceConnection, *, judge: bool) -> Outcome:
    """`judge`: the target may hold what no move put there; then it is counted, and nothing is changed."""
    before = table.ledger.stretches(table.name)
    if first.batches is not None:
        copy_rows(table, first.batches, before[-1].number + 1 if before else 0)
        if not before:
            return table.outcome
        packs = source_packs(table.rows, connection, before[-1].last_key)
        until: Key | None = before[-1].last_key
    else:
        packs, until = first.packs or source_packs(table.rows, connection), None
    _mend(table, packs, connection, Compared(before, until, judge))
    return table.outcome


def copy_rows(table: Table, batches: ReadAhead[Batch], number: int) -> None:
    """Rows behind everything there, with their ledger, in transactions of some tens of thousands."""
    writer = Writer(table.building, table.rows)
    waiting = 0
    with closing(batches):
        for batch in batches:
            if not waiting:
                table.building.execute("BEGIN IMMEDIATE")
            _write(table, writer, batch, number)
            number += 1
            waiting += len(batch)
            if waiting >= COMMIT_ROWS or len(batch) < STRETCH:
                table.building.execute("COMMIT")
                waiting = 0
    if not waiting:
        table.building.execute("BEGIN IMMEDIATE")
    table.ledger.set_table(table.name, table.rows.target_digests, is_whole=True)
    table.building.execute("COMMIT")


def _write(table: Table, writer: Writer, batch: Batch, number: int) -> None:
    writer.insert(batch)
    table.ledger.put(table.name, number, table.rows.key_of(batch.last), batch.digests)
    table.outcome.copied += len(batch)
    table.say("copy", table.outcome.copied)


@dataclass(frozen=True, slots=True)
class Compared:
    """What of a table is compared: the ledger's stretches, and everything up to a key (None: all)."""

    stretches: list[Stretch]
    until: Key | None
    judge: bool


@dataclass(slots=True)
class Difference:
    """What differs, by key. `beyond`: too much to list."""

    changed: Keys = field(default_factory=list)
    gone: Keys = field(default_factory=list)
    beyond: bool = False

    def add(self, piece: Piece) -> None:
        if not piece.is_same and not self.beyond:
            self.changed += piece.changed()
            self.gone += piece.gone()
            self.beyond = len(self.changed) + len(self.gone) > MOST_KEYS


def _mend(table: Table, packs: ReadAhead[Pack], connection: SourceConnection, compared: Compared) -> None:
    """Compares, and mends what differs, in one transaction with the ledger."""
    table.building.execute("BEGIN IMMEDIATE")
    with closing(packs):
        difference = find_difference(table, packs, compared)
    if table.outcome.foreign or difference.beyond:
        table.building.execute("ROLLBACK")
    else:
        _apply(table, difference, connection)
        table.building.execute("COMMIT")
    if difference.beyond and not table.outcome.foreign:
        copy_anew(table, connection)


def find_difference(table: Table, packs: ReadAhead[Pack], compared: Compared) -> Difference:
    """Compares with the source. Of the file only the ledger is changed: it speaks of the source's rows now."""
    found, seen = Difference(), 0
    for piece in _pieces(table, packs, compared):
        found.add(piece)
        if compared.judge and not piece.is_as_moved:
            table.outcome.foreign += 0 if piece.is_same else max(1, len(piece.changed()) + len(piece.gone()))
        elif found.beyond and not compared.judge:
            break
        _note(table, piece)
        seen += len(piece.source[0])
        table.say("compare", seen)
    return found


def _note(table: Table, piece: Piece) -> None:
    keys, digests = piece.source
    if piece.stretch is not None:
        if not piece.stretch.holds(digests):
            table.ledger.put(table.name, piece.stretch.number, piece.stretch.last_key, digests)
    elif keys:
        table.ledger.put(table.name, table.ledger.next_number(table.name), whole(keys[-1]), digests)


def _pieces(table: Table, packs: ReadAhead[Pack], compared: Compared) -> Iterator[Piece]:
    if table.is_sealed:
        return remembered_pieces(packs, Remembered(table.building, table.rows, table.ledger), compared.stretches)
    have = target_packs(table.building, table.rows.target_digests)
    return pieces(packs, _until(have, compared.until), compared.stretches)


def _until(packs: Iterator[Pack], last: Key | None) -> Iterator[Pack]:
    for keys, digests in packs:
        if last is None or whole(keys[-1]) <= last:
            yield keys, digests
            continue
        inside = sum(1 for key in keys if whole(key) <= last)
        if inside:
            yield keys[:inside], digests[:inside]
        return


def _apply(table: Table, difference: Difference, connection: SourceConnection) -> None:
    writer = Writer(table.building, table.rows)
    writer.delete((whole(key) for key in difference.gone), unless_referred_to=table.keeps_referred)
    if difference.changed:
        table.outcome.copied += _replace(table, writer, difference.changed, connection)
    table.outcome.deleted += len(difference.gone)


def _replace(table: Table, writer: Writer, keys: Keys, connection: SourceConnection) -> int:
    """Row over row; where two rows exchange something unique, all go first and then come."""
    table.building.execute("SAVEPOINT replacing")
    try:
        return _write_wanted(table, keys, connection, writer.upsert)
    except CannotOverwriteError:
        table.building.execute("ROLLBACK TO replacing")
    writer.delete(whole(key) for key in keys)
    return _write_wanted(table, keys, connection, writer.insert)


def _write_wanted(table: Table, keys: Keys, connection: SourceConnection, write: Callable[[Batch], None]) -> int:
    count = 0
    with closing(_wanted_rows(table, keys, connection)) as batches:
        for batch in batches:
            write(batch)
            count += len(batch)
    return count


def _wanted_rows(table: Table, keys: Keys, connection: SourceConnection) -> ReadAhead[Batch]:
    columns: list[Any] = [list(column) for column in zip(*(whole(key) for key in keys), strict=True)]
    query = table.rows.some_rows()
    return rows_in_batches(connection, query, tuple(columns), width=table.width, most=STRETCH)


def copy_anew(table: Table, connection: SourceConnection) -> None:
    """So much differs that copying everything is cheaper."""
    count = table.building.execute(f"SELECT count(*) FROM {quote(table.name)}").fetchone()[0]
    table.building.execute("BEGIN IMMEDIATE")
    drop_indexes(table.building, table.rows.copy)
    table.building.execute(f"DELETE FROM {quote(table.name)}")
    table.ledger.forget(table.name, table.rows.target_digests)
    table.building.execute("COMMIT")
    table.outcome.copied = 0
    copy_rows(table, rows_behind(table, connection, None), 0)
    table.outcome.deleted = max(0, count - table.outcome.copied)
