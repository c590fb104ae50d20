"""What doctor finds in a store's file: each thing is done to a real one, found, and gone once it is mended."""

import asyncio
import os
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from authstore import ConfigurationError, Permission, SessionPolicy, StoreClosedError, connect, ops
from authstore.backends.sqlite import volume
from authstore.backends.sqlite.upkeep.examining import examine_file, has_wal_reset_bug
from authstore.backends.sqlite.upkeep.mending import mend_files
from authstore.store import Store
from authstore.testing import Clock

NOON = datetime(2031, 1, 1, 12, tzinfo=UTC)
OLD_KEY, NEW_KEY = "o" * 32, "n" * 32
SESSIONS = """
WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count})
INSERT INTO sessions (id, token_hash, user_id, expires, created_at, last_used_at, authenticated_at)
SELECT printf('s%07d', i), randomblob(32), 'ada', '{expires}', '2026-01-01T00:00:00.000000Z',
    '2026-01-01T00:00:00.000000Z', '2026-01-01T00:00:00.000000Z' FROM n
"""


@pytest.fixture
async def path(tmp_path: Path) -> Path:
    """A healthy store with one user."""
    async with connect(tmp_path / "auth.db") as store:
        await store.create_user(id="ada", email="ada@example.com")
    return tmp_path / "auth.db"


