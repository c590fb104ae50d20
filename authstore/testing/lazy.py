"""A memory store that opens itself in whichever event loop uses it first, so that a plain fixture can give it."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from authstore.adapter import Adapter, Clock
from authstore.errors import StoreMisuseError
from authstore.expiry import SessionPolicy


class LazyStore:
    """Every method of `Adapter`, on a memory store opened at the first call."""

    def __init__(self, *, clock: Clock, policy: SessionPolicy) -> None:
        self.clock = clock
        self.policy = policy
        self._life: AsyncGenerator[Adapter] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._opening: asyncio.Future[Adapter] | None = None

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Adapter]:
        async with (await self.opened()).transaction() as transaction:
            yield transaction

    async def opened(self) -> Adapter:
        """The store itself; callers that come while it opens share the opening."""
        if self._opening is None:
            self._loop = _running_loop()
            self._life = self._lifetime()
            self._opening = asyncio.ensure_future(anext(self._life))
        return await asyncio.shield(self._opening)

    async def _lifetime(self) -> AsyncGenerator[Adapter]:
        # A generator, because an event loop closes those it began before it goes (shutdown_asyncgens):
        # so the store is closed inside its own loop under every runner.
        from authstore.connect import connect

        async with connect("sqlite://", clock=self.clock, policy=self.policy) as store:
            yield store

    def tear_down(self) -> None:
        """Closes the store from outside the loop, unless the loop has done it or is about to."""
        if (
            self._life is not None
            and self._loop is not None
            and not (self._loop.is_closed() or self._loop.is_running())
        ):
            self._loop.run_until_complete(self._life.aclose())


def _running_loop() -> asyncio.AbstractEventLoop:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        raise StoreMisuseError("auth_store runs on asyncio, not on trio: use pytest-asyncio, or anyio there") from None


def _forwarding(name: str) -> Callable[..., Any]:
    async def forward(self: LazyStore, *args: Any, **kwargs: Any) -> Any:
        return await getattr(await self.opened(), name)(*args, **kwargs)

    forward.__name__ = name
    forward.__doc__ = getattr(Adapter, name).__doc__
    return forward


for _name in dir(Adapter):
    if not _name.startswith("_") and not hasattr(LazyStore, _name):
        setattr(LazyStore, _name, _forwarding(_name))
