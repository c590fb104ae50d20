"""What all machines share: a store (or two on one database), the dictionaries beside it, and a clock that moves."""

import asyncio
import copy
from collections.abc import Coroutine, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager, AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Literal, TypeVar

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, multiple, rule

from authstore.adapter import Adapter
from authstore.errors import ConflictError
from authstore.expiry import SessionPolicy
from authstore.models import Session
from authstore.testing.clock import Clock
from authstore.testing.model.expected import FOREVER, Expected, ExpectedSession, ExpectedUser

T = TypeVar("T")
Fault = Literal["busy", "full"]

PATIENCE = 60.0  # seconds of real time for one call
NOBODY = "nobody"
NAMES = ("ada", "grace")

POLICIES = (
    SessionPolicy(),
    SessionPolicy.aal2(),
    SessionPolicy(max_per_user=2),
    SessionPolicy(lifetime=None, idle=timedelta(hours=2), touch_every=timedelta(minutes=10), max_per_user=3),
    SessionPolicy(lifetime=timedelta(hours=3), idle=None, touch_every=timedelta(0)),
    SessionPolicy(lifetime=None, idle=None, token_lifetime=None),
)

STEPS = st.sampled_from(
    [
        timedelta(microseconds=1),
        timedelta(seconds=1),
        timedelta(minutes=5),
        timedelta(minutes=10),
        timedelta(minutes=59, seconds=59, microseconds=999_999),
        timedelta(hours=1),
        timedelta(hours=24),
        timedelta(days=7),
        timedelta(days=30),
        -timedelta(microseconds=1),
        -timedelta(seconds=30),
        -timedelta(minutes=3),
        -timedelta(hours=1),
    ]
)
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)
NUMBERS = st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
DATA = st.dictionaries(TEXTS, JSON, max_size=3)


