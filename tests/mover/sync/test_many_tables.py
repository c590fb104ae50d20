"""Many tables on the way back: what one cannot have is its own loss, and a server too small says so."""

from pathlib import Path

import psycopg
import pytest

from authstore import connect
from authstore.mover import TargetError, make_plan, move
from tests.mover.moving import change
from tests.postgres import embedded_server, fresh_database

MANY = 150


async def _store(path: Path) -> str:
    async with connect(f"sqlite:///{path}") as store:
        await store.create_user(email="ada@example.com")
    change(
        path,
        *(
            f"CREATE TABLE part_{number} (id INTEGER PRIMARY KEY, word TEXT UNIQUE CHECK ({_check(number)}))"
            for number in range(MANY)
        ),
        *(f"INSERT INTO part_{number} VALUES ({number}, 'w')" for number in range(MANY)),
    )
    return f"sqlite:///{path}"


def _check(number: int) -> str:
    """Of two tables one that PostgreSQL does not know, or would take for something else."""
    return {20: "typeof(word) = 'text'", 70: "word GLOB '[a-z]*'"}.get(number, "word <> ''")


async def test_those_that_cannot_have_their_rule_take_it_from_no_other(tmp_path: Path, postgres_url: str) -> None:
    file = await _store(tmp_path / "auth.db")
    with fresh_database(postgres_url) as url:
        plan = await make_plan(file, url)
        behind = {one.table for one in plan.problems if one.kind == "left-behind"}
        assert behind == {"part_20", "part_70"}
        await move(plan)
        with psycopg.connect(url) as there:
            query = "SELECT count(*) FROM pg_constraint WHERE conrelid::regclass::text LIKE 'part_%' AND contype = "
            counts = {kind: there.execute(f"{query}'{kind}'".encode()).fetchone() for kind in "puc"}
            assert counts == {"p": (MANY,), "u": (MANY,), "c": (MANY - 2,)}
            assert there.execute("SELECT id, word FROM part_149").fetchall() == [(149, "w")]


async def test_a_server_with_too_few_locks_is_told_what_to_raise(tmp_path: Path) -> None:
    file = await _store(tmp_path / "auth.db")
    with embedded_server(max_locks_per_transaction="10", max_connections="10", max_wal_senders="0") as server:
        with pytest.raises(TargetError, match="no room for the locks on so many tables") as refused:
            await make_plan(file, server.url)
        assert "max_locks_per_transaction" in refused.value.hint
        with psycopg.connect(server.url) as there:
            names = "SELECT nspname::text FROM pg_namespace WHERE nspname !~ '^(pg_|information)'"
            assert there.execute(names).fetchall() == [("public",)]
