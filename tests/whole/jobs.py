"""What other processes do in the tests of the whole."""

import asyncio
import random
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from authstore import connect
from authstore.backends.sqlite import open_file
from authstore.errors import UserNotFoundError
from authstore.expiry import SessionPolicy, utc_now
from authstore.schema import Migration
from tests.whole.contests import CONTESTS
from tests.whole.processes import Gate

LIMITED = SessionPolicy(max_per_user=3)


async def contend(gate: Gate, path: Path, contest: str, prize: Any, rivals: list[int]) -> list[Any]:
    """These rivals try at once."""
    attempt = CONTESTS[contest].attempt
    async with connect(path) as store:
        gate()
        return await asyncio.gather(*(attempt(store, prize, me) for me in rivals))


async def open_sessions(gate: Gate, path: Path, user: str, how_many: int) -> None:
    """Signs one user in again and again, under a limit."""
    async with connect(path, policy=LIMITED) as store:
        gate()
        await asyncio.gather(*(store.create_session(user) for _ in range(how_many)))


async def count_up(gate: Gate, path: Path, counters: list[int]) -> list[int]:
    """Presents these signature counters; gives those that were taken."""
    async with connect(path) as store:
        gate()
        presented = (store.update_authenticator_counter("credential", counter) for counter in counters)
        results = await asyncio.gather(*presented, return_exceptions=True)
        return [result.counter for result in results if not isinstance(result, BaseException)]


async def open_first(gate: Gate, path: Path, name: str) -> str:
    """Opens a store that may not be there yet, and leaves a user in it."""
    gate()
    async with connect(path) as store:
        return (await store.create_user(name=name)).id


async def storm(gate: Gate, path: Path, me: int, rounds: int) -> dict[str, int]:
    """Adds to everybody's counters in every way there is; gives what this process added."""
    dice = random.Random(me)
    added = {"shared": 0, "users": 0, "sessions": 0}
    async with connect(path) as store:
        gate()
        for step in range(rounds):
            async with store.transaction() as transaction:
                user = await transaction.get_user("shared")
                await transaction.update_user("shared", data={"n": user.data["n"] + 1})  # type: ignore[union-attr,operator]
            added["shared"] += 1
            made = await store.create_user(email=f"p{me}-{step}@example.com")
            added["users"] += 1
            sessions = await asyncio.gather(*(store.create_session(made.id) for _ in range(dice.randint(1, 4))))
            added["sessions"] += len(sessions)
            assert await store.get_session_and_user(sessions[0].token or "") is not None
            if dice.random() < 0.5:
                added["sessions"] -= await store.delete_session(sessions[0].token or "")
    return added


async def keep_ledger(pipe: Connection, path: Path, seed: int) -> None:
    """Writes for ever; tells beforehand what it is about to do, and what has been acknowledged or refused."""
    dice = random.Random(seed)
    async with connect(path) as store:
        await store.create_user(id=f"first-{seed}", email=f"first-{seed}@example.com")
        pipe.send(("done", f"first-{seed}", None, None))
        await asyncio.gather(*(_write_for_ever(store, pipe, dice, f"{seed}-{me}") for me in range(4)))


async def _write_for_ever(store: Any, pipe: Connection, dice: random.Random, name: str) -> None:
    step = 0
    while True:
        step += 1
        user_id = f"{name}-{step}"
        if dice.random() < 0.25:
            await _fail(store, pipe, user_id)
            continue
        async with store.transaction() as transaction:
            await transaction.create_user(id=user_id, email=f"{user_id}@example.com")
            session = await transaction.create_session(user_id)
            await transaction.link_account(user_id, "google", user_id)
        token = await store.create_verification_token(f"{user_id}@example.com")
        used = await store.use_verification_token(token.identifier, token.token)
        pipe.send(("done", user_id, session.token, used and token.token))


async def _fail(store: Any, pipe: Connection, user_id: str) -> None:
    try:
        async with store.transaction() as transaction:
            await transaction.create_user(id=user_id, email=f"{user_id}@example.com")
            await transaction.link_account("nobody", "google", user_id)
    except UserNotFoundError as error:
        pipe.send(("failed", user_id, type(error).__name__, None))


async def create_and_hang(pipe: Connection, path: Path) -> None:
    """Opens a store again and again in new places, until killed."""
    number = 0
    while True:
        number += 1
        pipe.send(number)
        async with connect(path.with_name(f"{number}-{path.name}")) as store:
            await store.create_user(id="here")


async def hold_the_lock(pipe: Connection, path: Path) -> None:
    """Opens a transaction, writes in it, and ends it when told to."""
    async with connect(path) as store, store.transaction() as transaction:
        await transaction.create_user(id="uncommitted", email="uncommitted@example.com")
        pipe.send("held")
        await asyncio.to_thread(pipe.recv)
    pipe.send("done")


async def upgrade(gate: Gate, path: Path, steps: tuple[Migration, ...]) -> None:
    """Brings a store to this version."""
    gate()
    database = await open_file(path, durability="full", create=True, migrate=True, clock=utc_now, steps=steps)
    await database.close()
