"""A database is taken for a store only where it is one; what is not ours stays as it was."""

import asyncio
from collections.abc import Iterator
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest

from authstore import ConfigurationError, SchemaError, StoreNotFoundError, StoreUnavailableError, connect
from authstore.backends.postgres import open_server
from authstore.expiry import utc_now
from authstore.schema import migration, migrations
from tests.postgres import with_database
from tests.whole import jobs
from tests.whole.processes import together

STEPS = (
    *migrations("postgres"),
    migration(len(migrations("postgres")) + 1, "nickname", "ALTER TABLE users ADD COLUMN nickname text;"),
)


def tables(url: str) -> list[str]:
    with psycopg.connect(url, autocommit=True) as connection:
        found = connection.execute("SELECT table_schema || '.' || table_name FROM information_schema.tables ORDER BY 1")
        return [name for (name,) in found if not name.startswith(("pg_", "information_schema"))]


def in_schema(url: str, schema: str) -> str:
    return f"{url}?options=-csearch_path%3D{schema}"


async def test_a_store_is_made_where_there_is_none_unless_it_must_be_there(source_url: str) -> None:
    with pytest.raises(StoreNotFoundError):
        await connect(source_url, create=False)
    assert tables(source_url) == []
    async with connect(source_url) as store:
        await store.create_user(id="ada")
    async with connect(source_url, create=False, migrate=False) as store:
        assert await store.get_user("ada") is not None


async def test_two_stores_live_in_schemas_of_their_own(source_url: str, source: psycopg.Connection) -> None:
    source.execute("CREATE SCHEMA one; CREATE SCHEMA two; CREATE TABLE users (id int)")
    async with connect(in_schema(source_url, "one")) as one, connect(in_schema(source_url, "two")) as two:
        await one.create_user(id="ada", email="ada@example.com")
        await two.create_user(id="ada", email="ada@example.com")
        async with one.transaction() as transaction:
            await transaction.create_user(id="grace")
            await asyncio.wait_for(two.create_user(id="mary"), 3)
        assert [user.id for user in await one.list_users()] == ["ada", "grace"]
        assert [user.id for user in await two.list_users()] == ["ada", "mary"]


async def test_a_schema_that_is_not_there_is_said(source_url: str) -> None:
    with pytest.raises(ConfigurationError, match="CREATE SCHEMA"):
        await connect(in_schema(source_url, "nowhere"))


async def test_somebody_elses_tables_are_refused_and_left_alone(source_url: str, source: psycopg.Connection) -> None:
    source.execute("CREATE TABLE sessions (sid text PRIMARY KEY)")
    with pytest.raises(SchemaError, match="search_path"):
        await connect(source_url)
    assert tables(source_url) == ["public.sessions"]


async def test_an_old_schema_is_refused_or_brought_up_to_date_and_a_newer_one_refused(store_url: str) -> None:
    options = {"durability": "full", "create": True, "clock": utc_now, "pool_size": 2}
    with pytest.raises(SchemaError, match="lacks the newest"):
        await open_server(store_url, migrate=False, steps=STEPS, **options)  # type: ignore[arg-type]
    async with connect(store_url) as old:
        upgraded = await open_server(store_url, migrate=True, steps=STEPS, **options)  # type: ignore[arg-type]
        await upgraded.close()
        user = await old.create_user(email="ada@example.com")
        assert await old.get_user(user.id) == user
    with pytest.raises(SchemaError, match="upgrade"):
        await connect(store_url)


async def test_what_somebody_dropped_is_missed_at_once_and_what_only_helps_is_one_warning(store_url: str) -> None:
    with psycopg.connect(store_url, autocommit=True) as connection:
        connection.execute("DROP INDEX sessions_user_id; ALTER TABLE users DISABLE TRIGGER users_noted")
        connection.execute("ALTER TABLE users ADD COLUMN nickname text; CREATE TABLE posts (id int)")
        with pytest.warns(UserWarning, match="index sessions_user_id, trigger users_noted: what needs") as warned:
            async with connect(store_url) as store:
                assert await store.create_user() is not None
        assert len(warned) == 1
        connection.execute("ALTER TABLE accounts DROP COLUMN scope; DROP TABLE user_roles")
        with pytest.raises(SchemaError, match=r"accounts\.scope, user_roles\.role_name, user_roles\.user_id"):
            await connect(store_url)


async def test_many_processes_open_a_new_database_at_once(source_url: str) -> None:
    made = await asyncio.to_thread(together, jobs.open_first, [(source_url, str(me)) for me in range(3)])
    async with connect(source_url) as store:
        assert {user.id for user in await store.list_users()} == set(made)


@pytest.fixture
def latin_url(postgres_url: str) -> Iterator[str]:
    """A database that cannot hold every text."""
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'")
        yield with_database(postgres_url, "latin")
        connection.execute("DROP DATABASE latin WITH (FORCE)")


async def test_a_database_that_cannot_hold_every_text_is_refused(latin_url: str) -> None:
    with pytest.raises(ConfigurationError, match="UTF8"):
        await connect(latin_url)


async def test_what_is_wrong_with_a_url_is_told_without_it(postgres_url: str) -> None:
    parts = urlsplit(postgres_url)
    stranger = parts._replace(netloc=f"nobody-of-that-name:hunter2@{parts.hostname}:{parts.port}")
    wrong = {
        with_database(postgres_url, "nowhere"): StoreNotFoundError,
        urlunsplit(stranger): ConfigurationError,
        "postgresql://ada:hunter2@127.0.0.1:1/auth": StoreUnavailableError,
        f"{postgres_url}?sslmode=verify-full&sslrootcert=/nowhere": ConfigurationError,
        f"{postgres_url}?sslmode=require": (ConfigurationError, StoreUnavailableError),
    }
    for url, kind in wrong.items():
        with pytest.raises(kind) as refused:
            await connect(url)
        assert "hunter2" not in str(refused.value)


async def test_a_pooler_is_noticed_and_what_it_cannot_pass_on_is_said(pooled_url: str) -> None:
    async with connect(pooled_url) as store:
        assert (await store.health()).detail["is_pooled"] is True
    with pytest.raises(ConfigurationError):
        await connect(in_schema(pooled_url, "public"))
