"""One view of the source for a whole run: an exported snapshot that every connection of the run reads.

Each transaction is pinned, so that text made by the server does not depend on its settings; a row policy raises
instead of hiding rows. Nothing is left in the session: behind a pool it is somebody else's next.
"""

import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType

import psycopg

from authstore.mover.errors import SourceChangedError, SourceError, SourceUnavailableError
from authstore.mover.postgres.connection import PatientConnection, SourceConnection, connect, end, translated
from authstore.mover.postgres.url import checked_url
from authstore.mover.tuning import DEFAULT, Tuning

PINNED = (
    "SET timezone = 'UTC'",
    "SET datestyle = 'ISO'",
    "SET intervalstyle = 'iso_8601'",
    "SET extra_float_digits = 1",
    "SET bytea_output = 'hex'",
    "SET lc_monetary = 'C'",
    "SET row_security = off",
    "SET standard_conforming_strings = on",
    "SET xmloption = 'content'",
    "SET search_path = 'pg_catalog'",
    "SET statement_timeout = '4h'",
    "SET lock_timeout = '15s'",
    "SET idle_in_transaction_session_timeout = 0",
    "SET work_mem = '64MB'",
    "SET jit = off",
    # What is asked of each row costs far more than PostgreSQL believes: workers, where the server allows them, pay.
    "SET parallel_tuple_cost = 0.001",
    # But one for each table: several are read at once, and the server has others to serve.
    "SELECT set_config(name, LEAST(setting::int, 1)::text, FALSE) FROM pg_settings"
    " WHERE name = 'max_parallel_workers_per_gather'",
)
NO_SECOND = "the source gives no second connection, and a move needs one that holds its view and one that reads"
MORE_CONNECTIONS = (
    "raise the CONNECTION LIMIT of the role or the database, or the size of the pool, or end other clients"
)
_PINS = "; ".join(one.replace("SET ", "SET LOCAL ", 1).replace("FALSE", "TRUE") for one in PINNED)
_TRIES = 2  # more for the second connection
_NUMBERS = 1 << 32  # of transactions, as the log has them
_BEGIN = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"

_IDENTITY = """
SELECT current_setting('server_version_num')::int,
       has_function_privilege('pg_control_system()', 'EXECUTE')
       AND has_function_privilege('pg_control_checkpoint()', 'EXECUTE')
"""
_CLUSTER = """
SELECT system_identifier::text, timeline_id FROM pg_control_system(), pg_control_checkpoint()
"""


@dataclass(frozen=True, slots=True)
class Identity:
    """Which server this is. `timeline` grows with every promotion; 0 and "" where the role may not know."""

    cluster: str = ""
    timeline: int = 0


