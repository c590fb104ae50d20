"""Each trouble of docs/troubleshooting.md is made on a real store, seen as the page shows it, found and mended by what
the page says, and gone. Nothing that a section shows or lets people type is left out."""

import asyncio
import logging
import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psycopg
import pytest
from pydantic import ValidationError

from authstore import (
    ConfigurationError,
    EmailTakenError,
    InvalidEmailError,
    RoleNotFoundError,
    SchemaError,
    StoreBusyError,
    StoreCorruptError,
    StoreNotFoundError,
    UserNotFoundError,
    connect,
    ops,
)
from authstore.cli import main
from authstore.mover import TargetChangedError
from authstore.schema import migrations
from authstore.store import Store
from authstore.testing import Clock
from authstore.web.texts import ENGLISH
from tests.mover.moving import change, moved, one, people
from tests.whole.troubles import SECTIONS, Trouble

ROOT = Path(__file__).parents[2]
URL = "sqlite:///auth.db"
FILE = Path("auth.db")
DOCTOR = f"authstore doctor {URL}"
TOLD: list[str] = []  # which sections have a test


def about(heading: str) -> pytest.MarkDecorator:
    TOLD.append(heading)
    return pytest.mark.parametrize("trouble", [heading], indirect=True)


@pytest.fixture
def trouble(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Trouble]:
    """The section, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    made = Trouble(request.param)
    failed = request.session.testsfailed
    yield made
    if request.session.testsfailed == failed:
        assert made.left == set(), "the page says more than was tried"


def sql(*statements: str) -> None:
    """What somebody else does to the file, by plain SQL."""
    change(FILE, *statements)


async def made(**options: Any) -> None:
    """A store with one user, `ada`."""
    async with connect(URL, **options) as store:
        await store.create_user(id="ada", email="ada@example.com")


async def opened(**options: Any) -> None:
    async with connect(URL, **options):
        pass


async def findings() -> set[str]:
    return {each.id.removeprefix("authstore.") for each in await ops.doctor(URL) if each.level != "info"}


def test_each_section_has_its_test() -> None:
    assert sorted(TOLD) == sorted(SECTIONS)


@pytest.mark.processes
@about("A module or the command is not there")
async def test_a_missing_extra_is_named(
    trouble: Trouble, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code = "import sys; sys.modules['starlette'] = None; import authstore.web"
    run = partial(subprocess.run, capture_output=True, text=True, check=False)
    trouble.sees((await asyncio.to_thread(run, [sys.executable, "-c", code])).stderr)
    with monkeypatch.context() as without:
        without.setattr("authstore.cli.find_spec", lambda _: None)
        with pytest.raises(SystemExit):
            main()
    trouble.sees(capsys.readouterr().err)
    assert (await trouble.types("authstore --version")).strip() == f"authstore {version('authstore')}"


ADAPTER = """
from typing import Any

from authstore import User, Users


class MyUsers:
    async def create_user(self, **fields: Any) -> User:
        raise NotImplementedError

    async def get_user(self, user_id: {type}) -> User | None:
        return None

    async def get_user_by_email(self, email: str) -> User | None:
        return None

    async def get_user_by_account(self, provider: str, provider_account_id: str) -> User | None:
        return None

    async def update_user(self, user_id: str, **fields: Any) -> User | None:
        return None

    async def delete_user(self, user_id: str) -> bool:
        return False

    async def list_users(self, *, after: str | None = None, limit: int = 100) -> list[User]:
        return []


async def greet(users: Users) -> None: ...


async def main() -> None:
    await greet(MyUsers())
