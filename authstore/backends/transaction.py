"""What transactions do alike, whatever the database."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from authstore.backends.turn import Turn
from authstore.database import Row
from authstore.errors import StoreMisuseError
from authstore.observers import Watch
from authstore.sql import Statement


class OpenTransaction:
    """One transaction or savepoint. Its calls run one after another; while a nested one is open, they wait."""

    def __init__(self, check: Callable[[], None], busy_seconds: float) -> None:
        self._check = check
        self._busy_seconds = busy_seconds
        self._mine = Turn()
        self._is_over = False

    def end(self) -> None:
        """From here on every call is refused."""
        self._is_over = True

    async def one(self, statement: Statement) -> Row | None:
        """See `authstore.database.Database`."""
        rows = await self.all(statement)
        return rows[0] if rows else None

    async def all(self, statement: Statement) -> list[Row]:
        """See `authstore.database.Database`."""
        raise NotImplementedError

    def watch(self, watch: Watch) -> None:
        """Whoever watches the store watches its transactions."""

    def change_log(self) -> None:
        """A transaction sees what it wrote itself: nothing is kept for it."""

    async def copy_to(self, path: Path) -> None:
        """What is not committed is in no backup."""
        raise StoreMisuseError(f"{path.name} would be a copy of what may be undone: back up the store itself")

    async def close(self) -> None:
        """A transaction ends with its block."""
        raise StoreMisuseError("a transaction is ended by leaving its block; close the store it came from")

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        self._refuse_late()
        await self._mine.take(asyncio.get_running_loop().time() + self._busy_seconds)
        try:
            self._refuse_late()
            yield
        finally:
            self._mine.give()

    def _refuse_late(self) -> None:
        self._check()
        if self._is_over:
            raise StoreMisuseError("this transaction is over")
