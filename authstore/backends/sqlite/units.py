"""What happens on a connection's thread: statements, units in savepoints, batches in one transaction.

A unit of work runs here from its first statement to its last without a chance for the event loop to
interfere, so that a cancelled caller can neither leave a transaction open nor publish half of one.
"""

import asyncio
import json
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence, Set, Sized
from datetime import UTC, datetime
from functools import lru_cache, partial
from time import monotonic
from typing import Any, TypeVar

from authstore.backends.sqlite.errors import is_busy, name_of, ours
from authstore.backends.sqlite.file import Connection, FilePlace
from authstore.backends.sqlite.texts import escaped, is_undecodable
from authstore.database import Row, Unit
from authstore.errors import StoreError, UnknownOutcomeError
from authstore.observers import WAITS, Statistic, noted
from authstore.sql import Decides, Query, Statement

T = TypeVar("T")
S = TypeVar("S", bound=Sized)


Begun = tuple[Unit[T], Statement]  # a unit with the first statement that it yielded


class UnitConnection(Connection):
    """A connection that runs whole functions in its thread.

    aiosqlite forwards `executemany` to the thread as it stands: with `RUN` in place of SQL, the "parameters"
    are a function to call there, which makes any amount of work one hop.
    """

    snapshot: "UnitConnection | None" = None  # memory only: what readers see while a transaction is open
    is_at_work = True  # in its thread; from its opening on
    place: FilePlace | None = None  # where the file stood when it was opened
    executed: list[Statistic] | None = None  # what ran since the thread was asked, where somebody watches
    waited = locked = 0.0  # what the next statement had to wait for

    def executemany(self, sql: str, parameters: Any, /) -> Any:
        if sql is not RUN:
            return super().executemany(sql, parameters)
        self.is_at_work = True
        try:
            return parameters(self)
        finally:
            self.is_at_work = False

    def rows(self, statement: Statement) -> list[Row]:
        """What `fetch` gives, noted."""
        if self.executed is None or not statement.query.sqlite:  # what PostgreSQL alone has a text for asks nothing
            return fetch(self, statement)
        return self.noting(statement.query, partial(fetch, self, statement), statement.parameters.get("reason"))

    def noting(self, query: Query, ask: Callable[[], S], reason: str | None = None) -> S:
        """What this query gives, and a note of it where somebody watches."""
        executed = self.executed
        if executed is None:
            return ask()
        waited, locked, self.waited, self.locked = self.waited, self.locked, 0.0, 0.0
        began = monotonic() - waited - locked
        try:
            found = ask()
        except BaseException as error:
            executed.append(Statistic(query.name, monotonic() - began, waited, locked, 0, name_of(error), reason))
            raise
        executed.append(noted((query.name, monotonic() - began, waited, locked, len(found), None, reason)))
        return found


RUN = "-- run a function"


class UnitJob:
    """A unit of work that somebody waits for: `result` in the end, or `error`."""

    __slots__ = ("asked", "begun", "deadline", "error", "future", "locked", "make", "result", "waits")

    def __init__(
        self,
        make: Callable[[], Unit[Any]],
        begun: "Begun[Any] | None",
        future: "asyncio.Future[Any]",
        asked: float,
        deadline: float,
    ) -> None:
        self.make = make
        self.begun = begun  # for its first run
        self.future = future
        self.asked = asked
        self.deadline = deadline
        self.locked = 0.0  # how long it waited for the right to write
        self.waits = WAITS.get()
        self.result: Any = None
        self.error: BaseException | None = None

    def note_waits(self, waited: float) -> None:
        """Tells the public call that it belongs to, where somebody watches those."""
        if self.waits is not None:
            self.waits.waited += waited
            self.waits.locked += self.locked


