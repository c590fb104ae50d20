"""A PostgreSQL database as a target: a connection that writes and one that helps, one mover at a time, and its schemas.

Tables are built in `authstore_moving`. In one transaction they get into the schema that applications see first; what
had their names there stands in `authstore_before` from then on.
"""

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from types import TracebackType
from typing import Any

import psycopg
from psycopg.rows import tuple_row

from authstore.mover.errors import (
    MoverError,
    SourceError,
    SourceUnavailableError,
    TargetBusyError,
    TargetError,
    TargetUnavailableError,
)
from authstore.mover.names import literal, quote
from authstore.mover.postgres.connection import (
    LOCKS_HINT,
    PatientConnection,
    connect,
    is_passing,
    is_short_of_locks,
    said,
)
from authstore.mover.postgres.snapshot import PINNED
from authstore.mover.postgres.url import checked_url
from authstore.mover.tuning import DEFAULT, Tuning

BUILDING = "authstore_moving"
BEFORE = "authstore_before"
ASIDE = "authstore_set_aside"
_LOCK = "SELECT pg_try_advisory_lock(1096111178, %s)"  # 'AUTH' + 2, beside those of migrations and of units
_UNLOCK = "SELECT pg_advisory_unlock(1096111178, %s)"
_MOVER, _HELPER = 0, 1
_LOCK_TRIES, _LOCK_SECONDS = 12, 0.25
_SETTINGS = (
    "SET client_connection_check_interval = '1s'",  # a move that was killed lets go
    "SET synchronous_commit = off",  # until the end, whose commit takes all that was before it onto the disk
    "SET maintenance_work_mem = '128MB'",
    "SET check_function_bodies = off",
    "SET client_min_messages = warning",
)
_MARK = "being moved into by authstore"
MIN_VERSION = 140000
Parameters = Sequence[Any] | Mapping[str, Any] | None


