"""Tables of every type, of very many columns and without a key: moved, proved, changed and proved again."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from authstore.mover import make_plan, move, verify
from tests.mover.postgres.test_types import ARRAYS, NUMBERS, OTHERS, SETUP, TEXTS, TIMES
from tests.mover.seeds import SCHEMAS
from tests.postgres import fresh_database

TYPES = [*NUMBERS, *TEXTS, *TIMES, *OTHERS, *ARRAYS]


@pytest.fixture(scope="module")
def filled(postgres_url: str) -> Iterator[str]:
    with fresh_database(postgres_url) as url, psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET intervalstyle = iso_8601")
        connection.execute(SETUP)
        connection.execute(SCHEMAS["pg_adapter"].encode())
        connection.execute(every_type().encode())
        connection.execute(f"CREATE TABLE wide (id serial PRIMARY KEY, {_columns(1500)})".encode())
        connection.execute("INSERT INTO wide DEFAULT VALUES; INSERT INTO wide DEFAULT VALUES")
        connection.execute("CREATE TABLE log (word text, number float8)")
        connection.execute("INSERT INTO log SELECT 'x', 1 FROM generate_series(1, 3)")
        yield url


def every_type() -> str:
    columns = ", ".join(f"c{number} {kind}" for number, (kind, *_) in enumerate(TYPES))
    most = max(len(values) for _, values, *_ in TYPES)
    rows = [", ".join(values[row] if row < len(values) else "NULL" for _, values, *_ in TYPES) for row in range(most)]
    inserts = "; ".join(f"INSERT INTO every VALUES ({row}, {values})" for row, values in enumerate(rows))
    return f"CREATE TABLE every (id int PRIMARY KEY, {columns}); {inserts}"


def _columns(count: int) -> str:
    return ", ".join(f"c{number} int DEFAULT {number}" for number in range(count))


async def test_whole_tables_are_moved_proved_and_caught_up(filled: str, tmp_path: Path) -> None:
    target = tmp_path / "auth.db"
    await move(await make_plan(filled, target))
    first = await verify(filled, target)

    with psycopg.connect(filled, autocommit=True) as connection:
        connection.execute("UPDATE wide SET c1499 = -1 WHERE id = 2")
        connection.execute("DELETE FROM log WHERE ctid = '(0,1)'; INSERT INTO log VALUES ('a', 'NaN')")
        connection.execute("DELETE FROM every WHERE id = 1; UPDATE every SET c0 = NULL WHERE id = 0")
    stale = await verify(filled, target)
    await move(await make_plan(filled, target))
    second = await verify(filled, target)

    assert (first.ok, stale.ok, second.ok) == (True, False, True)
    with closing(sqlite3.connect(target)) as found:
        assert found.execute("SELECT c1499 FROM wide").fetchall() == [(1499,), (-1,)]
        assert found.execute("SELECT word, number FROM log ORDER BY rowid").fetchall() == [
            ("a", "NaN"),
            *[("x", 1.0)] * 2,
        ]
        assert found.execute("SELECT count(*), count(c0) FROM every").fetchall() == [(4, 0)]
