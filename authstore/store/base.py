"""What every part of the store shares: the database, the policy, the clock, the keys, the ids."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from pydantic import JsonValue

from authstore.adapter import Clock, JsonObject
from authstore.database import Database
from authstore.encryption import Cipher
from authstore.expiry import SessionPolicy, oldest_start
from authstore.models import check_text
from authstore.store.ids import TimeOrderedIds

Values = Mapping[str, Any]


class StoreBase:
    """One open store, or one transaction of it."""

    def __init__(self, database: Database, policy: SessionPolicy, clock: Clock, cipher: Cipher) -> None:
        self._db = database
        self._policy = policy
        self._clock = clock
        self._cipher = cipher
        self._ids = TimeOrderedIds()

    @property
    def policy(self) -> SessionPolicy:
        """The limits by which this store judges sessions."""
        return self._policy

    @property
    def clock(self) -> Clock:
        """Where this store's "now" comes from."""
        return self._clock

    def _now(self) -> datetime:
        """The time, asked once for each call of the store and in its caller's own context."""
        now = self._clock()
        if not isinstance(now, datetime) or now.tzinfo is None:
            raise ValueError("the clock must give aware datetimes: datetime.now(UTC)")
        if now.tzinfo is UTC:
            return now
        return now.astimezone(UTC)

    def _new_id(self, now: datetime) -> str:
        return self._ids.next(now)

    def _cutoffs(self, now: datetime) -> Values:
        """The parameters by which a query tells living sessions from dead ones."""
        return {
            "now": now,
            "created_after": oldest_start(now, self._policy.lifetime),
            "used_after": oldest_start(now, self._policy.idle),
        }


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


def checked_limit(limit: int) -> int:
    """A page size. Raises `ValueError` unless it is at least 1."""
    if isinstance(limit, bool) or not isinstance(limit, int):
        raise TypeError("limit is a whole number")
    if not 1 <= limit < 2**63:
        raise ValueError("limit must be at least 1")
    return limit
