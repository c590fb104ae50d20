"""The guards of a cut-over, as a plan for their database tells of them."""

from typing import Any

import psycopg
import pytest

from authstore.mover import Problem, make_plan
from authstore.mover.postgres.replication.guard import close_tables, reopen_tables
from tests.mover.emptying import emptied
from tests.mover.moving import people

pytestmark = pytest.mark.postgres

NO_PARTS = ("guard", "trigger", "function", "authstore")


async def about_guards(source: psycopg.Connection[Any]) -> list[Problem]:
    info = source.info
    url = f"postgresql://postgres:secret@{info.host}:{info.port}/{info.dbname}"
    plan = await make_plan(url, "sqlite:///guards.db")
    assert plan.ok
    assert [table.table for table in plan.tables] == ["users", "sessions", "note"]
    return [one for one in plan.problems if any(word in f"{one.kind} {one.message} {one.samples}" for word in NO_PARTS)]


async def test_they_are_no_triggers_that_stay_behind_but_say_what_opens_the_tables(
    emptied_database: psycopg.Connection[Any],
) -> None:
    source = emptied_database
    emptied(source)
    people(source, users=3)
    assert await about_guards(source) == []
    close_tables(source, [("public", "note"), ("public", "User")], 1000)
    (said,) = await about_guards(source)
    assert (said.kind, said.count, said.stops) == ("guard", 2, False)
    assert "2 tables are closed by a cut-over" in said.message
    assert "--reopen" in said.message
    assert sorted(said.samples) == ['public."User"', "public.note"]

    url = f"host={source.info.host} port={source.info.port} user=postgres password=secret dbname={source.info.dbname}"
    with psycopg.connect(url) as reader:
        reader.execute("SELECT count(*) FROM note")  # while somebody reads it no trigger can be removed
        reopen_tables(source)
        (said,) = await about_guards(source)
        assert "which refuse nothing any more" in said.message
        assert "--reopen" in said.message
    reopen_tables(source)
    assert await about_guards(source) == []
