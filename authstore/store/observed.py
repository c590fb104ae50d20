"""A store that tells of its public calls. Where nobody watches, there is `Store` alone."""

import functools
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from time import monotonic
from typing import Any, Self

from authstore.adapter import Adapter
from authstore.observers import WAITS, Statistic, Waits, Watch, noted
from authstore.store import Store


class ObservedStore(Store):
    """A whole store; `watch` is told of every call of the `Adapter`'s."""

    watch = Watch(())

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Self]:
        """See `authstore.adapter.Maintenance.transaction`."""
        waits, began, failed = Waits(), monotonic(), None
        try:
            async with AsyncExitStack() as stack:
                token = WAITS.set(waits)
                try:
                    inner = await stack.enter_async_context(super().transaction())
                finally:
                    WAITS.reset(token)
                inner.watch = self.watch
                yield inner
        except BaseException as error:
            failed = type(error).__name__
            raise
        finally:
            seconds = monotonic() - began
            self.watch.operation(Statistic("transaction", seconds, waits.waited, waits.locked, 0, failed))


def _told(name: str, call: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    @functools.wraps(call)
    async def told(self: ObservedStore, /, *args: Any, **kwargs: Any) -> Any:
        waits, began = Waits(), monotonic()
        token = WAITS.set(waits)
        try:
            result = await call(self, *args, **kwargs)
        except BaseException as error:
            WAITS.reset(token)
            failed = type(error).__name__
            self.watch.operation(Statistic(name, monotonic() - began, waits.waited, waits.locked, 0, failed))
            raise
        WAITS.reset(token)
        seconds, rows = monotonic() - began, 0 if result is None else 1 if type(result) is tuple else _count(result)
        self.watch.operation(noted((name, seconds, waits.waited, waits.locked, rows, None, None)))
        return result

    return told


def _count(result: Any) -> int:
    """How many things a call returned: of a list its length, of a count the count."""
    if isinstance(result, list):
        return len(result)
    return int(result) if isinstance(result, int) else 1


for _name in dir(Adapter):
    if inspect.iscoroutinefunction(getattr(Store, _name, None)):
        setattr(ObservedStore, _name, _told(_name, getattr(Store, _name)))
