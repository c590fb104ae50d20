"""The few verbs a backend offers. The store is written once, on these."""

from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar

from pydantic import JsonValue

from authstore.errors import StoreMisuseError
from authstore.observers import Watch
from authstore.sql import Query, Statement

Row = Mapping[str, Any]
Found = Sequence[Any]  # the checked values of a look-up, in the order of its query
T = TypeVar("T")

# A unit of work is a generator: it yields statements, is sent their rows (of a statement that returns none, an
# empty one for each row it wrote), and returns its result. It does no other I/O and may be run again from the
# start, so one text serves a driver with its own thread, where a whole unit is one hop, and a driver that awaits
# every statement.
Unit = Generator[Statement, list[Row], T]


def within(unit: Unit[T]) -> Unit[T]:
    """A unit as a part of another one: no statement of it is the whole."""
    try:
        statement = next(unit)
        while True:
            statement = unit.send((yield statement.within()))
    except StopIteration as finished:
        result: T = finished.value
        return result


def finished(unit: Unit[T]) -> T:
    """The result of a unit whose one statement (`Decides.UNIT`) wrote a row."""
    try:
        unit.send([{}])
    except StopIteration as end:
        result: T = end.value
        return result
    raise StoreMisuseError("a unit went on after the statement that was to be all of it")


class Lookup(NamedTuple):
    """A question that can be asked for one key or for many at once, so that those who wait together are answered
    together.

    `one` takes `:key` and answers with at most one row, which `check` turns into what was found. `many` takes a list
    of `:keys`, and `read` what the backend gives for it: rows of that kind, or a JSON array of them in UTF-8; what
    it gives back is what was found, by key. Both raise `ValueError` for what no store wrote.
    """

    one: Query
    many: Query
    check: Callable[[Sequence[Any]], Found]
    read: Callable[[bytes | Sequence[Sequence[Any]]], Mapping[str, Found]]


class LogLook(NamedTuple):
    """The change log at one moment of the database: the rows asked for, the newest one's number and nonce, the newest
    session's place and id, and whether the session that was named is there."""

    rows: Sequence[tuple[Any, ...]]
    seq: int
    nonce: int
    newest: int
    newest_id: str | None
    is_there: bool


class ChangeLog(Protocol):
    """The change log, read at once: in the caller's thread, without waiting for anybody."""

    def since(self, seq: int, newest: int) -> Sequence[tuple[Any, ...]]:
        """The rows from this number on: `seq`, `user_id`, `session_id`, `nonce`, and the id of the session in the place
        `newest` of its table. None where the database does not answer.

        Raises `StoreClosedError`, `StoreMisuseError`, `StoreNotFoundError` (the file was replaced).
        """
        ...

    def look(self, seq: int, newest: int, session_id: str) -> LogLook | None:
        """The same, with where the log ends; `None` where the database does not answer."""
        ...


class Database(Protocol):
    """A backend, open. Parameters may be text, int, float, bytes, bool, aware datetime or None; instants
    come back as ISO text or aware datetimes, booleans as bool or 0/1, JSON as text."""

    async def one(self, statement: Statement) -> Row | None:
        """The first row of a reading statement."""
        ...

    async def all(self, statement: Statement) -> list[Row]:
        """All rows of a reading statement."""
        ...

    def lookup(self, lookup: Lookup, key: str) -> Awaitable[Found | None]:
        """What there is under this key."""
        ...

    async def unit(self, make: Callable[[], Unit[T]]) -> T:
        """Runs a unit that may write: all of it happened, or nothing."""
        ...

    def transaction(self) -> AbstractAsyncContextManager["Database"]:
        """These verbs, within one serializable transaction; nested, a savepoint."""
        ...

    def watch(self, watch: Watch) -> None:
        """From here on tells `watch` of every statement, and the public call (`WAITS`) what it waited for."""
        ...

    def change_log(self) -> ChangeLog | None:
        """The change log for a cache; `None` where there is none to keep (a database in memory, a log with gaps).

        Raises `ConfigurationError` where a cache cannot be kept true.
        """
        ...

    async def explain(self, query: Query) -> list[str]:
        """How the database goes about a query, in its own words, a line each; nothing is run."""
        ...

    async def facts(self) -> dict[str, JsonValue]:
        """What the backend knows about itself, after reading from the database; raises where that does not work.

        `wal_bytes`: how long its log is, where it has one.
        """
        ...

    async def copy_to(self, path: Path) -> None:
        """Writes what it holds at one moment into an empty file, as a store on SQLite."""
        ...

    async def close(self) -> None:
        """Lets go of the database; may be repeated."""
        ...
