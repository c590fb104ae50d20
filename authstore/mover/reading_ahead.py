"""Reading ahead: a thread asks the source while the target is written.

psycopg waits and SQLite writes outside the interpreter's lock, so the two work side by side.
"""

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from itertools import cycle, islice
from queue import Empty, Full, Queue
from typing import Generic, Protocol, TypeVar

_Item = TypeVar("_Item")
_Table = TypeVar("_Table")
_Connection = TypeVar("_Connection")
_AHEAD = 4  # items


class ReadAhead(Generic[_Item]):
    """What `produce` yields, made in a thread of its own. Iterate it once, then close it."""

    def __init__(self, produce: Callable[[], Iterator[_Item]]) -> None:
        self._produce = produce
        self._queue: Queue[_Item | None] = Queue(_AHEAD)
        self._error: BaseException | None = None
        self._abandoned = threading.Event()
        self._thread = threading.Thread(target=self._run, name="authstore-read-ahead", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            for item in self._produce():
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


def read_tables_ahead(
    tables: Sequence[_Table], connections: Sequence[_Connection], begin: Callable[[_Table, _Connection], _Reading]
) -> Generator[tuple[_Table, _Reading, _Connection]]:
    """Each table in turn with its reading, which was begun as soon as a connection was free. To be closed."""
    waiting = zip(tables, cycle(connections), strict=False)
    ahead: deque[tuple[_Table, _Reading, _Connection]] = deque()
    try:
        while True:
            for table, connection in islice(waiting, len(connections) - len(ahead)):
                ahead.append((table, begin(table, connection), connection))
            if not ahead:
                return
            yield ahead[0]
            ahead.popleft()[1].close()
    finally:
        for _, reading, _ in ahead:
            reading.close()
