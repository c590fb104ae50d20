"""A connection to PostgreSQL that does not wait for ever.

Keepalives find a host that is gone, but not a proxy or firewall that swallows what is sent. So a silence is
looked into: a second connection asks whether the server still works on the query.

Whoever is told to stop waits no longer: what runs at the server is cancelled, and the connection is over.
"""

import select
import threading
from collections.abc import Generator, Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager, suppress
from typing import Any, TypeVar, cast

import psycopg

from authstore.mover.errors import MoverError, MoveStoppedError, SourceError, SourceUnavailableError
from authstore.mover.postgres.url import answering_host
from authstore.mover.tuning import DEFAULT, Tuning

_Result = TypeVar("_Result")

_LOOKS = 2  # in vain, before the connection is given up
_NEEDED = 2  # connections: one that holds the snapshot, and one that reads
_TICK_SECONDS = 0.5  # how soon a stop is noticed
_GOODBYE_SECONDS = 1.0  # for the word that nobody waits for a query any more

NETWORK: dict[str, Any] = {
    "keepalives": 1,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
    "application_name": "authstore move",
    "client_encoding": "UTF8",
}

# SQLSTATE classes after which the same may well succeed: connection exceptions, operator intervention,
# too many connections, a standby that had to cancel us, and a lock that somebody holds.
_PASSING = ("08", "57P0", "53", "40001", "25P03", "25P04", "55P03")

LOCKS_HINT = "set max_locks_per_transaction higher there, to four times what it is, and restart the server"

SourceConnection = psycopg.Connection[tuple[Any, ...]]


class PatientConnection(psycopg.Connection[tuple[Any, ...]]):
    """Waits for the server as long as it works, and not longer."""

    stop: threading.Event | None = None
    watched: str | None = None  # the URL to look with; without one, silence is the end
    backend: int = 0  # who works on it at the server, once that was asked: a pool gives a number of its own
    tuning: Tuning = DEFAULT

    def wait(
        self,
        gen: Generator[Any, Any, _Result],
        interval: float = _TICK_SECONDS,  # noqa: ARG002  # psycopg calls it so; a tick is all that is waited in one piece
        timeout: float | None = None,  # noqa: ARG002  # as above
    ) -> _Result:
        """psycopg's own wait, with an end to it. Raises `MoveStoppedError` once `stop` is set."""
        silence, looks = 0.0, 0
        try:
            wanted = next(gen)
            while True:
                ready = _poll(self.pgconn.socket, wanted)
                if ready:
                    silence, looks = 0.0, 0
                    wanted = gen.send(ready)
                    continue
                self._heed_stop()
                silence += _TICK_SECONDS
                if silence >= self.tuning.silence_seconds * (looks + 1):
                    looks = self._look(looks)
        except StopIteration as end:
            return cast("_Result", end.value)

    def ask_backend(self) -> int:
        """Who works on it now. Behind a pool the next transaction may have another."""
        ((self.backend,),) = self.execute("SELECT pg_backend_pid()").fetchall()
        return self.backend

    @property
    def is_pooled(self) -> bool:
        """Whether that is not whom it was made to."""
        return self.backend != self.info.backend_pid

    def _heed_stop(self) -> None:
        if self.stop is not None and self.stop.is_set():
            end(self)  # nobody is left to ask it anything, and at the server the query would go on
            raise _stopped()

    def _look(self, looks: int) -> int:
        if self.watched and _is_at_work(self.watched, self.backend or self.info.backend_pid, self.stop, self.tuning):
            return looks
        if looks + 1 >= _LOOKS:
            self.pgconn.finish()
            raise psycopg.OperationalError("the server has fallen silent")
        return looks + 1


def _poll(descriptor: int, wanted: int) -> int:
    poll = select.poll()
    poll.register(descriptor, (select.POLLIN if wanted & 1 else 0) | (select.POLLOUT if wanted & 2 else 0))
    events = poll.poll(_TICK_SECONDS * 1000)
    if not events:
        return 0
    mask = events[0][1]
    # An error on the socket is passed on as readiness: reading then says what it is.
    bad = mask & (select.POLLERR | select.POLLHUP | select.POLLNVAL)
    return (1 if mask & select.POLLIN or bad else 0) | (2 if mask & select.POLLOUT else 0)


def _is_at_work(url: str, pid: int, stop: threading.Event | None, tuning: Tuning) -> bool:
    """Whether the backend still computes. One that waits for us to read has lost us."""
    try:
        with _opened(url, stop, tuning) as look:
            row = look.execute("SELECT state, wait_event FROM pg_stat_activity WHERE pid = %s", (pid,)).fetchone()
    except (psycopg.Error, OSError):
        return False
    return row is not None and row[0] == "active" and row[1] != "ClientWrite"


