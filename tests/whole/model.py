"""The store as plain dictionaries: what every call must do, written down a second time and without a database."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from authstore import SessionPolicy

FOREVER = datetime.max.replace(tzinfo=UTC)
NOBODY = "nobody"

# Every spelling with its canonical form, worked out by hand; `None` is no address.
ADDRESSES: dict[str, str | None] = {
    "ada@example.com": "ada@example.com",
    "  ADA@Example.COM\t": "ada@example.com",
    "\u0430da@example.com": "\u0430da@example.com",  # CYRILLIC SMALL LETTER A
    "ada@ex\u00e4mple.com": "ada@xn--exmple-cua.com",
    "ada@XN--EXMPLE-CUA.com": "ada@xn--exmple-cua.com",
    "ada@exa\u0308mple.com": "ada@xn--exmple-cua.com",  # decomposed
    "jos\u00e9@example.com": "jos\u00e9@example.com",
    "jose\u0301@example.com": "jos\u00e9@example.com",
    "JOS\u00c9@example.com": "jos\u00c9@example.com",  # only ASCII is lower-cased
    "sim@example.com": "sim@example.com",
    "\u017fim@example.com": "\u017fim@example.com",  # LATIN SMALL LETTER LONG S
    "s\u0131m@example.com": "s\u0131m@example.com",  # LATIN SMALL LETTER DOTLESS I
    "\uff53im@example.com": "\uff53im@example.com",  # FULLWIDTH LATIN SMALL LETTER S
    "\u212aim@example.com": None,  # KELVIN SIGN
    "ada@example.com,grace@example.com": None,
    "ada@@example.com": None,
}


def end(start: datetime, limit: timedelta | None) -> datetime:
    """`start + limit`, or for ever."""
    return FOREVER if limit is None else start + limit


@dataclass
class ModelUser:
    email: str | None
    name: str | None
    disabled: bool = False
    data: dict[str, Any] = field(default_factory=dict)
    roles: set[str] = field(default_factory=set)


@dataclass
class ModelSession:
    id: str
    user_id: str
    expires: datetime
    created_at: datetime
    last_used_at: datetime
    data: dict[str, Any]
    serial: int


@dataclass
class ModelToken:
    expires: datetime
    created_at: datetime
    serial: int


class Model:
    """Everything there is. Sessions by token, tokens by identifier, purpose and text."""

    def __init__(self, policy: SessionPolicy) -> None:
        self.policy = policy
        self.users: dict[str, ModelUser] = {}
        self.accounts: dict[tuple[str, str], tuple[str, str | None]] = {}
        self.sessions: dict[str, ModelSession] = {}
        self.tokens: dict[tuple[str, str, str], ModelToken] = {}
        self.counters: dict[str, tuple[str, int]] = {}
        self.roles: dict[str, set[tuple[str, str]]] = {}
        self.serial = 0

    def next(self) -> int:
        """The order of making, where the clock gives none."""
        self.serial += 1
        return self.serial

    def ends(self) -> set[datetime]:
        """Every instant at which something dies."""
        sessions = self.sessions.values()
        return (
            {session.expires for session in sessions}
            | {end(session.created_at, self.policy.lifetime) for session in sessions}
            | {end(session.last_used_at, self.policy.idle) for session in sessions}
            | {token.expires for token in self.tokens.values()}
        )

    def owner(self, email: str | None) -> str | None:
        """Who has this canonical address."""
        return next((key for key, user in self.users.items() if email is not None and user.email == email), None)

    def is_alive(self, session: ModelSession, now: datetime) -> bool:
        """The rule of the contract."""
        return (
            not self.users[session.user_id].disabled
            and now < session.expires
            and now < end(session.created_at, self.policy.lifetime)
            and now < end(session.last_used_at, self.policy.idle)
        )

    def living(self, token: str, now: datetime) -> ModelSession | None:
        """The session of this token, if it lives."""
        session = self.sessions.get(token)
        return session if session is not None and self.is_alive(session, now) else None

    def limit(self, session_created: datetime, now: datetime) -> datetime:
        """The latest possible `expires`."""
        if self.policy.lifetime is not None:
            return session_created + self.policy.lifetime
        return end(now, self.policy.idle)

    def is_touch_due(self, session: ModelSession, now: datetime) -> bool:
        """Whether a use is written down."""
        every = self.policy.touch_every
        if self.policy.idle is not None:
            every = min(every, self.policy.idle / 2)
        return now >= session.last_used_at + every

    def drop_excess_sessions(self, made: ModelSession, now: datetime) -> None:
        """Beyond the limit the longest unused go; never the one just made."""
        if self.policy.max_per_user is None:
            return
        others = [
            (session.last_used_at, session.created_at, session.id, token)
            for token, session in self.sessions.items()
            if session.user_id == made.user_id and session is not made and self.is_alive(session, now)
        ]
        for *_, token in sorted(others, reverse=True)[self.policy.max_per_user - 1 :]:
            del self.sessions[token]

    def drop_excess_tokens(self, identifier: str, purpose: str) -> None:
        """Five may be outstanding."""
        mine = [(t.created_at, t.serial, key) for key, t in self.tokens.items() if key[:2] == (identifier, purpose)]
        for *_, key in sorted(mine, reverse=True)[5:]:
            del self.tokens[key]

    def end_sessions(self, user_id: str, spared: str | None = None) -> int:
        """Ends a user's sessions, living or dead."""
        gone = [token for token, s in self.sessions.items() if s.user_id == user_id and token != spared]
        for token in gone:
            del self.sessions[token]
        return len(gone)

    def delete_user(self, user_id: str) -> bool:
        """And all that hangs on it."""
        user = self.users.get(user_id)
        if user is None:
            return False
        self.end_sessions(user_id)
        del self.users[user_id]
        self.accounts = {key: value for key, value in self.accounts.items() if value[0] != user_id}
        self.counters = {key: value for key, value in self.counters.items() if value[0] != user_id}
        self.tokens = {key: value for key, value in self.tokens.items() if key[0] != user.email}
        return True

    def prune(self, now: datetime) -> dict[str, int]:
        """What dies, per table."""
        dead_sessions = [token for token, session in self.sessions.items() if not self._keeps(session, now)]
        dead_tokens = [key for key, token in self.tokens.items() if now >= token.expires]
        for token in dead_sessions:
            del self.sessions[token]
        for key in dead_tokens:
            del self.tokens[key]
        return {"sessions": len(dead_sessions), "verification_tokens": len(dead_tokens)}

    def _keeps(self, session: ModelSession, now: datetime) -> bool:
        return (
            now < session.expires
            and now < end(session.created_at, self.policy.lifetime)
            and now < end(session.last_used_at, self.policy.idle)
        )
