"""Tables built in PostgreSQL: caught up, mended, refused, taken back, killed and gone on with."""

import asyncio
import json
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest

from authstore import connect
from authstore.mover import (
    MoveOptions,
    MoveReport,
    Plan,
    ProgressEvent,
    SourceError,
    TargetBusyError,
    TargetChangedError,
    TargetError,
    UndecidedError,
    make_plan,
    move,
    recover,
    rollback,
    verify,
)
from authstore.mover.errors import MoverError
from authstore.mover.tuning import Tuning
from tests.mover.moving import change

_Link = psycopg.Connection[Any]
SMALL = Tuning(stretch_rows=50, commit_rows=100)


@pytest.fixture
async def file(tmp_path: Path) -> Path:
    """A store that grew in SQLite, with a table of its application's own."""
    path = tmp_path / "auth.db"
    async with connect(f"sqlite:///{path}") as store:
        for number in range(1, 8):
            user = await store.create_user(email=f"p{number}@example.com", data={"n": number})
            await store.link_account(user.id, "github", str(number))
    change(
        path,
        """CREATE TABLE note (id INTEGER PRIMARY KEY AUTOINCREMENT, "userId" TEXT NOT NULL
           REFERENCES users (id) ON DELETE CASCADE, body TEXT DEFAULT 'none',
           price REAL CHECK (price >= 0), made TEXT DEFAULT CURRENT_TIMESTAMP,
           file BLOB, UNIQUE (userId, body))""",
        "CREATE INDEX note_made ON note (made DESC) WHERE price > 1",
        "INSERT INTO note (userId, body, price, file) SELECT id, 'b' || email, 2.5, x'00ff' FROM users",
        "CREATE TABLE tag (note INTEGER REFERENCES note (id), word TEXT)",
        "INSERT INTO tag SELECT id, 'red' FROM note UNION ALL SELECT id, 'red' FROM note",
    )
    return path


def at(path: Path) -> str:
    return f"sqlite:///{path}"


async def brought(path: Path, url: str, **options: Any) -> MoveReport:
    return await move(await make_plan(at(path), url, **options), tuning=SMALL)


async def assert_equal(path: Path, url: str) -> None:
    report = await verify(at(path), url)
    assert report.ok, report


def tables(link: _Link, schema: str = "public") -> set[str]:
    return {name for (name,) in link.execute("SELECT tablename FROM pg_tables WHERE schemaname = %s", (schema,))}


async def test_what_grew_in_the_file_has_the_same_rules_there(file: Path, there: _Link, url: str) -> None:
    plan = await make_plan(at(file), url)
    assert plan.ok
    assert tables(there) == set()
    assert there.execute("SELECT 1 FROM pg_namespace WHERE nspname = 'authstore_moving'").fetchone() is None
    await brought(file, url)

    await assert_equal(file, url)
    note = next(one for one in plan.tables if one.table == "note")
    assert note.types["price"] == ("REAL", "double precision")
    for wrong in (
        "INSERT INTO note (\"userId\", price) VALUES ('nobody', 1)",
        'INSERT INTO note ("userId", price) SELECT id, -1 FROM users LIMIT 1',
        'INSERT INTO note ("userId", body) SELECT "userId", body FROM note LIMIT 1',
        "INSERT INTO note (body) VALUES ('x')",
        "INSERT INTO tag VALUES (999, 'x')",
    ):
        with pytest.raises(psycopg.IntegrityError):
            there.execute(wrong.encode())
    added = 'INSERT INTO note ("userId") SELECT id FROM users LIMIT 1 RETURNING id > 7, body, length(made)'
    assert there.execute(added.encode()).fetchone() == (True, "none", 19)
    index = there.execute("SELECT indexdef FROM pg_indexes WHERE indexname = 'note_made'").fetchone()
    assert index is not None
    assert "(made DESC) WHERE (price > " in index[0]


