"""The primary is lost and its synchronous standby promoted: what was acknowledged is there, and the store goes on."""

import asyncio
import shutil
import tempfile
import time
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from authstore import Adapter, StoreError, UnknownOutcomeError, connect
from tests.postgres import PostgresServer, embedded_server, wheel_programs

WRITERS = 20


class Ledger:
    """What the writers were told."""

    def __init__(self) -> None:
        self.acknowledged: dict[str, float] = {}
        self.failed: set[str] = set()
        self.in_doubt: set[str] = set()
        self.is_over = False

    async def write(self, store: Adapter, me: int) -> None:
        step = 0
        while not self.is_over:
            step += 1
            name = f"{me}-{step}"
            try:
                await store.create_user(id=name)
            except UnknownOutcomeError:
                self.in_doubt.add(name)
            except StoreError:
                self.failed.add(name)
            else:
                self.acknowledged[name] = time.monotonic()


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


@pytest.mark.postgres
@pytest.mark.slow
@pytest.mark.parametrize("pause", [1.0, 8.0])
async def test_nothing_acknowledged_is_lost_when_the_standby_takes_over(pause: float) -> None:
    folder = Path(tempfile.mkdtemp(prefix="authstore-standby-"))
    with embedded_server(synchronous_commit="on") as primary:
        standby = await asyncio.to_thread(_standby_of, primary, folder)
        try:
            _execute(
                primary.url, "ALTER SYSTEM SET synchronous_standby_names = 'walreceiver'", "SELECT pg_reload_conf()"
            )
            await asyncio.to_thread(_wait_until_synchronous, primary.url)
            first, second = urlsplit(primary.url), urlsplit(standby.url)
            url = f"postgresql://postgres:secret@127.0.0.1:{first.port},127.0.0.1:{second.port}/postgres"
            async with connect(url) as store:
                ledger = Ledger()
                writers = [asyncio.create_task(ledger.write(store, me)) for me in range(WRITERS)]
                await asyncio.sleep(1.5)
                primary.kill()
                await asyncio.sleep(pause)
                promoted = time.monotonic()
                await asyncio.to_thread(standby.run, "pg_ctl", "--wait", "promote")
                await asyncio.sleep(4)
                ledger.is_over = True
                await asyncio.gather(*writers)
                there = set()
                for name in [*ledger.acknowledged, *ledger.failed]:
                    if await store.get_user(name) is not None:
                        there.add(name)
        finally:
            standby.stop("immediate")
            shutil.rmtree(folder, ignore_errors=True)
    assert there == set(ledger.acknowledged)
    after = [at - promoted for at in ledger.acknowledged.values() if at > promoted]
    assert after
    assert min(after) < 3
    assert len(after) < len(ledger.acknowledged)
