"""What writers and readers were told while a server was lost."""

import asyncio
import time
from contextlib import suppress

from authstore import Adapter, StoreError, UnknownOutcomeError


class Ledger:
    """What the writers were told."""

    def __init__(self) -> None:
        self.acknowledged: dict[str, float] = {}
        self.failed: set[str] = set()
        self.in_doubt: set[str] = set()
        self.is_over = False

    async def write(self, store: Adapter, me: int) -> None:
        step = 0
        while not self.is_over:
            step += 1
            name = f"{me}-{step}"
            try:
                await store.create_user(id=name)
            except UnknownOutcomeError:
                self.in_doubt.add(name)
            except StoreError:
                self.failed.add(name)
            else:
                self.acknowledged[name] = time.monotonic()

    async def revoke(self, store: Adapter, user_id: str, elsewhere: Adapter) -> int:
        """Ends sessions, and looks at once whether another store still finds them."""
        count = 0
        while not self.is_over:
            with suppress(StoreError):
                token = (await store.create_session(user_id)).token or ""
                assert await elsewhere.get_session_and_user(token) is not None
                await store.delete_session(token)
                assert await elsewhere.get_session_and_user(token) is None
                count += 1
        return count

    async def look(self, store: Adapter, token: str) -> float:
        """The longest that a look-up took."""
        longest = 0.0
        while not self.is_over:
            started = time.monotonic()
            assert await store.get_session_and_user(token) is not None
            longest = max(longest, time.monotonic() - started)
            await asyncio.sleep(0.005)
        return longest
