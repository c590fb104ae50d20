"""A drill proves that a backup can be put back, and says what is wrong with one that cannot."""

import asyncio
import shutil
import sqlite3
import tempfile
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from authstore import ConfigurationError, SchemaError, StoreError, StoreNotFoundError, connect, ops
from authstore.backends.sqlite.backups import checking
from tests.ops.filling import fill


@pytest.fixture(scope="module")
def backup(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A backup with something of everything in it."""
    path = tmp_path_factory.mktemp("drill") / "copy.db"
    asyncio.run(_make(path))
    return path


async def _make(path: Path) -> None:
    async with connect("sqlite://", audit=timedelta(days=1)) as store:
        await fill(store, 20)
        await store.create_role("admin")
        await store.grant_role("u00001", "admin")
        await ops.backup(store, path)


async def test_a_backup_that_can_be_put_back(backup: Path) -> None:
    report = await ops.drill(str(backup))
    assert (report.ok, report.problems) == (True, ())
    assert (report.counts["users"], report.counts["sessions"], report.counts["roles"]) == (20, 20, 1)
    assert report.sha256 is not None
    assert not list(Path(tempfile.gettempdir()).glob(".authstore-drill.db.*"))


@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_one_flipped_bit_is_found_wherever_it_is(backup: Path, tmp_path: Path, place: float, bit: int) -> None:
    damaged = tmp_path / "damaged.db"
    content = bytearray(backup.read_bytes())
    content[int(place * len(content))] ^= 1 << bit
    damaged.write_bytes(content)
    shutil.copy(f"{backup}.sha256", f"{damaged}.sha256")
    report = asyncio.run(ops.drill(damaged))
    assert not report.ok
    assert "sha256" in report.problems[0]


async def test_without_a_sum_the_damage_that_shows_is_found(backup: Path, tmp_path: Path) -> None:
    alone = tmp_path / "alone.db"
    shutil.copy(backup, alone)
    assert await ops.drill(alone) == ops.DrillReport(True, (), (await ops.drill(backup)).counts, None)
    alone.write_bytes(alone.read_bytes()[:-6000])
    report = await ops.drill(alone)
    assert not report.ok
    assert report.problems


async def _told(path: Path, *statements: str) -> tuple[str, ...]:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)
    return (await ops.drill(path)).problems


@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        ("DELETE FROM users WHERE id = 'u00001'", "1 rows of sessions point to no row of users"),
        ("DROP INDEX sessions_user_id", "index sessions_user_id is missing"),
        ("DROP TRIGGER users_deleted", "trigger users_deleted is missing"),
        ("DROP TABLE ended_tokens", "ended_tokens is missing"),
        (
            "UPDATE changes SET actor = 'somebody else' WHERE type = 'role.created'",
            "1 events of the audit were changed",
        ),
        ("PRAGMA application_id = 1", "no authstore"),
        ("UPDATE authstore_migrations SET version = version + 1000", "is not the one authstore knows"),
        ("DELETE FROM authstore_migrations", "lost its ledger"),
    ],
)
async def test_what_is_wrong_is_told(backup: Path, tmp_path: Path, statement: str, problem: str) -> None:
    changed = tmp_path / "changed.db"
    shutil.copy(backup, changed)
    problems = await _told(changed, statement)
    assert any(problem in told for told in problems), problems


async def test_a_sum_that_cannot_be_read_is_an_error_of_ours(backup: Path, tmp_path: Path) -> None:
    beside = backup.with_name(backup.name + ".sha256")
    beside.unlink()
    beside.mkdir()
    for look in (ops.drill(backup), ops.restore(backup, tmp_path / "new.db")):
        with pytest.raises(ConfigurationError, match="sha256 is in the way"):
            await look
    beside.rmdir()
    beside.symlink_to(beside.name)
    for look in (ops.drill(backup), ops.restore(backup, tmp_path / "new.db")):
        with pytest.raises(StoreError, match=r"sha256: .*symbolic links"):
            await look
    assert not (tmp_path / "new.db").exists()


async def test_what_is_no_database_is_told(tmp_path: Path) -> None:
    (tmp_path / "empty.db").touch()
    (tmp_path / "text.db").write_text("no database at all" * 100)
    for name in ("empty.db", "text.db"):
        report = await ops.drill(tmp_path / name)
        assert (report.ok, len(report.problems)) == (False, 1)
    with pytest.raises(StoreNotFoundError):
        await ops.drill(tmp_path / "nothing.db")


def test_a_check_that_is_stopped_says_so(backup: Path) -> None:
    class StopIt(Exception):
        pass

    def stop() -> None:
        raise StopIt

    with pytest.raises(StopIt):
        checking.check(backup, stop, look_every=1)
    assert issubclass(SchemaError, Exception)
