"""A store of one's own, and the suite that says whether it keeps the contract.

    pip install "authstore[testing]" pytest-asyncio
    pytest -o asyncio_mode=auto examples/third_party_adapter.py

This one keeps everything in dictionaries. A change works on a copy of them, so that whoever fails leaves nothing behind
and readers see the last whole state; a transaction is such a copy, kept for longer. What every store must judge alike
(addresses, tokens, when things die) comes from `authstore.rules`.
"""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from functools import wraps
from types import CoroutineType
from typing import Any, Concatenate, ParamSpec, TypeVar, cast

import pytest
from hypothesis import settings
from pydantic import BaseModel, JsonValue

from authstore import (
    UNSET,
    Account,
    AccountLinkedError,
    AccountNotFoundError,
    AccountNotLinkedError,
    Adapter,
    Authenticator,
    AuthenticatorNotFoundError,
    ConflictError,
    CounterError,
    EmailTakenError,
    Ended,
    Event,
    Health,
    InvalidEmailError,
    Permission,
    PruneReport,
    Role,
    RoleNotFoundError,
    Session,
    SessionPolicy,
    SignIn,
    StoreBusyError,
    StoreClosedError,
    Unset,
    User,
    UserDisabledError,
    UserNotFoundError,
    VerificationToken,
    Visit,
    rules,
)
from authstore.testing import AdapterContract, Clock
from authstore.testing.contract import StoreModel

BUSY_SECONDS = 5.0
LEASE = timedelta(seconds=30)
RENEW_SECONDS = 10.0
REFRESH_SECONDS = 60.0

P = ParamSpec("P")
T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)
AccountKey = tuple[str, str]


@dataclass
class Tables:
    """Everything there is. The models are frozen: a changed row is another model."""

    users: dict[str, User] = field(default_factory=dict)
    accounts: dict[AccountKey, Account] = field(default_factory=dict)
    refreshed: dict[AccountKey, int] = field(default_factory=dict)  # how often
    leases: dict[AccountKey, tuple[str, datetime]] = field(default_factory=dict)  # who refreshes, until when
    sessions: dict[bytes, Session] = field(default_factory=dict)  # by the hash of their token
    visits: dict[bytes, Visit] = field(default_factory=dict)  # by the hash of their token
    asked: dict[str, datetime] = field(default_factory=dict)  # the expiry that was asked for, by the id of either
    ended: dict[bytes, Ended] = field(default_factory=dict)  # why, by the hash; ahead in time: a grace
    replaced: dict[bytes, str] = field(default_factory=dict)  # hashes that had a grace, and whose they were
    tokens: dict[tuple[str, str, bytes], VerificationToken] = field(default_factory=dict)
    authenticators: dict[str, Authenticator] = field(default_factory=dict)
    roles: dict[str, Role] = field(default_factory=dict)
    grants: dict[tuple[str, str], None] = field(default_factory=dict)

    def copy(self) -> "Tables":
        return Tables(**{table.name: dict(getattr(self, table.name)) for table in fields(self)})


def writing(
    change: Callable[Concatenate["DictionaryStore", Tables, P], T],
) -> "Callable[Concatenate[DictionaryStore, P], CoroutineType[Any, Any, T]]":
    """One writer at a time, on a copy that counts once the change is whole."""

    @wraps(change)
    async def write(self: "DictionaryStore", /, *args: P.args, **kwargs: P.kwargs) -> T:
        async with self._turn():
            tables = self._tables.copy()
            result = change(self, tables, *args, **kwargs)
            self._tables = tables
            return result

    # Type checkers differ in what they call the result of an `async def`.
    return cast("Callable[Concatenate[DictionaryStore, P], CoroutineType[Any, Any, T]]", write)


def own(model: M) -> M:
    """A copy for the caller, whose `data` is nobody else's."""
    return model.model_copy(deep=True)


def changed(model: M, **changes: Any) -> M:
    """The model with what is named; its own checks run again."""
    named = {name: value for name, value in changes.items() if value is not UNSET}
    return type(model)(**{**model.__dict__, **named})


def account_key(provider: str, provider_account_id: str) -> AccountKey:
    """Compared byte for byte: a number is no text."""
    if not isinstance(provider, str) or not isinstance(provider_account_id, str):
        raise TypeError("providers and their account ids are text")
    return provider, provider_account_id


def user_of(tables: Tables, user_id: str) -> User:
    user = tables.users.get(user_id)
    if user is None:
        raise UserNotFoundError("no user has this id")
    return user


def enabled(user: User) -> User:
    if user.disabled:
        raise UserDisabledError("this user is disabled")
    return user


