"""What doctor finds in a store on PostgreSQL: each thing is done to a real one, found, and gone once it is mended."""

import asyncio
from collections.abc import Callable, Iterator

import psycopg
import pytest

from authstore import connect, ops
from authstore.backends.postgres.shape import columns, helpers
from authstore.schema import migrations
from tests.postgres import embedded_server, fresh_database


@pytest.fixture(scope="module")
def template(postgres_url: str) -> Iterator[str]:
    """The name of a database with a healthy store in it, which has one user."""

    async def made(url: str) -> None:
        async with connect(url) as store:
            await store.create_user(id="ada", email="ada@example.com")

    with fresh_database(postgres_url) as url:
        asyncio.run(made(url))
        yield url.rpartition("/")[2]


@pytest.fixture
def url(postgres_url: str, template: str) -> Iterator[str]:
    """Of a healthy store of this test's own."""
    with fresh_database(postgres_url, template) as url:
        yield url


async def serious(target: object, **options: object) -> list[str]:
    found = await ops.doctor(target, **options)  # type: ignore[arg-type]
    return [each.id.removeprefix("authstore.") for each in found if each.level != "info" and not each.fixed]


async def ids(target: object, **options: object) -> set[str]:
    found = await ops.doctor(target, **options)  # type: ignore[arg-type]
    return {each.id.removeprefix("authstore.") for each in found if not each.fixed}


