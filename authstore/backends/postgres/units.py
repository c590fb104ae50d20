"""Units of work: at the gate, in READ COMMITTED, with locks on what they decide on; run again when they lose a race.

Whoever writes passes a gate that stands open but while somebody's `transaction()` is under way, in whichever process:
an advisory lock, shared by units, exclusive for a transaction. All of it holds through a pooler, since it ends with
the transaction.
"""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from time import monotonic
from typing import Any, TypeVar, cast

from authstore.backends.postgres.driver import Connection
from authstore.backends.postgres.errors import DRIVER_ERRORS, in_doubt, is_gone, is_lost_race, name_of, ours
from authstore.backends.postgres.pool import Pool
from authstore.backends.postgres.servers import Commit
from authstore.backends.postgres.texts import Text, text
from authstore.backends.tuning import Tuning
from authstore.backends.uninterrupted import ended, uninterrupted
from authstore.database import Row, Unit
from authstore.errors import StoreBusyError
from authstore.observers import Statistic, locking
from authstore.sql import Decides, Query, Statement, queries

T = TypeVar("T")

GATE = 1096111176  # 'AUTH'; the store's own tables tell the stores of one database apart
_PAUSE_SECONDS = 0.02
_BEGIN = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; SET LOCAL lock_timeout = '5s'; "
_NO_MORE = (queries.say_no_more, queries.say_no_more_after)
_CLAIM = "SELECT pg_advisory_xact_lock($1)"


def begin(commit: Commit, *, is_exclusive: bool, gate: str = "'users'") -> str:
    """What opens a transaction, in one round trip. `gate`: the table that stands for the store, as a literal."""
    lock = "pg_advisory_xact_lock" if is_exclusive else "pg_advisory_xact_lock_shared"
    return f"{_BEGIN}SET LOCAL synchronous_commit = {commit}; SELECT {lock}({GATE}, {gate}::regclass::oid::int)"


class _Gate:
    """Whether a unit has begun: before, nothing can have happened."""

    is_passed = False


