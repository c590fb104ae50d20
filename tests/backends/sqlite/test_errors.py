"""Whatever the driver raises, the caller gets one of ours: told by its code, never by its text."""

import asyncio
import inspect
import re
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from authstore import Adapter, connect
from authstore.backends.sqlite.errors import is_busy, ours, translated
from authstore.errors import (
    AuthStoreError,
    ConflictError,
    NotFoundError,
    StoreBusyError,
    StoreClosedError,
    StoreCorruptError,
    StoreError,
    StoreFullError,
    StoreReadOnlyError,
)

FAMILY = re.compile(
    "SQLITE_(ABORT|AUTH|BUSY|CANTOPEN|CONSTRAINT|CORRUPT|EMPTY|ERROR|FORMAT|FULL|INTERNAL|INTERRUPT|IOERR|LOCKED|MISMATCH"
    "|MISUSE|NOLFS|NOMEM|NOTADB|NOTFOUND|NOTICE|PERM|PROTOCOL|RANGE|READONLY|SCHEMA|TOOBIG|WARNING)(_.+)?"
)
RESULT_CODES = {name: code for name, code in vars(sqlite3).items() if FAMILY.fullmatch(name)}
EXPECTED: dict[int, type[AuthStoreError]] = {
    sqlite3.SQLITE_BUSY: StoreBusyError,
    sqlite3.SQLITE_BUSY_SNAPSHOT: StoreBusyError,
    sqlite3.SQLITE_BUSY_RECOVERY: StoreBusyError,
    sqlite3.SQLITE_LOCKED: StoreBusyError,
    sqlite3.SQLITE_PROTOCOL: StoreBusyError,
    sqlite3.SQLITE_READONLY: StoreReadOnlyError,
    sqlite3.SQLITE_READONLY_DBMOVED: StoreReadOnlyError,
    sqlite3.SQLITE_READONLY_DIRECTORY: StoreReadOnlyError,
    sqlite3.SQLITE_PERM: StoreReadOnlyError,
    sqlite3.SQLITE_AUTH: StoreReadOnlyError,
    sqlite3.SQLITE_FULL: StoreFullError,
    sqlite3.SQLITE_CORRUPT: StoreCorruptError,
    sqlite3.SQLITE_CORRUPT_INDEX: StoreCorruptError,
    sqlite3.SQLITE_NOTADB: StoreCorruptError,
    sqlite3.SQLITE_CANTOPEN: StoreError,
    sqlite3.SQLITE_CONSTRAINT_UNIQUE: ConflictError,
    sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY: ConflictError,
    sqlite3.SQLITE_CONSTRAINT_ROWID: ConflictError,
    sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY: NotFoundError,
    sqlite3.SQLITE_CONSTRAINT_CHECK: StoreError,
    sqlite3.SQLITE_CONSTRAINT_NOTNULL: StoreError,
    sqlite3.SQLITE_IOERR: StoreError,
    sqlite3.SQLITE_IOERR_WRITE: StoreError,
    sqlite3.SQLITE_IOERR_SHMSIZE: StoreFullError,
    sqlite3.SQLITE_ERROR: StoreError,
}


def driver_error(kind: type[sqlite3.Error], code: int, name: str, text: str = "") -> sqlite3.Error:
    error = kind(text)
    error.sqlite_errorcode, error.sqlite_errorname = code, name
    return error


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Adapter]:
    async with connect(tmp_path / "auth.db") as opened:
        yield opened


@pytest.mark.parametrize("name", RESULT_CODES)
def test_every_code_there_is_becomes_one_of_ours(name: str) -> None:
    mapped = ours(driver_error(sqlite3.OperationalError, RESULT_CODES[name], name, "secret text of the driver"))
    assert isinstance(mapped, AuthStoreError)
    assert name in str(mapped)
    assert "secret" not in str(mapped)
    expected = EXPECTED.get(RESULT_CODES[name])
    assert expected is None or type(mapped) is expected


def test_the_text_of_an_error_decides_nothing() -> None:
    for text in ("UNIQUE constraint failed: users.email", "database is locked", "disk full"):
        assert type(ours(driver_error(sqlite3.OperationalError, sqlite3.SQLITE_ERROR, "", text))) is StoreError


def test_a_code_of_a_later_sqlite_falls_back_to_its_family() -> None:
    unknown = sqlite3.SQLITE_FULL | 99 << 8
    assert type(ours(driver_error(sqlite3.OperationalError, unknown, ""))) is StoreFullError
    assert type(ours(driver_error(sqlite3.OperationalError, 0xEE, ""))) is StoreError


def test_every_kind_of_error_the_driver_has_is_ours_afterwards() -> None:
    kinds = [kind for _, kind in inspect.getmembers(sqlite3, inspect.isclass) if issubclass(kind, sqlite3.Error)]
    assert len(kinds) >= 9
    for kind in kinds:
        with pytest.raises(AuthStoreError), translated():
            raise kind("without a code")


def test_a_closed_connection_is_a_closed_store() -> None:
    connection = sqlite3.connect(":memory:")
    connection.close()
    with pytest.raises(StoreClosedError), translated():
        connection.execute("SELECT 1")


def test_only_waiting_for_a_lock_is_busy() -> None:
    busy = {name for name, code in RESULT_CODES.items() if is_busy(driver_error(sqlite3.OperationalError, code, name))}
    assert busy == {name for name in RESULT_CODES if name.split("_")[1] in ("BUSY", "LOCKED", "PROTOCOL")}


async def test_what_a_trigger_refuses_is_an_error_of_ours_and_changes_nothing(store: Adapter, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "auth.db", isolation_level=None)) as connection:
        connection.execute("CREATE TRIGGER no BEFORE INSERT ON sessions BEGIN SELECT RAISE(ABORT, 'secret'); END")
    user = await store.create_user()
    with pytest.raises(StoreError) as refused:
        await store.create_session(user.id)
    assert "secret" not in str(refused.value)
    assert isinstance(refused.value.__cause__, sqlite3.IntegrityError)
    assert await store.list_sessions(user.id) == []


async def test_a_table_that_went_away_is_an_error_of_ours_for_reads_and_writes(store: Adapter, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "auth.db", isolation_level=None)) as connection:
        connection.execute("DROP TABLE user_roles")
    with pytest.raises(StoreError):
        await store.get_roles("id")
    user = await store.create_user()
    with pytest.raises(StoreError):
        await store.revoke_role(user.id, "admin")
    assert await store.get_user(user.id) == user


async def test_text_that_is_no_utf_8_fails_for_its_row_alone(store: Adapter, tmp_path: Path) -> None:
    await store.create_user(id="good")
    await store.create_user(id="worse")
    with closing(sqlite3.connect(tmp_path / "auth.db", isolation_level=None)) as connection:
        connection.execute("UPDATE users SET name = CAST(x'ff' AS TEXT) WHERE id = 'worse'")
    with pytest.raises(AuthStoreError):
        await store.get_user("worse")
    assert await store.get_user("good") is not None


async def test_one_who_fails_does_not_fail_the_others_in_the_same_commit(store: Adapter) -> None:
    await store.create_user(id="taken")
    calls = [store.create_user(id="taken" if me % 3 == 0 else str(me)) for me in range(30)]
    results = await asyncio.gather(*calls, return_exceptions=True)
    for me, result in enumerate(results):
        assert isinstance(result, ConflictError) if me % 3 == 0 else result.id == str(me)  # type: ignore[union-attr]
