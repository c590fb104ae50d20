"""From a seeded database to auth tables in memory, the engine left out."""

import sqlite3
from dataclasses import dataclass
from typing import Any

import psycopg

from authstore.mover.auth.copies import AuthPlan, auth_plan
from authstore.mover.copies import Role
from authstore.mover.options import MoveOptions
from authstore.mover.postgres.asking import answered
from authstore.mover.postgres.introspection import read_source
from authstore.mover.recognition.profile import parse_profile
from authstore.mover.recognition.recognise import recognise
from authstore.mover.recognition.recognised import Recognised
from authstore.mover.reports import Problem
from tests.mover.copying import PINNED, arrive

ALL_DECIDED: dict[str, Any] = {
    "on_bad_row": "reject",
    "on_orphan": "reject",
    "on_duplicate": "keep-oldest",
    "secrets": "drop",
}


@dataclass
class Moved:
    """What came of a database."""

    target: sqlite3.Connection
    plan: AuthPlan
    recognised: dict[Role, Recognised]
    problems: tuple[Problem, ...]
    rejected: dict[tuple[str, str], int]

    def one(self, query: str, *values: Any) -> Any:
        """The first column of the first row, `None` without rows."""
        row = self.target.execute(query, values).fetchone()
        return row[0] if row else None

    def all(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        return self.target.execute(query, values).fetchall()

    def row(self, query: str, *values: Any) -> dict[str, Any]:
        cursor = self.target.execute(query, values)
        names = [name for name, *_ in cursor.description]
        return dict(zip(names, cursor.fetchone(), strict=True))

    def problem(self, kind: str, table: str = "") -> Problem:
        """The one problem of this kind (about this table)."""
        (found,) = (p for p in self.problems if p.kind == kind and p.table.endswith(table))
        return found

    def stopping(self) -> list[tuple[str, str]]:
        return sorted((problem.kind, problem.decision) for problem in self.problems if problem.stops)


def move(connection: psycopg.Connection[Any], profile: str | None = None, **options: Any) -> Moved:
    """Recognises, plans and copies everything of the auth tables; foreign keys are checked."""
    chosen = MoveOptions(**options)
    with connection.transaction():
        for name, value in PINNED.items():
            connection.execute("SELECT set_config(%s, %s, true)", [name, value])
        connection.execute("SET LOCAL search_path = pg_catalog")
        source = read_source(connection, chosen.schemas)
        found, questions = recognise(source, chosen, parse_profile(profile) if profile else None)
        plan = answered(connection, auth_plan(found, chosen))
        rejected = {
            (copy.target, reject.reason): _count(
                connection, f"{copy.source_from} WHERE {copy.where} AND {reject.where}"
            )
            for copy in plan.copies
            for reject in copy.rejects
        }
        target = arrive(plan.copies, connection)
    assert target.execute("PRAGMA foreign_key_check").fetchall() == []
    moved = {one.role: one for one in found if one.moved}
    return Moved(target, plan, moved, (*questions, *plan.problems), rejected)


def _count(connection: psycopg.Connection[Any], source_from: str) -> int:
    row = connection.execute(f"SELECT count(*) FROM {source_from}".encode()).fetchone()
    return int(row[0]) if row else 0
