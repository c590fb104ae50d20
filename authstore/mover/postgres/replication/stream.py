"""The stream of a logical slot, spoken over libpq's own connection: COPY in both directions.

Why not the SQL functions: `pg_logical_slot_peek_binary_changes` decodes everything since `restart_lsn` at each look,
and `pg_replication_slot_advance` does so once more. An open transaction of the application holds `restart_lsn` back:
behind one, looking for a single change among 200,000 older ones took 0.35 s, and every look took longer than the one
before. The stream decodes each change once, and gave those 200,000 in 2.7 s.

https://www.postgresql.org/docs/current/protocol-replication.html
"""

import select
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import psycopg
from psycopg import pq
from psycopg.generators import execute

from authstore.mover.errors import SourceError, SourceUnavailableError
from authstore.mover.names import quote
from authstore.mover.postgres.connection import connect, translated
from authstore.mover.postgres.snapshot import PINNED
from authstore.mover.tuning import Tuning

_KEEPALIVE, _DATA = struct.Struct(">QQB"), 25
_STATUS = struct.Struct(">cQQQqB")
_POSTGRES_EPOCH = 946_684_800
_IN_USE, _NO_SLOT, _NOT_READY = b"55006", b"42704", b"55000"


class SlotBusyError(SourceUnavailableError):
    """Somebody reads from the slot: perhaps a follower that was killed, and that the server still waits for."""


class SlotLostError(SourceError):
    """The slot is gone, or what it kept is."""


class Stream:
    """An open stream. Blocks for no longer than it is told to, and not at all once `stop` is set."""

    def __init__(self, url: str, stop: threading.Event, tuning: Tuning) -> None:
        """Raises `SourceUnavailableError`, `MoveStoppedError`."""
        try:
            self._connection = connect(url, stop, tuning, replication="database")
        except SourceUnavailableError as error:
            raise SourceUnavailableError(f"the source gives no replication connection: {error}") from error
        self._link = self._connection.pgconn
        self._silence = tuning.silence_seconds
        self._heard = self._asked = time.monotonic()

    def start(self, slot: str, publication: str, after: int) -> None:
        """Raises `SlotBusyError`, `SlotLostError`, `SourceUnavailableError`, `MoveStoppedError`."""
        for setting in PINNED:
            if setting.startswith("SET "):
                self._asked_for(setting)
        result = self._asked_for(
            f"START_REPLICATION SLOT {quote(slot)} LOGICAL {lsn_text(after)}"
            f" (proto_version '1', publication_names '{quote(publication)}')"
        )
        if result.status == pq.ExecStatus.COPY_BOTH:
            self._heard = time.monotonic()
            return
        state, said = result.error_field(pq.DiagnosticField.SQLSTATE), self._said()
        if state == _IN_USE and b"active" in (result.error_field(pq.DiagnosticField.MESSAGE_PRIMARY) or b""):
            raise SlotBusyError(f"replication slot {slot} is in use: the server has not yet missed who read it last")
        if state in (_NO_SLOT, _IN_USE, _NOT_READY):
            raise SlotLostError(f"replication slot {slot} cannot be read: {said}")
        raise SourceUnavailableError(f"the source gives no log: {said}")

    def _asked_for(self, command: str) -> pq.abc.PGresult:
        """The protocol has no parameters for these commands, and psycopg's cursors know no COPY in both directions."""
        with translated():
            self._link.send_query(command.encode())
            results: list[pq.abc.PGresult] = self._connection.wait(execute(self._link))
        return results[-1]

    def messages(self, seconds: float) -> Iterator[tuple[int, bytes | None, bool]]:
        """What has come, waiting no longer than this for something: where the log stands, a message of the plugin
        (none in a keepalive), whether an answer is wanted. Raises `SourceUnavailableError`."""
        try:
            yield from self._received(seconds)
        except psycopg.Error as error:
            raise SourceUnavailableError(f"the connection to the source's log is lost: {_first_line(error)}") from error

    def _received(self, seconds: float) -> Iterator[tuple[int, bytes | None, bool]]:
        length, data = self._link.get_copy_data(1)
        if length == 0:
            self._wait(seconds)
            self._link.consume_input()
            length, data = self._link.get_copy_data(1)
        while length > 0:
            self._heard = time.monotonic()
            message = bytes(data)
            if message[:1] == b"k":
                at, _, wants = _KEEPALIVE.unpack_from(message, 1)
                yield at, None, bool(wants)
            elif message[:1] == b"w":
                yield struct.unpack_from(">Q", message, 1)[0], message[_DATA:], False
            length, data = self._link.get_copy_data(1)
        if length < 0:
            raise SourceUnavailableError(f"the source has ended its log: {self._said()}")
        if time.monotonic() - self._heard > 2 * self._silence:
            raise SourceUnavailableError("the source has fallen silent")

    def _wait(self, seconds: float) -> None:
        poll = select.poll()
        poll.register(self._link.socket, select.POLLIN)
        poll.poll(seconds * 1000)

    def answer(self, done: int, *, asks: bool = False) -> None:
        """Tells how far the log is no longer needed; `asks`: for where it stands. Raises `SourceUnavailableError`."""
        now = time.monotonic()
        asks = asks or now - max(self._heard, self._asked) > self._silence / 2  # so that a silence is found out
        self._asked = now if asks else self._asked
        at = int((time.time() - _POSTGRES_EPOCH) * 1_000_000)
        try:
            self._link.put_copy_data(_STATUS.pack(b"r", done, done, done, at, asks))
            self._link.flush()
        except psycopg.Error as error:
            raise SourceUnavailableError(f"the connection to the source's log is lost: {_first_line(error)}") from error

    def close(self) -> None:
        with suppress(psycopg.Error):
            self._connection.close()

    def _said(self) -> str:
        lines = self._link.error_message.decode("utf-8", "replace").strip().splitlines()
        return lines[0].removeprefix("ERROR:  ") if lines else "no reason given"


def _first_line(error: psycopg.Error) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def lsn_text(lsn: int) -> str:
    """A place in the log as PostgreSQL writes it."""
    return f"{lsn >> 32:X}/{lsn & 0xFFFFFFFF:X}"


def lsn_number(text: str) -> int:
    """And read."""
    high, _, low = text.partition("/")
    return int(high, 16) << 32 | int(low, 16)
