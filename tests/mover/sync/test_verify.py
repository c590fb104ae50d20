"""`verify` finds one changed value, one missing and one extra row in any table; `recover` mends; `rollback` undoes."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psycopg
import pytest

from authstore import connect
from authstore.cli.app import run
from authstore.mover import (
    MoveOptions,
    TargetChangedError,
    TargetError,
    make_plan,
    move,
    recover,
    rollback,
    verify,
)
from authstore.mover.sync import attempt
from tests.mover import seeds
from tests.mover.moving import actual, change, contents, expected, moved, names, one, people, verified
from tests.postgres import fresh_database

_Link = psycopg.Connection[Any]


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "auth.db"


@pytest.mark.parametrize(
    ("table", "statement"),
    [
        ("users", "UPDATE users SET name = name || ' ' WHERE id = 'u7'"),
        ("users", "UPDATE users SET name = NULL WHERE id = 'u7'"),
        ("users", "UPDATE users SET image = '' WHERE id = 'u7'"),
        ("users", "UPDATE users SET data = '{ }' WHERE id = 'u7'"),
        ("sessions", "UPDATE sessions SET expires = '2031-01-01T00:00:00.000000Z' WHERE id = 's9'"),
        ("sessions", "UPDATE sessions SET token_hash = zeroblob(32) WHERE id = 's9'"),
        ("note", "UPDATE note SET weight = weight + 1e-12 WHERE id = 3"),
        ("note", "UPDATE note SET pages = -pages WHERE id = 3"),
        ("note", "UPDATE note SET thumb = NULL WHERE id = 3"),
        ("note", "UPDATE note SET thumb = x'' WHERE id = 3"),
        ("note", "UPDATE note SET body = 'É' || substr(body, 2) WHERE id = 3"),
    ],
)
async def test_a_single_changed_value_is_found_and_recovered(
    table: str, statement: str, source: _Link, source_url: str, target: Path
) -> None:
    people(source)
    await moved(source_url, target)
    before = contents(target)
    change(target, statement)
    report = await verified(source_url, target)
    assert not report.ok
    assert {
        name: (found.changed, found.missing, found.extra) for name, found in report.tables.items() if not found.ok
    } == {table: (1, 0, 0)}
    assert report.tables[table].samples[0].startswith("changed: id ")
    await recover(source_url, target, table)
    assert contents(target) == before
    assert (await verified(source_url, target)).ok


async def test_of_no_table_nothing_is_proved(
    source: _Link, source_url: str, target: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    people(source, users=3)
    await moved(source_url, target)
    options = MoveOptions(only=("note",), skip=("note",))
    assert not (await verify(source_url, target, options)).ok
    command = ["verify", source_url, f"sqlite:///{target}", "--only", "note", "--skip", "note"]
    assert await asyncio.to_thread(run, command) == 1
    assert "nothing was compared" in capsys.readouterr().out


async def test_missing_and_extra_rows_are_found_at_the_ends_and_in_the_middle(
    source: _Link, source_url: str, target: Path
) -> None:
    people(source)
    await moved(source_url, target)
    change(
        target,
        "DELETE FROM note WHERE id IN (1, 50, 100)",
        "INSERT INTO note (id, body) VALUES (0, 'a'), (1000, 'z')",
        "DELETE FROM sessions WHERE id = 's1'",
    )
    report = await verified(source_url, target)
    notes, sessions = report.tables["note"], report.tables["sessions"]
    assert (notes.missing, notes.extra, notes.changed) == (3, 2, 0)
    assert (sessions.missing, sessions.extra, sessions.changed) == (1, 0, 0)
    assert (notes.source_rows, notes.target_rows) == (100, 99)
    await recover(source_url, target, "note")
    await recover(source_url, target, "sessions")
    assert actual(target) == expected(source)


async def test_a_table_or_column_that_is_gone_is_a_difference(source: _Link, source_url: str, target: Path) -> None:
    people(source)
    await moved(source_url, target)
    change(target, "DROP TABLE note")
    report = await verified(source_url, target)
    assert not report.ok
    assert report.tables["note"].missing == 100


async def test_orphans_in_the_target_are_a_finding(source: _Link, source_url: str, target: Path) -> None:
    people(source)
    await moved(source_url, target)
    change(target, "DELETE FROM users WHERE id = 'u4'")
    report = await verified(source_url, target)
    assert {(found.kind, found.table, found.count) for found in report.findings} == {
        ("orphan", "sessions", 3),
        ("orphan", "note", 2),
    }
    await recover(source_url, target, "users")
    assert (await verified(source_url, target)).ok


async def test_what_the_application_wrote_is_seen_after_another_table_was_recovered(
    source: _Link, source_url: str, target: Path
) -> None:
    people(source)
    await moved(source_url, target)
    change(
        target, "INSERT INTO note (id, body) VALUES (1000, 'own')", "UPDATE users SET name = 'other' WHERE id = 'u1'"
    )
    await recover(source_url, target, "users")
    with pytest.raises(TargetChangedError) as caught:
        await moved(source_url, target)
    assert caught.value.changes == {"note": 1}
    await moved(source_url, target, replace=True)
    assert (await verified(source_url, target)).ok


async def test_expiry_is_judged_by_the_time_of_the_move(source: _Link, source_url: str, target: Path) -> None:
    people(source)
    source.execute("UPDATE \"Session\" SET expires = now() + interval '2 seconds' WHERE id = 's1'")
    source.execute("UPDATE \"Session\" SET expires = now() - interval '1 second' WHERE id = 's2'")
    await moved(source_url, target)
    assert one(target, "SELECT count(*) FROM sessions") == 149
    source.execute("SELECT pg_sleep(2)")
    assert (await verified(source_url, target)).ok


async def test_the_options_of_the_move_hold_for_verify(source: _Link, source_url: str, target: Path) -> None:
    people(source)
    source.execute("UPDATE \"Session\" SET expires = '2020-01-01' WHERE id = 's1'")
    source.execute('ALTER TABLE "Session" DROP CONSTRAINT "Session_userId_fkey"')
    source.execute("UPDATE \"Session\" SET \"userId\" = 'nobody' WHERE id = 's2'")
    await moved(source_url, target, with_expired=True, on_orphan="reject", skip=("note",))
    assert one(target, "SELECT count(*) FROM sessions") == 149
    report = await verified(source_url, target)
    assert report.ok
    assert set(report.tables) == {"users", "sessions"}


async def test_verify_sees_what_changed_in_the_source_since(source: _Link, source_url: str, target: Path) -> None:
    people(source)
    await moved(source_url, target)
    source.execute("UPDATE note SET body = 'x' WHERE id = 5")
    assert (await verified(source_url, target)).tables["note"].changed == 1


async def test_verify_reads_a_target_that_is_in_use_and_leaves_nothing_behind(
    source: _Link, source_url: str, target: Path
) -> None:
    people(source)
    await moved(source_url, target)
    async with connect(target) as store:
        await store.update_user("u1", name="New")
        assert (await verified(source_url, target)).tables["users"].changed == 1
    await verified(source_url, target)
    assert names(target.parent) == ["auth.db"]


async def test_what_was_not_moved_cannot_be_verified_or_recovered(source: _Link, source_url: str, target: Path) -> None:
    people(source)
    with pytest.raises(TargetError, match="no file"):
        await verified(source_url, target)
    async with connect(target):
        pass
    with pytest.raises(TargetError, match="not made by a move"):
        await verified(source_url, target)
    with pytest.raises(TargetError):
        await recover(source_url, target, "users")


async def test_recovering_keeps_rows_that_others_refer_to(source: _Link, source_url: str, target: Path) -> None:
    people(source)
    await moved(source_url, target)
    async with connect(target) as store:
        await store.create_user(email="new@example.com", id="mine")
        await store.create_session("mine")
        await store.create_user(email="alone@example.com", id="alone")
        await store.update_user("u1", name="Changed")
    await recover(source_url, target, "users")
    assert one(target, "SELECT name FROM users WHERE id = 'u1'") == "User 1"
    assert one(target, "SELECT count(*) FROM users WHERE id = 'mine'") == 1
    assert one(target, "SELECT count(*) FROM users WHERE id = 'alone'") == 0
    assert one(target, "SELECT count(*) FROM sessions WHERE user_id = 'mine'") == 1


async def test_a_file_that_does_not_read_as_the_source_gave_it_never_takes_the_name(
    source: _Link, source_url: str, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    people(source)
    looks_well = attempt.check

    def rots_after(path: Path, tables: Sequence[str], *, thorough: bool) -> Any:
        found = looks_well(path, tables, thorough=thorough)
        change(path, "UPDATE note SET body = 'rot' WHERE id = 60")
        return found

    plan = await make_plan(source_url, target)
    monkeypatch.setattr(attempt, "check", rots_after)
    with pytest.raises(TargetError, match="do not read as the source gave them"):
        await move(plan, prove=True)
    monkeypatch.undo()
    assert not target.exists()
    report = await move(await make_plan(source_url, target), prove=True)
    assert report.tables["note"].copied == 1
    assert actual(target) == expected(source)


class TestRollback:
    """Puts back what was there before the last move."""

    async def test_restores_what_was_there_and_sets_the_moved_file_aside(
        self, source: _Link, source_url: str, target: Path
    ) -> None:
        people(source)
        async with connect(target) as store:
            await store.create_user(email="old@example.com")
        await moved(source_url, target, replace=True)
        report = await rollback(target)
        assert one(target, "SELECT group_concat(email) FROM users") == "old@example.com"
        assert one(Path(report.set_aside), "SELECT count(*) FROM users") == 50

    async def test_without_anything_before_the_moved_file_is_set_aside(
        self, source: _Link, source_url: str, target: Path
    ) -> None:
        people(source)
        await moved(source_url, target)
        report = await rollback(target)
        assert report.restored is None
        assert not target.exists()
        assert one(Path(report.set_aside), "SELECT count(*) FROM users") == 50
        with pytest.raises(TargetError):
            await rollback(target)

    async def test_after_a_catch_up_the_move_before_is_back_and_can_catch_up_again(
        self, source: _Link, source_url: str, target: Path
    ) -> None:
        people(source)
        await moved(source_url, target)
        before = contents(target)
        source.execute("UPDATE note SET body = 'x' WHERE id = 5")
        await moved(source_url, target)
        await rollback(target)
        assert contents(target) == before
        await moved(source_url, target)
        assert actual(target) == expected(source)

    async def test_of_many_catch_ups_only_the_last_backup_is_kept(
        self, source: _Link, source_url: str, target: Path
    ) -> None:
        people(source)
        async with connect(target) as store:
            await store.create_user(email="old@example.com")
        first = await moved(source_url, target, replace=True)
        for _ in range(3):
            last = await moved(source_url, target)
        kept = [name for name in names(target.parent) if ".backup-" in name]
        assert kept == sorted(Path(str(report.backup)).name for report in (first, last))

    async def test_a_store_that_no_move_made_is_left_alone(self, target: Path) -> None:
        async with connect(target):
            pass
        with pytest.raises(TargetError, match="not made by a move"):
            await rollback(target)
        assert target.exists()


async def test_schemas_of_all_tools_compare_clean_with_expired_rows_too(
    source: _Link, source_url: str, target: Path
) -> None:
    seeded = seeds.seed(source, "prisma_v5")
    plan = await make_plan(source_url, target, with_expired=True)
    await move(plan)
    assert one(target, "SELECT count(*) FROM sessions") == len(seeded.sessions) + seeded.expired["sessions"]
    assert (await verified(source_url, target)).ok


@pytest.mark.parametrize(("table", "key"), [("users", "u7"), ("sessions", "s9")])
async def test_a_key_that_is_no_text_is_named_and_nothing_of_it_is_quoted_as_it_is(
    table: str, key: str, source: _Link, source_url: str, target: Path
) -> None:
    people(source)
    await moved(source_url, target)
    change(target, f"UPDATE {table} SET id = CAST(id || x'ff' AS TEXT) WHERE id = '{key}'")
    for again in (lambda: verified(source_url, target), lambda: moved(source_url, target)):
        with pytest.raises(TargetError, match=f"{table}: the row b'{key}.xff' holds text that is not UTF-8"):
            await again()


async def test_a_value_that_is_no_text_is_a_changed_row(source: _Link, source_url: str, target: Path) -> None:
    people(source)
    await moved(source_url, target)
    change(target, "UPDATE users SET name = CAST(x'e9' AS TEXT) WHERE id = 'u7'")
    report = await verified(source_url, target)
    assert {name: found.changed for name, found in report.tables.items() if not found.ok} == {"users": 1}


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        ("INSERT INTO \"User\" (id, email) VALUES ('second', 'U7@Example.com')", "the same e-mail address"),
        ('REVOKE SELECT ON "Session" FROM a_reader', "may not read it"),
        ('ALTER TABLE "Session" ENABLE ROW LEVEL SECURITY', "a policy hides rows"),
        (
            "CREATE TABLE refresh_tokens (token text); GRANT SELECT ON refresh_tokens TO a_reader",
            "looks like sessions or tokens",
        ),
    ],
)
async def test_what_nobody_decided_about_is_not_equal(
    statement: str, named: str, source: _Link, source_url: str, target: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    people(source, users=9)
    source.execute("CREATE ROLE a_reader LOGIN PASSWORD 'secret'")
    try:
        source.execute("GRANT SELECT ON ALL TABLES IN SCHEMA public TO a_reader")
        url = source_url.replace("postgres:secret@", "a_reader:secret@")
        await moved(url, target)
        assert (await verified(url, target)).ok
        source.execute(statement.encode())
        report = await verified(url, target)
        assert not report.ok
        assert any(named in problem.message for problem in report.undecided)
        assert await asyncio.to_thread(run, ["verify", url, f"sqlite:///{target}"]) == 1
        assert named in capsys.readouterr().out
    finally:
        source.execute("DROP OWNED BY a_reader; DROP ROLE a_reader")


async def test_a_table_that_is_gone_from_the_source_is_not_equal(
    source: _Link, source_url: str, target: Path, tmp_path: Path
) -> None:
    people(source)
    source.execute("CREATE TABLE word (id int PRIMARY KEY)")
    source.execute("INSERT INTO word VALUES (1), (2)")
    await moved(source_url, target)
    with fresh_database(source_url) as there:
        await move(await make_plan(f"sqlite:///{target}", there))
        with fresh_database(source_url) as across:
            await move(await make_plan(source_url, across))
            source.execute("DROP TABLE word")
            change(target, "DROP TABLE word")
            for url, at in ((f"sqlite:///{target}", there), (source_url, across)):
                report = await verify(url, at)
                assert {name: one.extra for name, one in report.tables.items() if not one.ok} == {"word": 2}
                assert (await verify(url, at, only=("note",))).ok
    other = tmp_path / "other.db"
    source.execute("CREATE TABLE word AS SELECT 1 AS id")
    await moved(source_url, other)
    source.execute("DROP TABLE word")
    report = await verified(source_url, other)
    assert (report.ok, report.tables["word"].extra) == (False, 1)
    assert (await verify(source_url, other, only=("note",))).ok
    await moved(source_url, other)
    assert (await verified(source_url, other)).ok
