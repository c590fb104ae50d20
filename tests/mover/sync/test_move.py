"""A move ends with a file that authstore serves; again is catching up; nothing of anybody's is lost."""

import asyncio
import json
import os
import sqlite3
import stat
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from authstore import ConfigurationError, connect
from authstore.mover import (
    Event,
    MoveOptions,
    ProgressEvent,
    SourceError,
    SourceUnavailableError,
    TableEvent,
    TargetBusyError,
    TargetChangedError,
    TargetError,
    UndecidedError,
    make_plan,
    move,
)
from authstore.mover.carried import expressions as carried_expressions
from authstore.mover.expressions.translated import Translated
from authstore.mover.tuning import Tuning
from tests.mover import seeds
from tests.mover.moving import (
    DECIDED,
    actual,
    assert_signed_in,
    change,
    contents,
    expected,
    moved,
    names,
    one,
    people,
    traced,
    verified,
)
from tests.postgres import fresh_database

_Link = psycopg.Connection[Any]


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "auth.db"


@pytest.mark.parametrize("schema", seeds.SCHEMAS)
async def test_every_known_schema_arrives_with_everybody_signed_in(
    schema: str, source: _Link, source_url: str, target: Path
) -> None:
    seeded = seeds.seed(source, schema, nasty=True)
    report = await moved(source_url, target, **DECIDED)
    assert (await verified(source_url, target)).ok
    await assert_signed_in(target, seeded)
    assert report.rejected == len(Path(str(report.rejects)).read_text().splitlines()) > 0
    before = contents(target)
    again = await moved(source_url, target, **DECIDED)
    assert all(table.copied == table.deleted == 0 for table in again.tables.values())
    assert contents(target) == before


async def test_a_second_move_catches_up_with_new_changed_and_deleted_rows(
    source: _Link, source_url: str, target: Path
) -> None:
    people(source)
    await moved(source_url, target)
    source.execute("UPDATE note SET body = 'new' WHERE id % 7 = 0")
    source.execute("DELETE FROM note WHERE id % 11 = 0")
    source.execute("INSERT INTO note (author, body) VALUES ('u3', 'later'), (NULL, NULL)")
    source.execute('DELETE FROM "Session" WHERE "userId" = \'u9\'')
    source.execute("UPDATE \"User\" SET email = 'swap@example.com' WHERE id = 'u1'")
    source.execute("UPDATE \"User\" SET email = 'u1@example.com' WHERE id = 'u2'")
    report = await moved(source_url, target)
    assert actual(target) == expected(source)
    assert report.tables["note"].copied == 14 - 1 + 2
    assert report.tables["note"].deleted == 9
    assert report.tables["sessions"].deleted == 3
    assert (await verified(source_url, target)).ok


