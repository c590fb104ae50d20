"""What is at the target: whose it is, what may stand beside it, the way back through several moves, what plan says."""

import asyncio
import os
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
from authstore.mover import (
    MoverError,
    TargetBusyError,
    TargetChangedError,
    TargetError,
    make_plan,
    move,
    recover,
    rollback,
)
from tests.mover.moving import change, moved, names, one, verified
from tests.mover.seeds import seed
from tests.postgres import fresh_database

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


_FULL = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (16384, 16384))  # less than SQLite keeps beside a file
from authstore.cli.app import run
sys.exit(run(sys.argv[1:]))
"""


@pytest.mark.parametrize("command", ["move", "plan", "rollback"])
async def test_a_target_that_cannot_be_read_for_want_of_room_is_still_a_move_s(
    command: str, source: Connection, source_url: str, target: Path
) -> None:
    seed(source, "pg_adapter", users=2)
    await moved(source_url, target)
    about = [f"sqlite:///{target}"] if command == "rollback" else [source_url, f"sqlite:///{target}"]
    done = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", _FULL, command, *about], capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "the disk is full or fails" in done.stdout + done.stderr
    assert "make room and run the same command again" in done.stdout + done.stderr
    assert (await verified(source_url, target)).ok


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

    async def test_neither_is_one_that_came_from_another_source(
        self, source: Connection, source_url: str, postgres_url: str, target: Path
    ) -> None:
        seed(source, "pg_adapter", users=2)
        await moved(source_url, target)
        with fresh_database(postgres_url) as other_url:
            with psycopg.connect(other_url, autocommit=True) as other:
                seed(other, "pg_adapter", users=3)
            with pytest.raises(TargetChangedError, match="from another source"):
                await moved(other_url, target)
            assert one(target, "SELECT count(*) FROM users") == 2
            assert (await moved(other_url, target, replace=True)).tables["users"].rows == 3

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

    async def test_rows_that_the_application_added_behind_all_others_are_seen_after_the_source_was_changed(
        self, source: Connection, source_url: str, target: Path
    ) -> None:
        seed(source, "pg_adapter", users=2)
        await moved(source_url, target)
        async with connect(target) as store:
            await store.create_user(id="zzz", email="mine@example.com")
        source.execute("CREATE TABLE later (id int PRIMARY KEY)")
        with pytest.raises(TargetChangedError, match=r"users \(1\)"):
            await moved(source_url, target)
        assert one(target, "SELECT count(*) FROM users") == 3


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

    async def test_a_name_that_leaves_no_room_for_those_beside_it_is_refused_before_anything_is_moved(
        self, source: Connection, source_url: str, tmp_path: Path
    ) -> None:
        seed(source, "pg_adapter", users=1)
        longest = os.pathconf(tmp_path, "PC_NAME_MAX")
        for length in (longest - 20, longest - 3, longest + 1):
            target = tmp_path / ("x" * length)
            plan = await make_plan(source_url, target)
            assert any("the name is too long" in problem.message for problem in plan.problems)
            with pytest.raises(TargetError, match=r"name (is )?too long"):
                await moved(source_url, target)
        assert list(tmp_path.iterdir()) == []
        assert (await make_plan(source_url, tmp_path / ("x" * (longest - 30)))).ok


class TestNamesThatMatchNothing:
    @pytest.mark.parametrize(
        ("options", "said"),
        [
            ({"skip": ("no_such",)}, "`skip`: no table is called no_such; there are public.Account"),
            ({"only": ("no_such",)}, "`only`: no table is called no_such"),
            ({"schemas": ("no_such",)}, "`schemas`: there is no table in a schema no_such"),
            ({"prefix": "app_"}, "`prefix`: no table's name begins with app_"),
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


class TestWhatStaysBehind:
    async def test_is_said_by_move_and_verify_too_with_its_rows(
        self, source: Connection, source_url: str, target: Path
    ) -> None:
        seed(source, "prisma_v5", users=2)
        source.execute("CREATE SCHEMA app; CREATE TABLE app.orders (id int PRIMARY KEY)")
        source.execute("INSERT INTO app.orders SELECT generate_series(1, 7)")
        source.execute("CREATE TABLE note (id int PRIMARY KEY); INSERT INTO note VALUES (1), (2)")
        said = 'schema "app" stays behind with 7 rows in 1 table (app.orders); `schemas` moves it too'
        for schemas in ((), ("public",)):
            report = await moved(source_url, target, skip=("note",), schemas=schemas, replace=True)
            for problems in (report.problems, (await verified(source_url, target)).problems):
                counts = {problem.message: problem.count for problem in problems if problem.kind == "left-behind"}
                assert counts[said] == 7
                assert counts["left behind with 2 rows, as `skip` and `only` say"] == 2

    async def test_what_a_role_may_not_read_elsewhere_is_said_too(
        self, source: Connection, source_url: str, target: Path
    ) -> None:
        seed(source, "prisma_v5", users=1)
        role = f"clerk_{source.info.backend_pid}"
        source.execute("CREATE SCHEMA app; CREATE TABLE app.orders (id int); INSERT INTO app.orders VALUES (1)")
        source.execute(f"CREATE ROLE {role} LOGIN; GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}".encode())
        try:
            report = await moved(source_url.replace("postgres:secret@", f"{role}@"), target)
        finally:
            source.execute(f"DROP OWNED BY {role}; DROP ROLE {role}".encode())
        (problem,) = [each for each in report.problems if "app.orders" in each.message]
        assert "1 of which this role may not read" in problem.message
        assert problem.count

    @pytest.mark.parametrize(
        ("only", "asked"), [("Session", "users"), ("accounts", "users"), ("Authenticator", None), ("note", None)]
    )
    async def test_only_says_which_auth_tables_it_leaves_and_which_it_needs(
        self, source: Connection, source_url: str, target: Path, only: str, asked: str | None
    ) -> None:
        seed(source, "prisma_v5", users=2)
        source.execute('DELETE FROM "Authenticator"')
        source.execute('CREATE TABLE note (id int PRIMARY KEY, who text REFERENCES "User")')
        source.execute('INSERT INTO note SELECT row_number() OVER (), id FROM "User"')
        plan = await make_plan(source_url, target, only=(only,))
        assert [each.decision for each in plan.problems if each.stops] == (["only"] if asked else [])
        users = [each for each in plan.problems if each.table == "public.User"]
        assert [(each.kind, each.count) for each in users] == [("left-behind", 2)]
        if asked is None:
            await move(plan)
            assert (await verified(source_url, target)).ok

    async def test_two_schemas_move_into_one_file_their_names_kept_apart(
        self, source: Connection, source_url: str, target: Path
    ) -> None:
        seed(source, "prisma_v5", users=2)
        source.execute("CREATE SCHEMA app; CREATE TABLE note (id int PRIMARY KEY); INSERT INTO note VALUES (1), (2)")
        source.execute('CREATE TABLE app.note (id int PRIMARY KEY, who text REFERENCES "User")')
        source.execute('INSERT INTO app.note SELECT row_number() OVER (), id FROM "User"')
        await moved(source_url, target, schemas=("public", "app"))
        assert one(target, "SELECT count(*) FROM note") == 2
        assert one(target, "SELECT count(*) FROM app_note JOIN users ON users.id = app_note.who") == 2
        assert (await verified(source_url, target)).ok


class TestColumns:
    async def test_that_go_into_data_are_listed_one_by_one(
        self, source: Connection, source_url: str, target: Path
    ) -> None:
        seed(source, "prisma_v5", users=1)
        source.execute('ALTER TABLE "User" ADD COLUMN plan_tier text, ADD COLUMN password_hash text')
        (users,) = (t for t in (await make_plan(source_url, target, secrets="drop")).tables if t.table == "users")
        assert users.types["data.plan_tier"] == ("text", "JSON in data")
        assert "data.password_hash" not in users.types

    async def test_of_grants_that_have_no_data_are_not_said_to_be_kept_there(
        self, source: Connection, source_url: str, target: Path
    ) -> None:
        seed(source, "noormme", users=1)
        source.execute("ALTER TABLE user_roles ADD COLUMN assigned_at timestamptz, ADD COLUMN assigned_by uuid")
        source.execute("ALTER TABLE user_roles ADD FOREIGN KEY (assigned_by) REFERENCES users (id)")
        plan = await make_plan(source_url, target, secrets="drop")
        said = [problem.message for problem in plan.problems if problem.table == "public.user_roles"]
        assert [message for message in said if "assigned_by" in message] == [
            "columns of public.user_roles without a field are left behind: created_at, assigned_at, assigned_by"
        ]


class TestWeakerRules:
    @pytest.mark.parametrize(
        "rule",
        [
            "CREATE UNIQUE INDEX weak ON place (lower(name))",
            "ALTER TABLE place ADD CONSTRAINT weak CHECK (name = lower(name))",
            "ALTER TABLE place ADD CONSTRAINT weak UNIQUE (price)",
        ],
    )
    async def test_are_said_to_be_weaker(self, source: Connection, source_url: str, target: Path, rule: str) -> None:
        seed(source, "prisma_v5", users=1)
        source.execute("CREATE TABLE place (id int PRIMARY KEY, name text, price numeric)")
        source.execute(rule.encode())
        plan = await make_plan(source_url, target)
        said = [
            problem.message
            for problem in plan.problems
            if problem.table == "public.place" and "weak" in problem.message
        ]
        assert len([message for message in said if "may let more in" in message]) == 1


async def test_a_profile_that_is_written_names_what_is_undecided(
    source: Connection, source_url: str, tmp_path: Path
) -> None:
    seed(source, "prisma_v5", users=1)
    source.execute("CREATE TABLE reset_tokens (token text, expires timestamptz)")
    source.execute("CREATE TABLE webhooks (id int PRIMARY KEY, signing_secret text)")
    profile = tmp_path / "my.toml"
    arguments = [sys.executable, "-m", "authstore.cli", "plan", source_url, f"sqlite:///{tmp_path}/auth.db"]
    done = subprocess.run([*arguments, "--write-profile", str(profile)], capture_output=True, text=True, check=False)  # noqa: ASYNC221  # nothing else runs here
    assert done.returncode == 1
    text = profile.read_text()
    for name in ("public.reset_tokens", "public.webhooks"):
        assert text.count(f'# "{name}",') == 2
    carried = text.replace('    # "public.reset_tokens"', '    "public.reset_tokens"', 1)
    carried = carried.replace('    # "public.webhooks"', '    "public.webhooks"', 1)
    profile.write_text(carried)
    assert (await make_plan(source_url, tmp_path / "auth.db", profile=str(profile))).ok
