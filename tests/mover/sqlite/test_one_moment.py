"""Connections that see a file as it stood at one moment, however busily somebody writes to it."""

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from authstore.mover.sqlite.one_moment import begin_at_one_moment
from authstore.mover.sqlite.source import SqliteSource, opened_source
from authstore.mover.sqlite.target_files import TargetFiles

_Connection = sqlite3.Connection


class Interrupted(sqlite3.Connection):
    """A connection between whose first statements somebody else does something."""

    meanwhile: Callable[[], object] = staticmethod(lambda: None)

    def execute(self, statement: str, *parameters: Any) -> sqlite3.Cursor:
        found = super().execute(statement, *parameters)
        if statement.startswith("SELECT"):
            self.meanwhile()
        return found


@pytest.fixture(params=["WAL", "DELETE"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / "a.db"
    with closing(sqlite3.connect(path)) as made:
        made.execute(f"PRAGMA journal_mode = {request.param}")
        made.execute("CREATE TABLE t (n INTEGER)")
    return path


@pytest.fixture
def opened(path: Path) -> Iterator[Callable[..., _Connection]]:
    with ExitStack() as stack:

        def open_one(factory: type[_Connection] = sqlite3.Connection) -> _Connection:
            found = sqlite3.connect(path, isolation_level=None, factory=factory, timeout=0)
            return stack.enter_context(closing(found))

        yield open_one


def rows(connection: _Connection) -> int:
    return int(sqlite3.Connection.execute(connection, "SELECT count(*) FROM t").fetchone()[0])


def test_nobody_writes_and_all_see_the_same(opened: Callable[..., _Connection]) -> None:
    first, second, third = (opened() for _ in range(3))
    assert begin_at_one_moment(first, [second, third])
    assert [one.in_transaction for one in (first, second, third)] == [True, True, True]


@pytest.mark.parametrize("path", ["WAL"], indirect=True)
def test_who_commits_between_them_makes_them_begin_anew(opened: Callable[..., _Connection]) -> None:
    first, second, writer = opened(), opened(Interrupted), opened()
    left = iter(range(3))
    second.meanwhile = lambda: next(left, None) is None or writer.execute("INSERT INTO t VALUES (1)")  # type: ignore[attr-defined]
    assert begin_at_one_moment(first, [second])
    writer.execute("INSERT INTO t VALUES (1)")
    assert [rows(first), rows(second), rows(writer)] == [3, 3, 4]


@pytest.mark.parametrize("path", ["WAL"], indirect=True)
def test_where_somebody_always_does_only_the_first_has_begun(opened: Callable[..., _Connection]) -> None:
    first, second, writer = opened(), opened(Interrupted), opened()
    second.meanwhile = lambda: writer.execute("INSERT INTO t VALUES (1)")  # type: ignore[attr-defined]
    assert not begin_at_one_moment(first, [second])
    assert (first.in_transaction, second.in_transaction) == (True, False)
    seen = rows(first)
    writer.execute("INSERT INTO t VALUES (1)")
    assert rows(first) == seen


def test_two_questions_are_asked_of_a_file_at_once(path: Path) -> None:
    meeting = threading.Barrier(2, timeout=10)

    def ask(source: SqliteSource, more: int) -> int:
        meeting.wait()
        return source.count("t") + more

    with opened_source(TargetFiles(path), is_store=False) as source:
        assert source.asked_of_each(ask, [1, 2]) == [1, 2]