def _stopped() -> MoveStoppedError:
    return MoveStoppedError("stopped", hint="run the same command again to go on")


def _opened(url: str, stop: threading.Event | None, tuning: Tuning, **more: Any) -> PatientConnection:
    """Made in a thread that nobody has to wait for: the resolver and libpq hear of no stop. Raises `MoveStoppedError`
    and what psycopg raises."""
    given = {**NETWORK, "connect_timeout": tuning.connect_seconds, **more}
    making: Future[PatientConnection] = Future()

    def make() -> None:
        try:
            making.set_result(PatientConnection.connect(url, autocommit=True, **given))
        except BaseException as error:  # noqa: BLE001  # raised again where it is waited for
            making.set_exception(error)

    threading.Thread(target=make, name="authstore-connect", daemon=True).start()
    while not wait([making], _TICK_SECONDS).done:
        if stop is not None and stop.is_set():
            making.add_done_callback(_close_unwanted)
            raise _stopped()
    connection = making.result()
    connection.stop, connection.tuning = stop, tuning
    return connection


def _close_unwanted(making: "Future[PatientConnection]") -> None:
    if making.exception() is None:
        making.result().close()


def connect(url: str, stop: threading.Event, tuning: Tuning = DEFAULT, **more: Any) -> PatientConnection:
    """An open connection, autocommit. `more`: parameters of libpq's. Raises `SourceUnavailableError`, `SourceError`,
    `MoveStoppedError`."""
    try:
        connection = _opened(url, stop, tuning, **more)
    except psycopg.Error as error:
        raise _refused(url, error) from error
    connection.watched = url
    return connection


def end(connection: SourceConnection) -> None:
    """Closes it, and cancels what it still runs, which would go on at the server. Says nothing."""
    with suppress(psycopg.Error, OSError):
        if connection.info.transaction_status == psycopg.pq.TransactionStatus.ACTIVE:
            connection.cancel_safe(timeout=_GOODBYE_SECONDS)
    with suppress(psycopg.Error, OSError):
        connection.close()


def _refused(url: str, error: psycopg.Error) -> MoverError:
    """libpq gives no code for a connection that was not made; whether anybody answers there can be asked."""
    host = answering_host(url)
    if host is None:
        return _ours(error, "see that the server is up and the URL right, then run the same command again")
    return SourceUnavailableError(
        f"{host} answers, and refuses the connection: {said(error)}",
        hint="see that user, password and database in the URL are right, special characters percent-encoded, and that"
        f" the role and the pool leave {_NEEDED} connections",
    )


def streamed(
    cursor: psycopg.Cursor[tuple[Any, ...]], query: bytes, parameters: Any = None, *, size: int
) -> Iterator[tuple[Any, ...]]:
    """The rows of a query as they come. A libpq before 17 hands them out one at a time, which takes longer."""
    chunk = size if psycopg.capabilities.has_stream_chunked() else 1
    yield from cursor.stream(query, parameters, size=chunk)


@contextmanager
def translated(hint: str = "run the same command again to go on") -> Iterator[None]:
    """No exception of the driver leaves the mover. `hint`: for those that may pass."""
    try:
        yield
    except psycopg.Error as error:
        raise _ours(error, hint) from error


def _ours(error: psycopg.Error, hint: str) -> MoverError:
    text = said(error)
    if is_short_of_locks(error):
        return SourceError("the source has no room for the locks on so many tables", hint=LOCKS_HINT)
    if is_passing(error):
        return SourceUnavailableError(f"the source does not answer: {text}", hint=hint)
    if error.sqlstate and error.sqlstate.startswith("42501"):
        return SourceError(f"the source refuses: {text}", hint="grant SELECT to this role, or `skip` the table")
    return SourceError(f"the source cannot be read: {text}")


def is_passing(error: psycopg.Error) -> bool:
    """Whether the same may succeed a little later. A lost connection has no SQLSTATE: judged by type."""
    if error.sqlstate is None:
        return isinstance(error, psycopg.OperationalError | psycopg.InterfaceError)
    return error.sqlstate.startswith(_PASSING) and not is_short_of_locks(error)


def is_short_of_locks(error: psycopg.Error) -> bool:
    """Whether a transaction has more tables, indexes and sequences to do with than the server may lock at once."""
    return isinstance(error, psycopg.errors.OutOfMemory) and "max_locks_per_transaction" in (
        error.diag.message_hint or ""
    )


def said(error: psycopg.Error) -> str:
    """The server's words without its DETAIL, which may quote rows."""
    return (error.diag.message_primary or str(error)).strip().splitlines()[0] if str(error) else type(error).__name__
