"""A clock that stands still until it is told to move."""

from datetime import UTC, datetime, timedelta

from authstore.expiry import utc_now


class Clock:
    """Pass it as `clock=` to `connect`; it starts at the real time unless given a `start`."""

    def __init__(self, start: datetime | None = None) -> None:
        self._now = utc_now()
        if start is not None:
            self.set(start)

    def __call__(self) -> datetime:
        """The time it shows, in UTC."""
        return self._now

    def advance(self, by: timedelta) -> datetime:
        """Moves it, also backwards, and gives the new time."""
        return self.set(self._now + by)

    def set(self, to: datetime) -> datetime:
        """Puts it to this instant; `ValueError` for a naive one."""
        if to.tzinfo is None:
            raise ValueError("the clock needs an aware datetime")
        self._now = to.astimezone(UTC)
        return self._now

    def __repr__(self) -> str:
        return f"Clock({self._now.isoformat()})"
