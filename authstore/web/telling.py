"""Events on their way to an application's `on_event`."""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Protocol, cast

from authstore.adapter import offers
from authstore.errors import ConfigurationError
from authstore.models import Event
from authstore.web.called import called

log = logging.getLogger("authstore.web")

OnEvent = Callable[[Event], Awaitable[None] | None]

_MOST_WAITING: Final = 10_000


class Listened(Protocol):
    """A store that tells what it wrote, as those of `authstore.connect` do."""

    def listen(self, tell: Callable[[Sequence[Event]], None]) -> Callable[[], None]:
        """From here on events are told; what is returned ends it."""
        ...


class Telling:
    """Hands events on, one after another, apart from the requests that caused them; `seconds`: for one event."""

    def __init__(self, on_event: OnEvent | None, seconds: float = 10.0) -> None:
        self._seconds = seconds
        self._on_event = on_event
        self._waiting: deque[Event] = deque()
        self._handing_on: asyncio.Task[None] | None = None

    def listen_to(self, store: object) -> None:
        """Begins. Raises `ConfigurationError` for a store that tells nothing."""
        if self._on_event is None:
            return
        if not offers(store, Listened):
            raise ConfigurationError("on_event needs a store of authstore.connect: this adapter does not tell events")
        cast(Listened, store).listen(self._take)

    async def finish(self) -> None:
        """What is waiting is handed on, for as long as one event may take."""
        if self._handing_on is not None:
            await asyncio.wait([self._handing_on], timeout=self._seconds)
            self._handing_on.cancel()

    def _take(self, events: Sequence[Event]) -> None:
        if len(self._waiting) + len(events) > _MOST_WAITING:
            log.error("on_event is too slow: %d events were not handed on", len(events))
            return
        self._waiting.extend(events)
        if self._handing_on is None or self._handing_on.done():
            self._handing_on = asyncio.get_running_loop().create_task(self._hand_on())

    async def _hand_on(self) -> None:
        while self._waiting and self._on_event is not None:
            event = self._waiting.popleft()
            try:
                async with asyncio.timeout(self._seconds):
                    await called(self._on_event, event)
            except Exception as error:  # noqa: BLE001 - whatever the application raises must not end the rest
                log.error("on_event failed: %s, at event %d, %s", type(error).__name__, event.seq, event.type)
