"""Reading ahead: a thread asks the source while the target is written.

psycopg waits and SQLite writes outside the interpreter's lock, so the two work side by side.
"""

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from queue import Empty, Full, Queue
from typing import Any, Generic, Protocol, Self, TypeVar

from authstore.mover.link import Link, translated

_Item = TypeVar("_Item")
_Table = TypeVar("_Table")
_AHEAD = 4  # items
LINKS = 3  # tables that are read at the same time: while the source sorts a big one, small ones are written


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

    def rows(self, first: int, end: int, together: int = 1) -> Iterator[list[Any]]:
        """The rows from `first` to before `end`, so many of them in one list."""
        width = len(self.last)
        for start in range(first * width, end * width, together * width):
            yield self.values[start : start + together * width]


class Feed(Generic[_Item]):
    """What `produce` yields, made in a thread of its own. Iterate it once, then close it."""

    def __init__(self, produce: Callable[[Link], Iterator[_Item]], link: Link) -> None:
        self._produce = produce
        self._link = link
        self._queue: Queue[_Item | None] = Queue(_AHEAD)
        self._error: BaseException | None = None
        self._abandoned = threading.Event()
        self._thread = threading.Thread(target=self._run, name="authstore-feed", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            with translated():
                for item in self._produce(self._link):
                    if not self._put(item):
                        return
        except BaseException as error:  # noqa: BLE001  # raised again where the feed is read
            self._error = error
        self._put(None)

    def _put(self, item: _Item | None) -> bool:
        while not self._abandoned.is_set():
            try:
                self._queue.put(item, timeout=0.2)
            except Full:
                continue
            return True
        return False

    def __iter__(self) -> Iterator[_Item]:
        while (item := self._queue.get()) is not None:
            yield item
        if self._error is not None:
            raise self._error

    def close(self) -> None:
        """Ends the thread; what it had read is dropped."""
        self._abandoned.set()
        while self._thread.is_alive():
            self._drain()
            self._thread.join(0.05)

    def _drain(self) -> None:
        try:
            while True:
                self._queue.get_nowait()
        except Empty:
            return


class Closable(Protocol):
    """What is being read."""

    def close(self) -> None: ...


_Reading = TypeVar("_Reading", bound=Closable)


def read_ahead(
    tables: Sequence[_Table], links: Sequence[Link], begin: Callable[[_Table, Link], _Reading]
) -> Generator[tuple[_Table, _Reading, Link]]:
    """Each table in turn with its reading, which was begun as soon as a link was free. To be closed."""
    waiting = zip(tables, cycle(links), strict=False)
    ahead: deque[tuple[_Table, _Reading, Link]] = deque()
    try:
        while True:
            for table, link in islice(waiting, len(links) - len(ahead)):
                ahead.append((table, begin(table, link), link))
            if not ahead:
                return
            yield ahead[0]
            ahead.popleft()[1].close()
    finally:
        for _, reading, _ in ahead:
            reading.close()


def rows_in_batches(
    query: str, parameters: tuple[Any, ...], *, width: int, most: int
) -> Callable[[Link], Iterator[Batch]]:
    """A query's rows, at most `most` (and about 8 MB) at a time. `width`: bytes of a row, roughly."""
    size = max(1, min(1000, 1_000_000 // max(1, width)))
    batch_rows = max(1, min(most, 8_000_000 // max(1, width)))

    def produce(link: Link) -> Iterator[Batch]:
        flat: list[Any] = []
        row: tuple[Any, ...] = ()
        waiting = weight = 0
        with link.cursor(binary=True) as cursor:
            for row in cursor.stream(query.encode(), parameters or None, size=size):
                flat += row
                waiting += 1
                weight += 0 if size == 1000 else _weight(row)
                if waiting >= batch_rows or weight > 8_000_000:
                    yield Batch.of(flat, row)
                    flat, waiting, weight = [], 0, 0
        if flat:
            yield Batch.of(flat, row)

    return produce


def _weight(row: tuple[Any, ...]) -> int:
    return sum(len(value) for value in row if isinstance(value, str | bytes))
