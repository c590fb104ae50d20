"""Runs what changes something. What is done is told as done, however late a Ctrl-C comes."""

import asyncio
import signal
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


def run_to_end(work: Coroutine[Any, Any, T]) -> T:
    """As `asyncio.run`; but once `work` has given its result there is nothing left to stop: what is still to come is
    its report, and the end of the process. Who interrupted those would be told to run again what has been done."""

    async def run() -> T:
        result = await work
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        return result

    return asyncio.run(run())
