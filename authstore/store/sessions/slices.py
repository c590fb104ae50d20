"""Ending very many sessions of one user, a slice at a time: who looks something up or writes meanwhile waits for one at
most."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from heapq import heappush, heappushpop
from typing import Any, TypeVar

from authstore.acting import current_actor
from authstore.database import Unit
from authstore.models import check_text
from authstore.sql import queries
from authstore.store import rows
from authstore.store.sessions.endings import Ending, ManySessionsError, end_these
from authstore.store.shared import StoreBase, Values

T = TypeVar("T")

_FIRST = rows.instant_text(datetime.min.replace(tzinfo=UTC))  # no session was made before
_Used = tuple[datetime, datetime, str]  # when a session was last used and made, and its id


class SlicingStore(StoreBase):
    """Whatever ends all sessions of a user, or all beyond a limit."""

    def _ending(self, reason: str, at: datetime) -> Ending:
        """An ending by whoever acts. Raises `TypeError` or `ValueError` for a reason that is none."""
        if not isinstance(reason, str):
            raise TypeError("a reason is text")
        if not check_text(reason):
            raise ValueError("a reason is not empty")
        return Ending(reason, at, current_actor(), self._policy, self._tuning.many_sessions)

    async def _write_ending(
        self, write: Callable[..., Awaitable[Any]], make: Callable[[], Unit[T]], now: datetime
    ) -> tuple[T, int]:
        """Runs a unit by `_write` or `_write_often`; where it would end very many sessions, most of them end just
        before: its result, and how many those were. Where the unit is refused for another reason, none do."""
        before = 0
        while True:
            try:
                return await write(make, now), before
            except ManySessionsError as error:
                many = error
            before += await self._end_many(many)

    async def _end_many(self, many: ManySessionsError) -> int:
        """Walks the user's sessions on the reading side; what is to stay is known when the walk has seen enough."""
        cutoffs = self._cutoffs(many.ending.at)
        stay: list[_Used] = []
        ended, after, after_id = 0, _FIRST, ""
        while found := await self._stretch(many.user_id, after, after_id, cutoffs):
            all_of, excess = _to_end(found, many, stay)
            ended += await self._end_slices(all_of, many.ending, None)
            ended += await self._end_slices(excess, many.ending, stay[0][0] if stay else None)
            after_id, _, after, _ = found[-1]
        return ended

    async def _stretch(self, user_id: str, after: str, after_id: Any, cutoffs: Values) -> list[Any]:
        place = {"after": after, "after_id": rows.text_key("sessions", after_id)}
        [stretch] = await self._db.all(queries.scan_sessions_to_end(user_id=user_id, **place, **cutoffs))
        return rows.json_array(stretch["found"])

    async def _end_slices(self, ids: list[str], ending: Ending, unused_since: datetime | None) -> int:
        ended, size = 0, self._tuning.slice_sessions
        for first in range(0, len(ids), size):
            these = ids[first : first + size]

            def unit(these: list[str] = these) -> Unit[int]:
                return end_these(these, ending, unused_since=unused_since)

            ended += await self._write_often(unit, ending.at)
        return ended


def _to_end(found: Sequence[Any], many: ManySessionsError, stay: list[_Used]) -> tuple[list[str], list[str]]:
    """Of a stretch, the sessions that end in any case, and those that end unless somebody uses them meanwhile.

    `stay`: a heap of the sessions that were used last, of all that were seen.
    """
    all_of, excess = list[str](), list[str]()
    for id, used, made, is_alive in found:
        if id == many.except_id:
            continue
        if not (many.keep and is_alive):
            all_of.append(id)
            continue
        each = (rows.earliest_if_unreadable(used), rows.earliest_if_unreadable(made), id)
        if len(stay) < many.keep:
            heappush(stay, each)
        else:
            excess.append(heappushpop(stay, each)[-1])
    return all_of, excess
