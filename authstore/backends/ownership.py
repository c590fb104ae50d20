"""A store belongs to the process, the thread and the event loop that opened it."""

import asyncio
import os

from authstore.errors import StoreMisuseError


def check_asyncio() -> None:
    """Raises `StoreMisuseError` where no event loop of asyncio runs, as under trio, which drives coroutines itself."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        raise StoreMisuseError("a store runs on asyncio, not on trio: open it under asyncio.run()") from None


class Ownership:
    """Of what was opened here and now."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self._pid = os.getpid()

    def check(self) -> None:
        """Raises `StoreMisuseError` anywhere else."""
        try:
            is_here = asyncio.get_running_loop() is self.loop
        except RuntimeError:
            is_here = False
        if is_here:  # after a fork no loop runs, until the child starts another
            return
        if os.getpid() != self._pid:
            raise StoreMisuseError("this store was opened before a fork: open one in each process")
        raise StoreMisuseError("this store belongs to another event loop or thread: open one in each")
