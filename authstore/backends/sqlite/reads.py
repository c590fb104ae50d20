"""Reads that wait together share a hop to the reading thread, and look-ups of one kind also a query.

Two hops may be under way at once: while SQLite answers one (without Python's lock, a look-up being a single
row), the callers of the other run.
"""

import asyncio
import json
import sqlite3
from collections.abc import Awaitable, Mapping, Sequence
from functools import partial
from time import monotonic
from typing import Any, TypeAlias

from authstore.backends.sqlite.errors import translated, unreadable
from authstore.backends.sqlite.texts import escaped, is_undecodable
from authstore.backends.sqlite.thread import ConnectionThread
from authstore.backends.sqlite.units import UnitConnection, abandon, settle
from authstore.database import Found, Lookup, Row
from authstore.observers import WAITS, Asker
from authstore.sql import Statement

HOPS = 2
MAX_READS = 512  # in one hop
MIN_SPLIT = 32  # fewer are not worth a second hop

Outcome: TypeAlias = tuple[Any, BaseException | None]


# There is one for each call of the hot path: a look-up is asked for by a plain tuple, with its key.
Question: TypeAlias = Statement | tuple[Lookup, str]


class Reads:
    """Reads wait for nobody but each other."""

    def __init__(self, thread: ConnectionThread) -> None:
        self._thread = thread
        self._loop = asyncio.get_running_loop()
        self._questions: list[Question] = []
        self._waiting: list[asyncio.Future[Any]] = []  # one for each question
        self._askers: list[Asker] = []  # one for each, where somebody watches
        self._hops: set[asyncio.Task[None]] = set()
        self._is_starting = False
        self._is_lonely = True  # the last who asked was alone
        self._running = 0

    def read(self, statement: Statement) -> Awaitable[list[Row]]:
        """The rows of a statement."""
        return self._answer_to(statement)

    def lookup(self, lookup: Lookup, key: str) -> Awaitable[Found | None]:
        """What a look-up finds for one key."""
        return self._answer_to((lookup, key))

    async def finish(self) -> None:
        """Waits until nobody waits."""
        while self._hops:
            await asyncio.wait(self._hops)

    def _answer_to(self, question: Question) -> Awaitable[Any]:
        if self._is_lonely and not self._running and not self._is_starting:
            return self._answer_alone(question)
        waiting = self._loop.create_future()
        self._questions.append(question)
        self._waiting.append(waiting)
        if self._thread.watch is not None:
            self._askers.append((monotonic(), WAITS.get()))
        self._start()
        return waiting

    async def _answer_alone(self, question: Question) -> Any:
        """In the caller's own task, which spares a lonely caller two turns of the event loop."""
        self._running += 1
        try:
            with translated():
                return await self._thread.run(partial(answer, question))
        finally:
            self._running -= 1
            self._start()

    def _start(self) -> None:
        if not self._waiting or self._is_starting or self._running >= HOPS:
            return
        # It begins when everybody who is ready to run now has asked.
        self._is_starting = True
        task = self._loop.create_task(self._answer_all())
        self._hops.add(task)
        task.add_done_callback(self._hops.discard)

    async def _answer_all(self) -> None:
        self._is_starting = False
        self._running += 1
        WAITS.set(None)  # this task was begun by one of those who wait, and works for all
        try:
            while self._waiting:
                await self._answer(*self._take())
        finally:
            self._running -= 1

    async def _answer(
        self, questions: list[Question], waiting: "list[asyncio.Future[Any]]", askers: list[Asker]
    ) -> None:
        try:
            outcomes = await self._thread.run(partial(answers, questions), askers)
        except asyncio.CancelledError:
            abandon(waiting + self._waiting)
            raise
        except Exception as error:
            outcomes = [(None, error)] * len(waiting)
        for future, outcome in zip(waiting, outcomes, strict=True):
            settle(future, *outcome)

    def _take(self) -> "tuple[list[Question], list[asyncio.Future[Any]], list[Asker]]":
        count = min(len(self._waiting), MAX_READS)
        if self._running == 1 and count >= MIN_SPLIT:
            count = (count + 1) // 2
        self._is_lonely = count == 1 and self._running == 1
        questions, self._questions = self._questions[:count], self._questions[count:]
        waiting, self._waiting = self._waiting[:count], self._waiting[count:]
        askers, self._askers = self._askers[:count], self._askers[count:]
        self._start()
        return questions, waiting, askers


def answer(question: Question, connection: UnitConnection) -> Any:
    """What a question finds. Raises what it fails with."""
    return find(_source(connection), question)


def answers(questions: Sequence[Question], connection: UnitConnection) -> list[Outcome]:
    """An outcome for each question."""
    source = _source(connection)
    keys: dict[Lookup, list[str]] = {}
    for question in questions:
        if not isinstance(question, Statement):
            keys.setdefault(question[0], []).append(question[1])
    found = {lookup: _look_up_each(source, lookup, wanted) for lookup, wanted in keys.items()}
    return [
        _outcome(source, question) if isinstance(question, Statement) else found[question[0]][question[1]]
        for question in questions
    ]


def _source(connection: UnitConnection) -> UnitConnection:
    """Where readers read."""
    snapshot = connection.snapshot
    if snapshot is None:
        return connection
    snapshot.executed, snapshot.waited, snapshot.locked = connection.executed, connection.waited, connection.locked
    return snapshot


def _look_up(connection: UnitConnection, lookup: Lookup, key: str) -> Found | None:
    def ask() -> list[tuple[Any, ...]]:
        return connection.execute(lookup.one.sqlite, {"key": key}).fetchall()

    rows = ask() if connection.executed is None else connection.noting(lookup.one, ask)
    try:
        return lookup.check(rows[0]) if rows else None
    except ValueError:
        raise unreadable() from None


def _look_up_each(connection: UnitConnection, lookup: Lookup, keys: list[str]) -> dict[str, Outcome]:
    def ask() -> Mapping[str, Found]:
        [(answer,)] = connection.execute(lookup.many.sqlite, {"keys": json.dumps(keys)}).fetchall()
        return lookup.read(answer)

    try:
        found = connection.noting(lookup.many, ask)
    except ValueError:  # one row cannot be read: only who asked for that one fails
        return {key: _outcome(connection, (lookup, key)) for key in keys}
    except BaseException as error:
        return dict.fromkeys(keys, (None, error))
    return {key: (found.get(key), None) for key in keys}


def _outcome(connection: UnitConnection, question: Question) -> Outcome:
    try:
        return find(connection, question), None
    except BaseException as error:
        return None, error


def find(connection: UnitConnection, question: Question) -> Any:
    """What a question finds; text that is not UTF-8 is left to whoever makes something of the rows."""
    try:
        return connection.rows(question) if isinstance(question, Statement) else _look_up(connection, *question)
    except sqlite3.OperationalError as error:
        if not is_undecodable(error):
            raise
    with escaped(connection):
        return find(connection, question)