"""


@pytest.mark.slow
@about("A type checker refuses an adapter")
def test_an_adapter_of_another_shape_is_refused(trouble: Trouble, tmp_path: Path) -> None:
    app, mended = tmp_path / "app.py", tmp_path / "mended.py"
    app.write_text(ADAPTER.format(type="int"))
    mended.write_text(ADAPTER.format(type="str"))
    command = [sys.executable, "-m", "mypy", "--config-file", "pyproject.toml", app, mended]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    told = re.sub(r"^\S*/", "", done.stdout, flags=re.MULTILINE)
    trouble.sees(told)
    assert "Found 1 error in 1 file (checked 2 source files)" in told


@about("The file is not made")
async def test_a_file_that_is_not_made(trouble: Trouble) -> None:
    async def with_two_slashes() -> None:
        connect("sqlite://auth.db")

    await trouble.meets(ConfigurationError, with_two_slashes)
    await trouble.meets(StoreNotFoundError, lambda: opened(create=False))
    trouble.sees(await trouble.types(DOCTOR, exits=1))
    await trouble.types(f"authstore init {URL}")
    await opened(create=False)


@about("Everybody is missing in production")
async def test_an_empty_store_in_another_folder(
    trouble: Trouble, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    await made()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    await opened()
    trouble.sees(await trouble.types(f"authstore users list --url {URL}"))
    told = await trouble.types(f"authstore health {URL}")
    trouble.sees(told)
    assert f"file: {tmp_path}/elsewhere/auth.db" in told
    [program] = trouble.blocks
    await trouble.runs(program)
    assert capsys.readouterr().out == "there is no store at /srv/app/auth.db\n"
    async with connect(tmp_path / "auth.db", create=False) as store:
        assert await store.get_user("ada") is not None


@about("It is no store, or one of another version")
async def test_another_file_and_another_version(trouble: Trouble) -> None:
    await made()
    sql("PRAGMA application_id = 7")
    await trouble.meets(SchemaError, opened)
    newest = len(migrations("sqlite"))
    sql("PRAGMA application_id = 1096111176", "DROP TABLE visits")
    sql(f"DELETE FROM authstore_migrations WHERE version = {newest}")
    await trouble.meets(SchemaError, lambda: opened(migrate=False))
    await trouble.types(f"authstore migrate {URL} --check", exits=1)
    await trouble.types(f"authstore migrate {URL}")
    await opened(migrate=False)


@about("`database is locked`")
async def test_a_lock_that_somebody_keeps(trouble: Trouble) -> None:
    async with connect(URL) as store:
        with closing(sqlite3.connect(FILE, isolation_level=None)) as prompt:
            prompt.execute("BEGIN IMMEDIATE")
            told = asyncio.create_task(trouble.types(DOCTOR, exits=1))
            await trouble.meets(StoreBusyError, store.create_user)
            trouble.sees(await told)
            assert str(os.getpid()) in await told
        await store.create_user()


@about("A foreign key fails")
async def test_what_belongs_to_nobody_is_refused(trouble: Trouble) -> None:
    async with connect(URL) as store:
        await trouble.meets(UserNotFoundError, lambda: store.create_session("ada"))
        user = await store.create_user(id="ben")
        await trouble.meets(RoleNotFoundError, lambda: store.grant_role(user.id, "admin"))

        async def plain() -> None:
            with closing(sqlite3.connect(FILE, isolation_level=None)) as connection:
                connection.execute("PRAGMA foreign_keys = ON")
                connection.execute("INSERT INTO user_roles VALUES ('ada', 'admin')")

        await trouble.meets(sqlite3.IntegrityError, plain)
        show = f"authstore users show ada --url {URL}"
        await trouble.types(show, exits=1)
        user = await store.create_user(id="ada")
        await trouble.types(show)
        assert (await store.create_session(user.id)).user_id == "ada"


@about("Orphans")
async def test_rows_without_their_user(trouble: Trouble) -> None:
    async with connect(URL) as store:
        await store.create_session((await store.create_user(id="ada")).id)
    sql("DELETE FROM users")
    trouble.sees(await trouble.types(DOCTOR, exits=1))
    for block in trouble.statements:
        sql(*filter(str.strip, block.split(";")))
        trouble.left.discard(block)
    assert "E012" not in await findings()


@about("Duplicates")
async def test_one_address_twice(trouble: Trouble) -> None:
    await made()
    async with connect(URL) as store:
        await trouble.meets(EmailTakenError, lambda: store.create_user(email="ADA@example.com"))
    sql(
        "INSERT INTO users (id, email, created_at, updated_at)"
        " SELECT 'twin', 'Ada@example.com', created_at, created_at FROM users"
    )
    told = await trouble.types(DOCTOR, exits=1)
    trouble.sees(told)
    assert "twin" in told
    assert "living sessions: 0" in await trouble.types(f"authstore users show twin --url {URL}")
    await trouble.types(f"authstore users delete twin --url {URL} --yes")
    assert await findings() == set()


@about("A value is refused")
async def test_a_value_that_is_none(trouble: Trouble, capsys: pytest.CaptureFixture[str]) -> None:
    async with connect(URL) as store:
        await trouble.meets(InvalidEmailError, lambda: store.create_user(email="Ada <ada@example.com>"))
        await trouble.meets(ValueError, lambda: store.list_users(limit=0))
        assert await store.list_users() == []
    [program] = trouble.blocks
    await trouble.runs(program)
    assert capsys.readouterr().out == "not one plain e-mail address\n"


@about("Dates")
async def test_an_instant_without_a_zone_and_a_clock_that_is_behind(trouble: Trouble) -> None:
    await made(clock=Clock(datetime.now(UTC) + timedelta(days=1)))
    async with connect(URL) as store:
        naive = datetime.now(UTC).replace(tzinfo=None)
        await trouble.meets(ValidationError, lambda: store.update_user("ada", email_verified=naive))
        assert await store.update_user("ada", email_verified=datetime.now(UTC)) is not None
    trouble.sees(await trouble.types(DOCTOR))
    async with connect(URL, clock=Clock(datetime.now(UTC) + timedelta(days=1))) as store:
        assert "authstore.W029" not in {each.id for each in await ops.doctor(store)}


@about("A row cannot be read")
async def test_a_row_that_no_store_wrote(trouble: Trouble) -> None:
    await made()
    sql("UPDATE users SET name = CAST(x'ff41' AS TEXT)")
    async with connect(URL) as store:
        await trouble.meets(StoreCorruptError, lambda: store.get_user("ada"))
        told = await trouble.types(DOCTOR, exits=1)
        trouble.sees(told)
        assert "ada" in told
        sql("UPDATE users SET name = NULL")
        assert await store.get_user("ada") is not None
    assert await findings() == set()


@about("The file is damaged")
async def test_a_file_that_is_cut_off(trouble: Trouble) -> None:
    await made()
    await ops.backup(URL, "backup.db")
    FILE.write_bytes(FILE.read_bytes()[:-100])
    await trouble.meets(StoreCorruptError, opened)
    trouble.sees(await trouble.types(DOCTOR, exits=1))
    await trouble.types("authstore drill backup.db")
    await trouble.types(f"authstore restore backup.db {URL}")
    assert await findings() == set()


@about("A session's token is not found")
async def test_what_is_no_token(trouble: Trouble) -> None:
    await made()
    async with connect(URL) as store:
        session = await store.create_session("ada")
        hashed = one(FILE, "SELECT hex(token_hash) FROM sessions")
        assert await store.get_session_and_user(hashed) is None
        explain = f"authstore sessions explain --url {URL}"
        trouble.sees(await trouble.types(explain, exits=1, stdin=hashed))
        assert "alive" in await trouble.types(explain, stdin=session.token)
        assert await store.get_session_and_user(str(session.token)) is not None


@about("Somebody was signed out: why?")
async def test_a_session_that_was_ended(trouble: Trouble) -> None:
    await made()
    async with connect(URL) as store:
        session = await store.create_session("ada")
        with ops.acting("admin:7"):
            await store.revoke_session(session.id, reason="lost phone")
    trouble.sees(await trouble.types(f"authstore sessions explain ID --url {URL}", instead={"ID": session.id}))


@about('"Invalid verification token": why?')
async def test_a_verification_token_that_was_used(trouble: Trouble) -> None:
    await made(audit=timedelta(days=30))
    async with connect(URL) as store:
        token = str((await store.create_verification_token("ada@example.com")).token)
        assert await store.use_verification_token("ada@example.com", token)  # the mail scanner
        assert await store.use_verification_token("ada@example.com", token) is None
    trouble.sees(await trouble.types(f"authstore events {URL}"))
    assert ENGLISH.error_link in " ".join(SECTIONS['"Invalid verification token": why?'].split())
    [program] = trouble.blocks
    again = (await trouble.runs(program))["made"]
    async with connect(URL) as store:
        assert await store.use_verification_token("ada@example.com", again.token)


@about("Queries are slow")
async def test_an_index_that_somebody_dropped(trouble: Trouble) -> None:
    await made()
    sql("DROP INDEX sessions_user_id")
    with pytest.warns(UserWarning, match="lacks") as warned:
        await opened()
    trouble.sees(f"UserWarning: {warned[0].message}")
    trouble.sees(await trouble.types(DOCTOR))
    await trouble.types(f"{DOCTOR} --fix")
    assert await findings() == set()
    await opened()


@about("The file grows")
async def test_dead_rows(trouble: Trouble) -> None:
    await made()
    sql(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)"
        " INSERT INTO sessions (id, token_hash, user_id, expires, created_at, last_used_at, authenticated_at)"
        " SELECT printf('s%07d', i), randomblob(32), 'ada', d, d, d, d"
        " FROM n, (SELECT '2026-01-01T00:00:00.000000Z' AS d)"
    )
    trouble.sees(await trouble.types(DOCTOR))
    await trouble.types(f"authstore prune {URL}")
    assert await findings() == set()
    assert one(FILE, "SELECT count(*) FROM sessions") == 0


@about("The process takes much memory")
async def test_what_a_store_holds_has_a_bound(trouble: Trouble, capsys: pytest.CaptureFixture[str]) -> None:
    async with connect(URL, durability="relaxed", cache=10) as store:
        for _ in range(12):
            session = await store.create_session((await store.create_user()).id)
            await store.get_session_and_user(str(session.token))
        assert store.cache_info().entries <= 10
        assert len(await store.list_users(limit=5)) == 5
    [program] = trouble.blocks
    await trouble.runs(program.replace("limit=500", "limit=5"))
    assert capsys.readouterr().out == "12 users; 0 sessions kept, of at most 1000\n"
    trouble.left.discard(program)


@about("The cache saves nothing")
async def test_a_trigger_that_somebody_dropped(trouble: Trouble) -> None:
    await made()
    sql("DROP TRIGGER sessions_deleted")
    with pytest.warns(UserWarning, match="lacks trigger"):
        assert await _hits() == 0
    trouble.sees(await trouble.types(DOCTOR))
    await trouble.types(f"{DOCTOR} --fix")
    assert await _hits() == 1


async def _hits() -> int:
    """Of a session that is looked up twice."""
    async with connect(URL, cache=10) as store:
        token = str((await store.create_session("ada")).token)
        assert await store.get_session_and_user(token) is not None
        assert await store.get_session_and_user(token) is not None
        return store.cache_info().hits


@about("Something stale is shown")
async def test_nothing_kept_outlives_a_change(trouble: Trouble) -> None:
    await made()
    async with connect(URL, cache=10) as store:
        token = str((await store.create_session("ada")).token)
        assert await store.get_session_and_user(token) is not None
        sql("UPDATE users SET name = 'Ada'")
        found = await store.get_session_and_user(token)
        assert found is not None
        assert found[1].name == "Ada"
        FILE.rename("away.db")
        await trouble.meets(StoreNotFoundError, lambda: store.update_user("ada", name="Eve"))
        await trouble.meets(StoreNotFoundError, lambda: store.get_session_and_user(token))
    Path("away.db").rename(FILE)
    async with connect(URL, cache=10) as store:
        assert await store.get_session_and_user(token) is not None


@about("Health says `fail`")
async def test_a_file_that_is_gone(trouble: Trouble) -> None:
    await made()
    FILE.rename("away.db")
    health = f"authstore health {URL}"
    trouble.sees(await trouble.types(health, exits=1))
    assert "authstore.E001" in await trouble.types(DOCTOR, exits=1)
    Path("away.db").rename(FILE)
    await trouble.types(health)


@about("The inspector finds nothing")
async def test_somebody_elses_file_is_not_inspected(trouble: Trouble) -> None:
    with closing(sqlite3.connect(FILE)) as connection:
        connection.execute("CREATE TABLE users (id)")
    look = f"authstore inspect {URL}"
    trouble.sees(await trouble.types(look, exits=1))
    FILE.unlink()
    await made()
    assert "sessions: 0 alive" in await trouble.types(look)


@about("The monitor tells nothing")
async def test_another_process_looks(trouble: Trouble) -> None:
    look = f"authstore monitor {URL} --looks 1"
    async with connect(URL) as store:
        assert isinstance(store, Store)
        monitor = ops.Monitor(store)
        await monitor.look()
        trouble.sees(await trouble.types(look))
        await monitor.hand_over()
        trouble.sees(await trouble.types(look))


@about("Alerts do not arrive")
async def test_a_receiver_that_is_away(
    trouble: Trouble, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    heard: list[ops.Alert] = []

    async def is_away(alert: ops.Alert) -> None:
        raise ConnectionError

    async with connect(URL) as store:
        assert isinstance(store, Store)
        monitor = ops.Monitor(store, on_alert=[is_away, heard.append])
        FILE.rename("away.db")
        with caplog.at_level(logging.ERROR, "authstore.monitor"):
            for _ in range(2):
                await monitor.look()
    trouble.sees("\n".join(caplog.messages))
    assert "health" in {alert.check for alert in heard}
    [program] = trouble.blocks
    await trouble.runs(program)
    assert capsys.readouterr().out.startswith("the webhook at 127.0.0.1 did not take it: ")


@about("Of a move")
async def test_a_move_is_taken_back(trouble: Trouble, source: psycopg.Connection[Any], source_url: str) -> None:
    people(source, users=2, sessions=1, notes=1)
    await moved(source_url, FILE.absolute())
    source.execute("UPDATE note SET body = 'newer'")
    await moved(source_url, FILE.absolute())
    sql("UPDATE note SET body = 'of the application' WHERE id = 1")
    with pytest.raises(TargetChangedError) as raised:
        await moved(source_url, FILE.absolute())
    trouble.sees(f"authstore: {raised.value}")
    instead = {"$DATABASE_URL": source_url}
    await trouble.types(f'authstore verify "$DATABASE_URL" {URL}', exits=1, instead=instead)
    trouble.sees(await trouble.types(f"authstore rollback {URL}"))
    assert one(FILE, "SELECT count(*) FROM note WHERE body IN ('newer', 'of the application')") == 0


@about("Of one table")
async def test_one_table_is_moved_again(trouble: Trouble, source: psycopg.Connection[Any], source_url: str) -> None:
    people(source, users=2, sessions=1, notes=1)
    await moved(source_url, FILE.absolute())
    sql("UPDATE note SET body = 'wrong'")
    verify, instead = f'authstore verify "$DATABASE_URL" {URL}', {"$DATABASE_URL": source_url}
    trouble.sees(await trouble.types(verify, exits=1, instead=instead))
    await trouble.types(f'authstore recover "$DATABASE_URL" {URL} note', instead=instead)
    await trouble.types(verify, instead=instead)


@about("Of an upgrade")
async def test_an_older_version_meets_a_newer_schema(trouble: Trouble) -> None:
    await made()
    await ops.backup(URL, "before-upgrade.db")
    newest = len(migrations("sqlite"))
    sql(
        "INSERT INTO authstore_migrations SELECT version + 1, 'later', sha256, applied_at"
        f" FROM authstore_migrations WHERE version = {newest}"
    )
    await trouble.meets(SchemaError, opened)
    await trouble.types(f"authstore restore before-upgrade.db {URL}")
    async with connect(URL) as store:
        assert await store.get_user("ada") is not None
