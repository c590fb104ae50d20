"""Recognising the tables of a database, for tests that are about nothing else."""

from typing import Any

import psycopg

from authstore.mover.options import MoveOptions
from authstore.mover.postgres.introspection import read_source
from authstore.mover.recognition.profile import parse_profile
from authstore.mover.recognition.recognise import recognise
from authstore.mover.recognition.recognised import Recognised
from authstore.mover.reports import Problem

SESSIONS = '(id int PRIMARY KEY, "sessionToken" text, "userId" int, expires timestamptz)'
USERS = '(id int PRIMARY KEY, email text, "emailVerified" timestamptz)'


def look(
    source: psycopg.Connection[Any], profile: str | None = None, **options: Any
) -> tuple[tuple[Recognised, ...], tuple[Problem, ...]]:
    chosen = MoveOptions(**options)
    return recognise(read_source(source, chosen.schemas), chosen, parse_profile(profile) if profile else None)


def tables(found: tuple[Recognised, ...]) -> dict[str, str]:
    return {one.role: f"{one.table.schema}.{one.table.name}" for one in found if one.moved}


def stops(problems: tuple[Problem, ...]) -> list[tuple[str, str, str]]:
    return [(problem.kind, problem.table, problem.decision) for problem in problems if problem.stops]
