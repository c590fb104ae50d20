"""When things die. Pure functions with `now` passed in; a thing is dead at its expiry instant."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

END_OF_TIME = datetime.max.replace(tzinfo=UTC)
BEGIN_OF_TIME = datetime.min.replace(tzinfo=UTC)


def utc_now() -> datetime:
    """The default clock of `connect`."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionPolicy:
    """How long sessions and verification tokens live. `None` switches a limit off.

    lifetime: absolute limit, counted from creation; no use extends it.
    idle: limit without use, counted from `last_used_at`.
    touch_every: `touch_session` writes at most this often (and at least twice within `idle`).
    max_per_user: beyond it, the longest unused session of the user is ended.
    token_lifetime: of verification tokens (ASVS 5.0 6.5.5: at most ten minutes for out-of-band codes).
    """

    lifetime: timedelta | None = timedelta(days=30)
    idle: timedelta | None = timedelta(days=7)
    touch_every: timedelta = timedelta(minutes=5)
    max_per_user: int | None = None
    token_lifetime: timedelta | None = timedelta(minutes=10)

    def __post_init__(self) -> None:
        for name in ("lifetime", "idle", "token_lifetime"):
            limit = getattr(self, name)
            if limit is not None and _checked(name, limit) <= timedelta(0):
                raise ValueError(f"{name} must be positive, or None for no limit")
        if _checked("touch_every", self.touch_every) < timedelta(0):
            raise ValueError("touch_every must not be negative")
        if self.max_per_user is not None and type(self.max_per_user) is not int:
            raise TypeError("max_per_user is a whole number, or None for no limit")
        if self.max_per_user is not None and not 1 <= self.max_per_user < 2**31:
            raise ValueError("max_per_user must be at least 1 and less than 2**31, or None for no limit")

    # NIST SP 800-63B-4 §2.1.3, §2.2.3, §2.3.3: reauthentication after …

    @classmethod
    def aal1(cls) -> "SessionPolicy":
        """30 days in all; no limit on inactivity is asked for."""
        return cls(lifetime=timedelta(days=30), idle=None)

    @classmethod
    def aal2(cls) -> "SessionPolicy":
        """24 hours in all, one hour of inactivity."""
        return cls(lifetime=timedelta(hours=24), idle=timedelta(hours=1), touch_every=timedelta(minutes=1))

    @classmethod
    def aal3(cls) -> "SessionPolicy":
        """12 hours in all, 15 minutes of inactivity."""
        return cls(lifetime=timedelta(hours=12), idle=timedelta(minutes=15), touch_every=timedelta(minutes=1))


def _checked(name: str, limit: object) -> timedelta:
    # A number would be taken for seconds by one reader and for days by the next.
    if not isinstance(limit, timedelta):
        raise TypeError(f"{name} is a timedelta, not {type(limit).__name__}")
    return limit


# Of whoever looks from outside, and does not know how long the application lets sessions live: dead is then what says
# itself when it ended.
LENIENT = SessionPolicy(lifetime=None, idle=None)


def is_alive(expires: datetime, now: datetime) -> bool:
    """Whether something with this expiry lives; at the instant itself it does not."""
    return now < expires


def is_session_alive(
    policy: SessionPolicy, now: datetime, *, expires: datetime, created_at: datetime, last_used_at: datetime
) -> bool:
    """Whether a session lives, judged by the policy of whoever looks."""
    return (
        now < expires
        and (policy.lifetime is None or now - created_at < policy.lifetime)
        and (policy.idle is None or now - last_used_at < policy.idle)
    )


def end_of(start: datetime, limit: timedelta | None) -> datetime:
    """`start + limit`, or the end of time where there is no limit or no such date."""
    if limit is None:
        return END_OF_TIME
    try:
        return start + limit
    except OverflowError:
        return END_OF_TIME


def oldest_start(now: datetime, limit: timedelta | None) -> datetime:
    """What started after this instant is within the limit: the same rule as `end_of`, turned for a query."""
    if limit is None:
        return BEGIN_OF_TIME
    try:
        return now - limit
    except OverflowError:
        return BEGIN_OF_TIME


def session_expiry(
    policy: SessionPolicy, *, created_at: datetime, now: datetime, wanted: datetime | None = None
) -> datetime:
    """The `expires` of a session: the one asked for, never beyond what the policy allows."""
    limit = end_of(created_at, policy.lifetime) if policy.lifetime is not None else end_of(now, policy.idle)
    return limit if wanted is None else min(wanted, limit)


def is_touch_due(policy: SessionPolicy, now: datetime, *, last_used_at: datetime) -> bool:
    """Whether a use is worth a write.

    An idle limit shorter than `touch_every` would end sessions in use, so half of it bounds the wait.
    """
    unnoted = now - last_used_at
    return unnoted >= policy.touch_every or (policy.idle is not None and 2 * unnoted >= policy.idle)


def end_of_session(
    policy: SessionPolicy, *, expires: datetime, created_at: datetime, last_used_at: datetime
) -> tuple[str, datetime]:
    """What a session that nobody ends dies of ("expired", "idle"), and when: the first instant at which it is dead."""
    expiry = min(expires, end_of(created_at, policy.lifetime))
    idleness = end_of(last_used_at, policy.idle)
    # Without a lifetime it is the idle limit that `expires` was made from.
    is_idle = idleness <= expiry if policy.lifetime is None else idleness < expiry
    return ("idle", idleness) if is_idle and policy.idle is not None else ("expired", expiry)