def sql(path: Path, *statements: str) -> None:
    """What somebody else does to the file, by plain SQL."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)


def serious(found: list[ops.Finding]) -> list[str]:
    return [each.id.removeprefix("authstore.") for each in found if each.level != "info" and not each.fixed]


async def ids(target: object, **options: object) -> list[str]:
    found = await ops.doctor(target, **options)  # type: ignore[arg-type]
    return [each.id.removeprefix("authstore.") for each in found if not each.fixed and each.id != "authstore.I021"]


async def test_a_healthy_store_has_nothing_above_info_whichever_way_it_is_looked_at(path: Path) -> None:
    assert serious(await ops.doctor(path)) == serious(await ops.doctor(f"sqlite:///{path}")) == []
    async with connect(path, keys=[NEW_KEY]) as store, connect("sqlite://") as memory:
        user = await store.create_user()
        await store.link_account(user.id, "github", "1", access_token="secret")
        await store.create_session(user.id)
        await store.create_verification_token("ada@example.com")
        await store.create_authenticator(user.id, "passkey", b"key")
        await store.create_role("admin", permissions=[Permission(resource="posts", action="write")])
        for each in (store, memory):
            assert serious(await ops.doctor(each)) == []
            assert serious(await ops.doctor(each, fix=True)) == []
    assert sorted(each.name for each in path.parent.iterdir()) == ["auth.db"]


TWIN = """
INSERT INTO users (id, email, created_at, updated_at) SELECT 'u2', 'Ada@example.com', created_at, created_at FROM users
"""
Harm = Callable[[Path], None]
# By id, what is done to the file; and where doctor does not, how it is put right again.
MENDED: dict[str, Harm] = {
    "W010": lambda path: sql(path, "DROP INDEX sessions_user_id", "DROP INDEX sessions_token_hash"),
    "W011": lambda path: sql(path, "DROP TRIGGER sessions_deleted", "DROP TRIGGER users_displaced_by_insert"),
    "W015": lambda path: sql(path, "PRAGMA journal_mode = DELETE"),
    "W016": lambda path: path.chmod(0o640),
    "W017": lambda path: path.parent.chmod(0o777),
    "E006": lambda path: path.chmod(0o400),
    "W024": lambda path: sql(path, SESSIONS.format(count=2000, expires="2026-02-01T00:00:00.000000Z")),
    "I032": lambda path: sql(path, SESSIONS.format(count=10_001, expires="2126-02-01T00:00:00.000000Z")),
}
BY_HAND: dict[str, tuple[Harm, Harm]] = {
    "E001": (lambda path: _away(path), lambda path: _back(path)),
    "E002": (
        lambda path: sql(path, "PRAGMA application_id = 7"),
        lambda path: sql(path, "PRAGMA application_id = 1096111176"),
    ),
    "E007": (
        lambda path: sql(path, "UPDATE authstore_migrations SET version = 99 WHERE version = 5"),
        lambda path: sql(path, "UPDATE authstore_migrations SET version = 5 WHERE version = 99"),
    ),
    "W008": (
        lambda path: sql(path, "DROP TABLE visits", "DELETE FROM authstore_migrations WHERE version = 5"),
        lambda path: _opened(path),
    ),
    "E009": (
        lambda path: sql(path, "ALTER TABLE roles RENAME TO groups"),
        lambda path: sql(path, "ALTER TABLE groups RENAME TO roles"),
    ),
    "E012": (
        lambda path: sql(path, "INSERT INTO user_roles VALUES ('nobody', 'nothing')"),
        lambda path: sql(path, "DELETE FROM user_roles"),
    ),
    "E013": (
        lambda path: sql(path, "UPDATE users SET name = CAST(x'ff41' AS TEXT)"),
        lambda path: sql(path, "UPDATE users SET name = NULL"),
    ),
    "E025": (
        lambda path: sql(path, TWIN),
        lambda path: sql(path, "DELETE FROM users WHERE id = 'u2'"),
    ),
    "W026": (
        lambda path: sql(path, "UPDATE users SET email = 'ada@EXAMPLE.com'"),
        lambda path: sql(path, "UPDATE users SET email = 'ada@example.com'"),
    ),
    "W029": (
        lambda path: sql(path, "UPDATE users SET created_at = '2126-01-01T00:00:00.000000Z'"),
        lambda path: sql(path, "UPDATE users SET created_at = '2026-01-01T00:00:00.000000Z'"),
    ),
    "I031": (
        lambda path: sql(path, "CREATE TABLE _litestream_seq (id INTEGER PRIMARY KEY, seq INTEGER)"),
        lambda path: sql(path, "DROP TABLE _litestream_seq"),
    ),
    "E033": (lambda path: _left_log(path), lambda path: _back(path)),
}  # fmt: skip


def _away(path: Path) -> None:
    path.rename(path.with_suffix(".away"))


def _back(path: Path) -> None:
    path.with_suffix(".away").rename(path)
    path.with_name("auth.db-wal").unlink(missing_ok=True)


def _left_log(path: Path) -> None:
    _away(path)
    path.with_name("auth.db-wal").write_bytes(b"x")


def _opened(path: Path) -> None:
    async def work() -> None:
        async with connect(path):
            pass

    asyncio.run(work())


@pytest.mark.parametrize("id", MENDED)
async def test_what_can_be_mended_by_machine_is_found_mended_and_gone(id: str, path: Path) -> None:
    MENDED[id](path)
    assert id in await ids(path)
    before = _people(path)
    told = {each.id: each for each in await ops.doctor(path, fix=True)}[f"authstore.{id}"]
    assert (told.fixable, told.fixed) == (True, True)
    assert await ids(path) == []
    assert _people(path) == before


def _people(path: Path) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("SELECT * FROM users").fetchall()


@pytest.mark.parametrize("id", BY_HAND)
async def test_what_people_must_mend_is_found_left_alone_and_gone_when_they_did(id: str, path: Path) -> None:
    harm, remedy = BY_HAND[id]
    await asyncio.to_thread(harm, path)
    assert id in await ids(path)
    [told] = [each for each in await ops.doctor(path, fix=True) if each.id == f"authstore.{id}"]
    assert (told.fixable, told.fixed) == (False, False)
    await asyncio.to_thread(remedy, path)
    assert await ids(path) == []


@pytest.mark.parametrize("harm", [lambda data: data[:8192] + b"\xaa" * 4096 + data[12288:], lambda data: data[:-100]])
async def test_a_damaged_file_is_found_and_gone_when_a_copy_is_put_back(
    harm: Callable[[bytes], bytes], path: Path
) -> None:
    whole = path.read_bytes()
    path.write_bytes(harm(whole))
    assert await ids(path) == ["E003"]
    assert await ids(path, fix=True) == ["E003"]
    path.write_bytes(whole)
    assert await ids(path) == []


@pytest.mark.parametrize("content", [b"", b"not a database at all, really not one", b"SQLite format 3\0" + b"\0" * 500])
async def test_what_is_no_store_is_a_finding_and_left_as_it_is(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "auth.db"
    path.write_bytes(content)
    path.chmod(0o644)
    found = await ops.doctor(path, fix=True)
    assert found[0].level == "error"
    assert not any(each.fixed for each in found)
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (content, 0o644)


async def test_a_litestream_that_copies_no_more_is_no_backup(path: Path) -> None:
    sql(path, "CREATE TABLE _litestream_seq (id INTEGER PRIMARY KEY, seq INTEGER)")
    sql(path, "UPDATE authstore_migrations SET applied_at = '2026-01-01T00:00:00.000000Z'")
    copied = path.with_name(".auth.db-litestream") / "ltx" / "0" / "0000000000000001-0000000000000001.ltx"
    copied.parent.mkdir(parents=True)
    copied.write_bytes(b"")
    assert await ids(path) == ["I031"]
    os.utime(copied, (path.stat().st_mtime - 120,) * 2)
    assert await ids(path) == ["W030", "W047", "I031"]


async def test_a_path_that_cannot_be_followed_is_a_finding(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    assert await ids(tmp_path / "loop" / "auth.db") == ["E004"]
    assert await ids(tmp_path / "loop" / "auth.db", ignore=["E004"]) == []


async def test_a_folder_in_the_place_of_the_file_is_a_finding(tmp_path: Path) -> None:
    assert (await ids(tmp_path))[0] == "E001"


@pytest.mark.parametrize("mode", ["WAL", "DELETE"])
async def test_a_lock_that_is_held_is_found_with_who_holds_it(mode: str, path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as holder:
        holder.execute(f"PRAGMA journal_mode = {mode}")
        holder.execute("BEGIN EXCLUSIVE")
        found = {each.id: each for each in await ops.doctor(path)}
        assert found["authstore.E005"].level == "error"
        assert (
            found["authstore.E005"].detail.count(f"the lock has {Path('/proc/self/comm').read_text().strip()} (") == 1
        )
        assert f"({os.getpid()})" in found["authstore.E005"].detail
        holder.execute("ROLLBACK")
        assert "E005" not in await ids(path)


async def test_logs_that_go_while_they_are_looked_at_are_no_finding(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path.chmod(0o644)
    monkeypatch.setattr(Path, "exists", lambda _: True)  # as they were a moment ago
    assert [each.kind for each in examine_file(path)] == ["file-mode"]
    assert mend_files(path, "file-mode")
    assert [each.kind for each in examine_file(path)] == []


async def test_a_file_that_goes_meanwhile_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "exists", lambda _: True)  # as it was a moment ago
    assert (await ids(tmp_path / "auth.db"))[0] == "E001"


READER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN")
connection.execute("SELECT * FROM users").fetchall()
print("reads", flush=True)
sys.stdin.read()
"""


