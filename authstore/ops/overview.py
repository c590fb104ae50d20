"""What a console shows of a store: asked by a connection of its own, within a deadline, counted only where that is
quick. What was not found out in time is left out, never waited for."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from itertools import pairwise
from time import monotonic
from typing import Final

from authstore.backends.inspection import StoreSize, TableInfo
from authstore.database import Unit
from authstore.email import canonical_email
from authstore.errors import InvalidEmailError, StoreBusyError, StoreUnavailableError
from authstore.expiry import END_OF_TIME
from authstore.models import Event, Role, Session, User
from authstore.ops.inspecting import count_sessions, cutoffs
from authstore.ops.subject import Subject
from authstore.sql import queries
from authstore.store import rows
from authstore.store.ids import first_id, made_at
from authstore.store.log.changes import event
from authstore.store.shared import is_storable

DAYS: Final = 30
RECENT_HOURS: Final = 48

_HOUR: Final = timedelta(hours=1)
_COUNTED: Final = 50_000  # rows of a table; of more they are estimated
# Sessions of one hour that are counted; how many there are beyond is told by how soon these were begun.
_RECENT_SESSIONS, _OLDER_SESSIONS = 300, 40
_HOURS_AT_ONCE: Final = 24  # one look's: what is made of them holds Python's lock, which the database lets go
_LOG_ROWS: Final = 10_000  # in which endings, and a user's events, are looked for
_LEAST_SECONDS: Final = 0.1
_LAST_ID: Final = "\U0010ffff"


@dataclass(frozen=True, slots=True)
class Hour:
    """The sign-ins of one hour: the sessions that began then and are still there, and how many of these live."""

    start: datetime
    begun: int
    living: int
    is_exact: bool


@dataclass(slots=True)
class Overview:
    """What was found out in time; `None`, or empty, is what was not.

    sessions: living and dead ones. hours: the last `DAYS` days of sign-ins, oldest first. endings: sessions that ended,
    by hour, as far back as the log goes. events: the newest ones.
    """

    size: StoreSize | None = None
    sessions: tuple[int, int] | None = None
    hours: Sequence[Hour] = ()
    endings: Mapping[datetime, int] | None = None
    events: "EventPage | None" = None
    is_late: bool = False

    @property
    def tables(self) -> Mapping[str, TableInfo]:
        """The tables by name."""
        return {} if self.size is None else {table.name: table for table in self.size.tables}


@dataclass(frozen=True, slots=True)
class EventPage:
    """Events, newest first; `older`: those before this number are on the next page, `None` where there is none."""

    events: tuple[Event, ...] = ()
    older: int | None = None


@dataclass(slots=True)
class UserView:
    """A user with their roles, a page of their living sessions, and the newest events about them.

    after: the last session of the page, where there are more.
    """

    user: User
    roles: tuple[Role, ...] = ()
    sessions: tuple[Session, ...] | None = None
    after: Session | None = None
    events: tuple[Event, ...] | None = None


@dataclass(slots=True)
class _Found:
    user: UserView | None = None


async def overview(looked_at: Subject, *, seconds: float, events: int) -> Overview:
    """What a store is like now. Raises `AuthStoreError`, but not for what takes longer than `seconds`."""
    found, cut = Overview(), cutoffs(looked_at.policy, looked_at.clock())
    deadline = monotonic() + seconds
    with _in_time(found):
        found.size = await looked_at.inspector.size(with_tables=False, counted=_COUNTED, seconds=seconds / 2)
    with _in_time(found):
        left = deadline - monotonic()
        await looked_at.inspector.ask(partial(_overview, found, cut, events), seconds=max(left, _LEAST_SECONDS))
    return found


async def events_before(looked_at: Subject, before: int | None, *, seconds: float, limit: int) -> EventPage:
    """A page of events, newest first, from before this number. Raises `AuthStoreError`."""
    return await looked_at.inspector.ask(partial(_event_page, before, limit), seconds=seconds)


async def find_user(looked_at: Subject, name: str, *, seconds: float) -> User | None:
    """The user with this id or address. Raises `AuthStoreError`."""
    return await looked_at.inspector.ask(partial(_find_user, name), seconds=seconds)


async def user_view(
    looked_at: Subject, user_id: str, before: tuple[datetime, str] | None, *, seconds: float, limit: int
) -> UserView | None:
    """A user; `before`: when the last session of the page before began, and its id. What is not found out in time is
    left out. Raises `AuthStoreError`."""
    found, cut = _Found(), cutoffs(looked_at.policy, looked_at.clock())
    try:
        await looked_at.inspector.ask(partial(_user_view, found, user_id, before, limit, cut), seconds=seconds)
    except (StoreBusyError, StoreUnavailableError):
        if found.user is None:
            raise
    return found.user


@contextmanager
def _in_time(found: Overview) -> Iterator[None]:
    try:
        yield
    except (StoreBusyError, StoreUnavailableError):
        found.is_late = True


def _overview(found: Overview, cut: Mapping[str, datetime], events: int) -> Unit[None]:
    """What is found goes into `found` at once: the deadline may end the unit anywhere."""
    found.events = yield from _event_page(None, events)
    this_hour = cut["now"].replace(minute=0, second=0, microsecond=0)
    starts = [this_hour - _HOUR * back for back in range(DAYS * 24 - 1, -1, -1)]
    recent = yield from _hours(starts[-RECENT_HOURS:], cut, _RECENT_SESSIONS)
    found.hours = recent
    found.endings = yield from _endings()
    if "sessions" in found.tables:
        found.sessions = yield from count_sessions(cut, found.tables["sessions"])
    older = yield from _hours(starts[:-RECENT_HOURS], cut, _OLDER_SESSIONS)
    found.hours = [*older, *recent]


def _hours(starts: Sequence[datetime], cut: Mapping[str, datetime], most: int) -> Unit[list[Hour]]:
    hours: list[Hour] = []
    for first in range(0, len(starts), _HOURS_AT_ONCE):
        hours += yield from _few_hours(starts[first : first + _HOURS_AT_ONCE], cut, most)
    return hours


def _few_hours(starts: Sequence[datetime], cut: Mapping[str, datetime], most: int) -> Unit[list[Hour]]:
    now = cut["now"]
    ends = [first_id(start) for start in (*starts, starts[-1] + _HOUR)]
    [row] = yield queries.count_sessions_by_span(spans=json.dumps(list(pairwise(ends))), most=most, **cut)
    counts = sorted(json.loads(row["counts"]))
    return [
        _hour(starts[place], min(_HOUR, now - starts[place]), counted, living, made_at(last or ""), counted < most)
        for place, counted, living, last in counts
    ]


def _hour(start: datetime, length: timedelta, counted: int, living: int, last: datetime | None, is_exact: bool) -> Hour:
    """As many again as fit into the rest of the hour so far, where not all were counted."""
    if is_exact or last is None:
        return Hour(start, counted, living, is_exact)
    share = max(length / max(last - start, timedelta(milliseconds=1)), 1)
    return Hour(start, round(counted * share), round(living * share), is_exact=False)


def _endings() -> Unit[dict[datetime, int]]:
    [newest] = yield queries.get_newest_change()
    [row] = yield queries.count_endings_by_hour(since=(newest["seq"] or 0) - _LOG_ROWS)
    counts = json.loads(row["counts"] or "[]")
    return {datetime.fromisoformat(f"{hour}:00:00+00:00"): endings for hour, endings in counts}


def _event_page(before: int | None, limit: int) -> Unit[EventPage]:
    [newest] = yield queries.get_newest_change()
    [log] = yield queries.get_change_log()
    end: int = (newest["seq"] or 0) + 1 if before is None else before
    since = max(end - _LOG_ROWS, log["lost"] + 1)
    found = yield queries.list_newest_events(since=since, before=end, limit=limit)
    events = tuple(map(event, found))
    older = events[-1].seq if len(events) == limit else since
    return EventPage(events, older if older > log["lost"] + 1 else None)


def _find_user(name: str) -> Unit[User | None]:
    if not is_storable(name):
        return None
    found = yield queries.get_user(id=name)
    if not found:
        try:
            address = canonical_email(name)
        except InvalidEmailError:
            return None
        found = yield queries.get_user_by_email(email=address)
    return rows.user(found[0]) if found else None


def _user_view(
    found: _Found, user_id: str, before: tuple[datetime, str] | None, limit: int, cut: Mapping[str, datetime]
) -> Unit[None]:
    known = (yield queries.get_user(id=user_id)) if is_storable(user_id) else []
    if not known:
        return
    view = found.user = UserView(rows.user(known[0]))
    view.roles = tuple(map(rows.role, (yield queries.get_roles(user_id=user_id))))
    instant, id = before or (END_OF_TIME, _LAST_ID)
    page = {"user_id": user_id, "before": instant, "before_id": id, "limit": limit + 1}
    listed = tuple(map(rows.session, (yield queries.list_user_sessions_before(**page, **cut))))
    view.sessions = listed[:limit]
    view.after = listed[limit - 1] if len(listed) > limit else None
    [newest] = yield queries.get_newest_change()
    stretch = {"since": (newest["seq"] or 0) - _LOG_ROWS, "before": (newest["seq"] or 0) + 1}
    view.events = tuple(map(event, (yield queries.list_newest_events_of_user(user_id=user_id, limit=limit, **stretch))))
