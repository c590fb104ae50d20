"""Whatever is done in whatever order while the clock moves, the store is what plain dictionaries say it is."""

import asyncio
import copy
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, multiple, rule

from authstore import Adapter, Permission, SessionPolicy, connect
from authstore.errors import (
    AccountLinkedError,
    AccountNotLinkedError,
    AuthenticatorNotFoundError,
    ConflictError,
    CounterError,
    EmailTakenError,
    InvalidEmailError,
    RoleNotFoundError,
    UserDisabledError,
    UserNotFoundError,
)
from authstore.testing import Clock
from tests.whole.model import ADDRESSES, FOREVER, NOBODY, Model, ModelSession, ModelToken, ModelUser

pytestmark = pytest.mark.slow

T = TypeVar("T")

POLICIES = [
    SessionPolicy(),
    SessionPolicy.aal2(),
    SessionPolicy(max_per_user=2),
    SessionPolicy(lifetime=None, idle=timedelta(hours=2), touch_every=timedelta(minutes=10), max_per_user=3),
    SessionPolicy(lifetime=timedelta(hours=3), idle=None, touch_every=timedelta(0)),
    SessionPolicy(lifetime=None, idle=None, token_lifetime=None),
]
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
        -timedelta(minutes=3),
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
EMAILS = st.none() | st.sampled_from(list(ADDRESSES))
PROVIDERS = st.tuples(st.sampled_from(["google", "GitHub"]), st.sampled_from(["1", "01", "1 ", "１"]))
IDENTIFIERS = ["ada@example.com", "  ADA@Example.COM\t", "\u0430da@example.com", "+1 555 0100"]
PURPOSES = st.sampled_from(["sign-in", "change-email"])
CREDENTIALS = st.sampled_from(["cred-1", "cred-2"])
ROLES = st.sampled_from(["admin", "Admin", "editor"])
PERMISSIONS = st.sets(st.tuples(st.sampled_from(["posts", "users"]), st.sampled_from(["read", "write"])))