def by_email(tables: Tables, address: str | None) -> User | None:
    return next((user for user in tables.users.values() if address is not None and user.email == address), None)


def put_user(tables: Tables, user: User) -> User:
    owner = by_email(tables, user.email)
    if owner is not None and owner.id != user.id:
        raise EmailTakenError("a user with this e-mail address exists")
    tables.users[user.id] = user
    return own(user)


def sessions_of(tables: Tables, user_id: str, *, spared: bytes | None = None) -> list[bytes]:
    return [key for key, session in tables.sessions.items() if session.user_id == user_id and key != spared]


def checked_reason(reason: str) -> str | None:
    """Who acts, where the reason is one that can be kept."""
    if not rules.check_text(reason):
        raise ValueError("a reason is not empty")
    return rules.current_actor()


def end_ways_in(tables: Tables, user_id: str) -> None:
    tables.accounts = {key: row for key, row in tables.accounts.items() if row.user_id != user_id}
    tables.authenticators = {key: row for key, row in tables.authenticators.items() if row.user_id != user_id}


def page(users: Iterable[User], after: str | None, limit: int) -> list[User]:
    if limit < 1:
        raise ValueError("limit must be at least 1")
    rules.check_text(after or "")
    found = sorted((user for user in users if after is None or user.id > after), key=lambda user: user.id)
    return [own(user) for user in found[:limit]]


