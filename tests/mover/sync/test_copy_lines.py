"""Rows as the lines that COPY reads: each value is what it was, or no lines are made and the values go one by one."""

import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from authstore import connect
from authstore.mover import MoverError, make_plan, move, verify
from authstore.mover.batches import LineBatch
from authstore.mover.layout import ColumnLayout, Layout
from authstore.mover.sqlite.copy_lines import copy_lines, digested_texts, has_lines, joined_texts, row_of
from authstore.mover.sqlite.queries import TargetQueries
from authstore.mover.tuning import Tuning
from tests.mover.moving import change
from tests.postgres import fresh_database

LAYOUT = Layout(
    "t",
    (
        ColumnLayout("n", "int8"),
        ColumnLayout("a", "text"),
        ColumnLayout("b", "bytea"),
        ColumnLayout("c", "text"),
        ColumnLayout("d", "bytea"),
    ),
    ("n",),
)
ODD = [
    "\\",
    "\\N",
    "\\.",
    "\t",
    "\n",
    "\r",
    "\x1d",
    "\x1e",
    "null",
    "\x1enull",
    "\x1f",
    "\0",
    "\\x",
    "ä",
    "𝄞",
    "",
    "a",
    "%s",
]
DOUBTFUL = ("\x1d", "\x1f", "\x1enull", "\0")
texts = st.none() | st.lists(st.sampled_from(ODD), max_size=4).map("".join)
blobs = st.none() | st.binary(max_size=4)
rows = st.lists(st.tuples(st.integers(-(2**63), 2**63 - 1), texts, blobs, texts, blobs), min_size=1, max_size=5)
ESCAPES = {"\\": "\\", "n": "\n", "r": "\r", "t": "\t"}


def lined(row: tuple[Any, ...]) -> bytes:
    """The text of a row, as `TargetQueries.lined` has SQLite make it."""
    parts = (
        ("\x1d" if column.kind == "bytea" else "")
        + ("\x1enull" if value is None else value.hex() if isinstance(value, bytes) else str(value))
        for value, column in zip(row, LAYOUT.columns, strict=True)
    )
    return "\x1f".join(parts).encode()


def read_back(line: bytes) -> tuple[Any, ...]:
    """A line as the manual of COPY says that it is read."""
    values = [
        None if part == "\\N" else re.sub(r"\\(.)", lambda found: ESCAPES[found[1]], part)
        for part in line.decode().split("\t")
    ]
    number, a, b, c, d = values
    return (int(number or ""), a, _bytes(b), c, _bytes(d))


def _bytes(value: str | None) -> bytes | None:
    if value is None:
        return None
    assert value.startswith("\\x")
    return bytes.fromhex(value[2:])


@given(rows)
@example([(1, None, None, "\x1enull", b"")])
@example([(1, "a\x1fb", None, "", b"")])
@example([(1, "\x1d", b"", None, None)])
@settings(max_examples=300)
def test_lines_say_what_the_values_are_or_there_are_none(found: list[tuple[Any, ...]]) -> None:
    joined = joined_texts([lined(row) for row in found])
    lines = copy_lines(joined, len(found), sum(value is None for row in found for value in row), LAYOUT)
    doubtful = any(sign in value for row in found for value in row if isinstance(value, str) for sign in DOUBTFUL)
    assert (lines is None) == doubtful
    if lines is not None:
        assert lines.endswith(b"\n")
        assert [read_back(line) for line in lines[:-1].split(b"\n")] == found
        assert b"\r" not in lines
        assert row_of(digested_texts(joined)[-1], LAYOUT) == found[-1]


@given(rows)
@settings(max_examples=100)
def test_what_lines_are_made_of_is_what_is_digested(found: list[tuple[Any, ...]]) -> None:
    wide = [ColumnLayout(f"{one.name}{number}", one.kind) for number in range(25) for one in LAYOUT.columns]
    queries = TargetQueries(Layout("t", tuple(wide), ()))
    clear = [row for row in found if not any(sign in str(value) for value in row for sign in ("\x1d", "\0"))]
    with closing(sqlite3.connect(":memory:")) as memory:
        memory.execute(f"CREATE TABLE t ({', '.join(f'{one.name} ANY' for one in wide)}) STRICT")
        memory.executemany(f"INSERT INTO t VALUES ({', '.join('?' * len(wide))})", [row * 25 for row in clear])
        pairs = memory.execute(f"SELECT {queries.lined}, {queries.digested} FROM t ORDER BY rowid").fetchall()
    assert [text for text, _ in pairs] == [b"\x1f".join([lined(row)] * 25) for row in clear]
    assert [digested_texts(text) for text, _ in pairs] == [[text] for _, text in pairs]


def test_text_that_is_no_utf_8_makes_no_line() -> None:
    assert copy_lines(b"1\x1f\xff\x1f\x1d\x1enull\x1fa\x1f\x1d00", 1, 1, LAYOUT) is None


@given(st.lists(st.binary(max_size=3), min_size=2, max_size=9), st.data())
@settings(max_examples=50)
def test_lines_are_found_and_dropped_by_their_place(values: list[bytes], data: st.DataObject) -> None:
    lines = [value.replace(b"\n", b"").replace(b"\r", b"") + b"\n" for value in values]
    batch = LineBatch([str(number) for number in range(len(lines))], [b"".join(lines)], ())
    at = data.draw(st.integers(0, len(lines) - 1))
    assert batch.lines(at, len(lines)) == b"".join(lines[at:])
    batch.drop(at)
    del lines[at]
    assert batch.lines(0, len(batch)) == b"".join(lines)
    assert str(at) not in batch.digests


@pytest.mark.parametrize(
    "column", [ColumnLayout("x", "float8"), ColumnLayout("x", "text", True), ColumnLayout("x", "int8", constant="1")]
)
def test_what_the_digest_spells_otherwise_has_no_lines(column: ColumnLayout) -> None:
    assert has_lines(LAYOUT)
    assert not has_lines(Layout("t", (*LAYOUT.columns, column), ("n",)))


async def test_odd_texts_arrive_as_they_are_in_lines_and_behind_them(tmp_path: Path, postgres_url: str) -> None:
    path = tmp_path / "auth.db"
    names = ["plain", *(name for name in ODD if name != "\0"), "a\x1fb", None, "last"]
    async with connect(f"sqlite:///{path}") as store:
        for number, name in enumerate(names):
            await store.create_user(email=f"p{number}@example.com", name=name, data={"at": number, "said": "a\tb\\n"})
    with fresh_database(postgres_url) as url:
        plan = await make_plan(f"sqlite:///{path}", url)
        await move(plan, prove=True, tuning=Tuning(stretch_rows=3))
        assert (await verify(f"sqlite:///{path}", url)).ok
        with psycopg.connect(url) as there:
            found = there.execute("SELECT name FROM users ORDER BY (data ->> 'at')::int").fetchall()
        assert [name for (name,) in found] == names


async def test_a_row_whose_text_is_none_is_named(tmp_path: Path, postgres_url: str) -> None:
    path = tmp_path / "auth.db"
    async with connect(f"sqlite:///{path}") as store:
        await store.create_user(email="one@example.com")
        user = await store.create_user(email="two@example.com")
    change(path, f"UPDATE users SET name = CAST(x'ff41' AS TEXT) WHERE id = '{user.id}'")
    with fresh_database(postgres_url) as url:
        plan = await make_plan(f"sqlite:///{path}", url)
        with pytest.raises(MoverError, match=f"the row '{user.id}' holds text that is not UTF-8"):
            await move(plan)
