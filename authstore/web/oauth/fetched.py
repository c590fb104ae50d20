"""What a provider publishes about itself, as this process knows it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any, Final, Generic, TypeVar

import httpx2
from authlib.common.errors import AuthlibBaseError
from joserfc.errors import JoseError

log = logging.getLogger("authstore.web")

Now = Callable[[], datetime]

_AGE: Final = timedelta(hours=1)
_PATIENCE: Final = timedelta(minutes=1)  # before a provider that did not answer is asked again, where it need not be

# Whatever a provider can do wrong on the way.
FAULTS: Final = (
    AuthlibBaseError,
    JoseError,
    httpx2.HTTPError,
    httpx2.InvalidURL,
    ArithmeticError,
    AttributeError,
    LookupError,
    OSError,
    RecursionError,
    TimeoutError,
    TypeError,
    ValueError,
)

_T = TypeVar("_T")


class Fetched(Generic[_T]):
    """Fetched once for all who wait, good for an hour, and for longer where the provider does not answer then."""

    def __init__(self, what: str, fetch: Callable[[], Awaitable[_T]], now: Now) -> None:
        self._what, self._fetch, self._now = what, fetch, now
        self._known: tuple[_T, datetime] | None = None
        self._due: datetime | None = None
        self._fetching: asyncio.Task[_T] | None = None

    async def get(self) -> _T:
        """What is known, or else what the provider says now. Raises one of `FAULTS`."""
        known = self._known
        if known is None:
            return await self.anew()
        if self._due is not None and known[1] <= self._now() < self._due:
            return known[0]
        try:
            return await self.anew()
        except FAULTS as error:
            log.warning("%s: not fetched, what was known stays: %s", self._what, type(error).__name__)
            self._due = self._now() + _PATIENCE
            return known[0]

    async def anew(self, *, older_than: timedelta = timedelta(0)) -> _T:
        """What the provider says now; what is known where that is not even `older_than` this. Raises as `get`."""
        if self._known is not None and timedelta(0) <= self._now() - self._known[1] < older_than:
            return self._known[0]
        # A task of a loop that is gone never ends.
        if self._fetching is None or self._fetching.done() or self._fetching.get_loop() is not _loop():
            self._fetching = asyncio.create_task(self._remembered())
            self._fetching.add_done_callback(_heard)
        return await asyncio.shield(self._fetching)

    async def _remembered(self) -> _T:
        begun = self._now()
        told = await self._fetch()
        self._known, self._due = (told, begun), begun + _AGE
        return told


def _loop() -> asyncio.AbstractEventLoop:
    return asyncio.get_running_loop()


def _heard(task: asyncio.Task[Any]) -> None:
    """Everybody who waited may have left: then nobody is told of an error, and asyncio would complain."""
    if not task.cancelled():
        task.exception()