async def test_a_long_log_is_found_with_who_holds_it_and_cut_when_they_are_gone(path: Path) -> None:
    async with connect(path) as store:
        pipe = asyncio.subprocess.PIPE
        reader = await asyncio.create_subprocess_exec(sys.executable, "-c", READER, path, stdin=pipe, stdout=pipe)
        assert reader.stdout is not None
        assert await reader.stdout.readline() == b"reads\n"
        with closing(sqlite3.connect(path, isolation_level=None)) as writer:
            writer.execute("PRAGMA wal_autocheckpoint = 0")
            writer.execute("CREATE TABLE big AS SELECT zeroblob(70000000) AS x")
            writer.execute("DROP TABLE big")
            [told] = [each for each in await ops.doctor(path) if each.id == "authstore.W014"]
            assert f"({reader.pid})" in told.detail
            for target in (path, store):
                [told] = [each for each in await ops.doctor(target, fix=True) if each.id == "authstore.W014"]
                assert (told.fixed, "not mended" in told.detail) == (False, True)
        await reader.communicate(b"")
        assert await ids(store, fix=True) == []
        assert await ids(store) == []
        assert path.with_name("auth.db-wal").stat().st_size == 0


@pytest.mark.parametrize(("kind", "id"), [(0x6969, "E018"), (0x65735546, "W019")])
async def test_a_file_system_that_does_not_do_is_named(
    kind: int, id: str, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(volume, "kind_of_volume", lambda _path: kind)
        assert await ids(path) == [id]
    assert await ids(path) == []


async def test_a_file_that_is_mounted_alone_is_named(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert [volume.is_mounted_alone(each) for each in (path, Path("/proc"))] == [False, True]
    with monkeypatch.context() as patched:
        patched.setattr(volume, "is_mounted_alone", lambda _path: True)
        assert await ids(path) == ["W020"]


@pytest.mark.parametrize(
    ("version", "is_bad"),
    [
        ("3.6.23", False), ("3.7.0", True), ("3.40.1", True), ("3.44.5", True), ("3.44.6", False), ("3.45.0", True),
        ("3.50.6", True), ("3.50.7", False), ("3.51.2", True), ("3.51.3", False), ("3.52.0", False),
    ],
)  # fmt: skip
def test_which_versions_of_sqlite_may_damage_a_file(version: str, is_bad: bool) -> None:
    assert has_wal_reset_bug(tuple(map(int, version.split(".")))) == is_bad


async def test_this_version_of_sqlite_is_named_where_it_may(path: Path) -> None:
    found = [each.detail for each in await ops.doctor(path) if each.id == "authstore.I021"]
    is_bad = has_wal_reset_bug(sqlite3.sqlite_version_info)
    assert found == ([f"this Python has SQLite {sqlite3.sqlite_version}"] if is_bad else [])


async def test_how_an_open_store_writes_is_looked_at_too(path: Path) -> None:
    async with connect(path, durability="relaxed") as store:
        assert await ids(store) == ["I022"]
    async with connect(path) as store:
        assert isinstance(store, Store)
        await store.database.on_writer(  # type: ignore[attr-defined]  # of SQLite
            lambda connection: connection.execute("PRAGMA foreign_keys = OFF").fetchall()
        )
        assert await ids(store) == ["W023"]
        assert await ids(store, fix=True) == []
        assert await ids(store) == []


async def test_keys_that_are_still_in_use_are_found_until_rekey(path: Path) -> None:
    async with connect(path) as store:
        await store.link_account("ada", "plain", "1", access_token="secret")
    async with connect(path, keys=[OLD_KEY]) as store:
        await store.link_account("ada", "old", "1", access_token="secret", refresh_token="secret")
    assert await ids(path) == []  # nobody said which keys there are
    assert await ids(path, keys=[NEW_KEY]) == ["E028", "W027"]
    assert await ids(path, keys=[NEW_KEY, OLD_KEY]) == ["W027"]
    async with connect(path, keys=[NEW_KEY, OLD_KEY]) as store:
        [told] = [each for each in await ops.doctor(store) if each.level == "warning"]
        assert told.detail == "provider tokens: 3"
        await store.rekey()
        assert await ids(store) == []
    async with connect(path) as store:
        assert await ids(store) == ["E028"]
        await store.forget_unreadable()
        assert await ids(store) == []


async def test_a_backup_is_missed_from_the_second_day_on_and_when_it_is_old(tmp_path: Path) -> None:
    clock = Clock(NOON)
    async with connect(tmp_path / "auth.db", clock=clock) as store:
        assert isinstance(store, Store)
        assert await ids(store) == []
        clock.advance(timedelta(days=2))
        assert await ids(store) == ["W030"]
        await store.put_note("backup")
        assert await ids(store) == []
        clock.advance(timedelta(days=8))
        assert await ids(store) == ["W030"]


async def test_sessions_that_the_application_may_let_live_are_not_pruned_by_a_url(path: Path) -> None:
    sql(path, SESSIONS.format(count=2000, expires="2126-02-01T00:00:00.000000Z"))  # unused for months
    assert await ids(path, fix=True) == []
    async with connect(path, policy=SessionPolicy.aal1()) as store:
        assert await ids(store) == ["W024"]
        assert await ids(store, fix=True) == []
    async with connect(path, policy=SessionPolicy(lifetime=None, idle=None)) as store:
        assert await store.list_sessions("ada") == []


async def test_rows_that_no_model_takes_are_named_wherever_they_are(path: Path) -> None:
    async with connect(path) as store:
        session = await store.create_session("ada")
        await store.link_account("ada", "github", "1")
        await store.create_verification_token("ada@example.com")
        await store.create_authenticator("ada", "passkey", b"key")
        await store.create_role("admin")
    sql(
        path,
        "UPDATE sessions SET expires = '2026-19-01T00:00:00.000000Z', created_at = '2026-19-01T00:00:00.000000Z'",
        "UPDATE accounts SET scope = CAST(x'ff' AS TEXT)",
        "UPDATE verification_tokens SET identifier = CAST(x'fe' AS TEXT)",
        "UPDATE authenticators SET name = CAST(x'6100' AS TEXT)",
        "UPDATE roles SET description = CAST(x'ff' AS TEXT)",
        "UPDATE change_log SET actor = CAST(x'ff' AS TEXT)",
        "INSERT INTO users (id, created_at, updated_at) SELECT CAST(x'ff' AS TEXT), created_at, created_at FROM users",
    )
    [told] = [each for each in await ops.doctor(path) if each.id == "authstore.E013"]
    assert "users: b'\\xff'" in told.detail
    for name in (
        "change_log: 1",
        f"sessions: {session.id}",
        "accounts: ",
        "verification_tokens: 1",
        "authenticators: passkey",
        "roles: admin",
    ):
        assert name in told.detail


async def test_what_is_ignored_is_neither_told_nor_mended(path: Path) -> None:
    path.chmod(0o640)
    assert await ids(path, fix=True, ignore=["W016"]) == []
    assert await ids(path, fix=True, ignore=["authstore.W016"]) == []
    assert await ids(path) == ["W016"]
    with pytest.raises(ValueError, match="W999"):
        await ops.doctor(path, ignore=["W999"])


async def test_visits_are_looked_at_too(path: Path) -> None:
    at = "'2001-01-01T00:00:00.000000Z'"
    sql(
        path,
        f"INSERT INTO visits VALUES ('v1', zeroblob(32), 0, '2031-19-01T00:00:00.000000Z', NULL, {at}, {at}, '{{}}')",
    )
    [unreadable] = [each for each in await ops.doctor(path) if "visits" in each.detail]
    assert "v1" in unreadable.detail
    sql(
        path,
        "DELETE FROM visits",
        "INSERT INTO visits WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1500)"
        f" SELECT 'v' || i, zeroblob(32), 0, {at}, NULL, {at}, {at}, '{{}}' FROM n",
    )
    [dead] = [each for each in await ops.doctor(path) if "visits" in each.detail]
    assert "1,500 visits are dead" in dead.detail
    assert [each.fixed for each in await ops.doctor(path, fix=True) if "visits" in each.detail] == [True]
    assert not any("visits" in each.detail for each in await ops.doctor(path))


async def test_the_worst_comes_first_and_no_detail_holds_an_address(path: Path) -> None:
    path.chmod(0o640)
    BY_HAND["E025"][0](path)
    found = await ops.doctor(path)
    assert [each.level for each in found] == sorted(
        (each.level for each in found), key=["error", "warning", "info"].index
    )
    assert not any("@" in f"{each}" for each in found)


async def test_a_closed_store_and_what_is_no_store_are_errors(path: Path) -> None:
    store = await connect(path)
    await store.close()
    for look in (ops.doctor, ops.inspect):
        with pytest.raises(StoreClosedError):
            await look(store)
    with pytest.raises(ConfigurationError):
        await ops.doctor("sqlite://")
    with pytest.raises(TypeError):
        await ops.doctor(7)  # type: ignore[arg-type]


async def test_a_store_whose_file_was_taken_away_is_a_finding(path: Path) -> None:
    async with connect(path) as store:
        _away(path)
        assert (await ids(store))[0] in ("E001", "E033")
