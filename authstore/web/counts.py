"""How often something may be done: counted in the store, so in all processes together, and across restarts.

A count is kept as numbered places, each a verification token that lives as long as the window; who finds no free place
has had enough.
"""

from datetime import datetime, timedelta
from hashlib import sha256
from ipaddress import IPv6Address, IPv6Network, ip_address
from itertools import chain
from secrets import randbelow

from authstore.adapter import VerificationTokens
from authstore.errors import ConflictError


class Counts:
    """The counts of one site. Who had enough is remembered here too, so that asking on costs no look-up.

    `most_remembered`: of those.
    """

    def __init__(self, most_remembered: int = 4096) -> None:
        self._most_remembered = most_remembered
        self._exhausted: dict[str, datetime] = {}

    async def allow(
        self, store: VerificationTokens, subject: str, limit: int, *, window: timedelta, now: datetime
    ) -> bool:
        """Counts one more for `subject`; `False` where it had `limit` within the last `window` already."""
        identifier = "limit:" + sha256(subject.encode()).hexdigest()
        if now < self._exhausted.get(identifier, now):
            return False
        free_again = await _take_a_place(store, identifier, limit, window, now)
        if free_again is None:
            return True
        if len(self._exhausted) == self._most_remembered:
            self._exhausted.clear()
        self._exhausted[identifier] = free_again
        return False


async def _take_a_place(
    store: VerificationTokens, identifier: str, limit: int, window: timedelta, now: datetime
) -> datetime | None:
    """`None`, or when the first place is free again. Begins anywhere: at the front they are taken."""
    stretch, first = int(now.timestamp() // window.total_seconds()), randbelow(limit)
    free_again = now + window
    for place in chain(range(first, limit), range(first)):  # a limit may be a million: no list of them
        taken_until = await _take(store, identifier, place, stretch, now + window)
        if taken_until is None:
            return None
        free_again = min(free_again, taken_until)
    return free_again


async def _take(
    store: VerificationTokens, identifier: str, place: int, stretch: int, expires: datetime
) -> datetime | None:
    """`None`, or until when somebody else has the place."""
    purpose, token = f"limit-{place}", _token(stretch, place)
    # Taken in the stretch of time before, a place is still taken in a part of this one.
    for taken in (token, _token(stretch - 1, place)):
        found = await store.peek_verification_token(identifier, taken, purpose=purpose)
        if found is not None:
            return found.expires
    try:
        await store.create_verification_token(identifier, purpose=purpose, token=token, expires=expires)
    except ConflictError:
        return expires
    return None


def _token(stretch: int, place: int) -> str:
    return f"window-{stretch:012}-{place:06}"


def client_of(ip: str | None) -> str:
    """Whom to count a client as: its IPv4 address, or its /64, since one subscriber has a whole one."""
    try:
        address = ip_address(ip or "")
    except ValueError:
        return "unknown"
    if isinstance(address, IPv6Address):
        # A server that listens on both kinds of address tells IPv4 ones as "::ffff:203.0.113.7".
        return str(address.ipv4_mapped or IPv6Network((int(address), 64), strict=False))
    return str(address)
