"""The source's log, read in a thread of its own: whatever the target is busy with, the server gets its answers."""

import threading
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager

from authstore.mover.catalog import QualifiedName
from authstore.mover.postgres.replication.changes import Changes
from authstore.mover.postgres.replication.pgoutput import Decoder
from authstore.mover.postgres.replication.stream import Stream

_TICK, _ANSWER_SECONDS = 0.02, 1.0


class Log:
    """What has changed and nobody has taken yet."""

    def __init__(self, stream: Stream, after: int, keys: Mapping[QualifiedName, Collection[str]]) -> None:
        self._decoder = Decoder(keys)
        self._stream = stream
        self._lock = threading.Condition()
        self._waiting = Changes()
        self._error: Exception | None = None
        self._ended = threading.Event()
        self._done = self._read = after
        self._asks = False
        self._thread = threading.Thread(target=self._run, name="authstore-log", daemon=True)
        self._thread.start()

    def take(self) -> Changes:
        """All that has been read, transaction by transaction. Raises what ended the reading."""
        with self._lock:
            if self._error is not None:
                raise self._error
            taken, self._waiting = self._waiting, Changes()
            return taken

    def wait(self, seconds: float) -> None:
        """Until there is something, or for so long."""
        with self._lock:
            self._lock.wait_for(lambda: self._waiting.rows or self._error is not None, seconds)

    def reach(self, lsn: int, seconds: float) -> bool:
        """Waits until everything up to this place has been read."""
        end = time.monotonic() + seconds
        with self._lock:
            while self._read < lsn and self._error is None and time.monotonic() < end:
                self._asks = True
                self._lock.wait(_TICK)
            return self._read >= lsn

    @property
    def read(self) -> int:
        """Up to where everything has been read, and nothing of it waits."""
        with self._lock:
            return 0 if self._waiting.tables else self._read

    @property
    def behind(self) -> Changes:
        """What waits, to be looked at only."""
        with self._lock:
            return Changes(since=self._waiting.since, rows=self._waiting.rows)

    def confirm(self, lsn: int) -> None:
        """Up to here everything is in the target for good."""
        with self._lock:
            self._done = max(self._done, lsn)

    def close(self) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            self._read_on()
        except Exception as error:  # noqa: BLE001  # raised again where the log is taken
            with self._lock:
                self._error = error
                self._lock.notify_all()
        finally:
            self._stream.close()

    def _read_on(self) -> None:
        decoder, answered, told = self._decoder, time.monotonic(), self._done
        while not self._ended.is_set():
            wanted = False
            for at, message, asked in self._stream.messages(_TICK):
                wanted |= asked
                self._note(decoder, at, message)
            with self._lock:
                asks, self._asks, done = self._asks, False, self._done
            if wanted or asks or done != told or time.monotonic() - answered > _ANSWER_SECONDS:
                self._stream.answer(done, asks=asks)
                answered, told = time.monotonic(), done
        self._stream.answer(self._done)

    def _note(self, decoder: Decoder, at: int, message: bytes | None) -> None:
        changes = decoder.take(message) if message is not None else None
        with self._lock:
            if changes is not None:
                self._waiting.join(changes)
                self._read = max(self._read, changes.until)
            elif message is None and not decoder.is_inside:
                self._read = max(self._read, at)
            else:
                return
            self._lock.notify_all()


@contextmanager
def reading(stream: Stream, after: int, keys: Mapping[QualifiedName, Collection[str]]) -> Iterator[Log]:
    """A log for the length of a block."""
    log = Log(stream, after, keys)
    try:
        yield log
    finally:
        log.close()
