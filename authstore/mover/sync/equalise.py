"""Making one table equal: what is not there is copied, what differs is copied again, what is gone is deleted."""

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field

from authstore.mover.batches import Batch, CannotOverwriteError, Key, Keys, Pack, whole
from authstore.mover.reading_ahead import ReadAhead
from authstore.mover.reports import Phase
from authstore.mover.stretches import Stretch
from authstore.mover.sync.pieces import Piece, pieces, remembered_pieces
from authstore.mover.sync.remembered import Remembered
from authstore.mover.sync.sides import Reader, StretchLedger, Writer
from authstore.mover.tuning import Tuning

Say = Callable[[Phase, int], None]


@dataclass(slots=True)
class Outcome:
    """What became of a table. `foreign`: rows that somebody else than a move changed in the target."""

    copied: int = 0
    deleted: int = 0
    foreign: int = 0


@dataclass(slots=True)
class Table:
    """A table of the target: how it is written, and what is known of it."""

    writer: Writer
    ledger: StretchLedger
    say: Say
    tuning: Tuning
    keeps_referred: bool = False  # rows that only the target has stay where others refer to them
    is_sealed: bool = False  # the file is as the last move left it: its rows are those of the ledger
    outcome: Outcome = field(default_factory=Outcome)

    @property
    def name(self) -> str:
        return self.writer.layout.table


class FirstRead:
    """The first thing that a table needs of the source, begun ahead of its turn."""

    def __init__(self, table: Table, reader: Reader) -> None:
        self.packs: ReadAhead[Pack] | None = None
        self.batches: ReadAhead[Batch] | None = None
        if table.ledger.is_whole(table.name):
            self.packs = reader.packs()
        else:
            stretches = table.ledger.stretches(table.name)
            self.batches = reader.rows(stretches[-1].last_key if stretches else None)

    def close(self) -> None:
        for reading in (self.packs, self.batches):
            if reading is not None:
                reading.close()


def equalise(table: Table, first: FirstRead, reader: Reader, *, judge: bool) -> Outcome:
    """`judge`: the target may hold what no move put there; then it is counted, and nothing is changed."""
    before = table.ledger.stretches(table.name)
    until: Key | None = None
    if first.batches is not None:
        copy_rows(table, first.batches, before[-1].number + 1 if before else 0)
        if not before:
            return table.outcome
        until = before[-1].last_key
    _mend(table, first.packs or reader.packs(until), reader, Compared(before, until, judge))
    return table.outcome


def copy_rows(table: Table, batches: ReadAhead[Batch], number: int) -> None:
    """Rows behind everything there, with their ledger, in transactions of some tens of thousands.

    A small table waits in its transaction for the next ones: to put something onto the disk takes as long for one row
    as for thousands.
    """
    waiting = batches_waiting = 0
    most_batches = max(1, table.tuning.commit_rows // table.tuning.stretch_rows)  # of few rows where rows are wide
    with closing(batches):
        for batch in batches:
            table.writer.begin(joining=True)
            _write(table, batch, number)
            number += 1
            waiting += len(batch)
            batches_waiting += 1
            if waiting >= table.tuning.commit_rows or batches_waiting >= most_batches:
                table.writer.commit()
                waiting = batches_waiting = 0
    table.writer.begin(joining=True)
    table.ledger.set_table(table.name, table.writer.digest_query, is_whole=True)
    if table.outcome.copied >= table.tuning.small_rows:
        table.writer.commit()


def _write(table: Table, batch: Batch, number: int) -> None:
    table.writer.insert(batch)
    table.ledger.put(table.name, number, table.writer.layout.key_of(batch.last), batch.digests)
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
    """What differs, by key. `beyond`: more than `most`, too much to list."""

    most: int
    changed: Keys = field(default_factory=list)
    gone: Keys = field(default_factory=list)
    beyond: bool = False

    def add(self, piece: Piece) -> None:
        if not piece.is_same and not self.beyond:
            self.changed += piece.changed()
            self.gone += piece.gone()
            self.beyond = len(self.changed) + len(self.gone) > self.most


def _mend(table: Table, packs: ReadAhead[Pack], reader: Reader, compared: Compared) -> None:
    """Compares, and mends what differs, in one transaction with the ledger."""
    table.writer.begin()
    with closing(packs):
        difference = find_difference(table, packs, compared)
    if table.outcome.foreign or difference.beyond:
        table.writer.rollback()
    else:
        _apply(table, difference, reader)
        table.writer.commit()
    if difference.beyond and not table.outcome.foreign:
        copy_anew(table, reader)


def find_difference(table: Table, packs: ReadAhead[Pack], compared: Compared) -> Difference:
    """Compares with the source. Of the file only the ledger is changed: it speaks of the source's rows now."""
    found, seen = Difference(table.tuning.most_keys), 0
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
    rows = table.tuning.stretch_rows
    if table.is_sealed:
        return remembered_pieces(packs, Remembered(table.writer, table.ledger), compared.stretches, rows)
    return pieces(packs, _until(table.writer.packs(), compared.until), compared.stretches, rows)


def _until(packs: Iterator[Pack], last: Key | None) -> Iterator[Pack]:
    for keys, digests in packs:
        if last is None or whole(keys[-1]) <= last:
            yield keys, digests
            continue
        inside = sum(1 for key in keys if whole(key) <= last)
        if inside:
            yield keys[:inside], digests[:inside]
        return


def _apply(table: Table, difference: Difference, reader: Reader) -> None:
    gone = (whole(key) for key in difference.gone)
    table.writer.delete(gone, unless_referred_to=table.keeps_referred)
    if difference.changed:
        table.outcome.copied += _replace(table.writer, difference.changed, reader)
    table.outcome.deleted += len(difference.gone)


def _replace(writer: Writer, keys: Keys, reader: Reader) -> int:
    """Row over row; where two rows exchange something unique, all go first and then come."""
    try:
        with writer.savepoint():
            return _write_wanted(reader.some_rows(keys), writer.overwrite)
    except CannotOverwriteError:
        writer.delete(whole(key) for key in keys)
        return _write_wanted(reader.some_rows(keys), writer.insert)


def _write_wanted(wanted: ReadAhead[Batch], write: Callable[[Batch], None]) -> int:
    count = 0
    with closing(wanted) as batches:
        for batch in batches:
            write(batch)
            count += len(batch)
    return count


def copy_anew(table: Table, reader: Reader) -> None:
    """So much differs that copying everything is cheaper."""
    count = table.writer.count()
    table.writer.begin()
    table.writer.clear()
    table.ledger.forget(table.name, table.writer.digest_query)
    table.writer.commit()
    table.outcome.copied = 0
    copy_rows(table, reader.rows(), 0)
    table.outcome.deleted = max(0, count - table.outcome.copied)