async def test_what_cannot_be_said_is_named(file: Path, there: _Link, url: str) -> None:
    change(
        file,
        "CREATE TABLE odd (a TEXT CHECK (a GLOB 'x*'), b TEXT DEFAULT (hex(randomblob(4))), c TEXT COLLATE NOCASE,"
        " d TEXT UNIQUE COLLATE NOCASE, e INTEGER GENERATED ALWAYS AS (length(a)) VIRTUAL)",
        "CREATE INDEX by_case ON odd (c COLLATE NOCASE)",
        "CREATE VIEW notes AS SELECT * FROM note",
        "CREATE TRIGGER noted AFTER INSERT ON note BEGIN SELECT 1; END",
    )
    plan = await make_plan(at(file), url)
    assert plan.ok
    said = "\n".join(problem.message for problem in plan.problems)
    for part in ("check (a GLOB 'x*')", 'default of column "b"', 'index "by_case"', "view notes", "trigger noted",
                 'column "d" compares by NOCASE', 'the formula of column "e"'):  # fmt: skip
        assert part in said


async def test_moving_again_brings_what_has_changed(file: Path, there: _Link, url: str) -> None:
    await brought(file, url)
    change(
        file,
        "UPDATE users SET name = 'Grace' WHERE email = 'p1@example.com'",
        "UPDATE note SET body = 'b2', id = 70 WHERE id = 2",
        "UPDATE tag SET note = 70 WHERE note = 2",
        "DELETE FROM users WHERE email = 'p3@example.com'",
        "DELETE FROM accounts WHERE user_id NOT IN (SELECT id FROM users)",
        "DELETE FROM tag WHERE note IN (SELECT id FROM note WHERE userId NOT IN (SELECT id FROM users))",
        "DELETE FROM note WHERE userId NOT IN (SELECT id FROM users)",
    )
    assert not (await verify(at(file), url)).ok
    events = there.execute("SELECT count(*) FROM changes").fetchone()

    report = await brought(file, url)

    await assert_equal(file, url)
    assert report.tables["users"].deleted == 1
    assert report.tables["users"].copied == 1
    assert report.tables["note"].copied == 1
    assert report.backup is None
    with closing(sqlite3.connect(file)) as source:
        assert (
            there.execute("SELECT count(*) FROM changes").fetchone()
            == source.execute("SELECT count(*) FROM changes").fetchone()
        )
    assert events is not None
    triggers = there.execute("SELECT bool_and(tgenabled = 'O') FROM pg_trigger WHERE NOT tgisinternal").fetchone()
    assert triggers == (True,)
    keys = there.execute("SELECT count(*) FROM pg_constraint WHERE contype = 'f'").fetchone()
    assert keys == (9,)


async def test_a_target_that_was_written_to_is_not_gone_over(file: Path, there: _Link, url: str) -> None:
    await brought(file, url)
    there.execute("UPDATE note SET body = 'theirs' WHERE id = 3")

    plan = await make_plan(at(file), url)
    assert [problem.decision for problem in plan.problems if problem.stops] == ["replace"]
    with pytest.raises(TargetChangedError) as refused:
        await brought(file, url)

    assert refused.value.changes == {"note": 1}
    assert there.execute("SELECT body FROM note WHERE id = 3").fetchone() == ("theirs",)
    await brought(file, url, replace=True)
    await assert_equal(file, url)
    assert there.execute("SELECT body FROM authstore_before.note WHERE id = 3").fetchone() == ("theirs",)


async def test_what_stood_there_comes_back_one_move_at_a_time(file: Path, there: _Link, url: str) -> None:
    there.execute("CREATE TABLE note (mine int PRIMARY KEY); INSERT INTO note VALUES (1); CREATE TABLE other (x int)")
    with pytest.raises(TargetChangedError, match="table note"):
        await brought(file, url)
    assert tables(there) == {"note", "other"}

    first = await brought(file, url, replace=True)
    change(file, "UPDATE note SET body = 'later' WHERE id = 1")
    await brought(file, url, replace=True)

    assert first.backup == "schema authstore_before"
    assert "other" in tables(there)
    assert (await rollback(url)).restored == "schema authstore_before"
    assert there.execute("SELECT body FROM note WHERE id = 1").fetchone() == ("bp1@example.com",)
    async with connect(url, create=False) as store:
        assert await store.get_user_by_email("p1@example.com") is not None
    await rollback(url)
    assert tables(there) == {"note", "other"}
    assert there.execute("SELECT mine FROM note").fetchone() == (1,)
    with pytest.raises(TargetError, match="not made by a move"):
        await rollback(url)


