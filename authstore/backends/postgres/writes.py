"""Writes: each is a unit of its own; those that are one statement need no BEGIN, and share that statement with others
of their kind.

PostgreSQL shares the flush of a commit among connections by itself. Sharing the statement is what pays.
"""

from collections.abc import Callable, Sequence
from time import monotonic
from typing import Any, TypeVar, cast

from authstore.backends.gathering import GatheredWrites, Job
from authstore.backends.postgres.errors import DRIVER_ERRORS
from authstore.backends.postgres.texts import text
from authstore.backends.postgres.units import GATE, Units
from authstore.database import Row, Unit, finished
from authstore.observers import answered
from authstore.sql import Decides, Statement

T = TypeVar("T")


class Writes(GatheredWrites):
    """Runs units, by the shortest way that each one allows."""

    def __init__(self, units: Units, *, is_pooled: bool) -> None:
        super().__init__()
        self._units = units
        self._is_pooled = is_pooled

    async def run(self, make: Callable[[], Unit[T]]) -> T:
        """The result of a unit of work."""
        if not self._is_pooled:  # a pooler's session has whatever durability others left it with
            unit = make()
            try:
                statement = next(unit)
                is_whole = statement.decides is Decides.UNIT and statement.query.whole is not None
                if is_whole and await self._is_written(statement):
                    return finished(unit)
            except StopIteration as end:
                return cast(T, end.value)
            finally:
                unit.close()
        return await self._units.run(make)

    async def _is_written(self, statement: Statement) -> bool:
        """Whether this one statement wrote a row; if not, nothing happened."""
        if statement.query.gathered is not None:
            return await self.write(statement)
        try:
            return await self._say_one(statement)
        except DRIVER_ERRORS:
            return False

    async def _say(self, jobs: Sequence[Job]) -> set[Any]:
        answered((job.asker for job in jobs), monotonic())
        try:
            if len(jobs) == 1:
                return {jobs[0].key} if await self._say_one(jobs[0].statement) else set()
            return await self._say_all([job.statement for job in jobs])
        except DRIVER_ERRORS:
            return set()  # one of them spoilt it, or the server is away: each by itself finds out

    async def _say_one(self, statement: Statement) -> bool:
        said = text(statement.query.whole or "")
        return bool(await self._units.alone(statement.query, said, said.values({**statement.parameters, "gate": GATE})))

    async def _say_all(self, statements: Sequence[Statement]) -> set[Any]:
        query, given = statements[0].query, [statement.parameters for statement in statements]
        said = text(query.gathered or "")
        values = [GATE if name == "gate" else [one[name] for one in given] for name in said.names]
        rows = await self._units.alone(query, said, values)
        return {row["id"] for row in cast(list[Row], rows)}
