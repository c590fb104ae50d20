"""Stores whose sizes and waits are small."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from authstore import SessionPolicy, utc_now
from authstore.adapter import Clock, Durability
from authstore.backends.postgres import open_server
from authstore.backends.sqlite import open_file, open_memory
from authstore.backends.tuning import DEFAULT as WAITS
from authstore.backends.tuning import Tuning as Waits
from authstore.connect import POOL_SIZE
from authstore.database import Database
from authstore.encryption import Cipher
from authstore.store import Store
from authstore.store.tuning import DEFAULT, Tuning

_POLICY = SessionPolicy()


@asynccontextmanager
async def tuned_store(
    place: Path | str | None,
    tuning: Tuning = DEFAULT,
    *,
    waits: Waits = WAITS,
    durability: Durability = "relaxed",
    clock: Clock = utc_now,
    policy: SessionPolicy = _POLICY,
) -> AsyncIterator[Store]:
    """The store in this file, on this server, or in memory."""
    store = Store(await _opened(place, clock, durability, waits), policy, clock, Cipher(()), tuning=tuning)
    try:
        await store.look_at_log()
        yield store
    finally:
        await store.close()


async def _opened(place: Path | str | None, clock: Clock, durability: Durability, waits: Waits) -> Database:
    if place is None:
        return await open_memory(clock=clock, tuning=waits)
    if isinstance(place, Path):
        return await open_file(place, durability=durability, create=True, migrate=True, clock=clock, tuning=waits)
    return await open_server(
        place, durability=durability, create=True, migrate=True, clock=clock, pool_size=POOL_SIZE, tuning=waits
    )