def fetch(connection: sqlite3.Connection, statement: Statement) -> list[Row]:
    """All rows of a statement (a half-read `RETURNING` would keep the write lock), or an empty one for each row
    that it wrote."""
    if not statement.query.sqlite:
        return []
    cursor = connection.execute(statement.query.sqlite, _encoded(statement.parameters))
    if cursor.description is None:
        return [{}] * cursor.rowcount
    try:
        rows = cursor.fetchall()
    except sqlite3.Error:
        cursor.close()  # or it would be half read for as long as the error is
        raise
    names = [column[0] for column in cursor.description] if rows else []
    return [dict(zip(names, row, strict=True)) for row in rows]


def _encoded(parameters: Mapping[str, Any]) -> dict[str, Any]:
    return {name: iso(value) if isinstance(value, datetime) else value for name, value in parameters.items()}


@lru_cache(maxsize=1024)  # what is new was made, changed and used at one moment
def iso(value: datetime) -> str:
    """An instant as it is stored: ISO-8601 of one width."""
    v = value.astimezone(UTC)
    # isoformat() takes twice as long, and drops a zero fraction.
    date = (v.year, v.month, v.day, v.hour, v.minute, v.second, v.microsecond)
    return "%04d-%02d-%02dT%02d:%02d:%02d.%06dZ" % date  # noqa: UP031 - an f-string takes longer


def in_savepoint(connection: UnitConnection, make: Callable[[], Unit[T]], begun: Begun[T] | None = None) -> T:
    """Runs a unit so that it fails alone; again where it met text that is not UTF-8, which is left to the unit then.
    Needs an open transaction, and raises where that is gone."""
    if not connection.in_transaction:
        raise StoreError("the database rolled the transaction back after an earlier error")
    try:
        if begun is not None:
            return _run_unit(connection, *begun)
        return _run_unit(connection, make())
    except sqlite3.OperationalError as error:
        if not (is_undecodable(error) and connection.in_transaction):
            raise
    with escaped(connection):
        return _run_unit(connection, make())


def _run_unit(connection: UnitConnection, unit: Unit[T], statement: Statement | None = None) -> T:
    try:
        statement = statement or next(unit)
        # Nothing is to be undone before the first that writes, nor where that was the whole unit and failed.
        while statement.query.is_reading or statement.decides is Decides.UNIT:
            statement = unit.send(connection.rows(statement))
        return _in_savepoint(connection, unit, statement)
    except StopIteration as finished:
        result: T = finished.value
        return result
    finally:
        unit.close()


def _in_savepoint(connection: UnitConnection, unit: Unit[T], statement: Statement) -> T:
    connection.execute("SAVEPOINT unit")
    try:
        result = drive(connection, unit, statement)
    except BaseException:
        # After SQLITE_FULL or an I/O error SQLite may have rolled everything back by itself.
        if connection.in_transaction:
            connection.execute("ROLLBACK TO unit")
            connection.execute("RELEASE unit")
        raise
    connection.execute("RELEASE unit")
    return result


def drive(connection: UnitConnection, unit: Unit[T], statement: Statement) -> T:
    """Runs a unit from its first statement, which it has yielded, to its end."""
    try:
        while True:
            statement = unit.send(connection.rows(statement))
    except StopIteration as finished:
        result: T = finished.value
        return result


def try_begin(connection: UnitConnection) -> bool:
    """Takes the write lock; `False` where somebody has it for as long as one try waits.

    Raises what `check_place` does.
    """
    check_place(connection)
    try:
        connection.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError as error:
        if is_busy(error):
            return False
        raise
    return True


def check_place(connection: UnitConnection) -> None:
    """Raises `StoreNotFoundError` where the file was deleted, moved or replaced, `StoreCorruptError` where a part of it
    was cut off."""
    if connection.place is not None:
        connection.place.check()
        connection.place.check_whole()


def check_written(connection: UnitConnection) -> None:
    """The same after a commit, which is not acknowledged then: it went into a file, or a log, that is gone."""
    if connection.place is not None:
        connection.place.check_written()
        connection.place.check_whole()


def roll_back(connection: sqlite3.Connection) -> None:
    """Ends the open transaction, if there is one."""
    if connection.in_transaction:
        connection.execute("ROLLBACK")


