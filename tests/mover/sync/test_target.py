"""What is at the target: whose it is, what may stand beside it, the way back through several moves, what plan says."""

import asyncio
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest

from authstore import connect
from authstore.errors import ConfigurationError
from authstore.mover import MoverError, TargetBusyError, TargetChangedError, TargetError, make_plan, recover, rollback
from tests.mover.moving import change, moved, names, one, verified
from tests.mover.seeds import seed

Connection = psycopg.Connection[Any]


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "auth.db"


def _read_only_look(target: Path) -> None:
    """As `sqlite3 -readonly` leaves it: an empty log, and its index, beside the file."""
    code = "import sqlite3, sys; c = sqlite3.connect(f'file:{sys.argv[1]}?mode=ro', uri=True)"
    code += "; c.execute('SELECT count(*) FROM users').fetchone(); import os; os._exit(0)"
    subprocess.run([sys.executable, "-c", code, str(target)], check=True)
    assert target.with_name(target.name + "-wal").stat().st_size == 0


class TestWhatALookLeavesBehind:
    async def test_does_not_stop_the_next_move(self, source: Connection, source_url: str, target: Path) -> None:
        seed(source, "pg_adapter", users=2)
        await moved(source_url, target)
        _read_only_look(target)
        source.execute("UPDATE users SET name = 'Eve' WHERE id = (SELECT min(id) FROM users)")
        report = await moved(source_url, target)
        assert report.tables["users"].copied == 1
        _read_only_look(target)
        assert (await recover(source_url, target, "users")).tables["users"].rows == 2
        assert (await verified(source_url, target)).ok

    @pytest.mark.parametrize("at_work", ["SELECT count(*) FROM users", "BEGIN IMMEDIATE", "PRAGMA journal_mode"])
    def test_is_told_from_a_target_that_is_open(
        self, source: Connection, source_url: str, target: Path, at_work: str
    ) -> None:
        seed(source, "pg_adapter", users=2)
        asyncio.run(moved(source_url, target))
        code = f"import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute({at_work!r}).fetchall()"
        code += "; c.execute('SELECT count(*) FROM users').fetchall(); print('open', flush=True); sys.stdin.read()"
        with subprocess.Popen(
            [sys.executable, "-c", code, str(target)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as reader:
            assert reader.stdout is not None
            reader.stdout.readline()
            with pytest.raises(TargetBusyError):
                asyncio.run(moved(source_url, target))
            assert not asyncio.run(make_plan(source_url, target)).ok
            reader.communicate(b"")
        asyncio.run(moved(source_url, target))

    async def test_looking_at_the_target_changes_no_byte_of_it(
        self, source: Connection, source_url: str, target: Path
    ) -> None:
        seed(source, "pg_adapter", users=2)
        await moved(source_url, target)
        before = (target.read_bytes(), target.stat().st_mtime_ns)
        assert (await make_plan(source_url, target)).ok
        assert (target.read_bytes(), target.stat().st_mtime_ns) == before
        assert names(target.parent) == ["auth.db"]


class TestWhoseFileItIs:
    async def test_a_store_that_an_application_made_is_not_gone_over(
        self, source: Connection, source_url: str, target: Path
    ) -> None:
        seed(source, "pg_adapter", users=2)
        async with connect(target) as store:
            await store.create_user(email="mine@example.com")
        with pytest.raises(TargetChangedError, match="no move made"):
            await moved(source_url, target)
        assert one(target, "SELECT email FROM users") == "mine@example.com"
        plan = await make_plan(source_url, target)
        assert [(problem.kind, problem.decision) for problem in plan.problems if problem.stops] == [
            ("target", "replace")
        ]
        report = await moved(source_url, target, replace=True)
        assert report.backup is not None
        assert one(Path(report.backup), "SELECT email FROM users") == "mine@example.com"

    @pytest.mark.parametrize("content", [b"", b"not a database", b"SQLite format 3\0" + bytes(100)])
    async def test_neither_is_any_other_file(
        self, source: Connection, source_url: str, target: Path, content: bytes
    ) -> None:
        seed(source, "pg_adapter", users=1)
        target.write_bytes(content)
        with pytest.raises(TargetChangedError):
            await moved(source_url, target)
        assert target.read_bytes() == content
        await moved(source_url, target, replace=True)
        assert one(target, "SELECT count(*) FROM users") == 1

    async def test_plan_knows_of_rows_that_the_application_wrote(
        self, source: Connection, source_url: str, target: Path
    ) -> None:
        seed(source, "pg_adapter", users=2)
        await moved(source_url, target)
        change(target, "UPDATE users SET name = 'mine'")
        plan = await make_plan(source_url, target)
        assert [problem.decision for problem in plan.problems if problem.stops] == ["replace"]
        with pytest.raises(TargetChangedError):
            await moved(source_url, target)
        assert (await make_plan(source_url, target, replace=True)).ok


class TestRollback:
    @pytest.mark.parametrize("there_before", [True, False])
    async def test_goes_back_one_move_at_a_time_to_what_was_before_the_first(
        self, source: Connection, source_url: str, target: Path, there_before: bool
    ) -> None:
        seed(source, "pg_adapter", users=1)
        if there_before:
            async with connect(target) as store:
                await store.create_user(name="the first")
        for name in ("one", "two", "three", "four"):
            source.execute("UPDATE users SET name = %s", [name])
            await moved(source_url, target, replace=True)
        await rollback(target)
        assert one(target, "SELECT name FROM users") == "three"
        last = await rollback(target)
        if there_before:
            assert one(target, "SELECT name FROM users") == "the first"
        else:
            assert last.restored is None
            assert not target.exists()
        with pytest.raises(TargetError):
            await rollback(target)

    async def test_a_move_after_a_rollback_goes_on_from_there(
        self, source: Connection, source_url: str, target: Path
    ) -> None:
        seed(source, "pg_adapter", users=1)
        for name in ("one", "two"):
            source.execute("UPDATE users SET name = %s", [name])
            await moved(source_url, target)
        await rollback(target)
        assert one(target, "SELECT name FROM users") == "one"
        source.execute("UPDATE users SET name = 'three'")
        await moved(source_url, target)
        await rollback(target)
        assert one(target, "SELECT name FROM users") == "one"
        await rollback(target)
        assert not target.exists()

    async def test_a_backup_that_somebody_took_away_is_said(
        self, source: Connection, source_url: str, target: Path
    ) -> None:
        seed(source, "pg_adapter", users=1)
        async with connect(target):
            pass
        report = await moved(source_url, target, replace=True)
        assert report.backup is not None
        Path(report.backup).unlink()
        with pytest.raises(TargetError, match="is gone"):
            await rollback(target)
        assert one(target, "SELECT count(*) FROM users") == 1


class TestWhatTheFileSystemRefuses:
    @pytest.mark.parametrize("name", ["x" * 300 + ".db", "folder", "folder/auth.db/deeper.db"])
    async def test_is_a_typed_error_of_every_call_and_a_problem_of_the_plan(
        self, source: Connection, source_url: str, tmp_path: Path, name: str
    ) -> None:
        seed(source, "pg_adapter", users=1)
        (tmp_path / "folder").mkdir()
        (tmp_path / "folder" / "auth.db").write_text("a file")
        target = tmp_path / name
        plan = await make_plan(source_url, target)
        assert not plan.ok
        for call in (moved, verified, lambda url, path: rollback(path), lambda url, path: recover(url, path, "users")):
            with pytest.raises((MoverError, ConfigurationError)):
                await call(source_url, target)

    async def test_a_symbolic_link_is_not_followed(self, source: Connection, source_url: str, tmp_path: Path) -> None:
        seed(source, "pg_adapter", users=1)
        (tmp_path / "auth.db").symlink_to(tmp_path / "elsewhere.db")
        assert not (await make_plan(source_url, tmp_path / "auth.db")).ok
        with pytest.raises(TargetError):
            await moved(source_url, tmp_path / "auth.db")


class TestNamesThatMatchNothing:
    @pytest.mark.parametrize(
        ("options", "said"),
        [
            ({"skip": ("no_such",)}, "--skip: no table is called no_such; there are public.Account"),
            ({"only": ("no_such",)}, "--only: no table is called no_such"),
            ({"schemas": ("no_such",)}, "--schema: there is no table in a schema no_such"),
            ({"prefix": "app_"}, "--prefix: no table's name begins with app_"),
        ],
    )
    async def test_are_a_usage_error_that_lists_what_there_is(
        self, source: Connection, source_url: str, target: Path, options: dict[str, Any], said: str
    ) -> None:
        seed(source, "prisma_v5", users=1)
        with pytest.raises(ConfigurationError) as raised:
            await make_plan(source_url, target, **options)
        assert said in str(raised.value)

    async def test_the_names_of_either_side_will_do(self, source: Connection, source_url: str, target: Path) -> None:
        seed(source, "prisma_v5", users=2)
        source.execute("CREATE TABLE note (id int PRIMARY KEY)")
        for name in ("User", "public.User", "users"):
            plan = await make_plan(source_url, target, only=(name,))
            assert [table.table for table in plan.tables] == ["users"]
        for name in ("Account", "public.Account", "accounts"):
            plan = await make_plan(source_url, target, skip=(name,))
            assert "accounts" not in [table.table for table in plan.tables]
        await moved(source_url, target)
        for name in ("User", "public.User", "users", "note"):
            assert await recover(source_url, target, name)
        with pytest.raises(ConfigurationError, match="no table no_such is moved; there are accounts"):
            await recover(source_url, target, "no_such")


class TestSecretsBesideTheFile:
    async def test_rejected_rows_show_tokens_by_their_hash_alone(
        self, source: Connection, source_url: str, target: Path
    ) -> None:
        seed(source, "pg_adapter", nasty=True)
        source.execute("ALTER TABLE users ADD COLUMN password_hash text")
        source.execute("UPDATE users SET password_hash = 'a-hash-of-a-password-' || id")
        source.execute(
            "UPDATE accounts SET refresh_token = 'a-refresh-token-' || id, access_token = 'an-access-' || id"
        )
        secrets = {value for (value,) in source.execute('SELECT "sessionToken" FROM sessions')}
        secrets |= {value for (value,) in source.execute("SELECT token FROM verification_token")}
        secrets |= {value for (value,) in source.execute("SELECT refresh_token FROM accounts")}
        secrets |= {value for (value,) in source.execute("SELECT password_hash FROM users")}
        decided = {"on_bad_row": "reject", "on_orphan": "reject", "on_duplicate": "keep-oldest", "secrets": "drop"}
        plan = await make_plan(source_url, target, **decided)
        report = await moved(source_url, target, **decided)
        assert report.rejects is not None
        text = Path(report.rejects).read_text()
        assert "sha256:" in text
        said = " ".join(str(problem) for problem in plan.problems)
        leaked = [value for value in secrets if value and len(value) > 3 and (value in text or value in said)]
        assert leaked == []
        assert stat.S_IMODE(Path(report.rejects).stat().st_mode) == 0o600


async def test_the_size_that_plan_names_is_about_that_of_the_file(
    source: Connection, source_url: str, target: Path
) -> None:
    seed(source, "prisma_v5", users=800)
    plan = await make_plan(source_url, target)
    await moved(source_url, target)
    with closing(sqlite3.connect(target)) as connection:
        connection.execute("VACUUM")
    assert 0.4 <= plan.bytes / target.stat().st_size <= 2.5


async def test_a_disk_without_room_is_a_problem_of_the_plan(
    source: Connection, source_url: str, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seed(source, "prisma_v5", users=1)
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 1000})())
    plan = await make_plan(source_url, target)
    (problem,) = (problem for problem in plan.problems if problem.stops)
    assert "free" in problem.message
