"""The store as plain dictionaries: what every call must do, written down a second time and without a database."""

import copy
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from authstore.adapter import UNSET
from authstore.expiry import SessionPolicy

FOREVER = datetime.max.replace(tzinfo=UTC)
OUTSTANDING = 5
REMEMBERED = timedelta(days=30)  # what a token died of

TokenKey = tuple[str, str, str]  # identifier, purpose, text


def end(start: datetime, limit: timedelta | None) -> datetime:
    """`start + limit`, or for ever."""
    return FOREVER if limit is None else start + limit


def laid_over(data: dict[str, Any], merge: dict[str, Any]) -> dict[str, Any]:
    """Key by key; `UNSET` takes one away."""
    laid = {**data, **copy.deepcopy(merge)}
    return {key: value for key, value in laid.items() if value is not UNSET}


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
class ExpectedVisit:
    id: str
    expires: datetime
    created_at: datetime
    last_used_at: datetime
    data: dict[str, Any]
    asked: datetime | None = None


@dataclass
class Expected:
    """Everything there is. Sessions and visits by token; verification tokens in the order of their making."""

    policy: SessionPolicy
    clock: Callable[[], datetime]
    users: dict[str, ExpectedUser] = field(default_factory=dict)
    accounts: dict[tuple[str, str], tuple[str, str | None]] = field(default_factory=dict)  # owner, access token
    sessions: dict[str, ExpectedSession] = field(default_factory=dict)
    visits: dict[str, ExpectedVisit] = field(default_factory=dict)
    tokens: dict[TokenKey, datetime] = field(default_factory=dict)  # when they expire
    counters: dict[str, tuple[str, int]] = field(default_factory=dict)
    roles: dict[str, set[tuple[str, str]]] = field(default_factory=dict)
    ended: dict[str, tuple[str, datetime]] = field(default_factory=dict)  # by token: of what, and when
    graces: dict[str, tuple[str, datetime]] = field(default_factory=dict)  # of replaced tokens: whose, until
    events: Counter[tuple[str, str, str | None]] = field(default_factory=Counter)  # type, whose, reason

    def ends(self) -> set[datetime]:
        """Every instant at which something dies."""
        used: list[ExpectedSession | ExpectedVisit] = [*self.sessions.values(), *self.visits.values()]
        return (
            {instant for each in used for instant in self.ends_of(each)}
            | set(self.tokens.values())
            | {until for _, until in self.graces.values()}
        )

    def owner(self, email: str | None) -> str | None:
        """Who has this canonical address."""
        return next((key for key, user in self.users.items() if email is not None and user.email == email), None)

    def ends_of(self, used: ExpectedSession | ExpectedVisit) -> list[datetime]:
        """The rule of the contract, one for sessions and visits: dead from the first of these on."""
        lifetime, idle = self.policy.lifetime, self.policy.idle
        return [used.expires, end(used.created_at, lifetime), end(used.last_used_at, idle)]

    def is_alive(self, used: ExpectedSession | ExpectedVisit, now: datetime) -> bool:
        """Whether it lives."""
        return now < min(self.ends_of(used))

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

    def living_visit(self, token: str, now: datetime) -> ExpectedVisit | None:
        """The visit of this token, if it lives."""
        visit = self.visits.get(token)
        return visit if visit is not None and self.is_alive(visit, now) else None

    def change_visit(self, token: str, merge: dict[str, Any], new: str, now: datetime) -> None:
        """A use, and what it lays over the visit, which goes on under this token."""
        visit = self.visits.pop(token)
        visit.data, visit.last_used_at = laid_over(visit.data, merge), now
        if self.policy.lifetime is None:
            visit.expires = min(self.limit(visit.created_at, now), visit.asked or FOREVER)
        self.visits[new] = visit

    def make_room(self, token: str, now: datetime, kept: Iterable[str]) -> bool:
        """Beyond the limit the longest unused go; of those unused equally long, whichever the store took: it `kept`
        these ids. Whether that is right."""
        made, kept = self.sessions[token], set(kept)
        others = self.living_of(made.user_id, now)
        del others[token]
        most = len(others) if self.policy.max_per_user is None else self.policy.max_per_user - 1
        gone = {other: session for other, session in others.items() if session.id not in kept}
        for other in gone:
            self.end(other, "limit")
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

    def death(self, session: ExpectedSession) -> tuple[str, datetime]:
        """What a session dies of that nobody ends, and when."""
        expiry = min(session.expires, end(session.created_at, self.policy.lifetime))
        idleness = end(session.last_used_at, self.policy.idle)
        is_idle = idleness <= expiry if self.policy.lifetime is None else idleness < expiry
        return ("idle", idleness) if is_idle and self.policy.idle is not None else ("expired", expiry)

    def end(self, token: str, reason: str) -> None:
        """Ends a session, for this reason unless it was dead before; with it end the tokens that it had before."""
        session, now = self.sessions.pop(token), self.clock()
        note = (reason, now) if self.is_alive(session, now) else self.death(session)
        self.ended[token] = note
        self.events["session.ended", session.id, note[0]] += 1
        for old in [old for old, (id, _) in self.graces.items() if id == session.id]:
            if note[0] == "stolen" or self.graces[old][1] > note[1]:
                self.ended[old] = note
            del self.graces[old]

    def current(self, token: str) -> str | None:
        """The token that whoever presents this one has a session by: itself, or the one after it during its grace.
        After that it is theft, which ends the session."""
        if token in self.sessions or token not in self.graces:
            return token if token in self.sessions else None
        id, until = self.graces[token]
        current = next(other for other, session in self.sessions.items() if session.id == id)
        if self.clock() < until:
            return current
        if self.living(current, self.clock()) is not None:
            self.end(current, "stolen")
        return None

    def presented(self, token: str) -> ExpectedSession | None:
        """The living session that this token finds."""
        current = self.current(token)
        return None if current is None else self.living(current, self.clock())

    def rotate(self, token: str, new: str, grace: timedelta | None) -> None:
        """A new token for the session of this one; its former ones have no grace any more."""
        now, session = self.clock(), self.sessions.pop(token)
        for old, (id, until) in self.graces.items():
            if id == session.id and until > now:
                self.graces[old], self.ended[old] = (id, now), ("rotated", now)
        until = now if grace is None else now + grace
        self.ended[token] = ("rotated", until)
        if grace is not None:
            self.graces[token] = (session.id, until)
        self.sessions[new] = session
        self.events["session.rotated", session.id, None] += 1

    def why(self, token: str) -> tuple[str, datetime] | None:
        """Why a token finds nothing."""
        now, session = self.clock(), self.sessions.get(token)
        note = self.ended.get(token) if session is None else self.death(session)
        is_over = note is not None and note[1] <= now if session is None else not self.is_alive(session, now)
        return note if is_over else None

    def forget(self, token: str) -> None:
        """A given token that is to be used anew: what stood under it is gone."""
        if token in self.sessions:
            self.end(token, "revoked")
        self.ended.pop(token, None)
        self.graces.pop(token, None)

    def end_sessions(self, user_id: str, reason: str, spared: str | None = None) -> int:
        """Ends a user's sessions, living or dead."""
        kept = self.current(spared) if spared is not None else None
        gone = [token for token, session in self.sessions.items() if session.user_id == user_id and token != kept]
        for token in gone:
            self.end(token, reason)
        return len(gone)

    def disable(self, user_id: str, *, disabled: bool) -> None:
        """Ends all sessions."""
        was, self.users[user_id].disabled = self.users[user_id].disabled, disabled
        if was != disabled:
            self.events["user.disabled" if disabled else "user.enabled", user_id, None] += 1
        if disabled:
            self.end_sessions(user_id, "user-disabled")

    def hand_over(self, user_id: str) -> None:
        """To whom proves an address that nobody had proved: whoever wrote it down keeps no way in."""
        self.end_sessions(user_id, "revoked")
        self.accounts = {key: value for key, value in self.accounts.items() if value[0] != user_id}
        self.counters = {key: value for key, value in self.counters.items() if value[0] != user_id}
        self.users[user_id].is_proved = True

    def delete_user(self, user_id: str) -> bool:
        """And all that hangs on it."""
        user = self.users.pop(user_id, None)
        if user is None:
            return False
        self.events["user.deleted", user_id, None] += 1
        self.end_sessions(user_id, "user-deleted")
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
        dead_visits = [token for token, visit in self.visits.items() if not self.is_alive(visit, now)]
        for token in dead_sessions:
            self.end(token, "")
        old = now - REMEMBERED
        self.ended = {token: note for token, note in self.ended.items() if token in self.graces or note[1] > old}
        for key in dead_tokens:
            del self.tokens[key]
        for token in dead_visits:
            del self.visits[token]
        return {
            "sessions": len(dead_sessions),
            "visits": len(dead_visits),
            "verification_tokens": len(dead_tokens),
        }
