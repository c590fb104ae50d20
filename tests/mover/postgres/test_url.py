"""URLs as `.env` files hold them; and what is said of a password, which is never any part of it."""

import threading
import time
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from authstore.errors import ConfigurationError
from authstore.mover import MoverError, SourceUnavailableError, make_plan, recover
from authstore.mover.postgres.connection import streamed
from authstore.mover.postgres.snapshot import Snapshot
from authstore.mover.postgres.url import checked_url
from tests.mover.moving import moved, verified
from tests.mover.seeds import seed

Connection = psycopg.Connection[Any]


@pytest.mark.parametrize(
    ("written", "understood"),
    [
        ("postgresql://u:p@h/db", "postgresql://u:p@h/db"),
        ("postgres://u:p@h/db", "postgresql://u:p@h/db"),
        ("postgresql+asyncpg://u:p@h/db", "postgresql://u:p@h/db"),
        ("postgres+psycopg2://u:p@h:5433/db?connect_timeout=5", "postgresql://u:p@h:5433/db?connect_timeout=5"),
        ("postgresql://u:p@h/db?sslmode=no-verify", "postgresql://u:p@h/db?sslmode=require"),
        ("postgresql://u:p@h/db?uselibpqcompat=true&sslmode=require", "postgresql://u:p@h/db?sslmode=require"),
        ("postgresql://u:p@h/db?ssl=true", "postgresql://u:p@h/db?sslmode=require"),
        ("postgresql://u:p@h/db?ssl=require", "postgresql://u:p@h/db?sslmode=require"),
        ("postgresql://u:p@h/db?ssl=false", "postgresql://u:p@h/db?sslmode=disable"),
        ("postgresql://u:p@h/db?sslmode=verify-full", "postgresql://u:p@h/db?sslmode=verify-full"),
        ("postgresql://u:p@h/db?schema=public&sslmode=require&sslaccept=accept_invalid_certs",
         "postgresql://u:p@h/db?sslmode=require"),
        ("postgresql://u:p@h/db?pgbouncer=true&connection_limit=1", "postgresql://u:p@h/db"),
        ("postgresql://u:p@h/db?supa=base-pooler.x&sslmode=require", "postgresql://u:p@h/db?sslmode=require"),
        ("postgresql://u:p@h/db?serverVersion=16&charset=utf8", "postgresql://u:p@h/db"),
        ("postgresql://u:p%40ss@h1,h2:5433/db?target_session_attrs=read-write",
         "postgresql://u:p%40ss@h1,h2:5433/db?target_session_attrs=read-write"),
    ],
)  # fmt: skip
def test_is_understood_as_the_tools_of_the_source_write_it(written: str, understood: str) -> None:
    assert checked_url(written) == understood


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("jdbc:postgresql://h/db", "without jdbc:"),
        ("mysql://u:p@h/db", "postgresql://user@host/database"),
        ("postgresql:/h/db", "postgresql://user@host/database"),
        ("postgresql://ada:ge@heim@h/db", "%40"),
        ("postgresql://ada:ge/heim@h/db", "percent-encode"),
        ("postgresql://h/db?no_such_parameter=1", "'no_such_parameter'"),
    ],
)
def test_what_cannot_be_is_one_line_that_says_what_to_write(url: str, said: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        checked_url(url)
    assert said in str(raised.value)
    assert "heim" not in str(raised.value)


@given(st.text(st.sampled_from("ab@:/?#%& ="), min_size=3, max_size=20).filter(lambda text: "@" in text[:-1]))
@example("p@ss")
def test_no_part_of_a_password_is_ever_said(password: str) -> None:
    secret = f"Geheim{password}Geheim"
    with pytest.raises(ConfigurationError) as raised:
        checked_url(f"postgresql://ada:{secret}@127.0.0.1:1/db")
    assert "Geheim" not in f"{raised.value} {raised.value.__cause__}"


async def test_who_refuses_is_told_from_who_is_not_there(source_url: str, tmp_path: Any) -> None:
    for wrong in ("nobody:wrong", "postgres:secret"):
        url = source_url.replace("postgres:secret", wrong).rpartition("/")[0] + "/no_such_database"
        with pytest.raises(SourceUnavailableError) as raised:
            await make_plan(url, tmp_path / "auth.db")
        assert "answers, and refuses" in str(raised.value)
        assert "percent-encoded" in raised.value.hint
        assert "wrong@" not in str(raised.value) + raised.value.hint
    with pytest.raises(SourceUnavailableError) as raised:
        await make_plan("postgresql://ada@127.0.0.1:1/db", tmp_path / "auth.db")
    assert "does not answer" in str(raised.value)


@pytest.fixture
def few(source: Connection, source_url: str) -> Iterator[Any]:
    """A role that may have so many connections, by number."""
    roles = []

    def make(limit: int) -> str:
        name = f"few_{limit}_{source.info.backend_pid}"
        source.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'secret' CONNECTION LIMIT {limit}".encode())
        source.execute(f"GRANT pg_read_all_data TO {name}".encode())
        roles.append(name)
        return source_url.replace("postgres:secret@", f"{name}:secret@")

    yield make
    for name in roles:
        source.execute(f"DROP OWNED BY {name}; DROP ROLE {name}".encode())


async def test_a_role_with_few_connections_moves_with_those_it_has(source: Connection, few: Any, tmp_path: Any) -> None:
    seed(source, "prisma_v5", users=5)
    url = few(2)
    assert (await make_plan(url, tmp_path / "auth.db")).connections == 2
    assert (await moved(url, tmp_path / "auth.db")).tables["users"].rows == 5
    assert (await verified(url, tmp_path / "auth.db")).ok


async def test_a_role_with_one_connection_is_told_how_many_are_needed(
    source: Connection, few: Any, tmp_path: Any
) -> None:
    seed(source, "prisma_v5", users=1)
    url = few(1)
    plan = await make_plan(url, tmp_path / "auth.db")
    assert [problem.kind for problem in plan.problems if problem.stops] == ["connections"]
    assert (await make_plan(few(3), tmp_path / "auth.db")).connections == 3
    await moved(few(2), tmp_path / "there.db")
    for call in (
        lambda: moved(url, tmp_path / "auth.db"),
        lambda: verified(url, tmp_path / "there.db"),
        lambda: recover(url, tmp_path / "there.db", "users"),
    ):
        began = time.monotonic()
        with pytest.raises(MoverError) as raised:
            await call()
        assert "no second connection" in str(raised.value)
        assert "CONNECTION LIMIT" in raised.value.hint
        assert time.monotonic() - began < 15  # and not after all the waits for a source that is away


async def test_a_libpq_that_streams_rows_one_at_a_time_moves_the_same(
    source: Connection, source_url: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    seed(source, "prisma_v5", users=5)
    asked = []
    plain = psycopg.Cursor.stream

    def stream(self: Any, query: Any, params: Any = None, *, binary: Any = None, size: int = 1) -> Any:
        asked.append(size)
        assert size == 1, "requires libpq 17"
        return plain(self, query, params, binary=binary, size=size)

    monkeypatch.setattr(psycopg.capabilities, "has_stream_chunked", lambda check=False: False)
    monkeypatch.setattr(psycopg.Cursor, "stream", stream)
    await moved(source_url, tmp_path / "auth.db")
    assert (await verified(source_url, tmp_path / "auth.db")).ok
    assert asked
    with source.cursor() as cursor:
        assert list(streamed(cursor, b"SELECT generate_series(1, 3)", size=100)) == [(1,), (2,), (3,)]


def test_a_pool_in_statement_mode_is_named(source_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = psycopg.Connection.execute

    def execute(self: Any, query: Any, *arguments: Any, **named: Any) -> Any:
        if b"BEGIN" in (query if isinstance(query, bytes) else str(query).encode()):
            raise psycopg.errors.ProtocolViolation("transaction blocks not allowed in statement pooling mode")
        return plain(self, query, *arguments, **named)

    monkeypatch.setattr(psycopg.Connection, "execute", execute)
    with pytest.raises(MoverError) as raised, Snapshot(source_url, threading.Event()):
        pass
    assert "session or transaction mode" in raised.value.hint
