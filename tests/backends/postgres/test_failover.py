"""The primary is lost and its synchronous standby promoted: what was acknowledged is there, and the store goes on.
Meanwhile look-ups are answered by the standby, where the store may read it, and nothing that was revoked is found."""

import asyncio
import os
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from authstore import Adapter, ConfigurationError, connect
from authstore.backends.postgres.standby import application_name, required
from tests.backends.postgres.ledger import Ledger
from tests.postgres import PostgresServer, embedded_server, wheel_programs

WRITERS = 20
# Seconds without a server that takes writes; `make failover` tries half a minute.
PAUSES = [float(pause) for pause in os.environ.get("AUTHSTORE_TEST_PAUSES", "1 8").split()]


def _standby_of(primary: PostgresServer, folder: Path) -> PostgresServer:
    """A copy that follows, not started yet."""
    standby = PostgresServer(folder, wheel_programs(), {"synchronous_commit": "on"})
    standby.stop()
    shutil.rmtree(standby.data)
    address = urlsplit(primary.url)
    standby.run(
        "pg_basebackup",
        f"--host={address.hostname}",
        f"--port={address.port}",
        "--username=postgres",
        "--write-recovery-conf",
        "--checkpoint=fast",
    )
    standby.start()
    return standby


def _wait_until_synchronous(url: str) -> None:
    for _ in range(100):
        with psycopg.connect(url, autocommit=True, connect_timeout=10) as connection:
            if connection.execute("SELECT sync_state FROM pg_stat_replication").fetchall() == [("sync",)]:
                return
        time.sleep(0.1)
    raise AssertionError("the standby does not follow")


def _execute(url: str, *statements: str) -> None:
    with psycopg.connect(url, autocommit=True, connect_timeout=10) as connection:
        for statement in statements:
            connection.execute(statement)  # type: ignore[call-overload]


@asynccontextmanager
async def _pair() -> AsyncIterator[tuple[PostgresServer, PostgresServer]]:
    """A primary, and a standby that it waits for."""
    folder = Path(tempfile.mkdtemp(prefix="authstore-standby-"))
    with embedded_server(synchronous_commit="remote_apply") as primary:
        standby = await asyncio.to_thread(_standby_of, primary, folder)
        try:
            _require(primary, "walreceiver")
            await asyncio.to_thread(_wait_until_synchronous, primary.url)
            yield primary, standby
        finally:
            with suppress(RuntimeError):  # a test may have stopped it
                standby.stop("immediate")
            shutil.rmtree(folder, ignore_errors=True)


def _require(server: PostgresServer, names: str) -> None:
    _execute(server.url, f"ALTER SYSTEM SET synchronous_standby_names = '{names}'", "SELECT pg_reload_conf()")


def _both(*servers: PostgresServer) -> str:
    return f"postgresql://postgres:secret@{','.join(f'127.0.0.1:{server.port}' for server in servers)}/postgres"


@pytest.mark.postgres
@pytest.mark.slow
@pytest.mark.parametrize("pause", PAUSES)
async def test_nothing_acknowledged_is_lost_when_the_standby_takes_over(pause: float) -> None:
    async with _pair() as (primary, standby), _open(primary, standby) as (store, other):
        user = await store.create_user()
        token = (await store.create_session(user.id)).token or ""
        ledger = Ledger()
        looking = asyncio.create_task(ledger.look(other, token))
        revoking = [asyncio.create_task(ledger.revoke(store, user.id, other)) for _ in range(3)]
        writers = [asyncio.create_task(ledger.write(store, me)) for me in range(WRITERS)]
        await asyncio.sleep(1.5)
        primary.kill()
        await asyncio.sleep(pause)
        promoted = time.monotonic()
        await asyncio.to_thread(standby.run, "pg_ctl", "--wait", "promote")
        await asyncio.sleep(4)
        ledger.is_over = True
        longest, *revoked = await asyncio.gather(looking, *revoking, *writers)
        there = set()
        for name in [*ledger.acknowledged, *ledger.failed]:
            if await store.get_user(name) is not None:
                there.add(name)
    assert there == set(ledger.acknowledged)
    after = [at - promoted for at in ledger.acknowledged.values() if at > promoted]
    assert after
    assert min(after) < 3
    assert len(after) < len(ledger.acknowledged)
    assert longest < 1
    assert all(count and count > 3 for count in revoked[:3])


@asynccontextmanager
async def _open(primary: PostgresServer, standby: PostgresServer) -> AsyncIterator[tuple[Adapter, Adapter]]:
    url, read_url = _both(primary, standby), _both(standby, primary)
    async with connect(url) as store, connect(url, read_url=read_url) as other:
        assert (await other.health()).detail["standby"] == "read"
        yield store, other


