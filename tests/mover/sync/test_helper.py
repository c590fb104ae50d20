"""The second connection of a move into PostgreSQL: what it makes meanwhile, and that all arrives without it."""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from authstore import connect
from authstore.mover import MoveOptions, MoveStoppedError, TargetError, verify
from authstore.mover.postgres.target import PostgresTarget
from authstore.mover.reports import Event, ProgressEvent, TableEvent
from authstore.mover.sync.rebuild import RebuildRun, run_rebuild
from authstore.mover.tuning import Tuning
from tests.mover.emptying import emptied
from tests.mover.moving import change

_Link = psycopg.Connection[Any]
NEVER = threading.Event()
SMALL = Tuning(stretch_rows=50, commit_rows=100, small_rows=100)
ROWS = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {0})"


@pytest.fixture
async def file(tmp_path: Path) -> str:
    """A store with pages of books, of which there are fewer."""
    path = tmp_path / "auth.db"
    async with connect(f"sqlite:///{path}") as store:
        await store.create_user(email="ada@example.com")
    change(
        path,
        "CREATE TABLE book (id INTEGER PRIMARY KEY, title TEXT NOT NULL UNIQUE)",
        "CREATE TABLE page (id INTEGER PRIMARY KEY, book INTEGER NOT NULL REFERENCES book (id) ON DELETE CASCADE)",
        "CREATE INDEX page_book ON page (book)",
        f"INSERT INTO book {ROWS.format(200)} SELECT i, 'title ' || i FROM n",
        f"INSERT INTO page {ROWS.format(400)} SELECT i, 1 + i % 200 FROM n",
    )
    return f"sqlite:///{path}"


def brought(
    file: str, url: str, meanwhile: Callable[[Event], object] = id, stop: threading.Event | None = None
) -> None:
    """Moved, while the caller does something at each event."""
    run = RebuildRun(file, url, MoveOptions(), meanwhile, stop or threading.Event(), tuning=SMALL)
    run_rebuild(run)


def made(there: _Link) -> set[str]:
    """Keys and indexes of what is being built."""
    query = (
        "SELECT relname::text FROM pg_class WHERE relkind = 'i' AND relnamespace::regnamespace::text = %(schema)s"
        " UNION ALL SELECT conname::text FROM pg_constraint WHERE connamespace::regnamespace::text = %(schema)s"
    )
    return {name for (name,) in there.execute(query, {"schema": "authstore_moving"})}


def awaited(there: _Link, names: set[str]) -> bool:
    """Whether they come to be there soon, with nobody at work but the second connection."""
    for _ in range(200):
        if names <= made(there):
            return True
        time.sleep(0.05)
    return False


def begins(event: Event, table: str) -> bool:
    return isinstance(event, TableEvent) and event.state == "begin" and event.table == table


async def test_keys_are_made_while_other_tables_are_filled(file: str, there: _Link, url: str) -> None:
    found = {}

    def look(event: Event) -> None:
        if begins(event, "book"):
            assert "book_pkey" not in made(there)
            found["of pages"] = awaited(there, {"page_pkey", "page_book"})
        if begins(event, "users"):
            found["of books"] = awaited(there, {"book_pkey", "book_title_key", "page_book_fkey"})

    brought(file, url, look)
    assert found == {"of pages": True, "of books": True}
    assert (await verify(file, url)).ok


async def test_a_move_that_goes_on_mends_rows_beneath_keys_that_are_there(
    file: str, there: _Link, url: str, tmp_path: Path
) -> None:
    stop = threading.Event()

    def stop_later(event: Event) -> None:
        if begins(event, "users"):
            assert awaited(there, {"page_book_fkey", "book_title_key"})
            stop.set()

    with pytest.raises(MoveStoppedError):
        brought(file, url, stop_later, stop)
    change(
        tmp_path / "auth.db",
        "INSERT INTO book VALUES (900, 'new')",
        "INSERT INTO page VALUES (900, 900)",
        "UPDATE book SET title = 'aside' WHERE id = 1",
        "UPDATE book SET title = 'title 1' WHERE id = 2",
        "UPDATE book SET title = 'title 2' WHERE id = 1",
    )
    brought(file, url)
    assert (await verify(file, url)).ok
    assert there.execute("SELECT count(*) FROM page").fetchone() == (401,)


async def test_a_role_with_one_connection_moves_over_that_one(file: str, there: _Link, url: str) -> None:
    there.execute("CREATE ROLE alone LOGIN PASSWORD 'secret' CONNECTION LIMIT 1")
    there.execute(
        f"GRANT CREATE ON DATABASE {there.info.dbname} TO alone; GRANT ALL ON SCHEMA public TO alone".encode()
    )
    try:
        lonely = url.replace("postgres:secret@", "alone:secret@")
        brought(file, lonely)
        assert (await verify(file, lonely)).ok
        assert there.execute("SELECT count(*) FROM pg_constraint WHERE conname = 'page_book_fkey'").fetchone() == (1,)
    finally:
        there.execute("DROP OWNED BY alone CASCADE; DROP ROLE alone")


def test_what_it_cannot_make_is_said_at_the_end(file: str, there: _Link, url: str) -> None:
    events: list[Event] = []

    def be_in_the_way(event: Event) -> None:
        events.append(event)
        if begins(event, "page"):
            there.execute("CREATE TABLE authstore_moving.page_pkey (x int)")

    with pytest.raises(TargetError, match='primary key of page: relation "page_pkey" already exists'):
        brought(file, url, be_in_the_way)
    assert any(begins(event, "users") for event in events)


def test_it_takes_more_cores_only_when_all_rows_are_there(
    file: str, there: _Link, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    workers: list[str] = []
    execute = PostgresTarget.execute

    def traced(target: PostgresTarget, statement: str, parameters: Any = None) -> None:
        execute(target, statement, parameters)
        is_helper = threading.current_thread().name == "authstore-helper"
        if is_helper and statement.startswith('CREATE INDEX "page_book"'):
            workers.extend(target.rows("SHOW max_parallel_maintenance_workers")[0])

    def be_slow(event: Event) -> None:
        """The first key of pages cannot be made before everything is filled."""
        if begins(event, "page"):
            reader.execute("LOCK TABLE authstore_moving.page IN ACCESS SHARE MODE")
        if isinstance(event, ProgressEvent) and event.phase == "index":
            reader.rollback()

    monkeypatch.setattr(PostgresTarget, "execute", traced)
    brought(file, url, lambda event: begins(event, "users") and awaited(there, {"page_book"}))
    emptied(there)
    with psycopg.connect(url) as reader:
        brought(file, url, be_slow)
    assert workers == ["0", "2"]
