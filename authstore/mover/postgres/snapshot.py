"""One view of the source for a whole run: an exported snapshot that every connection of the run reads.

The session is pinned, so that text made by the server does not depend on its settings; a row policy raises
instead of hiding rows.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import TracebackType
from urllib.parse import urlsplit

import psycopg
from psycopg.conninfo import conninfo_to_dict

from authstore.errors import ConfigurationError
from authstore.mover.errors import SourceChangedError, SourceUnavailableError
from authstore.mover.postgres.connection import SourceConnection, connect, translated
from authstore.mover.tuning import DEFAULT, Tuning

_PINNED = (
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
_POOL = frozenset({"schema", "connection_limit", "pool_timeout", "pgbouncer", "socket_timeout", "statement_cache_size"})
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
        self.main = self._open()
        try:
            with translated():
                self.identity = _identity(self.main)
                _check_identity(self.identity, expected)
                self.main.execute(_BEGIN)
                self._name = _exported(self.main)
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
        return connection

    def _open(self) -> SourceConnection:
        connection = connect(self._url, self._stop, self._tuning)
        self._connections.append(connection)
        with translated():
            for setting in _PINNED:
                connection.execute(setting.encode())
        return connection

    def close(self) -> None:
        """Ends what still runs; says nothing."""
        for connection in self._connections:
            with suppress(psycopg.Error, OSError):
                if connection.info.transaction_status == psycopg.pq.TransactionStatus.ACTIVE:
                    connection.cancel_safe(timeout=2.0)
            with suppress(psycopg.Error, OSError):
                connection.close()
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


def checked_url(url: str) -> str:
    """The URL as libpq takes it, if it is one of PostgreSQL's. Raises `ConfigurationError`, which does not show it."""
    if not isinstance(url, str) or not url.startswith(("postgresql://", "postgres://")):
        raise ConfigurationError("the source is a URL like postgresql://user@host/database")
    plain = _without_pool(url)
    try:
        conninfo_to_dict(plain)
    except psycopg.ProgrammingError as error:
        raise ConfigurationError(f"the source's URL cannot be read: {_wrong_with(plain)}") from (
            error if "://" not in str(error) else None
        )
    return plain


def _without_pool(url: str) -> str:
    """Without the parameters by which Prisma speaks to its own pool; its schema is for `--schema` to say."""
    start = url.rfind("@") + 1  # a password may have question marks of its own
    address, mark, query = url[start:].partition("?")
    kept = [part for part in query.split("&") if part.partition("=")[0] not in _POOL]
    return f"{url[:start]}{address}{mark if kept else ''}{'&'.join(kept)}"


def _wrong_with(url: str) -> str:
    known = {option.keyword.decode() for option in psycopg.pq.Conninfo.get_defaults()}
    unknown = [name for name in _parameters(url) if name not in known]
    return f"libpq knows no parameter {unknown[0]!r}" if unknown else "is a character of the password not encoded?"


def _parameters(url: str) -> list[str]:
    """Their names; none where they may be half of a password with a question mark."""
    try:
        query = urlsplit(url).query
    except ValueError:
        return []
    return [] if "@" in query else [part.partition("=")[0] for part in query.split("&")]
