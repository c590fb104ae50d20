"""A process is killed with `kill -9` at a moment it cannot choose: what it acknowledged is there, whole, and what it
was refused is not."""

import asyncio
import random
import sqlite3
import time
from contextlib import closing
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from authstore import Adapter, connect
from tests.whole import jobs
from tests.whole.processes import PATIENCE, alone, together

pytestmark = pytest.mark.slow

ROUNDS = 32
LONGEST_LIFE = 0.15  # seconds of writing before the kill


@dataclass
class Ledger:
    """What a process said before it died."""

    sessions: dict[str, str | None] = field(default_factory=dict)
    used: dict[str, str] = field(default_factory=dict)
    failed: set[str] = field(default_factory=set)

    def read(self, pipe: Connection) -> None:
        """Reads to the end; the last entry may be torn."""
        try:
            while True:
                outcome, user_id, token, used = pipe.recv()
                if outcome == "failed":
                    self.failed.add(user_id)
                else:
                    self.sessions[user_id] = token
                    self.used.update({user_id: used} if used else {})
        except (EOFError, OSError):
            pass


def write_and_die(path: Path, seed: int) -> Ledger:
    """The ledger of a process that was killed while writing."""
    ledger = Ledger()
    process, pipe = alone(jobs.keep_ledger, path, seed)
    if not pipe.poll(PATIENCE):
        raise TimeoutError("the process did not write")
    time.sleep(random.Random(seed).uniform(0, LONGEST_LIFE))
    process.kill()
    ledger.read(pipe)
    process.join(PATIENCE)
    return ledger


async def hold(store: Adapter, ledger: Ledger) -> None:
    """Holds the store to what was acknowledged and refused."""
    for user_id, token in ledger.sessions.items():
        assert await store.get_user(user_id) is not None, "an acknowledged user was lost"
        found = await store.get_session_and_user(token) if token else None
        assert token is None or (found is not None and found[1].id == user_id), "an acknowledged session was lost"
    for user_id, used in ledger.used.items():
        again = await store.use_verification_token(f"{user_id}@example.com", used)
        assert again is None, "a token was used twice"
    for user_id in ledger.failed:
        assert await store.get_user(user_id) is None, "a refused transaction is visible"


def incomplete(path: Path) -> list[tuple[str, ...]]:
    """Users without the session and account of their transaction."""
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(
            "SELECT id FROM users WHERE id NOT LIKE 'first-%' AND ("
            "    NOT EXISTS (SELECT 1 FROM sessions WHERE user_id = users.id)"
            "    OR NOT EXISTS (SELECT 1 FROM accounts WHERE user_id = users.id))"
        ).fetchall()


def damage(path: Path) -> list[tuple[str, ...]]:
    """Rows without an owner, and whatever SQLite finds wrong."""
    with closing(sqlite3.connect(path)) as connection:
        orphans = connection.execute("PRAGMA foreign_key_check").fetchall()
        return orphans + [row for row in connection.execute("PRAGMA integrity_check") if row != ("ok",)]


async def test_nothing_acknowledged_is_lost_and_nothing_refused_is_visible(tmp_path: Path) -> None:
    path = tmp_path / "auth.db"
    ledgers: list[Ledger] = []
    for seed in range(ROUNDS // 2):
        ledgers.append(await asyncio.to_thread(write_and_die, path, seed))
        async with connect(path) as store:
            await hold(store, ledgers[-1])
        assert incomplete(path) + damage(path) == []
    async with connect(path) as survivor:  # which has the file open all along
        for seed in range(ROUNDS // 2, ROUNDS):
            ledgers.append(await asyncio.to_thread(write_and_die, path, seed))
            await hold(survivor, ledgers[-1])
            await survivor.create_user(id=f"first-{seed}-survivor")
        for ledger in ledgers:
            await hold(survivor, ledger)
    assert incomplete(path) + damage(path) == []
    assert sum(len(ledger.sessions) for ledger in ledgers) > 3 * ROUNDS, "too little was written to prove anything"
    assert sum(len(ledger.failed) for ledger in ledgers) > ROUNDS


@pytest.mark.parametrize("seed", range(6))
async def test_a_kill_while_the_file_is_made_leaves_a_whole_store_or_none(seed: int, tmp_path: Path) -> None:
    path = tmp_path / "auth.db"
    process, pipe = await asyncio.to_thread(alone, jobs.create_and_hang, path)
    assert await asyncio.to_thread(pipe.poll, PATIENCE)
    await asyncio.sleep(random.Random(seed).uniform(0, 0.1))
    process.kill()
    await asyncio.to_thread(process.join, PATIENCE)
    made = 0
    try:
        while True:
            made = pipe.recv()
    except EOFError:
        pass
    for number in range(1, made + 1):
        place = path.with_name(f"{number}-{path.name}")
        assert not place.exists() or place.stat().st_size > 0
        async with connect(place) as store:
            assert (await store.health()).ok
            assert number == made or await store.get_user("here") is not None


async def test_what_a_killed_process_left_open_is_gone_and_nobody_waits_for_it(tmp_path: Path) -> None:
    path = tmp_path / "auth.db"
    async with connect(path) as store:
        process, pipe = await asyncio.to_thread(alone, jobs.hold_the_lock, path)
        assert await asyncio.to_thread(pipe.recv) == "held"
        waiting = asyncio.create_task(store.create_user(email="uncommitted@example.com"))
        await asyncio.sleep(0.05)
        assert not waiting.done()
        process.kill()
        assert (await asyncio.wait_for(waiting, 2)).email == "uncommitted@example.com"
        assert await store.get_user("uncommitted") is None


async def test_eight_processes_in_a_storm_lose_no_update(tmp_path: Path) -> None:
    path = tmp_path / "auth.db"
    async with connect(path) as store:
        await store.create_user(id="shared", data={"n": 0})
        added = await asyncio.to_thread(together, jobs.storm, [(path, me, 25) for me in range(8)])
        shared = await store.get_user("shared")
        users = await store.list_users(limit=1000)
        sessions = [session for user in users for session in await store.list_sessions(user.id)]
    assert shared is not None
    assert shared.data == {"n": sum(one["shared"] for one in added)}
    assert len(users) == 1 + sum(one["users"] for one in added)
    assert len(sessions) == sum(one["sessions"] for one in added)
    assert damage(path) == []


async def test_eight_processes_may_open_a_store_that_is_not_there_yet(tmp_path: Path) -> None:
    for attempt in range(5):
        path = tmp_path / str(attempt) / "deep" / "auth.db"
        calls = [(path, str(me)) for me in range(8)]
        made = await asyncio.to_thread(together, jobs.open_first, calls)
        async with connect(path, create=False) as store:
            assert sorted(user.id for user in await store.list_users()) == sorted(made)
        assert [entry.name for entry in path.parent.iterdir()] == ["auth.db"]
