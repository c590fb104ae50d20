"""The store as plain dictionaries: what every call must do, written down a second time and without a database."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from authstore.expiry import SessionPolicy

FOREVER = datetime.max.replace(tzinfo=UTC)
OUTSTANDING = 5

TokenKey = tuple[str, str, str]  # identifier, purpose, text


def end(start: datetime, limit: timedelta | None) -> datetime:
    """`start + limit`, or for ever."""
    return FOREVER if limit is None else start + limit


@dataclass
class ExpectedUser:
    email: str | None = None
    name: str | None = None
    is_proved: bool = False
    disabled: bool = False
    data: dict[str, Any] = field(default_factory=dict)
    roles: set[str] = field(default_factory=set)


@dataclass
class ExpectedSession:
    id: str
    user_id: str
    expires: datetime
    created_at: datetime
    last_used_at: datetime
    data: dict[str, Any]
    asked: datetime | None = None  # the expiry that a caller asked for


@dataclass
class Expected:
    """Everything there is. Sessions by token; verification tokens in the order of their making."""

    policy: SessionPolicy
    users: dict[str, ExpectedUser] = field(default_factory=dict)
    accounts: dict[tuple[str, str], tuple[str, str | None]] = field(default_factory=dict)  # owner, access token
    sessions: dict[str, ExpectedSession] = field(default_factory=dict)
    tokens: dict[TokenKey, datetime] = field(default_factory=dict)  # when they expire
    counters: dict[str, tuple[str, int]] = field(default_factory=dict)
    roles: dict[str, set[tuple[str, str]]] = field(default_factory=dict)

    def ends(self) -> set[datetime]:
        """Every instant at which something dies."""
        sessions = self.sessions.values()
        return (
            {session.expires for session in sessions}
            | {end(session.created_at, self.policy.lifetime) for session in sessions}
            | {end(session.last_used_at, self.policy.idle) for session in sessions}
            | set(self.tokens.values())
        )

    def owner(self, email: str | None) -> str | None:
        """Who has this canonical address."""
        return next((key for key, user in self.users.items() if email is not None and user.email == email), None)

    def is_alive(self, session: ExpectedSession, now: datetime) -> bool:
        """The rule of the contract."""
        return (
            now < session.expires
            and now < end(session.created_at, self.policy.lifetime)
            and now < end(session.last_used_at, self.policy.idle)
        )

    def living(self, token: str, now: datetime) -> ExpectedSession | None:
        """The session of this token, if it lives."""
        session = self.sessions.get(token)
        return session if session is not None and self.is_alive(session, now) else None

    def living_of(self, user_id: str, now: datetime) -> dict[str, ExpectedSession]:
        """A user's living sessions."""
        mine = ((token, session) for token, session in self.sessions.items() if session.user_id == user_id)
        return {token: session for token, session in mine if self.is_alive(session, now)}

    def limit(self, session_created: datetime, now: datetime) -> datetime:
        """The latest possible `expires`."""
        if self.policy.lifetime is not None:
            return session_created + self.policy.lifetime
        return end(now, self.policy.idle)

    def touch(self, session: ExpectedSession, now: datetime) -> None:
        """A use, where it is written down."""
        every = self.policy.touch_every
        if self.policy.idle is not None:
            every = min(every, self.policy.idle / 2)
        if now < session.last_used_at + every:
            return
        session.last_used_at = now
        if self.policy.lifetime is None:
            session.expires = min(self.limit(session.created_at, now), session.asked or FOREVER)

    def make_room(self, token: str, now: datetime, kept: Iterable[str]) -> bool:
        """Beyond the limit the longest unused go; of those unused equally long, whichever the store took: it `kept`
        these ids. Whether that is right."""
        made, kept = self.sessions[token], set(kept)
        others = self.living_of(made.user_id, now)
        del others[token]
        most = len(others) if self.policy.max_per_user is None else self.policy.max_per_user - 1
        gone = {other: session for other, session in others.items() if session.id not in kept}
        for other in gone:
            del self.sessions[other]
        stayed = [session.last_used_at for other, session in others.items() if other not in gone]
        last_gone = max((session.last_used_at for session in gone.values()), default=datetime.min.replace(tzinfo=UTC))
        return len(stayed) == min(most, len(others)) and all(used >= last_gone for used in stayed)

    def put_token(self, key: TokenKey, expires: datetime, now: datetime) -> None:
        """Five living ones may stand; the one made first goes."""
        self.tokens.pop(key, None)
        self.tokens[key] = expires
        living = [other for other, until in self.tokens.items() if other[:2] == key[:2] and now < until]
        for first in living[: max(0, len(living) - OUTSTANDING)]:
            del self.tokens[first]

    def use_token(self, key: TokenKey, now: datetime) -> bool:
        """Once, and with it end the others of its identifier and purpose. One that is dead is gone."""
        expires = self.tokens.pop(key, None)
        if expires is None or now >= expires:
            return False
        self.tokens = {other: until for other, until in self.tokens.items() if other[:2] != key[:2]}
        return True

    def end_sessions(self, user_id: str, spared: str | None = None) -> int:
        """Ends a user's sessions, living or dead."""
        gone = [token for token, session in self.sessions.items() if session.user_id == user_id and token != spared]
        for token in gone:
            del self.sessions[token]
        return len(gone)

    def disable(self, user_id: str, *, disabled: bool) -> None:
        """Ends all sessions."""
        self.users[user_id].disabled = disabled
        if disabled:
            self.end_sessions(user_id)

    def hand_over(self, user_id: str) -> None:
        """To whom proves an address that nobody had proved: whoever wrote it down keeps no way in."""
        self.end_sessions(user_id)
        self.accounts = {key: value for key, value in self.accounts.items() if value[0] != user_id}
        self.counters = {key: value for key, value in self.counters.items() if value[0] != user_id}
        self.users[user_id].is_proved = True

    def delete_user(self, user_id: str) -> bool:
        """And all that hangs on it."""
        user = self.users.pop(user_id, None)
        if user is None:
            return False
        self.end_sessions(user_id)
        self.accounts = {key: value for key, value in self.accounts.items() if value[0] != user_id}
        self.counters = {key: value for key, value in self.counters.items() if value[0] != user_id}
        self.tokens = {key: value for key, value in self.tokens.items() if key[0] != user.email}
        return True

    def delete_role(self, name: str) -> bool:
        """And its grants."""
        for user in self.users.values():
            user.roles.discard(name)
        return self.roles.pop(name, None) is not None

    def prune(self, now: datetime) -> dict[str, int]:
        """What dies, per table."""
        dead_sessions = [token for token, session in self.sessions.items() if not self.is_alive(session, now)]
        dead_tokens = [key for key, expires in self.tokens.items() if now >= expires]
        for token in dead_sessions:
            del self.sessions[token]
        for key in dead_tokens:
            del self.tokens[key]
        return {"sessions": len(dead_sessions), "verification_tokens": len(dead_tokens)}
