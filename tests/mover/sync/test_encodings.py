"""Databases in other encodings than UTF-8."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import count
from pathlib import Path

import psycopg
import pytest

from authstore.mover import make_plan, move, verify
from authstore.mover.postgres.types import is_no_text
from tests.mover.seeds import SCHEMAS
from tests.postgres import with_database

_numbers = count(1)


@contextmanager
def database(server_url: str, encoding: str) -> Iterator[str]:
    name = f"authstore_{encoding.lower()}_{next(_numbers)}"
    with psycopg.connect(server_url, autocommit=True) as server:
        wanted = f"TEMPLATE template0 ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C'"
        server.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)".encode())
        server.execute(f"CREATE DATABASE {name} {wanted}".encode())
        try:
            yield with_database(server_url, name)
        finally:
            server.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


def seed(url: str, script: str) -> None:
    with psycopg.connect(url, autocommit=True, client_encoding="utf8") as connection:
        connection.execute(script.encode())


async def test_a_latin1_database_arrives_in_utf8_and_is_proved(postgres_url: str, tmp_path: Path) -> None:
    target = tmp_path / "auth.db"
    with database(postgres_url, "LATIN1") as url:
        seed(url, SCHEMAS["pg_adapter"])
        seed(url, "INSERT INTO users (name, email) VALUES ('Zoé', 'zoe@example.com')")
        seed(url, "CREATE TABLE notes (body text PRIMARY KEY); INSERT INTO notes VALUES ('é'), ('z')")
        await move(await make_plan(url, target))

        report = await verify(url, target)

    assert report.ok
    assert report.tables["notes"].target_rows == 2


async def test_texts_that_are_no_utf8_are_refused_by_name_before_the_copy(postgres_url: str, tmp_path: Path) -> None:
    with database(postgres_url, "SQL_ASCII") as url:
        seed(url, SCHEMAS["pg_adapter"])
        seed(url, "INSERT INTO users (name) VALUES (E'\\xe9')")
        seed(url, "CREATE TABLE notes (id int PRIMARY KEY, a text, b text)")
        seed(url, "INSERT INTO notes VALUES (1, 'é', 'ok'), (2, 'ok', E'half \\xed\\xa0\\x80 of a pair')")

        plan = await make_plan(url, tmp_path / "auth.db")

    found = [(problem.table, problem.message, problem.count) for problem in plan.problems if problem.stops]
    assert found == [
        ("public.users", 'column "name" is not UTF-8', 1),
        ("public.notes", 'column "b" is not UTF-8', 1),
    ]


@pytest.mark.parametrize("number", [0, 0x7F, 0x80, 0x7FF, 0x800, 0xD7FF, 0xE000, 0xFFFF, 0x10000, 0x10FFFF])
def test_every_character_is_text(number: int, postgres_url: str) -> None:
    assert judged(postgres_url, chr(number).encode() * 2) is False


@pytest.mark.parametrize(
    "wrong",
    ["80", "c080", "c1bf", "c3", "c328", "e08080", "eda080", "edbfbf", "f0808080", "f4908080", "f5808080", "ff"],
)
def test_every_other_byte_is_none(wrong: str, postgres_url: str) -> None:
    assert judged(postgres_url, bytes.fromhex(wrong)) is True


def judged(url: str, raw: bytes) -> bool:
    """The rule itself, on bytes that this server's own encoding would not let in."""
    rule = is_no_text("x").replace("encode(convert_to(concat(x), 'SQL_ASCII'), 'hex')", f"'{raw.hex()}'")
    with closing(psycopg.connect(url)) as connection:
        row = connection.execute(f"SELECT {rule}".encode()).fetchone()
    assert row is not None
    return bool(row[0])
