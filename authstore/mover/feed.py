"""Reading ahead: a thread asks the source while the target is written.

psycopg waits and SQLite writes outside the interpreter's lock, so the two work side by side.
"""

import threading
from collections.abc import Callable, Iterator
from queue import Empty, Full, Queue
from typing import Any, Generic, TypeVar

from authstore.mover.link import Link, translated

_Item = TypeVar("_Item")
_AHEAD = 4  # items

Batch = list[tuple[Any, ...]]


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


def rows_in_batches(
    query: str, parameters: tuple[Any, ...], *, width: int, most: int
) -> Callable[[Link], Iterator[Batch]]:
    """A query's rows, at most `most` (and about 8 MB) at a time. `width`: bytes of a row, roughly."""
    size = max(1, min(1000, 1_000_000 // max(1, width)))
    batch_rows = max(1, min(most, 8_000_000 // max(1, width)))

    def produce(link: Link) -> Iterator[Batch]:
        batch: Batch = []
        weight = 0
        with link.cursor(binary=True) as cursor:
            for row in cursor.stream(query.encode(), parameters or None, size=size):
                batch.append(row)
                weight += 0 if size == 1000 else _weight(row)
                if len(batch) >= batch_rows or weight > 8_000_000:
                    yield batch
                    batch, weight = [], 0
        if batch:
            yield batch

    return produce


def _weight(row: tuple[Any, ...]) -> int:
    return sum(len(value) for value in row if isinstance(value, str | bytes))
