"""What every part of the store shares: the database, the policy, the clock, the keys, the ids, the sizes and waits."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar, cast

from pydantic import JsonValue

from authstore.acting import current_actor
from authstore.adapter import UNSET, Clock, JsonObject, Unset
from authstore.database import Database, Unit
from authstore.encryption import Cipher
from authstore.expiry import SessionPolicy, oldest_start
from authstore.models import Event, aware_utc, check_text
from authstore.store.ids import TimeOrderedIds
from authstore.store.log.acting import said
from authstore.store.log.changes import LogState
from authstore.store.log.hearing import Tell, hear, told
from authstore.store.tuning import DEFAULT, Tuning
from authstore.tokens import MAX_TOKEN_LENGTH, MIN_TOKEN_LENGTH

T = TypeVar("T")
Values = Mapping[str, Any]


class Tally:
    """What a store and its transactions know of the sign-ins in this process: how many failed, and whether the last
    was somebody's first. Where it was, the next is likely to be one too: a site opens, or people are loaded into it."""

    failed_sign_ins = 0
    is_arriving = False


class StoreBase:
    """One open store, or one transaction of it."""

    def __init__(
        self, database: Database, policy: SessionPolicy, clock: Clock, cipher: Cipher, *, tuning: Tuning = DEFAULT
    ) -> None:
        self._db = database
        self._policy = policy
        self._clock = clock
        self._cipher = cipher
        self._tuning = tuning
        self._ids = TimeOrderedIds()
        self._log = LogState()
        self._tally = Tally()
        self._listeners: tuple[Tell, ...] = ()
        self._is_inner = False

    @property
    def policy(self) -> SessionPolicy:
        """The limits by which this store judges sessions."""
        return self._policy

    @property
    def clock(self) -> Clock:
        """Where this store's "now" comes from."""
        return self._clock

    @property
    def failed_sign_ins(self) -> int:
        """How many sign-ins this store has refused since it was opened: wrong or spent tokens, accounts that do not
        belong, disabled users."""
        return self._tally.failed_sign_ins

    def listen(self, tell: Tell) -> Callable[[], None]:
        """From here on, whatever this store and its transactions write is told as events, in the order of commits and
        after them: those too that are kept under an audit alone. What is returned ends it."""
        self._listeners = (*self._listeners, tell)

        def end() -> None:
            self._listeners = tuple(each for each in self._listeners if each is not tell)

        return end

    def _tell(self, events: Sequence[Event]) -> None:
        for tell in self._listeners if events else ():
            tell(events)

    def _now(self) -> datetime:
        """The time, asked once for each call of the store and in its caller's own context."""
        return read_clock(self._clock)

    async def _write(self, make: Callable[[], Unit[T]], now: datetime, *, is_using: bool = False) -> T:
        """Runs a unit of which the change log tells who did it, and when."""
        unit = partial(said, make, now, current_actor(), is_using=is_using)
        if not self._listeners:
            return await self._db.unit(self._logged(unit))
        hearing = partial(self._db.unit, self._logged(partial(hear, unit)))
        return cast("T", await told(hearing, self._tell, is_inner=self._is_inner))

    async def _write_often(self, make: Callable[[], Unit[T]], now: datetime, *, is_using: bool = False) -> T:
        """Runs a unit that leaves events only under an audit, or says itself who did it: without one it costs
        nothing more."""
        if self._log.is_audited or self._listeners:
            return await self._write(make, now, is_using=is_using)
        return await self._db.unit(self._logged(make))

    def _logged(self, make: Callable[[], Unit[T]]) -> Callable[[], Unit[T]]:
        look = self._log.is_due
        return partial(self._log.keeping, make, look=look) if self._log.is_audited or look else make

    def _new_id(self, now: datetime) -> str:
        return self._ids.next(now)

    def _cutoffs(self, now: datetime) -> Values:
        """The parameters by which a query tells living sessions from dead ones."""
        return {
            "now": now,
            "created_after": oldest_start(now, self._policy.lifetime),
            "used_after": oldest_start(now, self._policy.idle),
        }


def read_clock(clock: Clock) -> datetime:
    """The time by this clock, in UTC. Raises `ValueError` for what is no instant."""
    now: object = clock()
    if isinstance(now, datetime):
        if now.tzinfo is UTC:
            return now
        with suppress(ValueError):
            return aware_utc(now)
    raise ValueError("the clock must give aware datetimes: datetime.now(UTC)")


def is_storable(text: object) -> bool:
    """Whether a text could stand in the database at all; what could not is simply not found.

    Raises `TypeError` for anything that is not text.
    """
    if not isinstance(text, str):
        raise TypeError(f"expected text, not {type(text).__name__}")
    try:
        check_text(text)
    except ValueError:
        return False
    return True


def json_object(data: JsonObject | None) -> dict[str, JsonValue]:
    """What goes into a model's `data`; `None` is empty. Raises `TypeError` for what is no mapping."""
    if data is None:
        return {}
    if not isinstance(data, Mapping):
        raise TypeError(f"data is a mapping, not {type(data).__name__}")
    return dict(data)


def checked_merge(merge: Mapping[str, JsonValue | Unset]) -> Mapping[str, JsonValue | Unset]:
    """What is laid over `data`, as it is now. Raises `TypeError` for what is no mapping."""
    if not isinstance(merge, Mapping):
        raise TypeError(f"merge is a mapping, not {type(merge).__name__}")
    return dict(merge)


def laid_over(data: JsonObject, merge: Mapping[str, JsonValue | Unset]) -> dict[str, Any]:
    """`data` with the values of `merge`, key by key; without the keys whose value there is `UNSET`."""
    return {key: value for key, value in {**data, **merge}.items() if value is not UNSET}


def checked_token(token: str) -> str:
    """A given token of a session or a visit. Raises `ValueError`, `TypeError`."""
    if not isinstance(token, str):
        raise TypeError("a token is text")
    if not MIN_TOKEN_LENGTH <= len(token) <= MAX_TOKEN_LENGTH:
        raise ValueError(f"a token has {MIN_TOKEN_LENGTH} to {MAX_TOKEN_LENGTH} characters")
    return check_text(token)


def checked_limit(limit: int) -> int:
    """A page size. Raises `ValueError` unless it is at least 1."""
    if isinstance(limit, bool) or not isinstance(limit, int):
        raise TypeError("limit is a whole number")
    if not 1 <= limit < 2**63:
        raise ValueError("limit must be at least 1")
    return limit
