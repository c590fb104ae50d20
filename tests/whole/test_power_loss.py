"""The power goes while people sign up, are counted, signed out and deleted: whatever the disk kept, authstore opens it,
nothing is half there, and under durability="full" nothing is lost that anybody was told of."""

import asyncio
import os
import pickle
import random
import shutil
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest

from authstore import Adapter, AuthStoreError, connect
from authstore.errors import StoreNotFoundError
from tests.whole.crash_images import Disk, images
from tests.whole.processes import PATIENCE, alone
from tests.whole.recording import Event, Opened, Recording, Said, Written

pytestmark = pytest.mark.slow

PLACE = Path("new", "folder", "auth.db")
TASKS, PEOPLE_EACH = 4, 8
BULK = "x" * 3000  # so that the log is written back several times
PURSE = 1000


async def record(pipe: Connection, folder: Path, durability: str) -> None:
    """Two lives of a store, written down."""
    recording = Recording(folder)
    recording.start()
    for life in range(2):
        async with connect(folder / PLACE, durability="relaxed" if durability == "relaxed" else "full") as store:
            if durability == "off":
                await store._db._writer.run(lambda connection: connection.execute("PRAGMA synchronous = OFF"))  # type: ignore[attr-defined]
            if life == 0:
                await store.create_user(id="rich", data={"coins": PURSE})
                await store.create_user(id="poor", data={"coins": 0})
                recording.say("opened")
            people = (sign_people_up(store, recording, f"{life}-{task}") for task in range(TASKS))
            await asyncio.gather(*people, move_coins(store))
    pipe.send(pickle.dumps((recording.events, [repr(failure) for failure in recording.failures])))


async def sign_people_up(store: Adapter, recording: Recording, name: str) -> None:
    """Says what it is about to do, and what it was told is done."""
    dice = random.Random(name)
    for number in range(PEOPLE_EACH):
        user_id = f"{name}-{number}"
        async with store.transaction() as transaction:
            await transaction.create_user(id=user_id, email=f"{user_id}@example.com", data={"n": 0})
            token = str((await transaction.create_session(user_id, data={"bulk": BULK})).token)
            await transaction.link_account(user_id, "google", user_id)
        recording.say("made", (user_id, token))
        proof = str((await store.create_verification_token(f"{user_id}@example.com")).token)
        await store.use_verification_token(f"{user_id}@example.com", proof)
        recording.say("used", (user_id, proof))
        for count in range(1, 9):
            await store.update_user(user_id, data={"n": count, "bulk": BULK})
            recording.say("counted", (user_id, count))
        match dice.randrange(3):
            case 0:
                recording.say("ending", user_id)
                await store.delete_session(token)
                recording.say("ended", user_id)
            case 1:
                recording.say("deleting", user_id)
                await store.delete_user(user_id)
                recording.say("deleted", user_id)


async def move_coins(store: Adapter) -> None:
    """One purse grows as the other shrinks."""
    for _ in range(20):
        async with store.transaction() as transaction:
            rich, poor = await transaction.get_user("rich"), await transaction.get_user("poor")
            assert rich is not None
            assert poor is not None
            await transaction.update_user("rich", data={"coins": int(str(rich.data["coins"])) - 1})
            await transaction.update_user("poor", data={"coins": int(str(poor.data["coins"])) + 1})


class Told:
    """What was said before the power went."""

    def __init__(self, said: list[Said]) -> None:
        about: dict[str, list[Any]] = {}
        for each in said:
            about.setdefault(each.what, []).append(each.about)
        self.is_open = "opened" in about
        self.tokens = dict(about.get("made", []))
        self.used = dict(about.get("used", []))
        self.counted = dict(about.get("counted", []))
        self.ending, self.ended = set(about.get("ending", [])), set(about.get("ended", []))
        self.deleting, self.deleted = set(about.get("deleting", [])), set(about.get("deleted", []))


async def hold_to_nothing_half(store: Adapter, told: Told) -> None:
    """Each transaction happened, or none of it."""
    users = {user.id: user for user in await store.list_users(limit=1000)}
    purses = [users.pop(name) for name in ("rich", "poor") if name in users]
    if len(purses) == 2:
        assert sum(int(str(purse.data["coins"])) for purse in purses) == PURSE, "half a transaction"
    accounts = await asyncio.gather(*(store.list_accounts(user_id) for user_id in users))
    sessions = await asyncio.gather(*(store.list_sessions(user_id) for user_id in users))
    for user_id, linked, living in zip(users, accounts, sessions, strict=True):
        assert len(linked) == 1, "a user without the account of their transaction"
        assert len(living) == 1 or (user_id in told.ending and not living), "a user without the session"


