"""The store against a plain dictionary: whatever is done in whatever order, with a clock that jumps, they agree."""

import asyncio
import itertools
from collections.abc import Awaitable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, multiple, rule

from authstore import Adapter, EmailTakenError, SessionPolicy, UserDisabledError, UserNotFoundError, connect
from authstore.testing import Clock

pytestmark = pytest.mark.slow

T = TypeVar("T")

INSTANT = timedelta(microseconds=1)
MINUTE = timedelta(minutes=1)
POLICY = SessionPolicy(
    lifetime=timedelta(hours=3), idle=timedelta(hours=1), touch_every=10 * MINUTE, max_per_user=3,
    token_lifetime=20 * MINUTE,
)  # fmt: skip
STEPS = [INSTANT, MINUTE, 10 * MINUTE - INSTANT, 10 * MINUTE, 20 * MINUTE - INSTANT, 20 * MINUTE, timedelta(minutes=59)]
EMAILS = st.sampled_from(["ada@example.com", "eve@example.com", "bob@example.com"])
SPELLINGS = st.sampled_from([str.upper, str.lower, str.title, lambda email: f" {email}\n"])
PURPOSES = st.sampled_from(["sign-in", "reset"])


@dataclass
class KnownUser:
    email: str | None
    disabled: bool = False


@dataclass
class KnownSession:
    user_id: str
    number: int
    created: datetime
    used: datetime
    expires: datetime

    def is_alive(self, now: datetime) -> bool:
        return now < self.expires and now < self.created + timedelta(hours=3) and now < self.used + timedelta(hours=1)


@dataclass
class KnownToken:
    identifier: str
    purpose: str
    expires: datetime


@dataclass
class Books:
    """What ought to be in the store, by id or by token."""

    users: dict[str, KnownUser] = field(default_factory=dict)
    sessions: dict[str, KnownSession] = field(default_factory=dict)
    tokens: dict[str, KnownToken] = field(default_factory=dict)

    def copy(self) -> "Books":
        return Books(*({key: replace(value) for key, value in part.items()} for part in vars(self).values()))

    def sign_out(self, user_id: str) -> None:
        self.sessions = {token: each for token, each in self.sessions.items() if each.user_id != user_id}

    def forget(self, identifier: str | None, purpose: str | None = None) -> None:
        self.tokens = {
            token: each for token, each in self.tokens.items()
            if each.identifier != identifier or purpose not in (None, each.purpose)
        }  # fmt: skip

    def owner(self, email: str) -> str | None:
        return next((user_id for user_id, user in self.users.items() if user.email == email), None)


