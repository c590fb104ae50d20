"""Following for the tests: a follower at work, and waiting for what comes of it."""

import asyncio
import sqlite3
import subprocess
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path
from typing import Any

from authstore.mover import Event, LagEvent, follow, verify

Start = Callable[..., "subprocess.Popen[str]"]


def is_followed(target: Path) -> bool:
    """Whether it is marked so."""
    with suppress(sqlite3.OperationalError), closing(sqlite3.connect(f"file:{target}?mode=ro", uri=True)) as file:
        return bool(file.execute("SELECT 1 FROM authstore_move WHERE name = 'following'").fetchone())
    return False


@asynccontextmanager
async def followed(url: str, target: Path, **options: Any) -> AsyncIterator[list[Event]]:
    """A follower at work for the length of the block; what it says."""
    events: list[Event] = []
    task = asyncio.create_task(follow(url, target, on_progress=events.append, **options))
    await until(lambda: task.done() or any(isinstance(event, LagEvent) for event in events))
    try:
        if not task.done():
            yield events
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def until(true: Callable[[], bool], seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        await asyncio.sleep(0.05)


async def equal(url: str, target: Path, seconds: float = 40.0) -> bool:
    """Whether it comes to be what the source is."""
    end = time.monotonic() + seconds
    while not (found := await verify(url, target)).ok:
        if time.monotonic() > end:
            print(found)
            return False
        await asyncio.sleep(0.2)
    return True
