"""Forgetting what is dead, a stretch at a time: who looks something up or writes meanwhile waits for one at most."""

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple

from pydantic import JsonValue

from authstore.database import Unit
from authstore.errors import StoreError
from authstore.models import PruneReport
from authstore.sql import Query, queries
from authstore.store import rows
from authstore.store.events import EventStore
from authstore.store.notes import PRUNING, Note, NotesStore, put_note
from authstore.store.sessions.endings import end_dead
from authstore.store.shared import Values

_BATCH = 250  # rows at most in one look, which look-ups wait for


class _Prunable(NamedTuple):
    scan: Query
    delete: Query
    total: Query
    first: str | int  # what comes before every key,
    last: str | int  # and after


_PRUNABLE: Mapping[str, _Prunable] = {
    "sessions": _Prunable(
        queries.scan_sessions, queries.delete_dead_sessions, queries.count_dead_sessions, "", "\U0010ffff"
    ),
    "visits": _Prunable(queries.scan_visits, queries.delete_dead_visits, queries.count_dead_visits, "", "\U0010ffff"),
    "verification_tokens": _Prunable(
        queries.scan_verification_tokens,
        queries.delete_dead_verification_tokens,
        queries.count_dead_verification_tokens,
        -(2**63),
        2**63 - 1,
    ),
}


class _Leg(NamedTuple):
    """A part of a table that is to be walked: what comes after one key, up to another."""

    table: str
    after: Any
    until: Any


# A round: what nobody has to remember any longer, and what is dead.
_ENDED = "ended_tokens"
_ROUND = (_Leg(_ENDED, b"", None), *(_Leg(table, steps.first, steps.last) for table, steps in _PRUNABLE.items()))


class PruningStore(EventStore, NotesStore):
    """`prune` of the contract."""

    async def prune(self, *, batch: int = 1000, max_seconds: float | None = None) -> PruneReport:
        """See `authstore.adapter.Maintenance.prune`."""
        if isinstance(batch, bool) or not isinstance(batch, int) or batch < 1:
            raise ValueError("batch must be a whole number of at least 1")
        if max_seconds is not None and not max_seconds >= 0:
            raise ValueError("max_seconds must not be negative")
        deadline = None if max_seconds is None else time.monotonic() + max_seconds
        cutoffs = self._cutoffs(self._now())
        former = await self._former()
        deleted = dict.fromkeys(_PRUNABLE, 0)
        # The last round comes to its end first: what was walked already keeps nobody from what was not.
        legs, unfinished = (*former, *_ROUND), len(former) or len(_ROUND)
        for number, leg in enumerate(legs):
            if leg.table == _ENDED:
                left = await self._forget(leg, cutoffs["now"], deadline)
            else:
                count, left = await self._walk(leg, cutoffs, min(batch, _BATCH), deadline)
                deleted[leg.table] += count
            if left is not None:
                is_walked = number >= unfinished  # a whole round is done, and the next one begun
                rest = (left, *legs[number + 1 : len(legs) if is_walked else unfinished])
                await self._leave(rest, cutoffs["now"])
                remaining = 0 if is_walked else await self._count(rest, cutoffs)
                return PruneReport(deleted=deleted, remaining=remaining)
        if former:
            await self._leave((), cutoffs["now"])
        return PruneReport(deleted=deleted, remaining=0)

    async def _former(self) -> tuple[_Leg, ...]:
        """What was left of the last round, whoever pruned, when its time was up."""
        note = await self.get_note(PRUNING)
        legs: Any = [] if note is None else note.data["legs"]
        return tuple(
            _Leg(table, bytes.fromhex(after) if table == _ENDED else after, until)
            for table, after, until in legs
            if table == _ENDED or table in _PRUNABLE
        )

    async def _leave(self, legs: tuple[_Leg, ...], now: datetime) -> None:
        """Notes what is left, for whoever prunes next. Where that cannot be written he begins anew."""
        told: list[JsonValue] = [
            [leg.table, leg.after.hex() if leg.table == _ENDED else leg.after, leg.until] for leg in legs
        ]
        with suppress(StoreError):
            await self._db.unit(partial(put_note, PRUNING, Note(now, {"legs": told})))

    async def _walk(self, leg: _Leg, cutoffs: Values, batch: int, deadline: float | None) -> tuple[int, _Leg | None]:
        """Walks by key on the reading side, so that no index on dates burdens every sign-in, and writes what is dead in
        few transactions, though it lies far apart: how many were deleted, and what is left of the leg."""
        steps, dead, deleted = _PRUNABLE[leg.table], list[Any](), 0
        left: _Leg | None = leg
        while left is not None and (deadline is None or time.monotonic() < deadline):
            [stretch] = await self._db.all(steps.scan(**cutoffs, after=left.after, until=left.until, limit=batch))
            last = stretch["last"]
            left = None if last is None else left._replace(after=last)
            dead += rows.readable_keys(stretch["dead"])
            if len(dead) >= batch or isinstance(last, bytes):
                deleted, dead = deleted + await self._delete(steps.delete, dead, cutoffs, batch), []
            if isinstance(last, bytes):
                raise rows.unreadable(leg.table, last)
        return deleted + await self._delete(steps.delete, dead, cutoffs, batch), left

    async def _delete(self, query: Query, ids: list[Any], cutoffs: Values, batch: int) -> int:
        deleted, size = 0, min(batch, self._tuning.slice_sessions)
        for first in range(0, len(ids), size):
            these = rows.json_text(ids[first : first + size])

            def unit(these: str = these) -> Unit[int]:
                if query is queries.delete_dead_sessions:
                    dead = yield queries.list_dead_sessions(**cutoffs, ids=these)
                    yield from end_dead(dead, self._policy)
                return len((yield query(**cutoffs, ids=these)))

            deleted += await self._write_often(unit, cutoffs["now"])
        return deleted

    async def _forget(self, leg: _Leg, now: datetime, deadline: float | None) -> _Leg | None:
        """Forgets old events, and what tokens died of long ago: what is left of the leg."""
        has_events = leg.after == b""
        while deadline is None or time.monotonic() < deadline:
            if has_events:
                has_events = await self._forget_events(now)
                continue
            after = await self._forget_tokens(leg.after, now)
            if after is None:
                return None
            leg = leg._replace(after=after)
        return leg

    async def _count(self, legs: Sequence[_Leg], cutoffs: Values) -> int:
        """How many are dead there; where time is up before all were seen, one more than were found."""
        deadline = time.monotonic() + self._tuning.counting_seconds
        dead: int = 0
        for leg in legs:
            if leg.table not in _PRUNABLE:
                continue
            after = leg.after
            while after is not None:
                if time.monotonic() >= deadline:
                    return dead + 1
                total = _PRUNABLE[leg.table].total
                [stretch] = await self._db.all(total(**cutoffs, after=after, until=leg.until, limit=_BATCH))
                dead += stretch["dead"]
                after = stretch["last"]
        return dead