class Snapshot:
    """The source as it stood at one moment. Closing it ends every connection made from it."""

    def __init__(
        self, url: str, stop: threading.Event, expected: Identity | None = None, tuning: Tuning = DEFAULT
    ) -> None:
        """Connects, pins and exports. Raises `SourceUnavailableError`, `SourceError`, `SourceChangedError`."""
        self._url = checked_url(url)
        self._stop = stop
        self._tuning = tuning
        self._connections: list[SourceConnection] = []
        self.main: PatientConnection = self._open()
        try:
            with translated():
                self.identity = _identity(self.main)
                _check_identity(self.identity, expected)
                self._name = _begun(self.main)
        except BaseException:
            self.close()
            raise

    def another(self) -> SourceConnection:
        """One more connection that sees the same."""
        connection = self._open()
        with translated():
            connection.execute(_BEGIN)
            try:
                connection.execute(b"SET TRANSACTION SNAPSHOT '" + self._name.encode() + b"'")
            except (psycopg.errors.UndefinedObject, psycopg.errors.InvalidParameterValue) as error:
                # It goes with the connection that exported it.
                raise SourceUnavailableError(
                    "the connection that holds the snapshot is lost", hint="run the same command again to go on"
                ) from error
            _pin(connection)
        return connection

    def renew(self) -> None:
        """The source as it stands now, over the same connection; the others end."""
        self.rest()
        with translated():
            self._name = _begun(self.main)

    def rest(self) -> None:
        """Lets go of the view, which would keep the source from clearing up, until it is renewed."""
        for connection in self._connections[1:]:
            connection.close()
        del self._connections[1:]
        with translated():
            self.main.execute("COMMIT")

    def shows(self, transactions: Collection[int]) -> bool:
        """Whether these, by their numbers of 32 bits, are over for this view. Their commit may stand in the log before
        that: a standby is waited for in between."""
        with translated():
            end, *running = [
                int(number) % _NUMBERS
                for (number,) in self.main.execute(
                    "SELECT pg_snapshot_xmax(pg_current_snapshot())::text"
                    " UNION ALL SELECT pg_snapshot_xip(pg_current_snapshot())::text"
                ).fetchall()
            ]
        return not any(number in running or (number - end) % _NUMBERS < _NUMBERS // 2 for number in transactions)

    def others(self, wanted: int) -> list[SourceConnection]:
        """Up to so many more, at least one: where a role or a pool has fewer to give, those that there are."""
        found = [self._second()]
        while len(found) < wanted:
            try:
                found.append(self.another())
            except SourceUnavailableError:
                break
        return found

    def _second(self) -> SourceConnection:
        """Asked for a few times where the source is up and has none. Raises `SourceError`, for waiting does not help a
        role that may not have more."""
        for seconds in (*self._tuning.waits[:_TRIES], None):
            try:
                return self.another()
            except SourceUnavailableError as error:
                self._refuse_if_alone(error, is_last=seconds is None)
            self._stop.wait(seconds)
        raise AssertionError("the last try returns or raises")

    def _refuse_if_alone(self, error: SourceUnavailableError, *, is_last: bool) -> None:
        try:
            self.main.execute("SELECT 1")
        except psycopg.Error:
            raise error from None  # it is gone as a whole
        if is_last:
            raise SourceError(f"{NO_SECOND}: {error}", hint=MORE_CONNECTIONS) from error

    def spared(self, wanted: int) -> int:
        """How many more the source has to give now, up to so many: opened, and closed again."""
        before = len(self._connections)
        try:
            return len(self.others(wanted))
        except SourceError:
            return 0
        finally:
            for connection in self._connections[before:]:
                connection.close()
            del self._connections[before:]

    def _open(self) -> PatientConnection:
        connection = connect(self._url, self._stop, self._tuning)
        self._connections.append(connection)
        return connection

    def close(self) -> None:
        """Ends what still runs; says nothing."""
        for connection in self._connections:
            end(connection)
        self._connections.clear()

    def __enter__(self) -> "Snapshot":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


@contextmanager
def snapshot(url: str, stop: threading.Event | None = None) -> Iterator[Snapshot]:
    """A snapshot for the length of a block."""
    with Snapshot(url, stop or threading.Event()) as view:
        yield view


def _begun(connection: PatientConnection) -> str:
    """A transaction that is pinned, and the name of what it sees."""
    _begin(connection)
    _pin(connection)
    return _exported(connection)


def _pin(connection: PatientConnection) -> None:
    connection.execute(_PINS.encode())
    connection.ask_backend()
    if connection.is_pooled:
        connection.prepare_threshold = None  # what is prepared stays in the pool


def _begin(connection: SourceConnection) -> None:
    try:
        connection.execute(_BEGIN)
    except psycopg.errors.ProtocolViolation as error:
        raise SourceError(
            "the source is behind a pool that gives each statement another connection, and no snapshot lives in it",
            hint="give the URL of the server itself, or of a pool in session or transaction mode",
        ) from error


def _exported(connection: SourceConnection) -> str:
    row = connection.execute("SELECT pg_export_snapshot()").fetchone()
    if row is None:
        raise SourceChangedError("the source exports no snapshot")
    return str(row[0])


def _identity(connection: SourceConnection) -> Identity:
    row = connection.execute(_IDENTITY).fetchone()
    if row is None or not row[1]:
        return Identity()
    found = connection.execute(_CLUSTER).fetchone()
    return Identity(str(found[0]), int(found[1])) if found else Identity()


def _check_identity(found: Identity, expected: Identity | None) -> None:
    if expected is None or not expected.cluster or not found.cluster:
        return
    if found.cluster != expected.cluster:
        raise SourceChangedError("the server that answers now is another cluster than before")
    if found.timeline < expected.timeline:
        raise SourceChangedError("the server that answers now is on an older timeline: it may lack rows")