async def test_of_a_file_nobody_wrote_to_the_rows_are_those_of_the_ledger(
    source: _Link, source_url: str, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stretches of twenty rows grow, shrink, end and begin; the file is never read row by row, and stays equal."""
    people(source)
    short = Tuning(stretch_rows=20)
    await moved(source_url, target, tuning=short)
    with traced(monkeypatch) as asked:
        await _follow(source, source_url, target, short)
    assert 'PRAGMA quick_check("note")' in asked  # so that what follows says something
    assert [sql for sql in asked if "CAST((" in sql] == []
    assert (await verified(source_url, target)).ok
    change(target, "VACUUM")  # other bytes, the same rows
    source.execute("UPDATE note SET body = 'last' WHERE author = 'u3'")
    await moved(source_url, target, tuning=short)
    assert actual(target) == expected(source)


async def _follow(source: _Link, source_url: str, target: Path, tuning: Tuning) -> None:
    for change_of_source in (
        "UPDATE note SET body = 'new' WHERE id % 7 = 0",
        "DELETE FROM note WHERE id <= 45",
        "INSERT INTO note (id, author, body) SELECT n, 'u1', 'x' FROM generate_series(-70, 30) AS n",
        "INSERT INTO note (author, body) SELECT 'u2', 'y' FROM generate_series(1, 50)",
        "DELETE FROM note",
        "INSERT INTO note (author, body) SELECT 'u3', 'z' FROM generate_series(1, 50)",
    ):
        source.execute(change_of_source.encode())
        await moved(source_url, target, tuning=tuning)
        assert actual(target) == expected(source)


async def test_when_most_of_a_table_differs_it_is_copied_anew(source: _Link, source_url: str, target: Path) -> None:
    people(source)
    await moved(source_url, target)
    source.execute("UPDATE note SET pages = pages + 1")
    await moved(source_url, target, tuning=Tuning(most_keys=20))
    assert actual(target) == expected(source)
    assert one(target, "SELECT count(*) FROM sqlite_master WHERE type = 'index' AND tbl_name = 'note'") == 1


async def test_the_file_is_private_whole_and_alone(source: _Link, source_url: str, target: Path) -> None:
    people(source)
    await moved(source_url, target)
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert names(target.parent) == ["auth.db"]
    with closing(sqlite3.connect(target)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert connection.execute("SELECT count(*) FROM sqlite_stat1").fetchone()[0] > 0


async def test_a_counter_goes_on_behind_the_last_number_given_out(source: _Link, source_url: str, target: Path) -> None:
    people(source, users=2, notes=2)
    source.execute("SELECT setval('note_id_seq', 900)")
    await moved(source_url, target)
    change(target, "INSERT INTO note (body) VALUES ('by the application')")
    assert one(target, "SELECT max(id) FROM note") == 901


async def test_rejected_rows_are_in_a_private_file_with_their_reason(
    source: _Link, source_url: str, target: Path
) -> None:
    seeds.seed(source, "pg_adapter", nasty=True)
    report = await moved(source_url, target, **DECIDED)
    rejects = Path(str(report.rejects))
    assert rejects.name == "auth.db.rejects.jsonl"
    assert stat.S_IMODE(rejects.stat().st_mode) == 0o600
    lines = [json.loads(line) for line in rejects.read_text("utf-8").splitlines()]
    assert all({"table", "key", "reason", "row"} <= line.keys() and line["reason"] for line in lines)
    assert {line["table"] for line in lines} == {name for name, table in report.tables.items() if table.rejected}


async def test_what_is_undecided_stops_before_anything_is_written(source: _Link, source_url: str, target: Path) -> None:
    seeds.seed(source, "pg_adapter", nasty=True)
    plan = await make_plan(source_url, target)
    assert not plan.ok
    with pytest.raises(UndecidedError) as caught:
        await move(plan)
    assert {problem.decision for problem in caught.value.problems} >= {"on_orphan", "on_duplicate"}
    assert names(target.parent) == []


async def test_a_plan_shows_tables_rows_and_types_and_writes_nothing(
    source: _Link, source_url: str, target: Path
) -> None:
    people(source, users=10)
    plan = await make_plan(source_url, target)
    tables = {table.table: table for table in plan.tables}
    assert plan.ok
    assert tables["sessions"].rows == 30
    assert tables["note"].types["weight"] == ("double precision", "REAL")
    assert [table.table for table in plan.tables].index("users") == 0
    assert names(target.parent) == []


async def test_circles_of_foreign_keys_and_references_to_oneself_are_moved(
    source: _Link, source_url: str, target: Path
) -> None:
    people(source, users=3)
    source.execute("CREATE TABLE a (id int PRIMARY KEY, b int, parent int REFERENCES a (id))")
    source.execute("CREATE TABLE b (id int PRIMARY KEY, a int REFERENCES a (id))")
    source.execute("ALTER TABLE a ADD FOREIGN KEY (b) REFERENCES b (id)")
    source.execute("INSERT INTO a VALUES (1, NULL, NULL), (2, NULL, 1)")
    source.execute("INSERT INTO b VALUES (1, 2)")
    source.execute("UPDATE a SET b = 1")
    plan = await make_plan(source_url, target)
    assert [set(circle) for circle in plan.cycles] == [{"a", "b"}]
    await move(plan)
    assert contents(target)["a"] == [(1, 1, None), (2, 1, 1)]


async def test_a_view_moves_along_and_survives_catching_up(source: _Link, source_url: str, target: Path) -> None:
    people(source, users=5)
    source.execute("CREATE VIEW long_note AS SELECT id, author FROM note WHERE pages > 7")
    await moved(source_url, target)
    source.execute("UPDATE note SET pages = 100 WHERE id = 1")
    await moved(source_url, target)
    assert one(target, "SELECT count(*) FROM long_note") == 4


async def test_hostile_names_are_names(source: _Link, source_url: str, target: Path) -> None:
    people(source, users=3)
    table, column = 'no"te; DROP TABLE "User";--', "%s a\"b'c\\"
    source.execute(
        psycopg.sql.SQL('CREATE TABLE {} ({} int PRIMARY KEY, {} text REFERENCES "User" (id))').format(
            psycopg.sql.Identifier(table), psycopg.sql.Identifier(column), psycopg.sql.Identifier("select %")
        )
    )
    source.execute(psycopg.sql.SQL("INSERT INTO {} VALUES (1, 'u1'), (2, NULL)").format(psycopg.sql.Identifier(table)))
    await moved(source_url, target)
    source.execute(psycopg.sql.SQL("UPDATE {} SET {} = 'u2'").format(*map(psycopg.sql.Identifier, (table, "select %"))))
    await moved(source_url, target)
    assert contents(target)[table] == [(1, "u2"), (2, "u2")]
    assert (await verified(source_url, target)).ok


async def test_a_target_with_a_question_mark_and_a_per_cent_sign_is_that_file(
    source: _Link, source_url: str, tmp_path: Path
) -> None:
    people(source, users=2)
    strange = tmp_path / "a?b=%41#c.db"
    await moved(source_url, strange)
    await moved(source_url, strange)
    assert names(tmp_path) == sorted(["a?b=%41#c.db", *(name for name in names(tmp_path) if ".backup-" in name)])
    assert (await verified(source_url, strange)).ok


class TestSomebodyElsesData:
    """What a move did not put there, no move may overwrite."""

    async def test_rows_written_by_the_application_stop_it_and_are_counted(
        self, source: _Link, source_url: str, target: Path
    ) -> None:
        people(source)
        await moved(source_url, target)
        change(target, "UPDATE users SET name = 'Mine' WHERE id = 'u5'", "DELETE FROM note WHERE id IN (7, 8)")
        before = contents(target)
        with pytest.raises(TargetChangedError) as caught:
            await moved(source_url, target)
        assert caught.value.changes == {"users": 1, "note": 2}
        assert contents(target) == before
        assert names(target.parent) == ["auth.db"]
        await moved(source_url, target, replace=True)
        assert actual(target) == expected(source)

    async def test_new_rows_behind_the_last_and_in_tables_no_move_fills_stop_it_too(
        self, source: _Link, source_url: str, target: Path
    ) -> None:
        people(source)
        await moved(source_url, target)
        async with connect(target) as store:
            await store.create_user(email="new@example.com", id="zzz")
            await store.create_role("admin")
        with pytest.raises(TargetChangedError) as caught:
            await moved(source_url, target)
        assert caught.value.changes == {"users": 1, "roles": 1}

    async def test_it_stops_even_when_the_source_has_other_tables_now(
        self, source: _Link, source_url: str, target: Path
    ) -> None:
        people(source)
        await moved(source_url, target)
        change(target, "UPDATE users SET name = 'Mine' WHERE id = 'u5'")
        source.execute("ALTER TABLE note ADD COLUMN more text DEFAULT 'x'")
        with pytest.raises(TargetChangedError) as caught:
            await moved(source_url, target)
        assert caught.value.changes == {"users": 1}
        change(target, "UPDATE users SET name = 'User 5' WHERE id = 'u5'")
        await moved(source_url, target)
        assert one(target, "SELECT count(*) FROM note WHERE more = 'x'") == 100
        assert (await verified(source_url, target)).ok

    async def test_a_target_moved_from_another_source_is_refused(
        self, source: _Link, source_url: str, postgres_url: str, target: Path
    ) -> None:
        people(source, users=3)
        await moved(source_url, target)
        with fresh_database(postgres_url) as other_url:
            with psycopg.connect(other_url, autocommit=True) as other:
                people(other, users=4)
            with pytest.raises(TargetChangedError, match="another source"):
                await moved(other_url, target)
            await moved(other_url, target, replace=True)
        assert one(target, "SELECT count(*) FROM users") == 4


class TestRefused:
    """Targets and sources that cannot be."""

    async def test_a_symbolic_link_a_folder_and_a_pipe(self, source: _Link, source_url: str, tmp_path: Path) -> None:
        people(source, users=2)
        link, pipe = tmp_path / "link.db", tmp_path / "pipe.db"
        link.symlink_to(tmp_path / "elsewhere.db")
        os.mkfifo(pipe)
        for target in (link, pipe, tmp_path):
            with pytest.raises(TargetError, match=r"symbolic link|no plain file"):
                await moved(source_url, target)

    async def test_an_open_target(self, source: _Link, source_url: str, target: Path) -> None:
        people(source, users=2)
        await moved(source_url, target)
        async with connect(target) as store:
            await store.create_user(email="x@example.com")
            with pytest.raises(TargetBusyError, match="open"):
                await moved(source_url, target)

    async def test_a_target_with_a_log_beside_it(self, source: _Link, source_url: str, target: Path) -> None:
        people(source, users=2)
        (target.parent / "auth.db-wal").write_bytes(b"of somebody")
        with pytest.raises(TargetBusyError, match="-wal is there"):
            await moved(source_url, target)

    async def test_a_locked_target(self, source: _Link, source_url: str, target: Path) -> None:
        people(source, users=2)
        with closing(sqlite3.connect(target, isolation_level=None)) as holder:
            holder.execute("CREATE TABLE t (x)")
            holder.execute("BEGIN")
            holder.execute("SELECT * FROM t").fetchall()
            with pytest.raises(TargetBusyError, match="open elsewhere"):
                await moved(source_url, target)

    async def test_urls_that_are_none(self, target: Path) -> None:
        for url in ("mysql://root:geheim@host/db", "postgresql://a:geheim@[::1/db"):
            with pytest.raises((ConfigurationError, SourceError)) as caught:
                await make_plan(url, target)
            assert "geheim" not in str(caught.value)
        for url in ("postgresql://u:ge/h?eim@host/db", "postgresql://u:12/3?eim=4@host/db"):
            with pytest.raises(ConfigurationError, match="percent-encode") as caught:
                await make_plan(url, target)
            assert "eim" not in str(caught.value)
        with pytest.raises(ConfigurationError, match="libpq knows no parameter 'sslmod'"):
            await make_plan("postgresql://u:geheim@host/db?sslmod=require", target)
        for wrong in ("sqlite://", "auth.db", "sqlite:///a.db?mode=ro"):
            with pytest.raises(ConfigurationError):
                await make_plan("postgresql://localhost/x", wrong)

    async def test_a_source_that_is_not_there(self, target: Path) -> None:
        with pytest.raises(SourceUnavailableError) as caught:
            await make_plan("postgresql://u:geheim@127.0.0.1:1/x", target)
        assert "geheim" not in str(caught.value)
        assert "the URL right" in caught.value.hint

    async def test_what_prisma_adds_to_a_url_is_for_its_own_pool(
        self, source: _Link, source_url: str, target: Path
    ) -> None:
        people(source)
        pooled = f"{source_url}?schema=public&connect_timeout=5&connection_limit=5&pgbouncer=true"
        await moved(pooled, target)
        assert actual(target) == expected(source)

    async def test_an_empty_source(self, source_url: str, target: Path) -> None:
        with pytest.raises(UndecidedError):
            await moved(source_url, target)


async def test_progress_speaks_of_every_table(source: _Link, source_url: str, target: Path) -> None:
    people(source)  # and nobody has analysed it: the totals are counted
    events: list[Any] = []
    await move(await make_plan(source_url, target), events.append)
    done = {event.table: event.rows for event in events if isinstance(event, TableEvent) and event.state == "done"}
    assert done == {"users": 50, "sessions": 150, "note": 100}
    first = next(event for event in events if isinstance(event, ProgressEvent))
    assert first == ProgressEvent("", "copy", 0, 300)
    assert {"copy", "index", "check", "finish"} <= {e.phase for e in events if isinstance(e, ProgressEvent)}


async def test_a_cancellation_at_the_end_is_too_late(source: _Link, source_url: str, target: Path) -> None:
    people(source)
    plan = await make_plan(source_url, target)

    def too_late(event: Event) -> None:
        if isinstance(event, ProgressEvent) and event.phase == "finish":
            moving.cancel()

    moving = asyncio.ensure_future(move(plan, too_late))
    report = await moving
    assert (report.target, report.tables["users"].rows) == (str(target), 50)
    assert actual(target) == expected(source)


async def test_sessions_count_as_used_at_the_last_catch_up(source: _Link, source_url: str, target: Path) -> None:
    people(source, users=5)
    await moved(source_url, target)
    first = one(target, "SELECT min(last_used_at) FROM sessions")
    await moved(source_url, target)
    assert one(target, "SELECT max(last_used_at) FROM sessions") == first
    await moved(source_url, target, tuning=Tuning(sessions_may_lag=timedelta(0)))
    assert one(target, "SELECT min(last_used_at) FROM sessions") > first
    assert (await verified(source_url, target)).ok


def test_the_options_are_those_of_the_command_line() -> None:
    assert MoveOptions().on_duplicate == MoveOptions().on_orphan == MoveOptions().on_bad_row == "stop"


async def test_a_check_that_sqlite_judges_otherwise_is_named_with_the_ways_on(
    source: _Link, source_url: str, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    people(source)
    source.execute("CREATE TABLE odd (id int PRIMARY KEY CONSTRAINT judged CHECK (id > 0)); INSERT INTO odd VALUES (1)")
    source.execute("CREATE TABLE odder (LIKE odd INCLUDING ALL); INSERT INTO odder VALUES (1), (2)")
    with monkeypatch.context() as misjudging:
        misjudging.setattr(carried_expressions, "translate", lambda *_, **__: Translated("0", "boolean"))
        plan = await make_plan(source_url, target)
        for _ in range(2):
            with pytest.raises(TargetError, match=r"CHECK.* failed in odd(er)?; CHECK.* failed in odd") as failed:
                await move(plan)
            assert "`skip`" in failed.value.hint
            assert not target.exists()
        await moved(source_url, target, skip=("odd", "odder"))
        assert "odd" not in contents(target)
    target.unlink()
    source.execute("ALTER TABLE odder DROP CONSTRAINT judged")
    await moved(source_url, target)
    assert contents(target)["odder"] == [(1,), (2,)]