@pytest.mark.postgres
@pytest.mark.slow
async def test_a_standby_is_read_while_the_primary_waits_for_it() -> None:
    async with _pair() as (primary, standby):
        await _refused(primary.url, primary.url, "names the server that takes writes")
        for names, what in (
            ("", "does not wait"),
            ("somebody", "does not wait"),
            ("FIRST 1 (walreceiver, b)", "no other"),
        ):
            _require(primary, names)
            await asyncio.sleep(0.3)
            await _refused(primary.url, standby.url, what)
        _require(primary, "FIRST 1 (*)")
        _execute(primary.url, "ALTER DATABASE postgres SET synchronous_commit = 'on'")
        await _refused(primary.url, standby.url, "remote_apply")
        _execute(primary.url, "ALTER DATABASE postgres SET synchronous_commit = 'remote_apply'")
        _execute(primary.url, "CREATE ROLE app LOGIN", "GRANT SELECT ON ALL TABLES IN SCHEMA public TO app")
        await _refused(
            primary.url.replace("postgres:secret", "app"), standby.url.replace("postgres:secret", "app"), "GRANT"
        )
        async with connect(primary.url, read_url=standby.url, pool_size=2) as store:
            user = await store.create_user(id="ada")
            _require(primary, "")
            await _until(store, "left out: the primary does not wait")
            _execute(standby.url, "SELECT pg_wal_replay_pause()")
            await store.update_user(user.id, name="Ada")
            assert (await store.get_user("ada") or user).name == "Ada"
            _execute(standby.url, "SELECT pg_wal_replay_resume()")
            _require(primary, "walreceiver")
            await _until(store, "read")
            await _whoever_writes_waits(primary, standby, store)
            await asyncio.to_thread(standby.stop)
            assert (await store.get_user("ada") or user).name == "by SQL"
            await _until(store, "left out: it ")
            await asyncio.to_thread(standby.start)
            await _until(store, "read")
        standby.stop()
        async with connect(primary.url, read_url=standby.url) as store:
            assert await store.get_user("ada") is not None
            await asyncio.to_thread(standby.start)
            await _until(store, "read")


async def _whoever_writes_waits(primary: PostgresServer, standby: PostgresServer, store: Adapter) -> None:
    """Until the standby, from which others read, has applied what they wrote."""
    async with connect(primary.url) as knows_nothing, await psycopg.AsyncConnection.connect(primary.url) as plain:
        _execute(standby.url, "SELECT pg_wal_replay_pause()")
        await plain.execute("UPDATE users SET name = 'by SQL'")
        writing = [
            asyncio.create_task(knows_nothing.create_user(id="grace")),
            asyncio.create_task(knows_nothing.sign_in_with_account(provider="github", provider_account_id="mary")),
            asyncio.create_task(plain.commit()),
        ]
        done, _ = await asyncio.wait(writing, timeout=0.5)
        assert not done
        assert await store.get_user("grace") is None
        _execute(standby.url, "SELECT pg_wal_replay_resume()")
        await asyncio.gather(*writing)
        assert await store.get_user("grace") is not None
        assert await store.get_user_by_account("github", "mary") is not None


async def _refused(url: str, read_url: str, what: str) -> None:
    with pytest.raises(ConfigurationError, match=what):
        await connect(url, read_url=read_url)


async def _until(store: Adapter, standby: str) -> None:
    for _ in range(100):
        said = str((await store.health()).detail.get("standby"))
        if said.startswith(standby):
            return
        await asyncio.sleep(0.1)
    raise AssertionError(said)


@pytest.mark.parametrize(
    ("setting", "least", "names"),
    [
        ("", 1, []),
        ("*", 1, ["*"]),
        ("walreceiver", 1, ["walreceiver"]),
        ('a, "b c"', 1, ["a", "b c"]),
        ("2 (a, b)", 2, ["a", "b"]),
        ("FIRST 2 (a,b,c)", 2, ["a", "b", "c"]),
        ("any 1 (*)", 1, ["*"]),
    ],
)
def test_what_a_primary_waits_for_is_read_from_its_setting(setting: str, least: int, names: Sequence[str]) -> None:
    assert required(setting) == (least, names)


@pytest.mark.parametrize(
    ("follows", "name"),
    [
        ("user=u host=h application_name=db2 sslmode=prefer", "db2"),
        ("user=u fallback_application_name=walreceiver sslmode=prefer", "walreceiver"),
        ("user=u fallback_application_name=cluster application_name=node two", "node two"),
        ("user=u", "walreceiver"),
    ],
)
def test_what_a_standby_calls_itself_is_read_from_how_it_follows(follows: str, name: str) -> None:
    assert application_name(follows) == name