class Units:
    """Runs units until they succeed, are refused, or their time is up. Waiting ends `busy_seconds` after the call."""

    def __init__(self, pool: Pool, opening: str, tuning: Tuning) -> None:
        self._pool = pool
        self._tuning = tuning
        self._begin = opening
        self._tasks: set[asyncio.Task[Any]] = set()

    async def run(self, make: Callable[[], Unit[T]]) -> T:
        """The result of a unit. A caller who is cancelled while it waits for a connection, or at the gate, gets away at
        once; later it waits for the end of what was begun."""
        gate, deadline = _Gate(), asyncio.get_running_loop().time() + self._tuning.busy_seconds
        task = self._noted(self._until_it_is_done(make, deadline, gate))
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError:
            if not gate.is_passed:
                task.cancel()
            await ended(task)
            if not task.cancelled():
                task.exception()  # nobody else will ask
            raise
        return task.result()

    async def alone(self, query: Query, said: Text, values: Sequence[Any]) -> int | list[Row]:
        """Runs one text of a query that is its own transaction."""
        deadline = asyncio.get_running_loop().time() + self._tuning.busy_seconds
        return await self.to_the_end(self._alone(query, said, values, deadline))

    async def to_the_end(self, work: Coroutine[Any, Any, T]) -> T:
        """Runs this to its end, and only then lets a cancellation of its caller through."""
        return await uninterrupted(self._noted(work))

    def _noted(self, work: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _until_it_is_done(self, make: Callable[[], Unit[T]], deadline: float, gate: _Gate) -> T:
        loop = asyncio.get_running_loop()
        while True:
            try:
                return await self._once(make, deadline, gate)
            except DRIVER_ERRORS as error:
                if loop.time() >= deadline or not (is_gone(error) or is_lost_race(error)):
                    raise ours(error) from error
                if is_gone(error):
                    self._pool.distrust()
                    await asyncio.sleep(_PAUSE_SECONDS)

    async def _once(self, make: Callable[[], Unit[T]], deadline: float, gate: _Gate) -> T:
        gate.is_passed = False
        connection = await self._pool.take(deadline, to_write=True)
        try:
            return await in_transaction(connection, self._begin, make, deadline, gate, self._tuning.commit_seconds)
        finally:
            self._pool.give(connection, to_write=True)

    async def _alone(self, query: Query, said: Text, values: Sequence[Any], deadline: float) -> int | list[Row]:
        connection = await self._pool.take(deadline, to_write=True)
        try:
            send = connection.fetch_tuples if said.returns else connection.run
            work: Coroutine[Any, Any, int | list[Row]] = send(said.sql, values, None)
            return await noted(
                connection, query, committed(connection, work, self._tuning.commit_seconds), _reason(said, values)
            )
        finally:
            self._pool.give(connection, to_write=True)


async def in_transaction(
    connection: Connection,
    opening: str,
    make: Callable[[], Unit[T]],
    deadline: float,
    gate: _Gate,
    commit_seconds: float,
) -> T:
    """Runs a unit from BEGIN to COMMIT. Raises the driver's errors where nothing happened."""
    unit = make()
    try:
        statement = next(unit)
        while not statement.query.postgres:  # what SQLite alone has a text for comes before anything is opened
            statement = unit.send([])
    except StopIteration as finished:
        return cast(T, finished.value)
    try:
        if statement.decides is Decides.NAME:  # what is claimed first is claimed in the same round trip
            opening += f"; {_CLAIM.replace('$1', str(_number(statement.claim)))}"
            statement = statement._replace(decides=Decides.NOTHING)
        await begun(connection, opening, _left(deadline))
        gate.is_passed = True
        result = await drive(connection, unit, deadline, statement=statement, until_commit=True)
    except TimeoutError as error:
        if await abandon(connection):  # the server is there: it was the others who took so long
            raise busy() from error
        raise
    except BaseException:
        await abandon(connection)
        raise
    await committed(connection, connection.script("COMMIT", None), commit_seconds)
    return result


async def begun(connection: Connection, opening: str, timeout: float | None) -> None:
    """Opens a transaction, which waits at the gate."""
    began = monotonic()
    with locking():
        await connection.script(opening, timeout)
    connection.locked = monotonic() - began


async def drive(
    connection: Connection,
    unit: Unit[T],
    deadline: float | None,
    *,
    statement: Statement | None = None,
    until_commit: bool = False,
) -> T:
    """Runs a unit to its end within the open transaction. `statement`: the one that it has yielded already.
    `until_commit`: nothing comes after it, so that the end of the transaction takes back what was said of it."""
    try:
        statement = statement or next(unit)
        while True:
            is_spared = until_commit and statement.query in _NO_MORE
            statement = unit.send([] if is_spared else await fetch(connection, statement, deadline))
    except StopIteration as finished:
        return cast(T, finished.value)
    finally:
        unit.close()


async def fetch(connection: Connection, statement: Statement, deadline: float | None) -> list[Row]:
    """All rows of a statement, or an empty one for each row that it wrote."""
    query, decides = statement.query, statement.decides
    if not query.postgres:
        return []
    if decides is Decides.NAME:
        began = monotonic()
        with locking():
            await connection.fetch_tuples(_CLAIM, (_number(statement.claim),), _left(deadline))
        connection.locked += monotonic() - began
    return await noted(connection, query, _fetch(connection, statement, deadline), statement.parameters.get("reason"))


async def _fetch(connection: Connection, statement: Statement, deadline: float | None) -> list[Row]:
    query, decides = statement.query, statement.decides
    said = text(query.to_change if decides is Decides.ROWS and query.to_change else query.postgres)
    values = said.values(statement.parameters)
    if said.returns:
        return await connection.fetch_tuples(said.sql, values, _left(deadline))
    return [{}] * await connection.run(said.sql, values, _left(deadline))


def _reason(said: Text, values: Sequence[Any]) -> str | None:
    """Why a statement ends sessions; of many at once only where all end for the same."""
    if "reason" not in said.names:
        return None
    given = values[said.names.index("reason")]
    reasons = {given} if isinstance(given, str) else set(given)
    return reasons.pop() if len(reasons) == 1 else None


async def noted(connection: Connection, query: Query, work: Awaitable[T], reason: str | None = None) -> T:
    """What this query gives, told to whoever watches."""
    if connection.watch is None:
        return await work
    waited, locked, connection.waited, connection.locked = connection.waited, connection.locked, 0.0, 0.0
    began, count, failed = monotonic(), 0, None
    try:
        found = await work
        count = found if isinstance(found, int) else len(cast(list[Row], found))
    except BaseException as error:
        failed = name_of(error)
        raise
    finally:
        seconds = monotonic() - began + waited + locked
        connection.watch.statement(Statistic(query.name, seconds, waited, locked, count, failed, reason))
    return found


async def committed(connection: Connection, work: Coroutine[Any, Any, T], seconds: float) -> T:
    """Waits for a commit, or a statement that commits by itself, in a task of its own: neither is ever called back.
    After `seconds` the connection is cut.

    Raises `UnknownOutcomeError` where nobody can tell whether it happened, and the driver's errors where it did not.
    """
    timer = asyncio.get_running_loop().call_later(seconds, connection.terminate)
    try:
        result = await work
    except BaseException as error:
        if is_gone(error) and not _was_refused(error):
            connection.terminate()
            raise in_doubt(error) from error
        raise
    finally:
        timer.cancel()
    if connection.is_in_doubt:
        raise in_doubt()
    return result


async def abandon(connection: Connection) -> bool:
    """Ends the open transaction, and says whether the server answered; if not, the connection is ended too."""
    try:
        await connection.script("ROLLBACK", 1.0)
    except DRIVER_ERRORS:
        connection.terminate()
        return False
    return True


def busy() -> StoreBusyError:
    """What a writer gets who waited in vain."""
    return StoreBusyError("another writer held what this one needs for the whole busy timeout")


def _was_refused(error: BaseException) -> bool:
    """Whether the server itself said that it had not done it."""
    return getattr(error, "sqlstate", None) in ("25006", "53300")


def _left(deadline: float | None) -> float | None:
    """Seconds for one statement; the server itself says first that a lock is taken."""
    if deadline is None:
        return None
    return max(deadline - asyncio.get_running_loop().time(), 0.1) + 0.5


def _number(claim: tuple[str, ...]) -> int:
    """A name as the number of an advisory lock; two names that share one merely wait for each other."""
    digest = hashlib.blake2b("\0".join(claim).encode(), digest_size=8).digest()
    return int.from_bytes(digest, signed=True)
