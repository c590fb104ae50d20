"""The migrations: numbered, in twins, the same shape by whichever way a database got there."""

import asyncio
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path

import psycopg
import pytest

from authstore import connect
from authstore.backends.sqlite import open_file
from authstore.backends.sqlite.migrating import statements
from authstore.errors import SchemaError
from authstore.expiry import utc_now
from authstore.models import Account, Authenticator, Role, Session, User, VerificationToken
from authstore.schema import Migration, migration, migrations, pending
from tests.whole import jobs
from tests.whole.processes import together

ISO = "2026-11-22T13:48:00.000000Z"
PRESENT = len(migrations("sqlite"))
STEPS: tuple[Migration, ...] = (
    *migrations("sqlite"),
    migration(PRESENT + 1, "nickname", "ALTER TABLE users ADD COLUMN nickname TEXT;"),
    migration(
        PRESENT + 2,
        "notes",
        "CREATE TABLE notes (id TEXT NOT NULL PRIMARY KEY) STRICT;\nCREATE INDEX n ON users (name);",
    ),
)


@pytest.fixture
def database() -> Iterator[sqlite3.Connection]:
    """A database of the present shape."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        connection.execute("PRAGMA foreign_keys = ON")
        for step in migrations("sqlite"):
            connection.executescript(step.sql)
        yield connection


async def opened(path: Path, steps: tuple[Migration, ...]) -> None:
    """Brings the file to this version."""
    database = await open_file(path, durability="full", create=True, migrate=True, clock=utc_now, steps=steps)
    await database.close()


def shape(path: Path) -> list[tuple[str, ...]]:
    """Everything the file's schema says, and its ledger, without when."""
    with closing(sqlite3.connect(path)) as connection:
        tables = connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY name").fetchall()
        ledger = connection.execute("SELECT version, name, sha256 FROM authstore_migrations ORDER BY version")
        return [*tables, *ledger.fetchall(), connection.execute("PRAGMA application_id").fetchone()]


def test_the_twins_have_the_same_numbers_and_names() -> None:
    sqlite, postgres = migrations("sqlite"), migrations("postgres")
    assert [(step.version, step.name) for step in sqlite] == [(step.version, step.name) for step in postgres]
    assert [step.version for step in sqlite] == list(range(1, len(sqlite) + 1))


def test_no_file_of_the_folder_is_overlooked() -> None:
    here = {file.name for file in files("authstore.migrations").iterdir() if file.name.endswith(".sql")}
    known = {f"{step.version:04}_{step.name}.{d}.sql" for d in ("sqlite", "postgres") for step in migrations(d)}
    assert here == known


def test_a_script_is_split_where_its_statements_end() -> None:
    script = "-- one; not two\nCREATE TABLE a (x TEXT DEFAULT ';');\n\nINSERT INTO a VALUES\n  ('\n;');\n-- the end\n"
    assert [text.strip().splitlines()[-1] for text in statements(script)] == [
        "CREATE TABLE a (x TEXT DEFAULT ';');",
        ";');",
    ]
    with pytest.raises(SchemaError):
        list(statements("CREATE TABLE a (x"))


def test_what_is_pending_is_what_the_ledger_lacks() -> None:
    assert pending([], STEPS) == STEPS
    assert pending([STEPS[0]._asdict()], STEPS) == STEPS[1:]
    assert pending([step._asdict() for step in STEPS], STEPS) == ()


def test_a_ledger_that_is_longer_or_different_is_refused() -> None:
    with pytest.raises(SchemaError, match="upgrade"):
        pending([step._asdict() for step in STEPS], STEPS[:1])
    changed = migration(1, "initial", STEPS[0].sql + "\n-- edited afterwards")
    with pytest.raises(SchemaError, match="not the one"):
        pending([changed._asdict()], STEPS)
    with pytest.raises(SchemaError, match="not the one"):
        pending([STEPS[1]._asdict()], STEPS)


async def test_a_fresh_store_has_the_shape_of_one_brought_up_step_by_step(tmp_path: Path) -> None:
    fresh, stepwise, late = (tmp_path / name for name in ("fresh.db", "stepwise.db", "late.db"))
    await opened(fresh, STEPS)
    for version in range(1, len(STEPS) + 1):
        await opened(stepwise, STEPS[:version])
    await opened(late, STEPS[:1])
    await opened(late, STEPS)
    assert shape(fresh) == shape(stepwise) == shape(late)


async def test_the_ledger_holds_the_digest_of_each_step(tmp_path: Path) -> None:
    await opened(tmp_path / "auth.db", STEPS)
    with closing(sqlite3.connect(tmp_path / "auth.db")) as connection:
        ledger = connection.execute("SELECT version, name, sha256 FROM authstore_migrations").fetchall()
        times = connection.execute("SELECT applied_at FROM authstore_migrations").fetchall()
    assert ledger == [(step.version, step.name, step.sha256) for step in STEPS]
    assert all(datetime.fromisoformat(at).tzinfo is UTC for (at,) in times)


