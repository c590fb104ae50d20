"""Long work in a thread of its own, which ends before its cancelled caller goes on."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from authstore.backends.ownership import check_asyncio

T = TypeVar("T")
Stop = Callable[[], None]  # raises once nobody waits for the work any more


class Stopped(Exception):  # no error: the caller was cancelled
    """Whoever waited for this work went away."""


async def in_thread(work: Callable[[Stop], T]) -> T:
    """The result of `work`, done in a thread of its own. It is given a function that raises once the caller is
    cancelled, who then waits until the work has ended."""
    check_asyncio()
    is_over = threading.Event()

    def stop() -> None:
        if is_over.is_set():
            raise Stopped

    task = asyncio.ensure_future(asyncio.to_thread(work, stop))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        is_over.set()
        await to_the_end(task)
        raise


async def to_the_end(task: "asyncio.Future[T]") -> None:
    """Waits for this whatever comes; its outcome no longer matters to anybody."""
    while not task.done():
        with suppress(asyncio.CancelledError):
            await asyncio.wait([task])
    if not task.cancelled():
        task.exception()
