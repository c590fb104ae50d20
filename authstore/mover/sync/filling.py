"""Filling the tables of a PostgreSQL from a file: each made equal, and what the server made of its values looked at."""

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Any

from authstore.mover.batches import Keys, plain
from authstore.mover.errors import MoveStoppedError, TargetError
from authstore.mover.postgres.spelling import is_same
from authstore.mover.postgres.target_ledger import PostgresLedger
from authstore.mover.postgres.writing import PostgresWriter, WritingTransaction
from authstore.mover.rebuilding.incoming import Incoming
from authstore.mover.reports import Event, Phase, ProgressEvent, TableEvent
from authstore.mover.sqlite.copy_lines import has_lines
from authstore.mover.sqlite.source import SqliteSource
from authstore.mover.sqlite.source_reading import SqliteReader
from authstore.mover.sync.equalise import FirstRead, Outcome, Table, copy_anew, equalise
from authstore.mover.sync.pieces import Side
from authstore.mover.tuning import Tuning

Emit = Callable[[Event], None]


def _kept(_tables: Sequence[Incoming]) -> None:
    """Nobody waits for them."""


@dataclass(slots=True)
class Filling:
    """Fills tables of one schema. `judges`: rows that no move put there are counted, and nothing is changed then;
    `keeps_referred`: rows that only the target has stay where others refer to them."""

    source: SqliteSource
    transaction: WritingTransaction
    ledger: PostgresLedger
    schema: str
    emit: Emit
    stop: threading.Event
    tuning: Tuning
    judges: bool = False
    keeps_referred: bool = False
    proves: bool = False
    outcomes: dict[str, Outcome] = field(default_factory=dict)

    def fill(
        self,
        tables: Iterable[Incoming],
        rows: Mapping[str, int],
        hand_over: Callable[[Sequence[Incoming]], None] = _kept,
    ) -> None:
        """Table after table. `hand_over`: is given those that nothing more is written to, once that is committed."""
        done: list[Incoming] = []
        for one in tables:
            self._heed_stop()
            self.emit(TableEvent(one.target, "begin", rows[one.target]))
            writer, outcome = self._fill_one(one, rows[one.target])
            self.outcomes[one.target] = outcome
            if not outcome.foreign:
                self._settle(one, writer)
            found = sum(stretch.rows for stretch in self.ledger.stretches(one.target))
            self.emit(TableEvent(one.target, "done", found, outcome.copied, outcome.deleted))
            done.append(one)
            if outcome.copied >= self.tuning.small_rows:
                self.transaction.end()
            if not self.transaction.is_open:
                hand_over(done)
                done = []
        self.transaction.end()
        hand_over(done)

    def reader(self, one: Incoming, *, gives_lines: bool = False) -> SqliteReader:
        """The table in the file, as the server is known to take it."""
        spelled = self.ledger.spellings(one.target)
        connection, tuning = self.source.connection, self.tuning
        never_null = {column.name for column in one.file.columns if column.not_null}
        return SqliteReader(one.layout, connection, tuning, one.kept, one.is_numbered, spelled, gives_lines, never_null)

    def _fill_one(self, one: Incoming, rows: int) -> tuple[PostgresWriter, Outcome]:
        writer, table = self._table(one, rows)
        reader = self.reader(one, gives_lines=writer.is_plain and has_lines(one.layout))
        outcome = equalise(table, FirstRead(table, reader), reader, judge=self.judges)
        self._note_refused(one, writer)
        return writer, outcome

    def _table(self, one: Incoming, rows: int) -> tuple[PostgresWriter, Table]:
        def say(phase: Phase, done: int) -> None:
            self._heed_stop()
            self.emit(ProgressEvent(one.target, phase, done, rows))

        writer = PostgresWriter(self.transaction, one.in_schema(self.schema))
        # Rows that only their place in an order tells apart cannot be mended one by one.
        tuning = replace(self.tuning, most_keys=0) if one.is_numbered else self.tuning
        return writer, Table(writer, self.ledger, say, tuning, self.keeps_referred)

    def _note_refused(self, one: Incoming, writer: PostgresWriter) -> None:
        if writer.refused:
            writer.begin(joining=True)
            self.ledger.note_spellings(one.target, dict.fromkeys(writer.refused), writer.refused)

    def _settle(self, one: Incoming, writer: PostgresWriter) -> None:
        """Rows that the server spells otherwise are looked at; from then on they are known by both spellings."""
        if one.is_own and not self.proves:
            return
        writer.begin(joining=True)
        changed = Settling(one, writer, self.ledger, self.reader(one)).settle()
        if changed and one.is_numbered:
            _, table = self._table(one, 0)
            copy_anew(table, self.reader(one))
            self._settle(one, writer)

    def _heed_stop(self) -> None:
        if self.stop.is_set():
            raise MoveStoppedError("stopped", hint="run the same command again to go on")