async def test_many_processes_may_upgrade_one_store_at_once(tmp_path: Path) -> None:
    path, expected = tmp_path / "auth.db", tmp_path / "expected.db"
    await opened(path, STEPS[:1])
    await opened(expected, STEPS)
    await asyncio.to_thread(together, jobs.upgrade, [(path, STEPS)] * 6)
    assert shape(path) == shape(expected)


async def test_an_upgrade_waits_for_a_writer_and_does_not_disturb_readers(tmp_path: Path) -> None:
    path = tmp_path / "auth.db"
    async with connect(path) as store:
        await store.create_user(id="ada")
        async with store.transaction() as transaction:
            upgrading = asyncio.create_task(opened(path, STEPS))
            await transaction.create_user(id="grace")
            await asyncio.sleep(0.1)
            assert not upgrading.done()
            assert await store.get_user("ada") is not None
        await upgrading
        assert {user.id for user in await store.list_users()} == {"ada", "grace"}


def instructions_of_upgrade(sessions: int, *, without: str) -> int:
    """How many of its own SQLite runs to bring so many sessions from the first version to this one, but for the
    statements with this word."""
    ran = 0

    def count() -> int:
        nonlocal ran
        ran += 1
        return 0

    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        connection.executescript(STEPS[0].sql)
        connection.execute("INSERT INTO users (id, created_at, updated_at) VALUES ('ada', ?, ?)", (ISO, ISO))
        columns = "id, token_hash, user_id, expires, created_at, last_used_at, authenticated_at"
        row = f"INSERT INTO sessions ({columns}) VALUES (?, zeroblob(32), 'ada', ?, ?, ?, ?)"
        connection.executemany(row, [(str(number), *[ISO] * 4) for number in range(sessions)])
        connection.set_progress_handler(count, 1)
        for step in STEPS[1:PRESENT]:
            for statement in statements(step.sql):
                if without not in statement:
                    connection.execute(statement)
    return ran


def test_an_upgrade_checks_no_row_again() -> None:
    """Every writer waits for it: a million sessions, check by check, take SQLite five seconds."""
    checking = instructions_of_upgrade(2000, without="ignore_check_constraints")
    assert instructions_of_upgrade(2000, without="nothing at all") < 0.75 * checking


def test_a_store_checks_what_is_written_after_an_upgrade(database: sqlite3.Connection) -> None:
    assert database.execute("PRAGMA ignore_check_constraints").fetchone() == (0,)


def test_every_table_is_strict(database: sqlite3.Connection) -> None:
    tables = database.execute("SELECT name, strict FROM pragma_table_list WHERE schema = 'main' AND type = 'table'")
    assert {name for name, strict in tables if not strict} <= {"sqlite_schema"}


def test_every_reference_cascades_and_has_an_index(database: sqlite3.Connection) -> None:
    references: dict[tuple[str, int], list[str]] = {}
    tables = database.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall()
    for (table,) in tables:
        for number, _, _, column, _, on_update, on_delete, _ in database.execute(f"PRAGMA foreign_key_list({table})"):
            references.setdefault((table, number), []).append(column)
            assert (on_update, on_delete) == ("CASCADE", "CASCADE"), f"{table}.{column}"
    assert len(references) >= 7
    for (table, _), columns in references.items():
        where = " AND ".join(f"{column} = 'x'" for column in columns)
        plan = database.execute(f"EXPLAIN QUERY PLAN SELECT 1 FROM {table} WHERE {where}").fetchone()[3]
        assert "SEARCH" in plan, f"deleting what {columns} refers to would scan {table}: {plan}"


@pytest.mark.parametrize(
    "instant",
    [
        "2026-11-22 13:48:00",
        "2026-11-22T13:48:00Z",
        "2026-11-22T13:48:00.000Z",
        "2026-11-22T13:48:00.000000+00:00",
        "2026-11-22T13:48:00.000000",
        "2026-11-22T13:48:00.0000000Z",
        " 2026-11-22T13:48:00.000000Z",
        "2026-11-22T13:48:00.000000z",
        "",
        "infinity",
        "1764000000",
    ],
)
def test_an_instant_of_another_width_cannot_be_stored(instant: str, database: sqlite3.Connection) -> None:
    for table, columns in INSTANTS.items():
        for column in columns:
            with pytest.raises(sqlite3.IntegrityError):
                database.execute(f"INSERT INTO {table} ({column}) VALUES (?)", [instant])


INSTANTS = {
    "users": ["email_verified", "created_at", "updated_at"],
    "accounts": ["expires_at", "created_at", "updated_at", "refresh_until"],
    "sessions": ["expires", "created_at", "last_used_at", "authenticated_at"],
    "verification_tokens": ["expires", "created_at"],
    "authenticators": ["created_at", "last_used_at"],
    "authstore_migrations": ["applied_at"],
    "authstore_notes": ["at"],
    "changes": ["at"],
    "change_log": ["acting_at"],
    "ended_tokens": ["at"],
}