def run_units(jobs: Sequence[UnitJob], connection: UnitConnection) -> bool:
    """Runs the units in one transaction with one commit, each in its own savepoint; `False`: busy, none ran."""
    try:
        began = monotonic()
        has_begun = try_begin(connection)
        _note_lock(jobs, monotonic() - began)
        if not has_begun:
            return False
        is_whole = _run_each(connection, jobs) and _commit(connection)
        check_written(connection)
    except BaseException as error:
        roll_back(connection)
        fail(jobs, error)
        return True
    if not is_whole:
        _run_alone(connection, jobs)
    return True


def write_together(statements: Sequence[Statement], connection: UnitConnection) -> Set[Any]:
    """Says statements that are a whole unit each by one that commits by itself; the `id` of those that wrote something.

    Raises `StoreNotFoundError` where the file was deleted, moved or replaced, `UnknownOutcomeError` where a trigger of
    somebody's own let some of them pass.
    """
    check_place(connection)
    query, rows = statements[0].query, [statement.parameters for statement in statements]
    packed = bytearray()

    def stored(value: Any) -> Any:
        if not isinstance(value, bytes):
            return iso(value)
        packed.extend(value)
        return [len(packed) - len(value) + 1, len(value)]

    parameters = {"rows": json.dumps(rows, ensure_ascii=False, default=stored), "packed": bytes(packed)}

    def say() -> Sequence[Any]:
        try:
            cursor = connection.execute(query.sqlite_gathered or "", parameters)
            return range(cursor.rowcount) if cursor.description is None else [id for (id,) in cursor.fetchall()]
        except (sqlite3.Error, OverflowError):  # one of them spoilt it, or the disk is full: each by itself finds out
            return ()

    written = connection.noting(query, say)
    if not written:
        return frozenset()
    check_written(connection)
    if not isinstance(written, range):
        return frozenset(written)
    if len(written) != len(statements):
        raise UnknownOutcomeError("the database has written some of what was given to it together, and not the rest")
    return {row["id"] for row in rows}


def _note_lock(jobs: Sequence[UnitJob], seconds: float) -> None:
    for job in jobs:
        job.locked += seconds


def _run_each(connection: UnitConnection, jobs: Sequence[UnitJob]) -> bool:
    for job in jobs:
        job.error = None
        if connection.executed is not None:
            connection.waited, connection.locked = max(monotonic() - job.asked - job.locked, 0.0), job.locked
            job.note_waits(connection.waited)
        try:
            begun, job.begun = job.begun, None
            job.result = in_savepoint(connection, job.make, begun)
        except BaseException as error:
            job.error = error
            if not connection.in_transaction:
                return False
    return True


def _commit(connection: sqlite3.Connection) -> bool:
    try:
        connection.execute("COMMIT")
    except sqlite3.Error:
        roll_back(connection)
        return False
    return True


def _run_alone(connection: UnitConnection, jobs: Sequence[UnitJob]) -> None:
    """After the database gave the common transaction up (a full disk): each unit by itself, each with the
    outcome that is its own."""
    for job in jobs:
        job.error = None
        try:
            connection.execute("BEGIN IMMEDIATE")
            job.result = in_savepoint(connection, job.make)
            connection.execute("COMMIT")
            check_written(connection)
        except BaseException as error:
            roll_back(connection)
            job.error = error


def fail(jobs: Iterable[UnitJob], error: BaseException) -> None:
    """Gives all the same error."""
    for job in jobs:
        job.error = error


def settle(future: "asyncio.Future[Any]", result: object, error: BaseException | None) -> None:
    """Gives a waiting caller the outcome, on the event loop's thread."""
    if future.done():
        return
    if error is None:
        future.set_result(result)
    elif isinstance(error, sqlite3.Error):
        future.set_exception(ours(error))
    else:
        future.set_exception(error)


def abandon(futures: "Iterable[asyncio.Future[Any]]") -> None:
    """The event loop is shutting down: nobody is left waiting for ever."""
    for future in futures:
        if not future.done() and not future.get_loop().is_closed():
            future.cancel()
