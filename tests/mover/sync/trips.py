"""From a database into a file, and into another database."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from authstore.mover import MoveReport, Plan, make_plan, move, verify
from tests.mover.moving import DECIDED, moved

_Link = psycopg.Connection[Any]


@dataclass(frozen=True)
class Trip:
    """A database that is left, the file, and the database to which one returns."""

    here: _Link
    here_url: str
    there: _Link
    there_url: str
    file: Path

    @property
    def file_url(self) -> str:
        return f"sqlite:///{self.file}"

    async def out(self, **options: Any) -> MoveReport:
        return await moved(self.here_url, self.file, **{**DECIDED, **options})

    async def back(self) -> Plan:
        plan = await make_plan(self.file_url, self.there_url)
        assert plan.ok, plan.problems
        await move(plan, prove=True)
        return plan


async def assert_equal(trip: Trip) -> None:
    report = await verify(trip.file_url, trip.there_url)
    assert report.ok, report
