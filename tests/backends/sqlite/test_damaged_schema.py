"""What SQLite says of a damaged schema quotes it, be it text or not: the driver then raises no error of SQLite's."""

import asyncio
import re
import sqlite3
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from authstore import SchemaError, StoreCorruptError, connect, ops
from authstore.backends.sqlite import file
from authstore.backends.sqlite.errors import ours
from authstore.mover.errors import SourceError, TargetError
from authstore.mover.sqlite.reading import opened_for_reading
from authstore.mover.sqlite.source import opened_source
from authstore.mover.sqlite.target_files import TargetFiles
from tests.ops.filling import fill


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("whole") / "auth.db"
    asyncio.run(_make(path))
    return path.read_bytes()


async def _make(path: Path) -> None:
    async with connect(path) as store:
        await fill(store, 3)


async def _open(path: Path) -> None:
    async with connect(path) as store:
        await store.get_user("u00001")


async def _restore(path: Path) -> None:
    await ops.restore(path, path.with_name("restored.db"))


async def _back_up(path: Path) -> None:
    await ops.backup(path, path.with_name("copy.db"))


async def _inspect(path: Path) -> None:
    await ops.inspect(path)


USES: list[Callable[[Path], Awaitable[None]]] = [_open, _restore, _back_up, _inspect]


def damaged(content: bytes, place: int) -> bytes:
    """With the highest bit of one byte turned over, which makes of ASCII what is no UTF-8."""
    return content[:place] + bytes([content[place] ^ 0x80]) + content[place + 1 :]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(number=st.integers(0, 10_000), place=st.integers(0, 60), use=st.sampled_from(USES))
def test_one_byte_of_the_schema_that_is_no_text(
    tmp_path: Path, whole: bytes, number: int, place: int, use: Callable[[Path], Awaitable[None]]
) -> None:
    statements = [found.start() for found in re.finditer(rb"CREATE (TABLE|TRIGGER|INDEX) \w", whole)]
    place += statements[number % len(statements)]
    path = Path(tempfile.mkdtemp(dir=tmp_path)) / "auth.db"
    path.write_bytes(damaged(whole, place))
    try:
        asyncio.run(use(path))
    except (StoreCorruptError, SchemaError):  # its table has another name now
        assert not asyncio.run(ops.drill(path)).ok
        assert "error" in {found.level for found in asyncio.run(ops.doctor(path))}


@pytest.mark.parametrize("say", ["execute", "executemany", "executescript"])
def test_every_way_to_say_something_is_refused_as_the_driver_refuses(tmp_path: Path, whole: bytes, say: str) -> None:
    path = tmp_path / "auth.db"
    path.write_bytes(damaged(whole, whole.index(b"AFTER")))
    given = {"execute": (), "executemany": ([()],), "executescript": ()}[say]
    with closing(sqlite3.connect(path)) as bare, pytest.raises(UnicodeDecodeError):
        getattr(bare, say)("DELETE FROM users", *given)
    with closing(file.connect(path, file.Connection)) as connection, pytest.raises(sqlite3.DatabaseError) as refused:
        getattr(connection, say)("DELETE FROM users", *given)
    assert str(ours(refused.value)) == "the database file is damaged (SQLITE_CORRUPT)"


async def test_health_and_restore_over_it(tmp_path: Path, whole: bytes) -> None:
    path, good = tmp_path / "auth.db", tmp_path / "good.db"
    good.write_bytes(whole)
    path.write_bytes(damaged(whole, whole.index(b"AFTER")))
    with pytest.raises(StoreCorruptError):
        await _open(path)
    await ops.restore(good, path)
    await _open(path)


def test_the_mover_says_which_file(tmp_path: Path, whole: bytes) -> None:
    path = tmp_path / "auth.db"
    path.write_bytes(damaged(whole, whole.index(b"AFTER")))
    with pytest.raises(TargetError, match=r"auth\.db cannot be read"), opened_for_reading(TargetFiles(path)) as target:
        target.execute("SELECT * FROM users")
    other = tmp_path / "theirs.db"
    with closing(sqlite3.connect(other)) as made:
        made.executescript("CREATE TABLE a(b); CREATE TRIGGER t AFTER INSERT ON a BEGIN SELECT 1; END")
    other.write_bytes(damaged(other.read_bytes(), other.read_bytes().index(b"AFTER")))
    with (
        pytest.raises(SourceError, match=r"theirs\.db cannot be read"),
        opened_source(TargetFiles(other), is_store=False) as source,
    ):
        source.made_of("table")
