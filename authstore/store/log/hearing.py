"""Telling whoever listens in this process what its own writes did, once they are committed."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import NamedTuple, TypeVar

from authstore.database import Unit, within
from authstore.models import Event
from authstore.sql import queries
from authstore.store.log.changes import event

T = TypeVar("T")

Tell = Callable[[Sequence[Event]], None]

_KEPT = 10_000  # events, where there is no audit
_STRIDE = 256  # of the numbers at which the database itself forgets what is older
_ALL = 2**62


class Heard(NamedTuple):
    """What a unit gave, and what it did."""

    result: object
    events: Sequence[Event]


def hear(make: Callable[[], Unit[T]]) -> Unit[Heard]:
    """A unit of work with its events, those too that are noted under an audit alone: until it ends, there is one.

    Whoever else notes something waits, so that every event from here on is this unit's.
    """
    yield queries.hold_change_log()
    [log], [newest] = (yield queries.get_change_log()), (yield queries.get_newest_change())
    audited, before = log["audit_seconds"], newest["seq"]
    if audited is None:
        yield queries.set_audit(seconds=1)
    result = yield from within(make())
    events = [event(row) for row in (yield queries.list_events(after=before, limit=_ALL)) if row["seq"] is not None]
    if audited is None:
        yield queries.set_audit(seconds=None)
        yield from _forget(before)
    return Heard(result, events)


def _forget(before: int) -> Unit[None]:
    """What the database leaves to an audit, which there was none of."""
    [newest] = yield queries.get_newest_change()
    if newest["seq"] // _STRIDE > before // _STRIDE and newest["seq"] > _KEPT:
        yield queries.lose_changes_before(seq=newest["seq"] - _KEPT)
        yield queries.delete_changes_before(seq=newest["seq"] - _KEPT + 1)


async def told(unit: Callable[[], Awaitable[Heard]], tell: Tell, *, is_inner: bool) -> object:
    """Runs it and tells what it did; whoever is cancelled while it commits leaves that to be told all the same."""
    if is_inner:
        heard = await unit()
        tell(heard.events)
        return heard.result
    running = asyncio.ensure_future(unit())
    running.add_done_callback(partial(_tell_on, tell))
    return (await asyncio.shield(running)).result


def _tell_on(tell: Tell, done: "asyncio.Future[Heard]") -> None:
    if not done.cancelled() and done.exception() is None:
        tell(done.result().events)
