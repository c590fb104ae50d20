"""How often something may be done: counted in the store, so in all processes together, and across restarts.

A count is kept as numbered places, each a verification token that lives as long as the window; who finds no free place
has had enough.
"""

from contextlib import suppress
from datetime import datetime, timedelta
from hashlib import sha256
from ipaddress import IPv6Address, IPv6Network, ip_address

from authstore.adapter import VerificationTokens
from authstore.errors import ConflictError


async def is_within_limit(
    store: VerificationTokens, subject: str, limit: int, *, window: timedelta, now: datetime
) -> bool:
    """Counts one more for `subject`; `False` where it had `limit` within the last `window` already."""
    identifier = "limit:" + sha256(subject.encode()).hexdigest()
    number = int(now.timestamp() // window.total_seconds())
    for place in range(limit):
        purpose, token = f"limit-{place}", _token(number, place)
        # Taken in the stretch of time before, a place is still taken in a part of this one.
        for taken in (token, _token(number - 1, place)):
            if await store.peek_verification_token(identifier, taken, purpose=purpose) is not None:
                break
        else:
            with suppress(ConflictError):
                await store.create_verification_token(identifier, purpose=purpose, token=token, expires=now + window)
                return True
    return False


def _token(number: int, place: int) -> str:
    return f"window-{number:012}-{place:04}"


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
