"""Stores whose sizes and waits are small."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from authstore import SessionPolicy, utc_now
from authstore.adapter import Clock
from authstore.backends.postgres import open_server
from authstore.backends.sqlite import open_file
from authstore.connect import POOL_SIZE
from authstore.database import Database
from authstore.encryption import Cipher
from authstore.store import Store
from authstore.store.tuning import Tuning

_POLICY = SessionPolicy()


@asynccontextmanager
async def tuned_store(
    place: Path | str, tuning: Tuning, *, clock: Clock = utc_now, policy: SessionPolicy = _POLICY
) -> AsyncIterator[Store]:
    """The store in this file, or on this server."""
    store = Store(await _opened(place, clock), policy, clock, Cipher(()), tuning=tuning)
    try:
        await store.look_at_log()
        yield store
    finally:
        await store.close()


async def _opened(place: Path | str, clock: Clock) -> Database:
    if isinstance(place, Path):
        return await open_file(place, durability="relaxed", create=True, migrate=True, clock=clock)
    return await open_server(place, durability="relaxed", create=True, migrate=True, clock=clock, pool_size=POOL_SIZE)
