"""UUIDv7 (RFC 9562 §5.7): ids whose order is the order of their making."""

import os
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_MILLISECOND = timedelta(milliseconds=1)
_VERSION = 7 << 76
_VARIANT = 2 << 62
_LOW_12 = 0xFFF
_LOW_62 = (1 << 62) - 1
_48_BITS = (1 << 48) - 1


class TimeOrderedIds:
    """Makes UUIDv7s from the caller's clock, strictly growing even while that stands still or steps back."""

    def __init__(self) -> None:
        self._last = -1

    def next(self, now: datetime) -> str:
        """A new id: 48 bits of milliseconds, 12 bits of their fraction (method 3 of §6.2), 62 random bits."""
        microseconds = max((now - _EPOCH) // _MICROSECOND, 0)
        # 4096ths of a millisecond; a step per id where the clock gives none.
        tick = self._last = max((microseconds << 12) // 1000, self._last + 1)
        random = int.from_bytes(os.urandom(8)) & _LOW_62
        value = (tick >> 12 & _48_BITS) << 80 | _VERSION | (tick & _LOW_12) << 64 | _VARIANT | random
        text = f"{value:032x}"
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def first_id(at: datetime) -> str:
    """What comes before the ids that are made from this instant on, and after those made before."""
    text = f"{max((at - _EPOCH) // _MILLISECOND, 0) & _48_BITS:012x}"
    return f"{text[:8]}-{text[8:]}-"


def made_at(id: str) -> datetime | None:
    """When an id was made, to the millisecond; `None` for one that is not of this kind."""
    digits = id.replace("-", "")
    if len(digits) != 32 or digits[12] != "7":
        return None
    try:
        return _EPOCH + int(digits[:12], 16) * _MILLISECOND
    except (OverflowError, ValueError):
        return None