class ModelBase(RuleBasedStateMachine):
    """Does the same to the store and to the dictionaries. `policies` are those it is tried under."""

    policies: ClassVar[Sequence[SessionPolicy]] = POLICIES

    users: Bundle[str] = Bundle("users")

    def open(self, clock: Clock, policy: SessionPolicy) -> AbstractAsyncContextManager[Adapter]:
        """An empty store that lives by this clock and judges by this policy."""
        raise NotImplementedError("override open(self, clock, policy): it gives an empty store, closed afterwards")

    def open_beside(
        self,
        clock: Clock,  # noqa: ARG002 - for those who override it
        policy: SessionPolicy,  # noqa: ARG002 - as above
    ) -> AbstractAsyncContextManager[Adapter] | None:
        """Another store on the database that `open` opened last; `None` where there can be none."""
        return None

    def failing(self, fault: Fault) -> AbstractContextManager[object] | None:  # noqa: ARG002 - as above
        """Where writes of all stores raise `StoreBusyError` ("busy"), or, where they need more room, `StoreFullError`
        ("full"). `None` where that cannot be arranged."""
        return None

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.clock = Clock(datetime(2030, 1, 1, tzinfo=UTC))
        self.opened = AsyncExitStack()
        self.stores: list[Adapter] = []
        self.calls = 0

    @initialize(target=users, policy=st.runner().flatmap(lambda machine: st.sampled_from(list(machine.policies))))
    def begin(self, policy: SessionPolicy) -> Any:
        """Two users, and one who is none."""
        self.expected = Expected(policy, self.clock)
        self.stores.append(self.do(self.opened.enter_async_context(self.open(self.clock, policy))))
        beside = self.open_beside(self.clock, policy)
        if beside is not None:
            self.stores.append(self.do(self.opened.enter_async_context(beside)))
        for name in NAMES:
            self.do(self.store.create_user(id=name))
            self.expected.users[name] = ExpectedUser()
        return multiple(*NAMES, NOBODY)

    def teardown(self) -> None:
        """Closes what was opened."""
        self.do(self.opened.aclose())
        self.runner.close()

    @property
    def store(self) -> Adapter:
        """Each store in turn."""
        self.calls += 1
        return self.stores[self.calls % len(self.stores)]

    @property
    def now(self) -> datetime:
        """What all clocks show."""
        return self.clock()

    def do(self, call: Coroutine[Any, Any, T]) -> T:
        """The result of a call, which must come."""

        async def bounded() -> T:
            async with asyncio.timeout(PATIENCE):
                return await call

        return self.runner.run(bounded())

    def refused(self, call: Coroutine[Any, Any, Any], kind: type[Exception]) -> None:
        """The call must be refused with this error, exactly."""
        with pytest.raises(kind) as refused:
            self.do(call)
        assert type(refused.value) is kind

    def signed_in(self, session: Session, data: dict[str, Any], asked: datetime | None) -> None:
        """Takes over a session that was just made, with an expiry that was asked for, and looks whom it displaced."""
        now, limit = self.now, self.expected.limit(self.now, self.now)
        assert session.token is not None
        self.expected.forget(session.token)
        assert session.expires == (limit if asked is None else min(asked, limit))
        made = ExpectedSession(session.id, session.user_id, session.expires, now, now, copy.deepcopy(data), asked)
        self.expected.sessions[session.token] = made
        listed = [other.id for other in self.do(self.store.list_sessions(session.user_id))]
        assert (session.id in listed) == self.expected.is_alive(made, now)
        if session.id in listed:
            assert self.expected.make_room(session.token, now, listed)

    @rule(by=STEPS)
    def shift_the_clock(self, by: timedelta) -> None:
        """Onwards, or back."""
        self.clock.advance(by)

    @rule(which=st.integers(0, 1000), off=st.sampled_from([-1, 0, 0, 1]))
    def move_to_the_end_of_something(self, which: int, off: int) -> None:
        """At an instant where something dies, or beside it."""
        ends = sorted(self.expected.ends() - {FOREVER})
        if ends:
            self.clock.set(ends[which % len(ends)] + timedelta(microseconds=off))

    @rule(name=st.sampled_from(NAMES))
    def come_back(self, name: str) -> None:
        """Who was deleted and comes back finds nothing."""
        if name not in self.expected.users:
            self.do(self.store.create_user(id=name))
            self.expected.users[name] = ExpectedUser()
        else:
            self.refused(self.store.create_user(id=name), ConflictError)

    @rule(user_id=users, disabled=st.booleans())
    def disable(self, user_id: str, disabled: bool) -> None:
        """Or enable again."""
        found = self.do(self.store.update_user(user_id, disabled=disabled))
        assert (found is None) == (user_id not in self.expected.users)
        if found is not None:
            assert found.disabled == disabled
            self.expected.disable(user_id, disabled=disabled)

    @rule(user_id=users)
    def delete_user(self, user_id: str) -> None:
        """With all that hangs on it."""
        assert self.do(self.store.delete_user(user_id)) == self.expected.delete_user(user_id)

    @rule(batch=st.sampled_from([1, 2, 1000]))
    def prune(self, batch: int) -> None:
        """Exactly what is dead goes."""
        report = self.do(self.store.prune(batch=batch))
        for table, rows in self.expected.prune(self.now).items():
            assert report.deleted.get(table, 0) == rows
        assert report.remaining == 0

    @invariant()
    def users_are_the_same(self) -> None:
        """Also read one by one, and by address."""
        found = {user.id: user for user in self.do(self.store.list_users(limit=1000))}
        assert found.keys() == self.expected.users.keys()
        assert list(found) == sorted(found)
        for user_id, user in found.items():
            expected = self.expected.users[user_id]
            assert (user.email, user.name, user.disabled) == (expected.email, expected.name, expected.disabled)
            assert (user.data, user.email_verified is not None) == (expected.data, expected.is_proved)
            assert self.do(self.store.get_user(user_id)) == user
            if user.email is not None:
                assert self.do(self.store.get_user_by_email(user.email)) == user