@dataclass(slots=True)
class Settling:
    """One table, read back and compared with what the file's digests say."""

    one: Incoming
    writer: PostgresWriter
    ledger: PostgresLedger
    reader: SqliteReader

    def settle(self) -> bool:
        """Whether rows were found whose values the server would change: they are gone from the target then.

        Raises `TargetError` where authstore's own rows do not read as the file has them.
        """
        name, changed = self.one.target, False
        side = Side(self.writer.packs())
        for stretch in self.ledger.stretches(name):
            keys, digests = side.take(plain(stretch.last_key))
            if stretch.holds(digests):
                continue
            wanted = self.ledger.digests(name, stretch.number)
            if self.one.is_own or len(wanted) != len(digests):
                raise TargetError(f"rows of {name} do not read as the file has them")
            pairs = zip(keys, wanted, digests, strict=True)
            differing = {key: (there, here) for key, there, here in pairs if there != here}
            bad = self._judge(differing)
            changed |= bool(bad)
            kept = [here for key, here in zip(keys, digests, strict=True) if key not in bad]
            self.ledger.put(name, stretch.number, stretch.last_key, kept)
        return changed

    def _judge(self, differing: Mapping[Any, tuple[str, str]]) -> set[Any]:
        """The keys of rows whose values the server would change."""
        ours, theirs = self._ours(list(differing)), self.writer.values(list(differing))
        reasons: dict[str, str] = {}
        bad = set()
        for key, (there, _) in differing.items():
            if column := self._changed(ours[key], theirs[key]):
                bad.add(key)
                reasons[there] = f'column "{column}" would not keep its value'
        spelt = {there: None if key in bad else here for key, (there, here) in differing.items()}
        self.ledger.note_spellings(self.one.target, spelt, reasons)
        if not self.one.is_numbered:
            self.writer.delete([key if isinstance(key, tuple) else (key,) for key in bad])
        return bad

    def _ours(self, keys: Keys) -> dict[Any, Any]:
        """The file's rows with these keys."""
        wanted, layout = set(keys), self.one.layout
        width = layout.width
        found = {}
        with closing(self.reader.rows() if self.one.is_numbered else self.reader.some_rows(keys)) as batches:
            for batch in batches:
                for start in range(0, len(batch.values), width):
                    row = batch.values[start : start + width]
                    if (key := plain(layout.key_of(row))) in wanted:
                        found[key] = row
        return found

    def _changed(self, ours: Any, theirs: Any) -> str:
        """The first column whose value is another now."""
        layout = self.one.layout
        for number, column in enumerate(layout.columns):
            at, other = layout.first[number], layout.other.get(number)
            mine, yours = ours[at], theirs[at]
            if other is not None and mine is None:
                mine, yours = ours[other], theirs[other]
            reading, base = self.one.readings.get(column.name, ("integer", ""))
            if mine != yours and not is_same(reading, base, mine, yours):
                return column.name
        return ""
