"""Rows on their way: batches of them, and packs of their keys and digests."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Self

PACK = 1000  # rows

Key = tuple[Any, ...]
Keys = list[Any]  # of a key of one column its values, else tuples
Digests = list[str]  # of rows, in hexadecimal digits
Pack = tuple[Keys, Digests]


class CannotOverwriteError(Exception):
    """Two rows exchange something unique, or the key has no unique index of its own. Never leaves the mover."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows as the source gave them, value behind value, and their digests.

    In one list: thousands of tuples that wait for their turn would keep the garbage collector busy.
    """

    digests: list[str]
    values: list[Any]
    last: tuple[Any, ...]  # row, without its digest

    @classmethod
    def of(cls, flat: list[Any], last: tuple[Any, ...]) -> Self:
        """`flat`: whole rows, each with its digest first; it is used up. `last`: the last of them."""
        digests = flat[:: len(last)]
        del flat[:: len(last)]
        return cls(digests, flat, last[1:])

    def __len__(self) -> int:
        return len(self.digests)

    @property
    def width(self) -> int:
        """Of a row, in `values`."""
        return len(self.last)

    def rows(self, first: int, end: int, together: int = 1) -> Iterator[list[Any]]:
        """The rows from `first` to before `end`, so many of them in one list."""
        width = self.width
        for start in range(first * width, end * width, together * width):
            yield self.values[start : start + together * width]

    def drop(self, at: int) -> None:
        """Takes a row out."""
        del self.digests[at]
        del self.values[at * self.width : (at + 1) * self.width]


@dataclass(frozen=True, slots=True)
class LineBatch(Batch):
    """Rows of which there is one value together: their lines as PostgreSQL's COPY reads them, each with its end."""

    def lines(self, first: int, end: int) -> bytes:
        """Of the rows from `first` to before `end`."""
        if end - first == len(self):
            return bytes(self.values[0])
        return b"".join(self.values[0].splitlines(keepends=True)[first:end])

    def drop(self, at: int) -> None:
        self.values[0] = self.lines(0, at) + self.lines(at + 1, len(self))
        del self.digests[at]


def pack(batch: Sequence[tuple[Any, ...]]) -> tuple[Keys, list[Any]]:
    """Rows of a key and one value more, taken apart."""
    if len(batch[0]) == 2:
        flat = list(chain.from_iterable(batch))
        return flat[::2], flat[1::2]
    return [row[:-1] for row in batch], [row[-1] for row in batch]


def whole(key: Any) -> Key:
    """A key as a tuple, whatever its number of columns."""
    return key if isinstance(key, tuple) else (key,)


def plain(key: Key) -> Any:
    """A key as `Keys` have it."""
    return key[0] if len(key) == 1 else key