def sql(url: str, *statements: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


async def test_a_healthy_store_has_nothing_above_info(url: str) -> None:
    assert await serious(url) == []
    async with connect(url) as store:
        await store.create_session("ada")
        assert await serious(store) == []
        assert await serious(store, fix=True) == []


def test_what_the_migrations_make_is_read_as_the_server_makes_it(url: str) -> None:
    steps = migrations("postgres")
    with psycopg.connect(url) as connection:
        found = connection.execute(
            "SELECT table_name || '.' || column_name FROM information_schema.columns WHERE table_schema = 'public'"
        )
        assert columns(steps) == {name for (name,) in found}
        triggers = connection.execute("SELECT tgname FROM pg_trigger WHERE NOT tgisinternal").fetchall()
        indexes = connection.execute(
            "SELECT relname FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid WHERE indrelid IN"
            " (SELECT oid FROM pg_class WHERE relnamespace = 'public'::regnamespace)"
            " AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid)"
        ).fetchall()
    made = {f"trigger {name}" for (name,) in triggers} | {f"index {name}" for (name,) in indexes}
    assert set(helpers(steps)) == made


STALE = """
INSERT INTO sessions (id, token_hash, token_indexed, user_id, expires, created_at, last_used_at, authenticated_at)
SELECT 's' || n, sha256(n::text::bytea), false, 'ada', '2026-02-01Z', '2026-01-01Z', '2026-01-01Z', '2026-01-01Z'
FROM generate_series(1, {count}) AS n
"""
MENDED = {
    "W010": ["DROP INDEX sessions_user_id", "DROP INDEX sessions_token_hash"],
    "W011": ["DROP TRIGGER sessions_deleted ON sessions", "ALTER TABLE users DISABLE TRIGGER users_noted"],
    "W024": [STALE.format(count=2000)],
    "W042": [STALE.format(count=20_000), "DELETE FROM sessions"],
    "I032": [STALE.format(count=20_000).replace("2026-02", "2126-02")],
}


@pytest.mark.parametrize("id", MENDED)
async def test_what_can_be_mended_by_machine_is_found_mended_and_gone(id: str, url: str) -> None:
    sql(url, *MENDED[id], "SELECT pg_stat_force_next_flush()")
    assert id in await ids(url)
    told = {each.id: each for each in await ops.doctor(url, fix=True)}[f"authstore.{id}"]
    assert (told.fixable, told.fixed) == (True, True)
    assert id not in await ids(url)
    async with connect(url) as store:
        assert await store.get_user("ada") is not None


def _alone(*statements: str) -> Callable[[str], None]:
    return lambda url: sql(url, *statements)


BY_HAND = {
    "E001": (
        _alone("ALTER TABLE authstore_migrations RENAME TO kept"),
        _alone("ALTER TABLE kept RENAME TO authstore_migrations"),
    ),
    "E007": (
        _alone("UPDATE authstore_migrations SET version = 99 WHERE version = 5"),
        _alone("UPDATE authstore_migrations SET version = 5 WHERE version = 99"),
    ),
    "W008": (
        _alone("DROP TABLE visits", "DELETE FROM authstore_migrations WHERE version = 5"),
        lambda url: asyncio.run(_opened(url)),
    ),
    "E009": (
        _alone("ALTER TABLE roles RENAME COLUMN description TO words"),
        _alone("ALTER TABLE roles RENAME COLUMN words TO description"),
    ),
    "E012": (
        _alone("SET session_replication_role = replica", "INSERT INTO user_roles VALUES ('nobody', 'nothing')"),
        _alone("DELETE FROM user_roles"),
    ),
    "E013": (
        _alone("UPDATE users SET created_at = 'infinity'"),
        _alone("UPDATE users SET created_at = '2026-01-01Z'"),
    ),
    "W026": (
        _alone("UPDATE users SET email = 'ada@EXAMPLE.com'"),
        _alone("UPDATE users SET email = 'ada@example.com'"),
    ),
    "W029": (
        _alone("UPDATE users SET created_at = '2126-01-01Z'"),
        _alone("UPDATE users SET created_at = '2026-01-01Z'"),
    ),
    "W030": (
        _alone("UPDATE authstore_migrations SET applied_at = '2026-01-01Z'"),
        _alone("INSERT INTO authstore_notes (name, at) VALUES ('backup', now())"),
    ),
    "W044": (
        _alone("SELECT pg_create_physical_replication_slot('authstore_left', true)"),
        _alone("SELECT pg_drop_replication_slot('authstore_left')"),
    ),
    "W046": (
        _alone(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE read_only_sql_transaction; END'",
            "CREATE TRIGGER authstore_guard BEFORE INSERT ON roles EXECUTE FUNCTION refuse()",
        ),
        _alone("DROP FUNCTION refuse() CASCADE"),
    ),
}  # fmt: skip


async def _opened(url: str) -> None:
    async with connect(url):
        pass


@pytest.mark.parametrize("id", BY_HAND)
async def test_what_people_must_mend_is_found_left_alone_and_gone_when_they_did(id: str, url: str) -> None:
    harm, remedy = BY_HAND[id]
    harm(url)
    try:
        assert id in await ids(url)
        [told] = [each for each in await ops.doctor(url, fix=True) if each.id == f"authstore.{id}"]
        assert (told.fixable, told.fixed) == (False, False)
    finally:
        await asyncio.to_thread(remedy, url)
    assert id not in await ids(url)


async def test_what_the_server_promises_is_told(url: str) -> None:
    name = url.rpartition("/")[2]
    sql(url, f"ALTER DATABASE {name} SET synchronous_commit = on")
    assert "I040" not in await ids(url)
    sql(url, f"ALTER DATABASE {name} SET synchronous_commit = off")
    assert {"I040", "I041"} <= await ids(url)


@pytest.mark.postgres
async def test_few_connections_are_told_and_a_server_that_flushes_is_not_named() -> None:
    settings = {"max_connections": "8", "superuser_reserved_connections": "0", "fsync": "on", "full_page_writes": "on"}
    with embedded_server(**settings) as server:
        async with connect(server.url):
            assert not {"W043", "I045"} & await ids(server.url)
            held = [psycopg.connect(server.url) for _ in range(6)]
            try:
                assert "W043" in await ids(server.url)
            finally:
                for each in held:
                    each.close()
        assert "W043" not in await ids(server.url)
        server.stop()
        [told] = await ops.doctor(server.url)
        assert (told.id, "secret" in f"{told}") == ("authstore.E004", False)


async def test_a_wrong_password_and_a_database_that_is_not_there_are_findings(url: str) -> None:
    assert await serious(f"{url}_none") == ["E001"]
    found = await ops.doctor("postgresql://ada:geheim@127.0.0.1:1/auth")
    assert [each.id for each in found] == ["authstore.E004"]
    assert "geheim" not in f"{found}"
