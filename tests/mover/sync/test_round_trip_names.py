"""From PostgreSQL into a file and back: what stood there under a name stands there under it again."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from authstore.errors import ConfigurationError
from authstore.mover import TargetChangedError, make_plan, move, verify
from tests.mover.moving import moved, people
from tests.postgres import fresh_database

_Link = psycopg.Connection[Any]
KEYS = """
SELECT c.relname::text, k.conname::text FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid
WHERE k.contype IN ('p', 'u') AND c.relnamespace = 'public'::regnamespace AND c.relname ~* %s ORDER BY 1, 2
"""


@pytest.fixture
def back(postgres_url: str) -> Iterator[_Link]:
    with fresh_database(postgres_url) as url, psycopg.connect(url, autocommit=True, connect_timeout=10) as link:
        yield link


def address(link: _Link, like: str) -> str:
    return like.rpartition("/")[0] + "/" + link.info.dbname


async def test_names_that_differ_in_case_alone_are_theirs_again(
    source: _Link, source_url: str, tmp_path: Path, back: _Link
) -> None:
    people(source, users=1, sessions=1, notes=0)
    for number, name in enumerate(("Mixed", "mixed", "MIXED"), 1):
        source.execute(f'CREATE TABLE "{name}" (id int PRIMARY KEY); INSERT INTO "{name}" VALUES ({number})'.encode())
    url, file = address(back, source_url), f"sqlite:///{tmp_path / 'auth.db'}"
    await moved(source_url, tmp_path / "auth.db")
    await move(await make_plan(file, url))
    for number, name in enumerate(("Mixed", "mixed", "MIXED"), 1):
        assert back.execute(f'SELECT id FROM "{name}"'.encode()).fetchall() == [(number,)]
    assert back.execute(KEYS, ("^mixed",)).fetchall() == source.execute(KEYS, ("^mixed",)).fetchall()


async def test_keys_of_a_table_whose_name_is_authstore_s_come_too(
    source: _Link, source_url: str, tmp_path: Path, back: _Link
) -> None:
    people(source, users=1, sessions=1, notes=0)
    source.execute("CREATE TABLE changes (seq int PRIMARY KEY, a text UNIQUE, b int); CREATE INDEX ON changes (b)")
    source.execute("CREATE TABLE visits (id int PRIMARY KEY); CREATE INDEX own_name ON visits (id DESC)")
    url, file = address(back, source_url), f"sqlite:///{tmp_path / 'auth.db'}"
    await moved(source_url, tmp_path / "auth.db")
    plan = await make_plan(file, url)
    assert [each.message for each in plan.problems if "stays behind" in each.message] == []
    await move(plan)
    assert [name for _, name in back.execute(KEYS, ("^source_",))] == [
        "source_changes_a_key", "source_changes_pkey", "source_visits_pkey",
    ]  # fmt: skip
    indexes = back.execute("SELECT indexname FROM pg_indexes WHERE tablename ~ '^source_' ORDER BY 1").fetchall()
    assert {"own_name", "source_changes_b_idx"} <= {name for (name,) in indexes}
    assert (await verify(file, url)).ok


async def test_extensions_and_types_do_not_keep_a_target_from_catching_up(
    source: _Link, source_url: str, tmp_path: Path, back: _Link
) -> None:
    people(source, users=1, sessions=1, notes=0)
    source.execute("CREATE EXTENSION citext; CREATE TYPE pair AS (a int, b text); CREATE TYPE mood AS ENUM ('x', 'y')")
    source.execute("CREATE TABLE t (id int PRIMARY KEY, p pair, ps pair[], m mood, c citext)")
    source.execute("INSERT INTO t VALUES (1, row(1, 'x'), array[row(2, 'y')::pair], 'y', 'Ab')")
    url, file = address(back, source_url), f"sqlite:///{tmp_path / 'auth.db'}"
    await moved(source_url, tmp_path / "auth.db")
    await move(await make_plan(file, url))
    source.execute("INSERT INTO t VALUES (2, NULL, '{}', 'x', 'c')")
    await moved(source_url, tmp_path / "auth.db")
    report = await move(await make_plan(file, url))
    assert report.tables["t"].copied == 1
    assert (
        back.execute("SELECT t::text FROM t ORDER BY id").fetchall()
        == source.execute("SELECT t::text FROM t ORDER BY id").fetchall()
    )


async def test_what_an_index_needs_without_a_word_and_where_a_sequence_begins(
    source: _Link, source_url: str, tmp_path: Path, back: _Link
) -> None:
    people(source, users=1, sessions=1, notes=0)
    source.execute("CREATE EXTENSION btree_gist; CREATE EXTENSION btree_gin")
    source.execute("CREATE TABLE room (id serial PRIMARY KEY, n int, at tsrange)")
    source.execute("ALTER TABLE room ADD EXCLUDE USING gist (n WITH =, at WITH &&)")
    source.execute("CREATE INDEX room_n ON room USING gin (n); ALTER SEQUENCE room_id_seq RESTART WITH 500")
    url, file = address(back, source_url), f"sqlite:///{tmp_path / 'auth.db'}"
    await moved(source_url, tmp_path / "auth.db")
    plan = await make_plan(file, url)
    assert [each.message for each in plan.problems if "stays behind" in each.message] == []
    await move(plan)
    assert back.execute("INSERT INTO room (n, at) VALUES (1, '[2024-01-01,)') RETURNING id").fetchone() == (500,)
    with pytest.raises(psycopg.errors.ExclusionViolation):
        back.execute("INSERT INTO room (n, at) VALUES (1, '[2025-01-01,)')")


@pytest.mark.parametrize("line", ['leave = ["Notes"]', 'carry = ["note", "app.note"]', ""])
async def test_a_profile_that_names_no_table_is_refused(
    source: _Link, source_url: str, tmp_path: Path, line: str
) -> None:
    people(source, users=1, sessions=1, notes=0)
    path = tmp_path / "profile.toml"
    path.write_text(f"authstore_profile = 1\n{line}\n")
    with pytest.raises(ConfigurationError, match="no table is called so" if line else "cannot be read"):
        await make_plan(source_url, tmp_path / "auth.db", profile=str(path) if line else "")


async def test_tables_with_names_of_the_ledger_s_come_under_others_and_are_named(
    source: _Link, source_url: str, tmp_path: Path, back: _Link
) -> None:
    people(source, users=1, sessions=1, notes=0)
    names = ("authstore_move", "authstore_move_spellings", "authstore_migrations")
    for name in names:
        source.execute(f"CREATE TABLE {name} (id int PRIMARY KEY); INSERT INTO {name} VALUES (7)".encode())
    url, file = address(back, source_url), f"sqlite:///{tmp_path / 'auth.db'}"
    await moved(source_url, tmp_path / "auth.db")
    plan = await make_plan(file, url)
    said = {each.message for each in plan.problems if each.kind == "name"}
    assert said == {f'"{name}" becomes "source_{name}": its own name is authstore\'s' for name in names}
    await move(plan)
    for name in names:
        assert back.execute(f"SELECT id FROM source_{name}".encode()).fetchall() == [(7,)]
    back.execute("CREATE SCHEMA theirs; CREATE TABLE theirs.authstore_move (id int PRIMARY KEY)")
    with pytest.raises(TargetChangedError, match="authstore_move"):
        await move(replace(plan, target=f"{url}?options=-csearch_path%3Dtheirs"))