@pytest.mark.parametrize("mine", ["TYPE note AS ENUM ('a')", "DOMAIN note AS int CHECK (VALUE > 0)"])
async def test_a_type_called_like_a_table_that_comes_is_not_gone_over_unasked(
    file: Path, there: _Link, url: str, mine: str
) -> None:
    there.execute(f"CREATE {mine}; CREATE TABLE other (x note)".encode())
    assert [problem.decision for problem in (await make_plan(at(file), url)).problems if problem.stops] == ["replace"]
    with pytest.raises(TargetChangedError, match="note"):
        await brought(file, url)
    assert there.execute("SELECT 1 FROM pg_namespace WHERE nspname = 'authstore_moving'").fetchone() is None
    await brought(file, url, replace=True)
    await assert_equal(file, url)
    await rollback(url)
    there.execute("SELECT NULL::public.note FROM other")


async def test_a_table_that_others_refer_to_is_not_taken_from_them(file: Path, there: _Link, url: str) -> None:
    there.execute("CREATE TABLE note (id int PRIMARY KEY); CREATE TABLE other (note int REFERENCES note)")
    with pytest.raises(TargetError, match="other"):
        await brought(file, url, replace=True)
    assert tables(there) == {"note", "other"}


async def test_one_table_is_made_equal_again(file: Path, there: _Link, url: str) -> None:
    await brought(file, url)
    there.execute("DELETE FROM tag; UPDATE note SET body = 'x' || id; DELETE FROM note WHERE id = 7")
    there.execute("""INSERT INTO note (id, "userId") SELECT 50, id FROM users LIMIT 1""")
    there.execute("""INSERT INTO note (id, "userId", body) SELECT 51, id, 'q' FROM users LIMIT 1""")
    there.execute("INSERT INTO tag VALUES (51, 'mine')")

    report = await recover(at(file), url, "note")

    assert report.tables["note"].copied == 7
    assert there.execute("SELECT count(*) FROM note WHERE id < 50").fetchone() == (7,)
    assert there.execute("SELECT array_agg(id) FROM note WHERE id >= 50").fetchone() == ([51],)
    assert there.execute("SELECT word FROM tag").fetchall() == [("mine",)]
    with pytest.raises(Exception, match="no table nothing"):
        await recover(at(file), url, "nothing")


async def test_values_that_postgres_does_not_take_stop_or_stay_out(file: Path, there: _Link, url: str) -> None:
    change(
        file,
        "CREATE TABLE loose (id INTEGER PRIMARY KEY, n INT, t TEXT)",
        "INSERT INTO loose VALUES (1, 1, 'a'), (2, 2, 'b'), (3, 'many', 'c'), (4, 4, 'd' || char(0))",
        "INSERT INTO tag VALUES (4711, 'lost')",
    )
    plan = await make_plan(at(file), url)
    assert {(one.table, one.decision, one.count) for one in plan.problems if one.stops} == {
        ("loose", "on_bad_row", 1),
        ("tag", "on_orphan", 1),
    }
    with pytest.raises(UndecidedError):
        await brought(file, url)
    assert tables(there) == set()

    report = await brought(file, url, on_bad_row="reject", on_orphan="reject")

    assert report.rejected == 3
    assert report.rejects is not None
    lines = [json.loads(line) for line in Path(report.rejects).read_text().splitlines()]
    assert [(line["table"], line["key"]) for line in lines] == [("loose", "3"), ("loose", "4"), ("tag", "")]
    assert Path(report.rejects).stat().st_mode & 0o777 == 0o600
    assert there.execute("SELECT id FROM loose ORDER BY id").fetchall() == [(1,), (2,)]


