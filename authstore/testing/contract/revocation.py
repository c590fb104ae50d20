"""Whoever was told that a session is over finds no store, in this or another process, that still answers with it."""

import asyncio
import multiprocessing
import os
import random
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from authstore.adapter import Adapter
from authstore.testing.contract.sessions.making import secret
from authstore.testing.factories import make_user

_STARTING_SECONDS = 60.0
_ENDED_BETWEEN_KILLS = 3

Open = Callable[[], AbstractAsyncContextManager[Adapter]]
Revoke = Callable[[Path, str], None]


class Tally(NamedTuple):
    """What came of it: look-ups, ends that were acknowledged, processes killed, and answers that were stale."""

    looked: int
    ended: int
    killed: int
    stale: int


class RevocationContract:
    """Override `open_store`: a function that opens the same store here and in other processes, with whatever cache it
    has. It is pickled. `revokers`: functions that end sessions of a user in a process of their own, for ever, and
    note each in a ledger once it was acknowledged; they are killed at random.
    """

    seconds = 8.0
    sessions = 30

    @pytest.fixture
    def open_store(self) -> Open:
        """How a process opens the store."""
        raise NotImplementedError("override the fixture `open_store` with a function that opens the same store")

    @pytest.fixture
    def revokers(self, open_store: Open) -> list[Revoke]:
        """Who else ends sessions."""
        return [Revoking(open_store)]

    async def test_nobody_answers_with_a_session_whose_end_was_acknowledged(
        self, open_store: Open, revokers: list[Revoke], tmp_path: Path
    ) -> None:
        tally = await self.counted(open_store, revokers, tmp_path)
        assert tally.stale == 0
        assert tally.ended > 5
        assert tally.looked > 500

    async def counted(self, open_store: Open, revokers: list[Revoke], folder: Path) -> "Tally":
        """Looks sessions up for `seconds`, while others end them, and asks once more for each whose end was told."""
        stale = looked = ended = killed = 0
        due = _ENDED_BETWEEN_KILLS
        async with open_store() as store:
            user = await make_user(store)
            with _others(revokers, folder, user.id) as others:
                living: dict[str, str] = {}
                began, ends = time.monotonic(), time.monotonic() + _STARTING_SECONDS
                while time.monotonic() < ends:
                    if not ended:  # the others are starting
                        await asyncio.sleep(0.05)
                        began = time.monotonic()
                    ends = began + self.seconds if ended else ends
                    while len(living) < self.sessions:
                        session = await store.create_session(user.id)
                        living[session.id] = secret(session)
                    for session_id in others.told() & set(living):
                        ended += 1
                        stale += await store.get_session_and_user(living.pop(session_id)) is not None
                    found = await asyncio.gather(*(store.get_session(token) for token in living.values()))
                    looked += len(found)
                    # One who just started has ended nothing yet: where kills come faster than that, nothing is proved.
                    if ended >= due and random.random() < 0.05:
                        others.kill_one()
                        killed, due = killed + 1, ended + _ENDED_BETWEEN_KILLS
                        # Who was killed may have ended one and not have noted it.
                        living = {id: token for id, token in living.items() if await store.get_session(token)}
        return Tally(looked + ended, ended, killed, stale)


class Revoking:
    """Ends a user's sessions, one after another, by a store of its own."""

    def __init__(self, open_store: Open) -> None:
        self._open_store = open_store

    def __call__(self, ledger: Path, user_id: str) -> None:
        """Runs until it is killed."""
        asyncio.run(self._run(ledger, user_id))

    async def _run(self, ledger: Path, user_id: str) -> None:
        async with self._open_store() as store:
            while True:
                for session in (await store.list_sessions(user_id))[:3]:
                    if await store.revoke_session(session.id):
                        note(ledger, session.id)
                await asyncio.sleep(0.02)


def note(ledger: Path, session_id: str) -> None:
    """Writes down that the end of a session was acknowledged: a line of its own, whole or not at all."""
    descriptor = os.open(ledger, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(descriptor, (session_id + "\n").encode())
    os.close(descriptor)


class _Others:
    def __init__(self, revokers: list[Revoke], ledger: Path, user_id: str) -> None:
        self._context = multiprocessing.get_context("spawn")
        self._revokers, self._ledger, self._user_id = revokers, ledger, user_id
        self._read = 0
        self.processes: list[Any] = [self._started(revoker) for revoker in revokers]

    def _started(self, revoker: Revoke) -> Any:
        process = self._context.Process(target=revoker, args=(self._ledger, self._user_id), daemon=True)
        process.start()
        return process

    def told(self) -> set[str]:
        """Whose end was noted since the last time."""
        if not self._ledger.exists():
            return set()
        whole = self._ledger.read_bytes()[self._read :].rpartition(b"\n")[0]
        self._read += len(whole) + (1 if whole else 0)
        return set(whole.decode().split())

    def kill_one(self) -> None:
        """Amid whatever it does; another takes its place."""
        number = random.randrange(len(self.processes))
        self.processes[number].kill()
        self.processes[number].join()
        self.processes[number] = self._started(self._revokers[number])


@contextmanager
def _others(revokers: list[Revoke], folder: Path, user_id: str) -> Iterator[_Others]:
    others = _Others(revokers, folder / "ledger", user_id)
    try:
        yield others
    finally:
        for process in others.processes:
            process.kill()
            process.join()