class StoreMachine(RuleBasedStateMachine):
    """Does the same to a store in memory and to the model."""

    users: Bundle[str] = Bundle("users")

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.clock = Clock(datetime(2030, 1, 1, tzinfo=UTC))

    @initialize(target=users, policy=st.sampled_from(POLICIES))
    def open(self, policy: SessionPolicy) -> Any:
        self.model = Model(policy)
        self.store: Adapter = self.do(connect("sqlite://", clock=self.clock, policy=policy).__aenter__())
        for name in ("ada", "grace"):
            self.do(self.store.create_user(id=name))
            self.model.users[name] = ModelUser(None, None)
        return multiple("ada", "grace", NOBODY)

    def teardown(self) -> None:
        self.do(self.store.close())
        self.runner.close()

    def do(self, call: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(call)

    def refused(self, call: Coroutine[Any, Any, Any], kind: type[Exception]) -> None:
        """The call must be refused with this error, exactly."""
        with pytest.raises(kind) as refused:
            self.do(call)
        assert type(refused.value) is kind

    @property
    def now(self) -> datetime:
        return self.clock()

    @rule(by=STEPS)
    def shift_the_clock(self, by: timedelta) -> None:
        self.clock.advance(by)

    @rule(which=st.integers(0, 1000), off=st.sampled_from([-1, 0, 0, 1]))
    def move_to_the_end_of_something(self, which: int, off: int) -> None:
        ends = sorted(self.model.ends() - {FOREVER})
        if ends:
            self.clock.set(ends[which % len(ends)] + timedelta(microseconds=off))

    @rule(name=st.sampled_from(["ada", "grace"]))
    def come_back(self, name: str) -> None:
        """Who was deleted and comes back finds nothing."""
        if name not in self.model.users:
            self.do(self.store.create_user(id=name))
            self.model.users[name] = ModelUser(None, None)
        else:
            self.refused(self.store.create_user(id=name), ConflictError)

    @rule(user_id=users, disabled=st.booleans())
    def disable(self, user_id: str, disabled: bool) -> None:
        found = self.do(self.store.update_user(user_id, disabled=disabled))
        assert (found is None) == (user_id not in self.model.users)
        if found is not None:
            self.model.users[user_id].disabled = disabled
            if disabled:
                self.model.end_sessions(user_id)

    @rule(user_id=users)
    def delete_user(self, user_id: str) -> None:
        assert self.do(self.store.delete_user(user_id)) == self.model.delete_user(user_id)

    @rule(batch=st.sampled_from([1, 2, 1000]))
    def prune(self, batch: int) -> None:
        report = self.do(self.store.prune(batch=batch))
        assert (report.deleted, report.remaining) == (self.model.prune(self.now), 0)

    @rule(user_id=users)
    def a_transaction_that_fails(self, user_id: str) -> None:
        async def fail() -> None:
            async with self.store.transaction() as transaction:
                await transaction.delete_user(user_id)
                await transaction.create_user(id="never")
                for name in ("admin", "Admin", "editor"):
                    await transaction.delete_role(name)
                raise LookupError

        with pytest.raises(LookupError):
            self.do(fail())

    @invariant()
    def users_are_the_same(self) -> None:
        found = {user.id: user for user in self.do(self.store.list_users(limit=1000))}
        assert found.keys() == self.model.users.keys()
        for user_id, user in found.items():
            expected = self.model.users[user_id]
            assert (user.email, user.disabled, user.data) == (expected.email, expected.disabled, expected.data)
            roles = {role.name: role for role in self.do(self.store.get_roles(user_id))}
            assert roles.keys() == expected.roles
            granted = {permission for name in roles for permission in self.model.roles[name]}
            for resource, action in (("posts", "read"), ("users", "write")):
                may = self.do(self.store.has_permission(user_id, resource, action))
                assert may == ((resource, action) in granted and not expected.disabled)


class SessionMachine(StoreMachine):
    """Two users who sign in and out."""

    sessions: Bundle[str] = Bundle("sessions")

    @rule(target=sessions, user_id=StoreMachine.users, data=DATA, ahead=st.none() | STEPS)
    def create_session(self, user_id: str, data: dict[str, Any], ahead: timedelta | None) -> Any:
        now = self.now
        expires = None if ahead is None else now + ahead
        call = self.store.create_session(user_id, data=data, expires=expires)
        if user_id not in self.model.users:
            self.refused(call, UserNotFoundError)
            return multiple()
        if self.model.users[user_id].disabled:
            self.refused(call, UserDisabledError)
            return multiple()
        session = self.do(call)
        limit = self.model.limit(now, now)
        assert session.token is not None
        assert session.expires == (limit if expires is None else min(expires, limit))
        made = ModelSession(session.id, user_id, session.expires, now, now, copy.deepcopy(data), self.model.next())
        self.model.sessions[session.token] = made
        self.model.drop_excess_sessions(made, now)
        return session.token

    @rule(target=sessions, name=st.sampled_from(["ada", "grace"]), times=st.integers(2, 4))
    def sign_in_often(self, name: str, times: int) -> Any:
        user = self.model.users.get(name)
        if user is None or user.disabled:
            return multiple()
        return multiple(*(self.create_session(name, {}, None) for _ in range(times)))

    @rule(token=sessions)
    def touch_session(self, token: str) -> None:
        touched = self.do(self.store.touch_session(token))
        session = self.model.living(token, self.now)
        assert (touched is None) == (session is None)
        if session is not None and self.model.is_touch_due(session, self.now):
            session.last_used_at = self.now
            if self.model.policy.lifetime is None:
                session.expires = self.model.limit(session.created_at, self.now)

    @rule(token=sessions, data=DATA, ahead=STEPS)
    def update_session(self, token: str, data: dict[str, Any], ahead: timedelta) -> None:
        expires = self.now + ahead
        session = self.model.living(token, self.now)
        updated = self.do(self.store.update_session(token, data=data, expires=expires))
        assert (updated is None) == (session is None)
        if session is not None:
            session.data = copy.deepcopy(data)
            session.expires = min(expires, self.model.limit(session.created_at, self.now))

    @rule(target=sessions, token=sessions)
    def rotate_session(self, token: str) -> Any:
        session = self.model.living(token, self.now)
        rotated = self.do(self.store.rotate_session(token))
        assert (rotated and rotated.id) == (session and session.id)
        if session is None or rotated is None or rotated.token is None:
            return multiple()
        self.model.sessions[rotated.token] = self.model.sessions.pop(token)
        return rotated.token

    @rule(token=sessions)
    def delete_session(self, token: str) -> None:
        assert self.do(self.store.delete_session(token)) == (self.model.sessions.pop(token, None) is not None)

    @rule(user_id=StoreMachine.users, token=st.none() | sessions)
    def revoke_sessions(self, user_id: str, token: str | None) -> None:
        gone = self.do(self.store.revoke_sessions(user_id, except_token=token))
        assert gone == self.model.end_sessions(user_id, spared=token)

    @invariant()
    def sessions_are_the_same(self) -> None:
        now = self.now
        for token, session in self.model.sessions.items():
            found = self.do(self.store.get_session_and_user(token))
            assert (found is not None) == self.model.is_alive(session, now)
            if found is not None:
                actual = found[0]
                assert (actual.id, actual.user_id, actual.expires) == (session.id, session.user_id, session.expires)
                assert (actual.last_used_at, actual.data) == (session.last_used_at, session.data)
        for user_id in self.model.users:
            listed = {session.id for session in self.do(self.store.list_sessions(user_id))}
            mine = (session for session in self.model.sessions.values() if session.user_id == user_id)
            assert listed == {session.id for session in mine if self.model.is_alive(session, now)}


class TokenMachine(StoreMachine):
    """Proofs of control over a few addresses."""

    tokens: Bundle[tuple[str, str, str]] = Bundle("tokens")

    @rule(target=tokens, identifier=st.sampled_from(IDENTIFIERS), purpose=PURPOSES)
    def create_token(self, identifier: str, purpose: str) -> Any:
        made = self.do(self.store.create_verification_token(identifier, purpose=purpose))
        canonical = ADDRESSES.get(identifier) or identifier
        lifetime = self.model.policy.token_lifetime
        assert made.token is not None
        assert (made.identifier, made.expires) == (canonical, FOREVER if lifetime is None else self.now + lifetime)
        self.model.tokens[canonical, purpose, made.token] = ModelToken(made.expires, self.now, self.model.next())
        self.model.drop_excess_tokens(canonical, purpose)
        return identifier, purpose, made.token

    @rule(token=tokens, purpose=st.none() | PURPOSES)
    def use_token(self, token: tuple[str, str, str], purpose: str | None) -> None:
        identifier, own_purpose, text = token
        asked = purpose or own_purpose
        key = (ADDRESSES.get(identifier) or identifier, asked, text)
        stored = self.model.tokens.get(key)
        alive = stored is not None and self.now < stored.expires
        assert (self.do(self.store.peek_verification_token(identifier, text, purpose=asked)) is not None) == alive
        assert (self.do(self.store.use_verification_token(identifier, text, purpose=asked)) is not None) == alive
        self.model.tokens.pop(key, None)
        if alive:
            self.model.tokens = {k: v for k, v in self.model.tokens.items() if k[:2] != key[:2]}

    @rule(token=tokens, off=st.sampled_from([-1, 0]))
    def use_token_at_its_end(self, token: tuple[str, str, str], off: int) -> None:
        identifier, purpose, text = token
        stored = self.model.tokens.get((ADDRESSES.get(identifier) or identifier, purpose, text))
        if stored is not None and stored.expires < FOREVER:
            self.clock.set(stored.expires + timedelta(microseconds=off))
            self.use_token(token, purpose)

    @rule(user_id=StoreMachine.users, identifier=st.sampled_from(IDENTIFIERS))
    def have_an_address(self, user_id: str, identifier: str) -> None:
        """Deleting the user then ends the tokens for it."""
        email = ADDRESSES.get(identifier)
        if user_id in self.model.users and email and self.model.owner(email) is None:
            self.do(self.store.update_user(user_id, email=identifier))
            self.model.users[user_id].email = email


class IdentityMachine(StoreMachine):
    """Users with addresses, accounts, passkeys and roles."""

    @rule(target=StoreMachine.users, email=EMAILS, name=st.none() | TEXTS, data=DATA)
    def create_user(self, email: str | None, name: str | None, data: dict[str, Any]) -> Any:
        canonical = ADDRESSES[email] if email is not None else None
        call = self.store.create_user(email=email, name=name, data=data)
        if email is not None and canonical is None:
            self.refused(call, InvalidEmailError)
        elif self.model.owner(canonical):
            self.refused(call, EmailTakenError)
        else:
            user = self.do(call)
            self.model.users[user.id] = ModelUser(canonical, name, data=copy.deepcopy(data))
            return user.id
        return multiple()

    @rule(user_id=StoreMachine.users, email=EMAILS, data=DATA)
    def update_user(self, user_id: str, email: str | None, data: dict[str, Any]) -> None:
        canonical = ADDRESSES[email] if email is not None else None
        call = self.store.update_user(user_id, email=email, data=data)
        if email is not None and canonical is None:
            self.refused(call, InvalidEmailError)
        elif user_id not in self.model.users:
            assert self.do(call) is None
        elif self.model.owner(canonical) not in (None, user_id):
            self.refused(call, EmailTakenError)
        else:
            user = self.do(call)
            assert user is not None
            assert (user.email, user.data, user.updated_at) == (canonical, data, self.now)
            self.model.users[user_id].email, self.model.users[user_id].data = canonical, copy.deepcopy(data)

    @rule(email=st.sampled_from(list(ADDRESSES)))
    def find_by_address(self, email: str) -> None:
        found = self.do(self.store.get_user_by_email(email))
        assert (found and found.id) == self.model.owner(ADDRESSES[email])

    @rule(user_id=StoreMachine.users, account=PROVIDERS, access_token=st.none() | TEXTS)
    def link_account(self, user_id: str, account: tuple[str, str], access_token: str | None) -> None:
        call = self.store.link_account(user_id, *account, access_token=access_token)
        owner, old_token = self.model.accounts.get(account, (user_id, None))
        if user_id not in self.model.users:
            self.refused(call, UserNotFoundError)
        elif owner != user_id:
            self.refused(call, AccountLinkedError)
        else:
            kept = access_token if access_token is not None else old_token
            assert self.do(call).access_token == kept
            self.model.accounts[account] = (user_id, kept)

    @rule(account=PROVIDERS)
    def unlink_account(self, account: tuple[str, str]) -> None:
        assert self.do(self.store.unlink_account(*account)) == (self.model.accounts.pop(account, None) is not None)

    @rule(target=StoreMachine.users, account=PROVIDERS, email=EMAILS, vouched=st.booleans())
    def sign_in(self, account: tuple[str, str], email: str | None, vouched: bool) -> Any:
        canonical = ADDRESSES[email] if email is not None else None
        call = self.store.sign_in_with_account(
            provider=account[0], provider_account_id=account[1], email=email, email_verified=vouched
        )
        owner, _ = self.model.accounts.get(account, (None, None))
        if owner is not None and self.model.users[owner].disabled:
            self.refused(call, UserDisabledError)
        elif owner is not None:
            assert self.do(call).user.id == owner
        elif self.model.owner(canonical):
            self.refused(call, AccountNotLinkedError)
        else:
            made = self.do(call)
            assert made.created_user
            assert (made.user.email_verified is not None) == (vouched and canonical is not None)
            self.model.users[made.user.id] = ModelUser(canonical, None)
            self.model.accounts[account] = (made.user.id, None)
            return made.user.id
        return multiple()

    @rule(user_id=StoreMachine.users, credential=CREDENTIALS, counter=st.integers(0, 3))
    def create_authenticator(self, user_id: str, credential: str, counter: int) -> None:
        call = self.store.create_authenticator(user_id, credential, b"key", counter=counter)
        if user_id not in self.model.users:
            self.refused(call, UserNotFoundError)
        elif credential in self.model.counters:
            self.refused(call, ConflictError)
        else:
            self.do(call)
            self.model.counters[credential] = (user_id, counter)

    @rule(credential=CREDENTIALS, counter=st.integers(0, 5))
    def advance_counter(self, credential: str, counter: int) -> None:
        call = self.store.update_authenticator_counter(credential, counter)
        user_id, stored = self.model.counters.get(credential, (None, -1))
        if user_id is None:
            self.refused(call, AuthenticatorNotFoundError)
        elif counter > stored or counter == stored == 0:
            assert self.do(call).counter == counter
            self.model.counters[credential] = (user_id, counter)
        else:
            self.refused(call, CounterError)

    @rule(name=ROLES, permissions=PERMISSIONS)
    def create_or_change_role(self, name: str, permissions: set[tuple[str, str]]) -> None:
        given = [Permission(resource=resource, action=action) for resource, action in permissions]
        if name in self.model.roles:
            self.refused(self.store.create_role(name), ConflictError)
            assert self.do(self.store.update_role(name, permissions=given)) is not None
        else:
            self.do(self.store.create_role(name, permissions=given))
        self.model.roles[name] = set(permissions)

    @rule(name=ROLES)
    def delete_role(self, name: str) -> None:
        assert self.do(self.store.delete_role(name)) == (self.model.roles.pop(name, None) is not None)
        for user in self.model.users.values():
            user.roles.discard(name)

    @rule(user_id=StoreMachine.users, name=ROLES)
    def grant_role(self, user_id: str, name: str) -> None:
        call = self.store.grant_role(user_id, name)
        if user_id not in self.model.users:
            self.refused(call, UserNotFoundError)
        elif name not in self.model.roles:
            self.refused(call, RoleNotFoundError)
        else:
            assert self.do(call) == (name not in self.model.users[user_id].roles)
            self.model.users[user_id].roles.add(name)

    @rule(user_id=StoreMachine.users, name=ROLES)
    def revoke_role(self, user_id: str, name: str) -> None:
        had = user_id in self.model.users and name in self.model.users[user_id].roles
        assert self.do(self.store.revoke_role(user_id, name)) == had
        if had:
            self.model.users[user_id].roles.discard(name)

    @invariant()
    def accounts_and_passkeys_are_the_same(self) -> None:
        for user_id in self.model.users:
            linked = self.do(self.store.list_accounts(user_id))
            mine = {key: token for key, (owner, token) in self.model.accounts.items() if owner == user_id}
            assert {(a.provider, a.provider_account_id): a.access_token for a in linked} == mine
            passkeys = {p.credential_id: p.counter for p in self.do(self.store.list_authenticators(user_id))}
            assert passkeys == {key: count for key, (owner, count) in self.model.counters.items() if owner == user_id}


OFTEN = settings(
    max_examples=20,
    stateful_step_count=40,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)

TestSessionsAreWhatDictionariesSay = SessionMachine.TestCase
TestSessionsAreWhatDictionariesSay.settings = OFTEN
TestTokensAreWhatDictionariesSay = TokenMachine.TestCase
TestTokensAreWhatDictionariesSay.settings = OFTEN
TestIdentitiesAreWhatDictionariesSay = IdentityMachine.TestCase
TestIdentitiesAreWhatDictionariesSay.settings = OFTEN