def _start(path: Path, url: str) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "authstore.cli", "move", at(path), url, "--json"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


async def test_a_move_killed_anywhere_goes_on_and_arrives(file: Path, there: _Link, url: str) -> None:
    change(
        file,
        "INSERT INTO note (userId, body, price) WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n"
        " WHERE i < 40000) SELECT (SELECT id FROM users LIMIT 1), 'r' || i, i FROM n",
    )
    for seconds in (0.0, 0.4, 0.8):
        process = _start(file, url)
        assert process.stdout is not None
        process.stdout.readline()
        await asyncio.sleep(seconds)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        if "note" in tables(there):  # killed at the end of its end: it is whole
            await assert_equal(file, url)
    await brought(file, url)
    await assert_equal(file, url)
    assert there.execute("SELECT 1 FROM pg_namespace WHERE nspname = 'authstore_moving'").fetchone() is None


@pytest.mark.parametrize("connection", [0, 1])
async def test_two_moves_into_one_database_are_not_at_work_at_once(
    connection: int, file: Path, there: _Link, url: str
) -> None:
    there.execute("SELECT pg_advisory_lock(1096111178, %s)", (connection,))
    with pytest.raises(TargetBusyError, match="another move"):
        await brought(file, url)
    there.execute("SELECT pg_advisory_unlock_all()")


async def test_a_schema_of_somebody_s_with_our_name_is_not_dropped(file: Path, there: _Link, url: str) -> None:
    there.execute("CREATE SCHEMA authstore_moving CREATE TABLE precious (x int)")
    with pytest.raises(TargetError, match="made by no move"):
        await make_plan(at(file), url)
    assert tables(there, "authstore_moving") == {"precious"}


async def test_a_target_that_is_not_there_is_said_at_once(file: Path) -> None:
    with pytest.raises(TargetError, match="refused"):
        await make_plan(at(file), "postgresql://nobody:secret@127.0.0.1:1/none")
    with pytest.raises(TargetError, match="refused") as refused:
        await move(Plan(at(file), "postgresql://nobody:secret@127.0.0.1:1/none", MoveOptions(), (), (), ()))
    assert "secret" not in str(refused.value) + refused.value.hint


async def test_what_was_copied_before_is_not_copied_again(file: Path, there: _Link, url: str) -> None:
    plan = await make_plan(at(file), url)
    seen: list[Any] = []

    def stop_at_notes(event: object) -> None:
        seen.append(event)
        if isinstance(event, ProgressEvent) and event.phase == "index":
            moving.cancel()

    moving = asyncio.ensure_future(move(plan, stop_at_notes, tuning=SMALL))
    with pytest.raises(asyncio.CancelledError):
        await moving
    assert tables(there, "authstore_moving") >= {"users", "note"}
    report = await brought(file, url)
    assert report.tables["users"].copied == 0
    await assert_equal(file, url)


@pytest.mark.parametrize("name", ["x" * 300 + ".db", "folder", "folder/none.db"])
async def test_a_source_that_no_file_can_be_is_a_source_error(
    tmp_path: Path, there: _Link, url: str, name: str
) -> None:
    (tmp_path / "folder").mkdir()
    plan = Plan(at(tmp_path / name), url, MoveOptions(), (), (), ())
    for call in (make_plan(plan.source, url), move(plan), verify(plan.source, url), recover(plan.source, url, "users")):
        with pytest.raises(SourceError):
            await call


async def test_a_file_that_is_no_store_is_refused(tmp_path: Path, there: _Link, url: str) -> None:
    other = tmp_path / "other.db"
    other.write_bytes(b"no database at all" * 100)
    with pytest.raises(MoverError, match="cannot be read"):
        await make_plan(at(other), url)
    with pytest.raises(MoverError, match="there is no file"):
        await make_plan(at(tmp_path / "none.db"), url)
