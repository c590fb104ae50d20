"""Two sorted streams of keys and digests, cut at the same keys and laid side by side."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from authstore.mover.batches import Digests, Keys, Pack, plain
from authstore.mover.stretches import Stretch
from authstore.mover.sync.remembered import Remembered


@dataclass(slots=True)
class Side:
    """One stream, from which rows are taken up to a key."""

    packs: Iterator[Pack]
    keys: Keys = field(default_factory=list)
    digests: Digests = field(default_factory=list)
    ended: bool = False

    def more(self) -> bool:
        """Reads one pack on; false at the end."""
        pack = next(self.packs, None)
        if pack is None:
            self.ended = True
            return False
        self.keys += pack[0]
        self.digests += pack[1]
        return True

    def reach(self, rows: int) -> None:
        """Reads until this many rows wait, or the end."""
        while len(self.keys) < rows and self.more():
            pass

    def take(self, last: Any) -> Pack:
        """The rows up to and with this key."""
        while not self.ended and (not self.keys or self.keys[-1] <= last):
            self.more()
        return self._cut(bisect_right(self.keys, last))

    def _cut(self, count: int) -> Pack:
        taken = self.keys[:count], self.digests[:count]
        del self.keys[:count], self.digests[:count]
        return taken


@dataclass(frozen=True, slots=True)
class Piece:
    """The rows of both sides between two keys; `stretch`: what the ledger says of the target's, if anything."""

    source: Pack
    target: Pack
    stretch: Stretch | None

    @property
    def is_same(self) -> bool:
        return self.source[1] == self.target[1] and self.source[0] == self.target[0]

    @property
    def is_as_moved(self) -> bool:
        """Whether the target's rows are those that a move put there."""
        return self.stretch.holds(self.target[1]) if self.stretch else not self.target[0]

    def changed(self) -> Keys:
        """Keys of the source's rows that the target has otherwise or not at all."""
        if self.source[0] == self.target[0]:
            return [key for key, new, old in zip(*self.source, self.target[1], strict=True) if new != old]
        have = dict(zip(*self.target, strict=True))
        return [key for key, digest in zip(*self.source, strict=True) if have.get(key) != digest]

    def gone(self) -> Keys:
        """Keys that only the target has."""
        if self.source[0] == self.target[0]:
            return []
        wanted = set(self.source[0])
        return [key for key in self.target[0] if key not in wanted]


def pieces(source: Iterable[Pack], target: Iterable[Pack], stretches: Sequence[Stretch], rows: int) -> Iterator[Piece]:
    """Both sides, cut where the ledger's stretches end, and behind those into pieces of so many `rows`."""
    left, right = Side(iter(source)), Side(iter(target))
    for stretch in stretches:
        last = plain(stretch.last_key)
        yield Piece(left.take(last), right.take(last), stretch)
    yield from _behind(left, right, rows)


def remembered_pieces(
    source: Iterable[Pack], remembered: Remembered, stretches: Sequence[Stretch], rows: int
) -> Iterator[Piece]:
    """As `pieces`, of a target whose every row is in a stretch."""
    left = Side(iter(source))
    for stretch in stretches:
        pack = left.take(plain(stretch.last_key))
        yield Piece(pack, remembered.pack(stretch, pack), stretch)
    yield from _behind(left, Side(iter(())), rows)


def _behind(left: Side, right: Side, rows: int) -> Iterator[Piece]:
    while True:
        left.reach(rows)
        right.reach(rows)
        ends = [side.keys[:rows][-1] for side in (left, right) if side.keys]
        if not ends:
            return
        last = min(ends) if len(ends) == 2 else ends[0]
        yield Piece(left.take(last), right.take(last), None)


def count_foreign(side: Side, stretches: Sequence[Stretch]) -> int:
    """Rows of the target in stretches that are not as a move left them."""
    foreign = 0
    for stretch in stretches:
        piece = Piece(([], []), side.take(plain(stretch.last_key)), stretch)
        foreign += 0 if piece.is_as_moved else max(1, abs(len(piece.target[0]) - stretch.rows))
    while side.more():
        pass
    return foreign + len(side.keys)