async def hold_to_what_was_told(store: Adapter, told: Told) -> None:
    """What was acknowledged is so."""
    users = {user.id: user for user in await store.list_users(limit=1000)}
    if told.is_open:
        assert {"rich", "poor"} <= users.keys(), "acknowledged users were lost"
    found = await asyncio.gather(*(store.get_session_and_user(token) for token in told.tokens.values()))
    for user_id, session in zip(told.tokens, found, strict=True):
        if user_id in told.deleting:
            assert user_id not in told.deleted or user_id not in users, "a deleted user came back"
            continue
        assert user_id in users, "an acknowledged user was lost"
        assert int(str(users[user_id].data["n"])) >= told.counted.get(user_id, 0), "an acknowledged change was lost"
        if user_id in told.ending:
            assert user_id not in told.ended or session is None, "a session that was ended came back"
        else:
            assert session is not None, "an acknowledged session was lost"
    proofs = (store.peek_verification_token(f"{user}@example.com", proof) for user, proof in told.used.items())
    assert not any(await asyncio.gather(*proofs)), "a token that was used came back"


def damage(path: Path) -> list[Any]:
    """What SQLite finds wrong, and rows without an owner."""
    with closing(sqlite3.connect(path)) as connection:
        wrong = [row for row in connection.execute("PRAGMA integrity_check") if row != ("ok",)]
        return wrong + connection.execute("PRAGMA foreign_key_check").fetchall()


async def hold(image: Path, disk: Disk, durability: str) -> str:
    """Opens what is left, and holds it to what was told. How it was found."""
    told, path = Told(disk.said), image / PLACE
    if not path.exists():
        assert not told.is_open, "the whole store was lost"
        with pytest.raises(StoreNotFoundError):
            await connect(path, create=False)
        async with connect(path) as made:
            assert await made.list_users() == []
        return "nothing"
    async with connect(path, create=False) as store:
        await hold_to_nothing_half(store, told)
        if durability != "relaxed":
            await hold_to_what_was_told(store, told)
        await store.create_user(id="afterwards")
    assert damage(path) == []
    return "a store"


@pytest.fixture
def scratch(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory where there is one: these images are made by the thousand."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else tmp_path) as folder:
        yield Path(folder).resolve()


async def recorded(folder: Path, durability: str) -> list[Event]:
    """What another process did to the disk."""
    process, pipe = await asyncio.to_thread(alone, record, folder, durability)
    assert await asyncio.to_thread(pipe.poll, PATIENCE), "nothing was recorded"
    events, failures = pickle.loads(await asyncio.to_thread(pipe.recv))
    await asyncio.to_thread(process.join, PATIENCE)
    assert failures == []
    return list(events)


def written_back(events: list[Event]) -> int:
    """How often the log was begun anew."""
    logs = {event.handle for event in events if isinstance(event, Opened) and event.path.endswith(".db-wal")}
    return sum(isinstance(event, Written) and event.handle in logs and event.offset == 0 for event in events)


@pytest.mark.parametrize("durability", ["full", "relaxed"])
async def test_after_a_loss_of_power_the_store_opens_and_holds_what_it_promised(durability: str, scratch: Path) -> None:
    before = scratch / "before"
    before.mkdir()
    events = await recorded(before, durability)
    assert written_back(events) >= 4, "the log was not written back often enough to prove anything"
    found: Counter[str] = Counter()
    for image, disk in images(events, str(before), scratch, how_many=550, seed=1):
        found[await hold(image, disk, durability)] += 1
        shutil.rmtree(image)
    assert found["nothing"] > 5
    assert found["a store"] > 500


@pytest.mark.parametrize(("durability", "is_damaged"), [("off", True), ("relaxed", False)])
async def test_what_does_not_sync_enough_is_found_out(durability: str, is_damaged: bool, scratch: Path) -> None:
    before = scratch / "before"
    before.mkdir()
    events = await recorded(before, durability)
    wrong: Counter[str] = Counter()
    for image, disk in images(events, str(before), scratch, how_many=100, seed=1):
        try:
            await hold(image, disk, "full")
        except (AssertionError, AuthStoreError) as error:
            wrong[type(error).__name__] += 1
        shutil.rmtree(image)
    assert wrong["AssertionError"] > 5, "acknowledged writes are lost"
    assert (wrong["StoreCorruptError"] > 0) == is_damaged