class DictionaryStore:
    """The whole `Adapter`. A transaction is one of these on a copy of the tables."""

    def __init__(self, *, clock: Callable[[], datetime], policy: SessionPolicy, tables: Tables) -> None:
        self.clock = clock
        self.policy = policy
        self._tables = tables
        self._lock = asyncio.Lock()
        self._is_closed = False

    def _read(self) -> Tables:
        if self._is_closed:
            raise StoreClosedError("the store, or this transaction of it, is closed")
        return self._tables

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        self._read()
        try:
            async with asyncio.timeout(BUSY_SECONDS):
                await self._lock.acquire()
        except TimeoutError:
            raise StoreBusyError("another writer held the store for the whole busy timeout") from None
        try:
            self._read()
            yield
        finally:
            self._lock.release()

    # Users

    @writing
    def create_user(self, tables: Tables, /, *, id: str | None = None, email: str | None = None, **given: Any) -> User:
        now, address = self.clock(), None if email is None else rules.canonical_email(email)
        data = given.pop("data", None) or {}
        user = User(
            id=uuid.uuid4().hex if id is None else id, email=address, data=data, created_at=now, updated_at=now, **given
        )
        if user.id in tables.users:
            if by_email(tables, user.email) not in (None, tables.users[user.id]):
                raise EmailTakenError("a user with this e-mail address exists")
            raise ConflictError("a user with this id exists")
        return put_user(tables, user)

    async def get_user(self, user_id: str) -> User | None:
        user = self._read().users.get(user_id)
        return user and own(user)

    async def get_user_by_email(self, email: str) -> User | None:
        try:
            user = by_email(self._read(), rules.canonical_email(email))
        except InvalidEmailError:
            return None
        return user and own(user)

    async def get_user_by_account(self, provider: str, provider_account_id: str) -> User | None:
        account = self._read().accounts.get(account_key(provider, provider_account_id))
        return await self.get_user(account.user_id) if account else None

    @writing
    def update_user(self, tables: Tables, /, user_id: str, **changes: Any) -> User | None:
        if isinstance(changes.get("email"), str):
            changes["email"] = rules.canonical_email(changes["email"])
        user = tables.users.get(user_id)
        if user is None or not changes:
            return user and own(user)
        if changes.get("disabled") is True:
            self._end(tables, sessions_of(tables, user_id), "user-disabled", by=rules.current_actor())
        return put_user(tables, changed(user, **changes, updated_at=self.clock()))

    @writing
    def delete_user(self, tables: Tables, /, user_id: str) -> bool:
        user = tables.users.pop(user_id, None)
        if user is None:
            return False
        self._end(tables, sessions_of(tables, user_id), "user-deleted", by=rules.current_actor())
        end_ways_in(tables, user_id)
        tables.grants = {key: None for key in tables.grants if key[0] != user_id}
        tables.tokens = {key: row for key, row in tables.tokens.items() if key[0] != user.email}
        return True

    async def list_users(self, *, after: str | None = None, limit: int = 100) -> list[User]:
        return page(self._read().users.values(), after, limit)

    # Accounts

    @writing
    def link_account(
        self, tables: Tables, /, user_id: str, provider: str, provider_account_id: str, **given: Any
    ) -> Account:
        user_of(tables, user_id)
        return self._link(tables, user_id, provider, provider_account_id, given)

    def _link(
        self, tables: Tables, user_id: str, provider: str, provider_account_id: str, given: Mapping[str, Any]
    ) -> Account:
        now, named = self.clock(), {name: value for name, value in given.items() if value is not None}
        if {"id", "user_id", "provider", "provider_account_id", "created_at", "updated_at"} & named.keys():
            raise TypeError("an account's owner and key are no fields of its tokens")
        fresh = Account(
            id=uuid.uuid4().hex, user_id=user_id, provider=provider, provider_account_id=provider_account_id,
            created_at=now, updated_at=now, **named,
        )  # fmt: skip
        key = (provider, provider_account_id)
        old = tables.accounts.get(key)
        if old is not None and old.user_id != user_id:
            raise AccountLinkedError("this account is linked to another user", user_id=old.user_id)
        tables.accounts[key] = fresh if old is None else changed(old, **named, updated_at=now)
        return own(tables.accounts[key])

    async def get_account(self, provider: str, provider_account_id: str) -> Account | None:
        account = self._read().accounts.get(account_key(provider, provider_account_id))
        return account and own(account)

    async def list_accounts(self, user_id: str) -> list[Account]:
        mine = [account for account in self._read().accounts.values() if account.user_id == user_id]
        return [own(account) for account in sorted(mine, key=lambda account: account.created_at)]

    @writing
    def unlink_account(self, tables: Tables, /, provider: str, provider_account_id: str) -> bool:
        key = account_key(provider, provider_account_id)
        tables.leases.pop(key, None)
        return tables.accounts.pop(key, None) is not None

    async def refresh_account(
        self,
        provider: str,
        provider_account_id: str,
        refresh: Callable[[Account], Awaitable[Mapping[str, Any]]],
    ) -> Account:
        key, me = (provider, provider_account_id), uuid.uuid4().hex
        seen = self._read().refreshed.get(key, 0)
        while (started := await self._take_lease(key, me)) is None:
            await asyncio.sleep(0.01)
            if self._read().refreshed.get(key, 0) != seen and key in self._read().accounts:
                return own(self._read().accounts[key])
        try:
            return await self._finish(key, started, await self._ask(key, me, started, refresh))
        finally:
            await asyncio.shield(self._give_lease(key, me))

    async def _ask(self, key: AccountKey, me: str, account: Account, refresh: Callable[..., Any]) -> Mapping[str, Any]:
        """A provider may be slow: while its caller lives, so does the lease."""
        task = asyncio.ensure_future(refresh(own(account)))
        try:
            async with asyncio.timeout(REFRESH_SECONDS):
                while not task.done():
                    await asyncio.wait({task}, timeout=RENEW_SECONDS)
                    await self._take_lease(key, me)
            return dict(task.result())
        finally:
            task.cancel()

    @writing
    def _take_lease(self, tables: Tables, /, key: AccountKey, me: str) -> Account | None:
        """The account, once it is ours to refresh. A lease that ends later than any could was set by another clock."""
        if key not in tables.accounts:
            raise AccountNotFoundError("no such account is linked")
        holder, until = tables.leases.get(key, (me, self.clock()))
        if holder != me and self.clock() < until <= self.clock() + LEASE:
            return None
        tables.leases[key] = (me, self.clock() + LEASE)
        return tables.accounts[key]

    @writing
    def _give_lease(self, tables: Tables, /, key: AccountKey, me: str) -> None:
        if tables.leases.get(key, ("", None))[0] == me:
            del tables.leases[key]

    @writing
    def _finish(self, tables: Tables, /, key: AccountKey, started: Account, given: Mapping[str, Any]) -> Account:
        account = tables.accounts.get(key)
        if account is None or account.id != started.id:
            raise AccountNotFoundError("the account was unlinked meanwhile")
        tables.refreshed[key] = tables.refreshed.get(key, 0) + 1
        if any(
            getattr(account, name) != getattr(started, name) for name in ("access_token", "refresh_token", "id_token")
        ):
            return own(account)  # somebody gave it newer tokens
        return self._link(tables, account.user_id, *key, given)

    @writing
    def sign_in_with_account(
        self,
        tables: Tables,
        /,
        *,
        provider: str,
        provider_account_id: str,
        type: str = "oidc",
        email: str | None = None,
        email_verified: bool = False,
        name: str | None = None,
        image: str | None = None,
        tokens: Mapping[str, Any] | None = None,
        current_user_id: str | None = None,
        trust_email: bool = False,
    ) -> SignIn:
        if not isinstance(current_user_id, str | None):
            raise TypeError("a user's id is text")
        try:
            address = None if email is None else rules.canonical_email(email)
        except InvalidEmailError:
            address = None
        vouched, now = email_verified is True and address is not None, self.clock()
        known, is_new = tables.accounts.get((provider, provider_account_id)), False
        if known is not None:
            if current_user_id not in (None, known.user_id):
                raise AccountLinkedError("this account is linked to another user", user_id=known.user_id)
            user = tables.users[known.user_id]
        elif current_user_id is not None:
            user = user_of(tables, current_user_id)
        elif (found := by_email(tables, address)) is not None:
            if not vouched or trust_email is not True:
                raise AccountNotLinkedError("a user with this address has not linked this provider")
            user = enabled(found)
            if user.email_verified is None:  # whoever wrote the address down first proved nothing
                self._end(tables, sessions_of(tables, user.id), "revoked", by=rules.current_actor())
                end_ways_in(tables, user.id)
                user = tables.users[user.id] = changed(user, email_verified=now, updated_at=now)
        else:
            user, is_new = User(
                id=uuid.uuid4().hex, email=address, email_verified=now if vouched else None, name=name, image=image,
                created_at=now, updated_at=now,
            ), True  # fmt: skip
            tables.users[user.id] = user
        given = {**({"type": type} if known is None else {}), **(tokens or {})}
        account = self._link(tables, enabled(user).id, provider, provider_account_id, given)
        return SignIn(user=own(user), account=account, created_user=is_new, linked_account=known is None)

    # Sessions

    @writing
    def create_session(
        self,
        tables: Tables,
        /,
        user_id: str,
        *,
        expires: datetime | None = None,
        token: str | None = None,
        **given: Any,
    ) -> Session:
        now = self.clock()
        if token is not None and not rules.is_presentable(rules.check_text(token)):
            raise ValueError(f"a token has {rules.MIN_TOKEN_LENGTH} to {rules.MAX_TOKEN_LENGTH} characters")
        secret = rules.new_secret() if token is None else token
        if self._living(tables, secret) is not None:
            raise ConflictError("a session with this token exists")
        session = Session(
            id=uuid.uuid4().hex, user_id=enabled(user_of(tables, user_id)).id,
            expires=rules.session_expiry(self.policy, created_at=now, now=now), created_at=now, last_used_at=now,
            authenticated_at=now, **{**given, "data": given.get("data") or {}},
        )  # fmt: skip
        if expires is not None:
            tables.asked[session.id] = changed(session, expires=expires).expires
            session = changed(session, expires=min(tables.asked[session.id], session.expires))
        self._make_room(tables, user_id)
        tables.sessions[rules.hash_token(secret)] = session
        tables.ended.pop(rules.hash_token(secret), None)
        return own(session).model_copy(update={"token": secret})

    def _make_room(self, tables: Tables, user_id: str) -> None:
        if self.policy.max_per_user is not None:
            mine = [(key, row) for key, row in tables.sessions.items() if row.user_id == user_id and self._lives(row)]
            mine.sort(key=lambda each: (each[1].last_used_at, each[1].created_at), reverse=True)
            self._end(tables, [key for key, _ in mine[self.policy.max_per_user - 1 :]], "limit", by=None)

    def _lives(self, session: Session | Visit) -> bool:
        return rules.is_session_alive(
            self.policy, self.clock(), expires=session.expires, created_at=session.created_at,
            last_used_at=session.last_used_at,
        )  # fmt: skip

    def _living(self, tables: Tables, token: str) -> tuple[bytes, Session] | None:
        """The living session that a token finds, with the hash of its present token; a copied token ends it."""
        if not rules.is_presentable(token):
            return None
        key = rules.hash_token(token)
        found = tables.sessions.get(key)
        if found is not None:
            return (key, found) if self._lives(found) else None
        of_old = tables.replaced.get(key)
        present = next((key for key, row in tables.sessions.items() if row.id == of_old), None)
        if present is None or not self._lives(tables.sessions[present]):
            return None
        if self.clock() < tables.ended[key].at:
            return present, tables.sessions[present]
        self._end(tables, [present], "stolen", by=None)
        return None

    def _put(self, tables: Tables, key: bytes, token: str, session: Session) -> Session:
        tables.sessions[key] = session
        return own(session).model_copy(update={"token": token})

    def _end(self, tables: Tables, keys: Iterable[bytes], reason: str, *, by: str | None) -> int:
        """Ends sessions and notes why: what was dead already died of that."""
        ending, now = list(keys), self.clock()
        for key in ending:
            session = tables.sessions.pop(key)
            ended = Ended(reason=reason, at=now, by=by) if self._lives(session) else self._death(session)
            tables.ended[key] = ended
            for old in [old for old, id in tables.replaced.items() if id == session.id]:
                del tables.replaced[old]
                if reason == "stolen" or tables.ended[old].at > ended.at:
                    tables.ended[old] = ended
        return len(ending)

    def _death(self, session: Session) -> Ended:
        reason, at = rules.end_of_session(
            self.policy, expires=session.expires, created_at=session.created_at, last_used_at=session.last_used_at
        )
        return Ended(reason=reason, at=at)

    async def get_session_and_user(self, token: str) -> tuple[Session, User] | None:
        is_replaced = rules.is_presentable(token) and rules.hash_token(token) in self._read().replaced
        found = await self._find_replaced(token) if is_replaced else self._living(self._read(), token)
        if found is None:
            return None
        return own(found[1]).model_copy(update={"token": token}), own(self._read().users[found[1].user_id])

    @writing
    def _find_replaced(self, tables: Tables, /, token: str) -> tuple[bytes, Session] | None:
        return self._living(tables, token)  # may end it

    async def get_session(self, token: str) -> Session | None:
        found = await self.get_session_and_user(token)
        return found and found[0]

    @writing
    def touch_session(self, tables: Tables, /, token: str) -> Session | None:
        found, now = self._living(tables, token), self.clock()
        if found is None:
            return None
        key, session = found
        if rules.is_touch_due(self.policy, now, last_used_at=session.last_used_at):
            slides = self.policy.lifetime is None
            wanted = tables.asked.get(session.id)
            expires = rules.session_expiry(self.policy, created_at=session.created_at, now=now, wanted=wanted)
            session = changed(session, last_used_at=now, expires=expires if slides else UNSET)
        return self._put(tables, key, token, session)

    @writing
    def update_session(
        self, tables: Tables, /, token: str, *, merge: Mapping[str, Any] | Unset = UNSET, **changes: Any
    ) -> Session | None:
        found = self._living(tables, token)
        if found is None:
            return None
        key, session = found
        if merge is not UNSET:
            if "data" in changes:
                raise ValueError("data replaces all of it, merge is laid over it: pass one of them")
            laid_over = {**session.data, **dict(merge)}
            changes["data"] = {key: value for key, value in laid_over.items() if value is not UNSET}
        session = changed(session, **changes)
        if changes.get("expires", UNSET) is not UNSET:
            tables.asked[session.id] = session.expires
            limit = rules.session_expiry(
                self.policy, created_at=session.created_at, now=self.clock(), wanted=session.expires
            )
            session = changed(session, expires=limit)
        return self._put(tables, key, token, session)

    @writing
    def rotate_session(self, tables: Tables, /, token: str, *, grace: timedelta | None = None) -> Session | None:
        if grace is not None and grace < timedelta(0):
            raise ValueError("grace must not be negative")
        found, now = self._living(tables, token), self.clock()
        if found is None:
            return None
        key, session = found
        if key != rules.hash_token(token):
            return own(session)
        for old in [old for old, id in tables.replaced.items() if id == session.id]:
            tables.ended[old] = changed(tables.ended[old], at=min(tables.ended[old].at, now))
        del tables.sessions[key]
        tables.ended[key] = Ended(reason="rotated", at=now if grace is None else now + grace, by=rules.current_actor())
        if grace is not None:
            tables.replaced[key] = session.id
        secret = rules.new_secret()
        return self._put(tables, rules.hash_token(secret), secret, session)

    @writing
    def delete_session(self, tables: Tables, /, token: str, *, reason: str = "signed-out") -> bool:
        by = checked_reason(reason)
        if not rules.is_presentable(token):
            return False
        found = self._living(tables, token)
        keys = [found[0]] if found else [key for key in tables.sessions if key == rules.hash_token(token)]
        return bool(self._end(tables, keys, reason, by=by))

    async def why_ended(self, token: str) -> Ended | None:
        tables = self._read()
        if not rules.is_presentable(token):
            return None
        session, ended = tables.sessions.get(rules.hash_token(token)), tables.ended.get(rules.hash_token(token))
        if session is not None:
            return None if self._lives(session) else self._death(session)
        return ended if ended is not None and ended.at <= self.clock() else None

    async def list_sessions(self, user_id: str, *, after: Session | None = None, limit: int = 100) -> list[Session]:
        if limit < 1:
            raise ValueError("limit must be at least 1")
        mine = [each for each in self._read().sessions.values() if each.user_id == user_id and self._lives(each)]
        mine.sort(key=lambda each: (each.created_at, each.id), reverse=True)
        following = [
            each for each in mine if after is None or (each.created_at, each.id) < (after.created_at, after.id)
        ]
        return [own(each) for each in following[:limit]]

    @writing
    def revoke_session(self, tables: Tables, /, session_id: str, *, reason: str = "revoked") -> bool:
        by = checked_reason(reason)
        return bool(
            self._end(tables, [key for key, row in tables.sessions.items() if row.id == session_id], reason, by=by)
        )

    @writing
    def revoke_sessions(
        self, tables: Tables, /, user_id: str, *, except_token: str | None = None, reason: str = "revoked"
    ) -> int:
        by, spared = checked_reason(reason), None
        if rules.is_presentable(except_token):
            found = self._living(tables, except_token)  # a replaced one counts in its grace, and ends a session later
            spared = found[0] if found else rules.hash_token(except_token)
        return self._end(tables, sessions_of(tables, user_id, spared=spared), reason, by=by)

    # Visits

    @writing
    def open_visit(
        self, tables: Tables, /, *, token: str | None = None, data: Any = None, expires: datetime | None = None
    ) -> Visit:
        now, secret = self.clock(), rules.new_secret() if token is None else rules.check_text(token)
        if not rules.is_presentable(secret):
            raise ValueError(f"a token has {rules.MIN_TOKEN_LENGTH} to {rules.MAX_TOKEN_LENGTH} characters")
        if (key := rules.hash_token(secret)) in tables.visits and self._lives(tables.visits[key]):
            raise ConflictError("a visit with this token exists")
        limit = rules.session_expiry(self.policy, created_at=now, now=now)
        visit = Visit(id=uuid.uuid4().hex, data=data or {}, expires=expires or limit, created_at=now, last_used_at=now)
        if expires is not None:
            tables.asked[visit.id] = visit.expires
        tables.visits[key] = changed(visit, expires=min(visit.expires, limit))
        return own(tables.visits[key]).model_copy(update={"token": secret})

    async def get_visit(self, token: str) -> Visit | None:
        found = self._read().visits.get(rules.hash_token(token)) if rules.is_presentable(token) else None
        return own(found).model_copy(update={"token": token}) if found and self._lives(found) else None

    @writing
    def change_visit(
        self, tables: Tables, /, token: str, *, merge: Mapping[str, JsonValue | Unset], rotate: bool = False
    ) -> Visit | None:
        data, key = dict(merge), rules.hash_token(token) if rules.is_presentable(token) else b""
        visit, now = tables.visits.get(key), self.clock()
        if visit is None or not self._lives(visit):
            return None
        slid = rules.session_expiry(
            self.policy, created_at=visit.created_at, now=now, wanted=tables.asked.get(visit.id)
        )
        data = {name: value for name, value in {**visit.data, **data}.items() if value is not UNSET}
        expires = slid if self.policy.lifetime is None else visit.expires
        del tables.visits[key]
        secret = rules.new_secret() if rotate else token
        tables.visits[rules.hash_token(secret)] = changed(visit, data=data, expires=expires, last_used_at=now)
        return own(tables.visits[rules.hash_token(secret)]).model_copy(update={"token": secret})

    @writing
    def delete_visit(self, tables: Tables, /, token: str) -> bool:
        return rules.is_presentable(token) and tables.visits.pop(rules.hash_token(token), None) is not None

    # Verification tokens

    @writing
    def create_verification_token(
        self,
        tables: Tables,
        /,
        identifier: str,
        *,
        purpose: str = "sign-in",
        expires: datetime | None = None,
        token: str | None = None,
        data: Mapping[str, Any] | None = None,
    ) -> VerificationToken:
        if token is not None and not 1 <= len(rules.check_text(token)) <= rules.MAX_TOKEN_LENGTH:
            raise ValueError(f"a token has 1 to {rules.MAX_TOKEN_LENGTH} characters")
        secret, now = rules.new_secret() if token is None else token, self.clock()
        made = VerificationToken(
            identifier=rules.canonical_identifier(identifier), purpose=purpose, data=dict(data or {}),
            expires=rules.end_of(now, self.policy.token_lifetime) if expires is None else expires,
        )  # fmt: skip
        key = (made.identifier, purpose, rules.hash_token(secret))
        old = tables.tokens.pop(key, None)
        if old is not None and rules.is_alive(old.expires, now):
            raise ConflictError("this identifier has this token for this purpose already")
        living = [k for k, row in tables.tokens.items() if k[:2] == key[:2] and rules.is_alive(row.expires, now)]
        for first in living[: max(0, len(living) + 1 - rules.OUTSTANDING)]:  # in the order of their making
            del tables.tokens[first]
        tables.tokens[key] = made
        return own(made).model_copy(update={"token": secret})

    async def peek_verification_token(
        self, identifier: str, token: str, *, purpose: str = "sign-in"
    ) -> VerificationToken | None:
        found = self._read().tokens.get(_token_key(identifier, token, purpose))
        is_alive = found is not None and rules.is_alive(found.expires, self.clock())
        return own(found).model_copy(update={"token": token}) if found is not None and is_alive else None

    @writing
    def use_verification_token(
        self, tables: Tables, /, identifier: str, token: str, *, purpose: str = "sign-in"
    ) -> VerificationToken | None:
        key = _token_key(identifier, token, purpose)
        found = tables.tokens.pop(key, None)
        if found is None or not rules.is_alive(found.expires, self.clock()):
            return None
        tables.tokens = {other: row for other, row in tables.tokens.items() if other[:2] != key[:2]}
        return own(found).model_copy(update={"token": token})

    # Authenticators

    @writing
    def create_authenticator(
        self, tables: Tables, /, user_id: str, credential_id: str, public_key: bytes, **given: Any
    ) -> Authenticator:
        made = Authenticator(
            credential_id=credential_id, user_id=user_of(tables, user_id).id, public_key=public_key,
            created_at=self.clock(),
            **{**given, "data": given.get("data") or {}, "transports": tuple(given.get("transports", ()))},
        )  # fmt: skip
        if credential_id in tables.authenticators:
            raise ConflictError("this passkey is registered")
        tables.authenticators[credential_id] = made
        return own(made)

    async def get_authenticator(self, credential_id: str) -> Authenticator | None:
        found = self._read().authenticators.get(credential_id)
        return found and own(found)

    async def list_authenticators(self, user_id: str) -> list[Authenticator]:
        mine = [each for each in self._read().authenticators.values() if each.user_id == user_id]
        return [own(each) for each in sorted(mine, key=lambda each: each.created_at)]

    @writing
    def update_authenticator_counter(self, tables: Tables, /, credential_id: str, counter: int) -> Authenticator:
        found = tables.authenticators.get(credential_id)
        if found is None:
            raise AuthenticatorNotFoundError("no passkey has this id")
        new = changed(found, counter=counter, last_used_at=self.clock())
        if new.counter <= found.counter and (new.counter, found.counter) != (0, 0):
            raise CounterError("the counter did not grow: this passkey may have been copied")
        tables.authenticators[credential_id] = new
        return own(new)

    @writing
    def delete_authenticator(self, tables: Tables, /, credential_id: str) -> bool:
        return tables.authenticators.pop(credential_id, None) is not None

    # Roles

    @writing
    def create_role(self, tables: Tables, /, name: str, **given: Any) -> Role:
        made = Role(name=name, **{**given, **_lists(given), "data": given.get("data") or {}})
        if name in tables.roles:
            raise ConflictError("a role with this name exists")
        tables.roles[name] = made
        return own(made)

    async def get_role(self, name: str) -> Role | None:
        role = self._read().roles.get(name)
        return role and own(role)

    async def list_roles(self) -> list[Role]:
        return [own(role) for _, role in sorted(self._read().roles.items())]

    @writing
    def update_role(self, tables: Tables, /, name: str, *, new_name: Any = UNSET, **changes: Any) -> Role | None:
        if name not in tables.roles:
            return None
        role = changed(tables.roles[name], name=new_name, **{**changes, **_lists(changes)})
        if role.name != name and role.name in tables.roles:
            raise ConflictError("a role with this name exists")
        del tables.roles[name]
        tables.roles[role.name] = role
        tables.grants = {(user, role.name if granted == name else granted): None for user, granted in tables.grants}
        return own(role)

    @writing
    def delete_role(self, tables: Tables, /, name: str) -> bool:
        tables.grants = {key: None for key in tables.grants if key[1] != name}
        return tables.roles.pop(name, None) is not None

    @writing
    def grant_role(self, tables: Tables, /, user_id: str, name: str) -> bool:
        user_of(tables, user_id)
        if name not in tables.roles:
            raise RoleNotFoundError("no role has this name")
        is_new = (user_id, name) not in tables.grants
        tables.grants[user_id, name] = None
        return is_new

    @writing
    def revoke_role(self, tables: Tables, /, user_id: str, name: str) -> bool:
        had = (user_id, name) in tables.grants
        tables.grants.pop((user_id, name), None)
        return had

    async def get_roles(self, user_id: str) -> list[Role]:
        tables = self._read()
        return [own(tables.roles[name]) for user, name in sorted(tables.grants) if user == user_id]

    async def has_permission(self, user_id: str, resource: str, action: str) -> bool:
        user = self._read().users.get(user_id)
        if user is None or user.disabled:
            return False
        allowed = {(p.resource, p.action) for role in await self.get_roles(user_id) for p in role.permissions}
        return (resource, action) in allowed

    async def list_users_with_role(self, name: str, *, after: str | None = None, limit: int = 100) -> list[User]:
        tables = self._read()
        return page((tables.users[user] for user, role in tables.grants if role == name), after, limit)

    # Maintenance

    async def prune(self, *, batch: int = 1000, max_seconds: float | None = None) -> PruneReport:
        if batch < 1:
            raise ValueError("batch must be at least 1")
        deadline = None if max_seconds is None else time.monotonic() + max_seconds
        await self._forget(self.clock() - timedelta(days=30))
        deleted = {"sessions": 0, "visits": 0, "verification_tokens": 0}
        while self._dead(self._read()) and (deadline is None or time.monotonic() < deadline):
            for table, count in (await self._delete_dead(batch)).items():
                deleted[table] += count
        return PruneReport(deleted=deleted, remaining=len(self._dead(self._read())))

    @writing
    def _forget(self, tables: Tables, /, before: datetime) -> None:
        tables.ended = {key: row for key, row in tables.ended.items() if row.at > before or key in tables.replaced}

    def _dead(self, tables: Tables) -> list[tuple[str, Any]]:
        now = self.clock()
        dead: list[tuple[str, Any]] = [
            ("sessions", key) for key, row in tables.sessions.items() if not self._lives(row)
        ]
        dead += [("visits", key) for key, row in tables.visits.items() if not self._lives(row)]
        tokens = [key for key, row in tables.tokens.items() if not rules.is_alive(row.expires, now)]
        return dead + [("verification_tokens", key) for key in tokens]

    @writing
    def _delete_dead(self, tables: Tables, /, batch: int) -> dict[str, int]:
        dead = self._dead(tables)[:batch]
        for table, key in dead:
            if table == "sessions":
                self._end(tables, [key], "expired", by=None)
            elif table == "visits":
                del tables.visits[key]
            else:
                del tables.tokens[key]
        names = [table for table, _ in dead]
        return {table: names.count(table) for table in set(names)}

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Adapter]:
        async with self._turn():
            inner = DictionaryStore(clock=self.clock, policy=self.policy, tables=self._tables.copy())
            try:
                yield inner
            finally:
                inner._is_closed = True
            self._tables = inner._tables

    async def health(self, *, timeout: timedelta = timedelta(seconds=1)) -> Health:
        self._read()
        started, is_busy = time.perf_counter(), False
        try:
            async with asyncio.timeout(timeout.total_seconds()), self._turn():
                pass
        except (TimeoutError, StoreBusyError):
            is_busy = True
        latency = timedelta(seconds=time.perf_counter() - started)
        detail: dict[str, JsonValue] = {"backend": "dictionaries"}
        return Health(ok=True, status="warn" if is_busy else "pass", latency=latency, detail=detail)

    async def events(self, *, after: int = 0, limit: int = 100) -> list[Event]:
        raise NotImplementedError("this store keeps no change log")

    async def rekey(self) -> int:
        self._read()  # nothing is encrypted, nothing outlives the process
        return 0

    async def forget_unreadable(self) -> int:
        self._read()
        return 0

    async def close(self) -> None:
        self._is_closed = True


