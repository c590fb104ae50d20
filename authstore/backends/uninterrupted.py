"""What was begun is seen to its end, even when whoever waits for it is cancelled."""

import asyncio
from collections.abc import Awaitable
from typing import Any, TypeVar

T = TypeVar("T")


async def uninterrupted(work: Awaitable[T]) -> T:
    """Runs this to its end, and only then lets a cancellation through."""
    task = asyncio.ensure_future(work)
    try:
        await ended(task)
    except asyncio.CancelledError:
        if not task.cancelled():
            task.exception()  # nobody else will ask
        raise
    return task.result()


async def ended(future: "asyncio.Future[Any]") -> None:
    """Waits until it is done, however it ends, and only then lets a cancellation through."""
    cancelled: asyncio.CancelledError | None = None
    while not future.done():
        try:
            await asyncio.wait([future])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled
