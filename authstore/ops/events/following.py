"""Following the change log, how long it remembers, whether somebody laid hands on it."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Protocol, cast

from authstore.adapter import offers
from authstore.models import Event
from authstore.store.log.changes import ChainReport

_PAGE = 500
_SHORTEST_WAIT = 0.02
_LONGEST_WAIT = 1.0


class HasEvents(Protocol):
    """Whatever tells events: a store, or a wrapper around one."""

    async def events(self, *, after: int = 0, limit: int = 100) -> list[Event]:
        """See `authstore.adapter.Maintenance.events`."""
        ...


class KeepsEvents(HasEvents, Protocol):
    """A store of authstore's own."""

    async def keep_events(self, span: timedelta | None, *, at_least: bool = False) -> None:
        """How long events are kept."""
        ...

    async def check_events(self) -> ChainReport:
        """Whether the log is as it was written."""
        ...


async def follow(store: HasEvents, *, after: int = 0) -> AsyncIterator[Event]:
    """Every event from after the one with this `seq`, waiting for more: at least once, none skipped.

    Keep the `seq` of what you are done with, and begin there again. An idle database is asked once a second. Raises
    `ChangesLostError` where the log no longer holds what comes next.
    """
    wait = _SHORTEST_WAIT
    while True:
        page = await store.events(after=after, limit=_PAGE)
        for event in page:
            yield event
            after = event.seq
        if page:
            wait = _SHORTEST_WAIT
            continue
        await asyncio.sleep(wait)
        wait = min(wait * 2, _LONGEST_WAIT)


async def set_retention(store: HasEvents, span: timedelta | None) -> None:
    """How long the log is kept from now on, shorter than `connect(audit=…)` asked for too; `None`: no audit any more,
    the last 10 000 rows. What is older goes with the next `prune`.

    Raises `ValueError` unless it is longer than nothing. A store that is open elsewhere notices within a minute.
    """
    if span is not None and not isinstance(span, timedelta):
        raise TypeError(f"a retention is a timedelta or None, not {type(span).__name__}")
    if span is not None and span <= timedelta(0):
        raise ValueError("a retention is longer than nothing; None ends the audit")
    await _keeper(store).keep_events(span)


async def verify_events(store: HasEvents) -> ChainReport:
    """Whether the events are those that were noted, in their order and none gone. Needs an audit; changes nothing.

    Each event holds the hash of the one before, so that a change shows at the next one. Whoever can write the whole
    file can write a chain of their own too: where that matters, send the events elsewhere as they happen (`follow`).
    """
    return await _keeper(store).check_events()


def _keeper(store: HasEvents) -> KeepsEvents:
    if not offers(store, KeepsEvents):
        raise TypeError("this store keeps no change log of its own")
    return cast(KeepsEvents, store)