class PostgresTarget:
    """The database, with the lock by which others know that somebody moves into it. To be closed."""

    def __init__(self, url: str, stop: threading.Event, tuning: Tuning = DEFAULT) -> None:
        """Raises `ConfigurationError`, `TargetError`, `TargetBusyError`."""
        self._stop = stop
        with translated_target():
            self.connection: PatientConnection = connect(checked_url(url, "target"), stop, tuning)
        try:
            with translated_target():
                self._refuse_pool(checked_url(url, "target"), tuning)
                self.home = self._home()
                for setting in (*PINNED, *_SETTINGS):
                    self.execute(setting)
        except BaseException:
            self.close()
            raise

    def _refuse_pool(self, url: str, tuning: Tuning) -> None:
        """Locks and settings of a move are its session's. Raises `TargetError` where the next transaction may be in
        another: seen when somebody beside has one open."""
        first = self.connection.ask_backend()
        if not self.connection.is_pooled:
            return
        with closing(connect(url, self._stop, tuning)) as beside:
            beside.execute("BEGIN")
            is_ours = beside.ask_backend() != first and all(self.connection.ask_backend() == first for _ in range(2))
        if not is_ours:
            raise TargetError(
                "the target is behind a pool that gives each transaction another connection",
                hint="give the URL of the server itself, or of a pool in session mode",
            )

    def _home(self) -> str:
        version, encoding, schema, standby = self.rows(
            "SELECT current_setting('server_version_num')::int, current_setting('server_encoding'), current_schema(),"
            " pg_is_in_recovery()"
        )[0]
        if version < MIN_VERSION:
            raise TargetError("authstore needs PostgreSQL 14 or newer")
        if encoding != "UTF8":
            raise TargetError(f"the target's encoding is {encoding}", hint="CREATE DATABASE … ENCODING 'UTF8'")
        if schema is None:
            raise TargetError("the schema that search_path names does not exist", hint="CREATE SCHEMA first")
        if standby:
            raise TargetError("the target is a standby", hint="give the URL of its primary")
        return str(schema)

    def lock(self) -> None:
        """Nobody else moves into this database while the connection lives. Raises `TargetBusyError`.

        The server may need a moment to notice that a move was killed, so the lock is waited for a little; likewise what
        a killed move did over its second connection.
        """
        self._lock(_MOVER)
        self.lock_as_helper()
        self.execute(_UNLOCK, [_HELPER])

    def lock_as_helper(self) -> None:
        """For the second connection of a move, whose first holds the lock. Raises `TargetBusyError`."""
        self._lock(_HELPER)

    def _lock(self, number: int) -> None:
        for _ in range(_LOCK_TRIES):
            if self.rows(_LOCK, [number])[0][0]:
                return
            self._stop.wait(_LOCK_SECONDS)
        raise TargetBusyError("another move into this database is at work", hint="wait for it, or stop it")

    def execute(self, statement: str, parameters: Parameters = None) -> None:
        """One statement, or a script without parameters."""
        self.connection.execute(statement.encode(), parameters)

    def rows(self, statement: str, parameters: Parameters = None) -> list[tuple[Any, ...]]:
        """All rows of a query."""
        with self.connection.cursor(row_factory=tuple_row) as cursor:
            return cursor.execute(statement.encode(), parameters).fetchall()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """To the end or not at all."""
        with self.connection.transaction():
            yield

    @contextmanager
    def trial(self) -> Iterator[None]:
        """A transaction of which nothing stays."""
        self.execute("BEGIN")
        try:
            yield
        finally:
            with suppress(psycopg.Error):
                self.execute("ROLLBACK")

    def refusal(self, *statements: str) -> str | None:
        """Why the server refuses one of these in the transaction that is open; None where it has done them all."""
        self.execute("SAVEPOINT trying")
        try:
            for statement in statements:
                self.execute(statement)
        except psycopg.Error as error:
            if is_passing(error) or is_short_of_locks(error):
                raise
            self.execute("ROLLBACK TO SAVEPOINT trying")
            return said(error)
        self.execute("RELEASE SAVEPOINT trying")
        return None

    def broken_by(self, statement: str) -> str | None:
        """Why the rows that are there break what a statement would make; None where it has made it."""
        try:
            self.execute(statement)
        except (psycopg.IntegrityError, psycopg.DataError, psycopg.ProgrammingError) as error:
            return said(error)
        return None

    @property
    def label(self) -> str:
        """The target as reports name it."""
        return f"{self.connection.info.dbname}, schema {self.home}"

    def has_schema(self, name: str) -> bool:
        return bool(self.rows("SELECT 1 FROM pg_namespace WHERE nspname = %s", [name]))

    def has_column(self, schema: str, table: str, name: str) -> bool:
        query = (
            "SELECT 1 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
            " JOIN pg_attribute a ON a.attrelid = c.oid WHERE (nspname, relname, attname) = (%s, %s, %s)"
        )
        return bool(self.rows(query, [schema, table, name]))

    def drop_building(self) -> None:
        """What a move has begun and will not go on with. Raises `TargetError` where it is somebody else's."""
        ours = "SELECT 1 FROM pg_description WHERE objoid = %s::regnamespace AND description = %s"
        if self.has_schema(BUILDING) and not self.rows(ours, [BUILDING, _MARK]):
            raise TargetError(f"the schema {BUILDING} was made by no move", hint="rename it, or drop it")
        self.execute(f"DROP SCHEMA IF EXISTS {quote(BUILDING)} CASCADE")

    def make_building(self) -> None:
        """The schema for what is made, with a mark by which it is known as ours."""
        if refused := self._refused_schema():
            raise TargetError(
                f"the role may not make a schema: {refused}", hint="GRANT CREATE ON DATABASE … TO the role"
            )
        self.execute(f"COMMENT ON SCHEMA {quote(BUILDING)} IS {literal(_MARK)}")

    def _refused_schema(self) -> str | None:
        try:
            self.execute(f"CREATE SCHEMA {quote(BUILDING)}")
        except psycopg.errors.InsufficientPrivilege as error:
            return said(error)
        return None

    def close(self) -> None:
        with suppress(psycopg.Error, OSError):
            self.connection.close()

    def __enter__(self) -> "PostgresTarget":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


@contextmanager
def translated_target() -> Iterator[None]:
    """No exception of the driver leaves the mover; what is said of a source is said of the target here."""
    try:
        yield
    except psycopg.Error as error:
        raise _ours(error) from error
    except SourceUnavailableError as error:
        raise TargetUnavailableError(str(error).replace("the source", "the target"), hint=error.hint) from error
    except SourceError as error:
        raise TargetError(str(error).replace("the source", "the target"), hint=error.hint) from error


def _ours(error: psycopg.Error) -> MoverError:
    text = said(error)
    if is_short_of_locks(error):
        return TargetError("the target has no room for the locks on so many tables", hint=LOCKS_HINT)
    if is_passing(error):
        return TargetUnavailableError(f"the target does not answer: {text}", hint="run the same command again to go on")
    if (error.sqlstate or "").startswith("42501"):
        return TargetError(f"the target refuses: {text}", hint="the role must own what it writes, and may make schemas")
    return TargetError(f"the target refuses: {text}")