def _token_key(identifier: str, token: str, purpose: str) -> tuple[str, str, bytes]:
    """What must match all at once; a key that none has where nothing could."""
    try:
        return rules.canonical_identifier(identifier), purpose, rules.hash_token(rules.check_text(token))
    except ValueError:
        return "", "", b""


def _lists(given: Mapping[str, Any]) -> dict[str, frozenset[Permission]]:
    permissions = given.get("permissions", UNSET)
    return {} if permissions is UNSET else {"permissions": frozenset(permissions)}


class TestDictionaryStore(AdapterContract):
    @pytest.fixture
    def adapter(self, clock: Clock) -> Adapter:
        return DictionaryStore(clock=clock, policy=SessionPolicy(), tables=Tables())


class TestDictionaryStoreWithALimit(TestDictionaryStore):
    @pytest.fixture
    def adapter(self, clock: Clock) -> Adapter:
        return DictionaryStore(clock=clock, policy=SessionPolicy(max_per_user=5), tables=Tables())


class DictionaryModel(StoreModel):
    @asynccontextmanager
    async def open(self, clock: Clock, policy: SessionPolicy) -> AsyncIterator[Adapter]:
        yield DictionaryStore(clock=clock, policy=policy, tables=Tables())


TestDictionaryModel = DictionaryModel.TestCase
TestDictionaryModel.settings = settings(max_examples=10, stateful_step_count=40, deadline=None)
