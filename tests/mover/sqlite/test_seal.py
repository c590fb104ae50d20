"""The seal holds as long as nobody writes to the file, and says nothing of files that have none."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from authstore.mover.sqlite.seal import SCHEMA, is_sealed, seal
from tests.mover.moving import change


@pytest.fixture
def file(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "auth.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("CREATE TABLE before (x)")
        connection.executescript(SCHEMA)
        connection.execute("CREATE TABLE t (x)")
        connection.execute("BEGIN")
        connection.executemany("INSERT INTO t VALUES (?)", [(bytes(1000) + n.to_bytes(2),) for n in range(3000)])
        connection.execute("COMMIT")
        connection.execute("PRAGMA journal_mode = WAL").fetchall()
    return path


def test_a_sealed_file_stays_sealed_while_it_is_only_read(file: Path) -> None:
    assert not is_sealed(file)
    seal(file)
    assert is_sealed(file)
    with closing(sqlite3.connect(file)) as reader:
        assert reader.execute("SELECT count(*) FROM t").fetchone() == (3000,)
    assert is_sealed(file)
    assert [path.name for path in file.parent.iterdir()] == ["auth.db"]


def test_it_can_be_sealed_again(file: Path) -> None:
    seal(file)
    change(file, "INSERT INTO before VALUES (1)")
    assert not is_sealed(file)
    seal(file)
    assert is_sealed(file)


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO before VALUES (1)",
        "DELETE FROM t WHERE rowid = 3000",
        "UPDATE t SET x = zeroblob(999) WHERE rowid = 1",
        "PRAGMA user_version = 7",
        "CREATE TABLE other (x)",
        "PRAGMA journal_mode = DELETE",
        "DROP TABLE authstore_move_seal",
    ],
)
def test_writing_breaks_it(file: Path, statement: str) -> None:
    seal(file)
    with closing(sqlite3.connect(file, isolation_level=None)) as writer:
        writer.execute(statement).fetchall()
    assert not is_sealed(file)


@pytest.mark.parametrize("at", [30, 5000, -1, 1_500_000])
def test_a_single_changed_byte_breaks_it(file: Path, at: int) -> None:
    seal(file)
    content = bytearray(file.read_bytes())
    content[at] ^= 1
    file.write_bytes(content)
    assert not is_sealed(file)


@pytest.mark.parametrize("page", range(1, 16))
def test_of_a_file_in_many_parts_every_page_counts(file: Path, page: int) -> None:
    seal(file, 3 * 4096)
    assert is_sealed(file, 3 * 4096)
    content = bytearray(file.read_bytes())
    content[page * 4096 - 1] ^= 1
    assert len(content) > 100 * 4096
    file.write_bytes(content)
    assert not is_sealed(file, 3 * 4096)


def test_parts_that_change_places_break_it(file: Path) -> None:
    seal(file, 4096)
    content = file.read_bytes()
    first, second = content[50 * 4096 : 51 * 4096], content[51 * 4096 : 52 * 4096]
    assert first != second
    file.write_bytes(content[: 50 * 4096] + second + first + content[52 * 4096 :])
    assert not is_sealed(file, 4096)


def test_what_is_no_file_of_a_move_is_not_sealed(tmp_path: Path) -> None:
    other = tmp_path / "other.db"
    change(other, "CREATE TABLE t (x)")
    assert not is_sealed(other)
    other.write_bytes(b"no database, but long enough to be read as one" * 100)
    assert not is_sealed(other)