def test_every_column_that_is_an_instant_is_checked(database: sqlite3.Connection) -> None:
    for table, columns in INSTANTS.items():
        found = [row[1] for row in database.execute(f"PRAGMA table_info({table})")]
        instants = {
            name for name in found if name.endswith(("_at", "_until", "_verified")) or name in ("at", "expires")
        }
        assert instants == set(columns)


def test_what_people_query_with_sql_is_called_as_in_the_models(database: sqlite3.Connection) -> None:
    hashed = {"token"}
    elsewhere = {"permissions", "unreadable"}  # a table of its own; depends on who looks
    models = {
        "users": User,
        "accounts": Account,
        "sessions": Session,
        "verification_tokens": VerificationToken,
        "authenticators": Authenticator,
        "roles": Role,
    }
    for table, model in models.items():
        columns = {row[1] for row in database.execute(f"PRAGMA table_info({table})")}
        assert set(model.model_fields) - hashed - elsewhere <= columns


def test_the_schema_itself_refuses_what_would_be_nonsense(database: sqlite3.Connection) -> None:
    database.execute(f"INSERT INTO users (id, created_at, updated_at) VALUES ('ada', '{ISO}', '{ISO}')")
    session = "INSERT INTO sessions (id, token_hash, user_id, expires, created_at, last_used_at, authenticated_at)"
    for values in ("x'00', 'ada'", "zeroblob(32), 'nobody'", "'text', 'ada'"):
        with pytest.raises(sqlite3.IntegrityError):
            database.execute(f"{session} VALUES ('s', {values}, '{ISO}', '{ISO}', '{ISO}', '{ISO}')")
    for change in ("id = ''", "email = ''", "disabled = 2", "data = '[]'", "data = 'null'", "created_at = NULL"):
        with pytest.raises(sqlite3.IntegrityError):
            database.execute(f"UPDATE users SET {change}")
    with pytest.raises(sqlite3.Error):
        database.execute("UPDATE users SET data = 'no JSON'")


# On PostgreSQL a transaction's settings tell who acts, and nothing pushes rows out. In SQLite that stands in a row.
SQLITE_ONLY = {("change_log", column) for column in ("acting_at", "actor", "is_using", "displacing", "displaced_from")}


def sqlite_columns(database: sqlite3.Connection) -> dict[str, list[tuple[str, bool]]]:
    tables = database.execute("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
    return {
        table: [(row[1], bool(row[3]) or bool(row[5])) for row in database.execute(f"PRAGMA table_info({table})")]
        for (table,) in tables.fetchall()
    }


def postgres_columns(source: psycopg.Connection) -> dict[str, list[tuple[str, bool]]]:
    found: dict[str, list[tuple[str, bool]]] = {}
    for table, column, nullable in source.execute(
        "SELECT table_name, column_name, is_nullable = 'YES' FROM information_schema.columns"
        " WHERE table_schema = 'public' ORDER BY table_name, ordinal_position"
    ):
        found.setdefault(table, []).append((column, not nullable))
    return found


def test_the_postgres_twin_makes_the_same_tables_and_columns(
    database: sqlite3.Connection, source: psycopg.Connection
) -> None:
    for step in migrations("postgres"):
        source.execute(step.sql)  # type: ignore[call-overload]
    ours = {
        table: [column for column in columns if (table, column[0]) not in SQLITE_ONLY]
        for table, columns in sqlite_columns(database).items()
    }
    assert postgres_columns(source) == ours


def test_the_postgres_twin_cascades_and_compares_bytes_as_sqlite_does(source: psycopg.Connection) -> None:
    for step in migrations("postgres"):
        source.execute(step.sql)  # type: ignore[call-overload]
    rules = source.execute("SELECT confdeltype, confupdtype FROM pg_constraint WHERE contype = 'f'").fetchall()
    assert set(rules) == {("c", "c")}
    loose = source.execute(
        "SELECT table_name, column_name FROM information_schema.columns"
        " WHERE table_schema = 'public' AND data_type = 'text' AND collation_name IS DISTINCT FROM 'C'"
    ).fetchall()
    assert loose == []


def test_the_twins_have_the_same_indexes(database: sqlite3.Connection, source: psycopg.Connection) -> None:
    for step in migrations("postgres"):
        source.execute(step.sql)  # type: ignore[call-overload]
    ours = database.execute("SELECT name FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL").fetchall()
    theirs = source.execute("SELECT indexname FROM pg_indexes WHERE schemaname = 'public'").fetchall()
    named = {name for (name,) in theirs if not re.search(r"_(pkey|key)$", name)}
    assert named == {name for (name,) in ours}
