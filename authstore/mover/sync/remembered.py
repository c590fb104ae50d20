"""The target's side as the ledger has it: for a file that nobody has written to since."""

from collections.abc import Iterator
from itertools import islice
from typing import Any

from authstore.mover.batches import Digests, Keys, Pack, whole
from authstore.mover.stretches import Stretch
from authstore.mover.sync.sides import StretchLedger, Writer


class Remembered:
    """One table. Its keys are read only where it is not certain that they are the source's."""

    def __init__(self, writer: Writer, ledger: StretchLedger) -> None:
        self._writer = writer
        self._ledger = ledger
        self._keys: Iterator[Any] | None = None
        self._passed = 0  # keys that nobody has read

    def pack(self, stretch: Stretch, source: Pack) -> Pack:
        """The rows of a stretch, of which the source has these now."""
        digests = self._ledger.digests(self._writer.layout.table, stretch.number)
        if self._is_aligned(source, digests):
            self._passed += stretch.rows
            return source[0], digests
        return self._read(stretch.rows), digests

    def _is_aligned(self, source: Pack, digests: Digests) -> bool:
        """Whether the stretch has the source's keys, told without reading them.

        A digest speaks of the key too. So where both sides have as many rows, and the target every key whose row
        differs, those are the keys of just as many rows that differ there.
        """
        if len(source[1]) != len(digests):
            return False
        differing = (key for key, new, old in zip(*source, digests, strict=True) if new != old)
        return all(self._writer.has(whole(key)) for key in differing)

    def _read(self, count: int) -> Keys:
        if self._keys is None:
            self._keys = self._writer.keys()
        found = list(islice(self._keys, self._passed, self._passed + count))
        self._passed = 0
        return found