class StoreAndBooks(RuleBasedStateMachine):
    user_ids: Bundle[str] = Bundle("user_ids")
    session_tokens: Bundle[str] = Bundle("session_tokens")
    proofs: Bundle[str] = Bundle("proofs")

    @initialize(target=user_ids)
    def open(self) -> Any:
        self.runner = asyncio.Runner()
        self.clock = Clock(datetime(2031, 5, 6, tzinfo=UTC))
        self.outside: Adapter = self.run(connect("sqlite://", policy=POLICY, clock=self.clock))
        self.store = self.outside
        self.books = Books()
        self.before: Books | None = None
        self.transaction: Any = None
        self.number = 0
        return multiple(*(self.create_known(email) for email in ("ada@example.com", None)))

    def create_known(self, email: str | None) -> str:
        user = self.run(self.store.create_user(email=email))
        self.books.users[user.id] = KnownUser(email)
        return user.id

    def run(self, call: Awaitable[T]) -> T:
        async def wait() -> T:
            return await call

        return self.runner.run(wait())

    def teardown(self) -> None:
        if hasattr(self, "outside"):
            self.end(fails=True)
            self.run(self.outside.close())
            self.runner.close()

    @rule(step=st.sampled_from(STEPS))
    def time_goes_by(self, step: timedelta) -> None:
        self.clock.advance(step)

    @rule(target=user_ids, email=st.none() | EMAILS, spelled=SPELLINGS)
    def create_user(self, email: str | None, spelled: Any) -> Any:
        try:
            user = self.run(self.store.create_user(email=spelled(email) if email else None))
        except EmailTakenError:
            assert email is not None
            assert self.books.owner(email) is not None
            return multiple()
        assert email is None or self.books.owner(email) is None
        self.books.users[user.id] = KnownUser(email)
        return user.id

    @rule(user_id=user_ids, email=st.none() | EMAILS)
    def change_address(self, user_id: str, email: str | None) -> None:
        free = email is None or self.books.owner(email) in (None, user_id)
        try:
            changed = self.run(self.store.update_user(user_id, email=email))
        except EmailTakenError:
            assert not free
            return
        assert (changed is not None) == (user_id in self.books.users)
        if changed is not None:
            assert free
            self.books.users[user_id].email = email

    @rule(user_id=user_ids, disabled=st.booleans())
    def disable(self, user_id: str, disabled: bool) -> None:
        changed = self.run(self.store.update_user(user_id, disabled=disabled))
        assert (changed is not None) == (user_id in self.books.users)
        if changed is not None:
            self.books.users[user_id].disabled = disabled
            if disabled:
                self.books.sign_out(user_id)

    @rule(user_id=user_ids)
    def delete_user(self, user_id: str) -> None:
        user = self.books.users.pop(user_id, None)
        assert self.run(self.store.delete_user(user_id)) == (user is not None)
        self.books.sign_out(user_id)
        if user is not None and user.email is not None:
            mine = [token for token, proof in self.books.tokens.items() if proof.identifier == user.email]
            self.books.forget(user.email)
            for token, purpose in itertools.product(mine, ("sign-in", "reset")):
                assert self.run(self.store.peek_verification_token(user.email, token, purpose=purpose)) is None

    @rule(
        target=session_tokens,
        user_id=user_ids,
        lives=st.lists(st.none() | st.sampled_from(STEPS), min_size=1, max_size=4),
    )
    def sign_in(self, user_id: str, lives: list[timedelta | None]) -> Any:
        return multiple(*(token for life in lives for token in self.sign_in_once(user_id, life)))

    def sign_in_once(self, user_id: str, life: timedelta | None) -> list[str]:
        now = self.clock()
        try:
            session = self.run(self.store.create_session(user_id, expires=now + life if life else None))
        except (UserNotFoundError, UserDisabledError):
            user = self.books.users.get(user_id)
            assert user is None or user.disabled
            return []
        assert session.token is not None
        self.number += 1
        expires = now + (life or timedelta(hours=3))
        assert session.expires == expires
        rivals = {token: each for token, each in self.books.sessions.items()
                  if each.user_id == user_id and each.is_alive(now)}  # fmt: skip
        by_use = sorted(rivals, key=lambda token: (rivals[token].used, rivals[token].created, rivals[token].number))
        for token in by_use[: max(0, len(by_use) - 2)]:
            del self.books.sessions[token]
            assert self.run(self.store.get_session(token)) is None
        self.books.sessions[session.token] = KnownSession(user_id, self.number, now, now, expires)
        return [session.token]

    def living(self, token: str) -> KnownSession | None:
        session = self.books.sessions.get(token)
        return session if session is not None and session.is_alive(self.clock()) else None

    @rule(token=session_tokens)
    def touch(self, token: str) -> None:
        session, touched = self.living(token), self.run(self.store.touch_session(token))
        assert (touched is None) == (session is None)
        if session is not None and touched is not None:
            if self.clock() - session.used >= 10 * MINUTE:
                session.used = self.clock()
            assert touched.last_used_at == session.used

    @rule(token=session_tokens, life=st.sampled_from([*STEPS, timedelta(days=1)]))
    def prolong(self, token: str, life: timedelta) -> None:
        session = self.living(token)
        updated = self.run(self.store.update_session(token, expires=self.clock() + life))
        assert (updated is None) == (session is None)
        if session is not None and updated is not None:
            session.expires = min(self.clock() + life, session.created + timedelta(hours=3))
            assert updated.expires == session.expires

    @rule(target=session_tokens, token=session_tokens)
    def rotate(self, token: str) -> Any:
        session, rotated = self.living(token), self.run(self.store.rotate_session(token))
        assert (rotated is None) == (session is None)
        if rotated is None or rotated.token is None:
            return multiple()
        self.books.sessions[rotated.token] = self.books.sessions.pop(token)
        return rotated.token

    @rule(token=session_tokens)
    def sign_out(self, token: str) -> None:
        was_alive = self.living(token) is not None
        assert self.run(self.store.delete_session(token)) or not was_alive
        self.books.sessions.pop(token, None)

    @rule(user_id=user_ids, token=session_tokens)
    def sign_out_elsewhere(self, user_id: str, token: str) -> None:
        self.run(self.store.revoke_sessions(user_id, except_token=token))
        spared = self.books.sessions.get(token)
        self.books.sign_out(user_id)
        if spared is not None:
            self.books.sessions[token] = spared

    @rule(target=proofs, email=EMAILS, purpose=PURPOSES, times=st.integers(1, 6))
    def make_proofs(self, email: str, purpose: str, times: int) -> Any:
        return multiple(*(self.make_proof(email, purpose) for _ in range(times)))

    def make_proof(self, email: str, purpose: str) -> str:
        made = self.run(self.store.create_verification_token(email, purpose=purpose))
        assert made.token is not None
        self.books.tokens[made.token] = KnownToken(email, purpose, self.clock() + 20 * MINUTE)
        same = [
            token
            for token, each in self.books.tokens.items()
            if (each.identifier, each.purpose) == (email, purpose) and self.clock() < each.expires
        ]
        for token in same[:-5]:
            del self.books.tokens[token]
            assert self.run(self.store.peek_verification_token(email, token, purpose=purpose)) is None
        return made.token

    @rule(token=proofs, email=EMAILS, purpose=PURPOSES)
    def use_proof(self, token: str, email: str, purpose: str) -> None:
        known = self.books.tokens.get(token)
        fits = known is not None and (known.identifier, known.purpose) == (email, purpose)
        valid = fits and known is not None and self.clock() < known.expires
        peeked = self.run(self.store.peek_verification_token(email, token, purpose=purpose))
        used = self.run(self.store.use_verification_token(email.upper(), token, purpose=purpose))
        assert (peeked is not None) == (used is not None) == valid
        if valid:
            self.books.forget(email, purpose)
        elif fits:
            del self.books.tokens[token]

    @rule(batch=st.sampled_from([1, 2, 1000]))
    def prune(self, batch: int) -> None:
        now = self.clock()
        dead = [token for token, each in self.books.sessions.items() if not each.is_alive(now)]
        late = [token for token, each in self.books.tokens.items() if each.expires <= now]
        report = self.run(self.store.prune(batch=batch))
        assert report.deleted == {"sessions": len(dead), "visits": 0, "verification_tokens": len(late)}
        assert report.remaining == 0
        for token in dead:
            del self.books.sessions[token]
        for token in late:
            del self.books.tokens[token]

    @rule()
    def begin(self) -> None:
        if self.transaction is None:
            self.transaction, self.before = self.outside.transaction(), self.books.copy()
            self.store = self.run(self.transaction.__aenter__())

    @rule(fails=st.booleans())
    def end(self, fails: bool) -> None:
        if self.transaction is None or self.before is None:
            return
        error = ValueError("undo") if fails else None
        assert not self.run(self.transaction.__aexit__(type(error) if error else None, error, None))
        self.books = self.before if fails else self.books
        self.store, self.transaction, self.before = self.outside, None, None

    @invariant()
    def they_agree(self) -> None:
        if not hasattr(self, "books"):
            return
        users = self.run(self.store.list_users())
        assert {user.id: (user.email, user.disabled) for user in users} == {
            user_id: (known.email, known.disabled) for user_id, known in self.books.users.items()
        }
        for token, known in self.books.sessions.items():
            found = self.run(self.store.get_session_and_user(token))
            assert (found is not None) == known.is_alive(self.clock())
            assert found is None or (found[0].user_id, found[1].id) == (known.user_id, known.user_id)
        for token, proof in self.books.tokens.items():
            peeked = self.run(self.store.peek_verification_token(proof.identifier, token, purpose=proof.purpose))
            assert (peeked is not None) == (self.clock() < proof.expires)
        for user in users:
            alive = [known for known in self.books.sessions.values()
                     if known.user_id == user.id and known.is_alive(self.clock())]  # fmt: skip
            assert len(self.run(self.store.list_sessions(user.id))) == len(alive)


TestStoreAndBooks = StoreAndBooks.TestCase
TestStoreAndBooks.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
