"""Refreshing a provider's tokens: one caller at a time, across processes, by a lease on the account's row."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from contextvars import ContextVar
from datetime import datetime, timedelta
from functools import partial
from typing import Any, TypeAlias

from authstore.adapter import Refresh
from authstore.database import Row, Unit
from authstore.encryption import Cipher
from authstore.errors import (
    AccountNotFoundError,
    StoreBusyError,
    StoreError,
    StoreMisuseError,
    StoreUnavailableError,
    UnknownOutcomeError,
)
from authstore.expiry import end_of
from authstore.models import Account
from authstore.sql import Statement, queries
from authstore.store import rows
from authstore.store.accounts import AccountStore, claimed_account, given, update_account
from authstore.tokens import new_secret

TIMEOUT = timedelta(minutes=1)
_SKEW = timedelta(seconds=5)  # by which the clocks of two machines may differ
_FIRST_WAIT_SECONDS = 0.01
_LONGEST_WAIT_SECONDS = 0.25
# What may pass while the lease lasts. After an unknown outcome a second try is harmless: only the first counts.
_PASSING = (StoreBusyError, StoreUnavailableError, UnknownOutcomeError)

# Who asks a provider in this context: whoever would wait for one of these would wait for itself.
_ASKING: ContextVar[frozenset[str]] = ContextVar("authstore_asking", default=frozenset())

Key: TypeAlias = Mapping[str, str]


class _Lease:
    """The right to ask the provider for a while. Each renewal stands under another name, so that whoever waits can
    tell by real time, too, whether the holder lives."""

    def __init__(self, key: Key) -> None:
        self.key = key
        self.holder = new_secret()
        self.name = ""  # the one under which it stands in the row
        self.until = 0.0  # of the monotonic clock
        self._count = 0

    def next_name(self) -> str:
        self._count += 1
        return f"{self.holder}.{self._count}"

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Within the block this task, and whatever it begins, asks by this lease."""
        token = _ASKING.set(_ASKING.get() | {self.holder})
        try:
            yield
        finally:
            _ASKING.reset(token)


class _Watch:
    """Whether anything was seen of a lease's holder."""

    def __init__(self, lease: timedelta) -> None:
        self._lease = lease
        self._seen: object = None
        self._since = 0.0

    def is_silent(self, row: Row) -> bool:
        """Whether the lease has stood unchanged for as long as one lasts."""
        now, seen = time.monotonic(), row["refresh_holder"]
        if seen != self._seen:
            self._seen, self._since = seen, now
        return now - self._since >= self._lease.total_seconds()


class _Company:
    """Those who refresh one account at the same time through one store: who came before an answer gets it, however
    late its own first look at the row."""

    def __init__(self) -> None:
        self.callers = 0
        self.answers = 0
        self.asking: tuple[object, ...] | None = None  # the version of the account for which one of them asks

    def has_answered(self, row: Row, before: int) -> bool:
        """Whether this row is what came of their asking, since there were `before` answers."""
        return self.answers > before or self.asking not in (None, _version(row))


class RefreshStore(AccountStore):
    """`refresh_account` of the contract."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._companies: dict[tuple[str, str], _Company] = {}

    async def refresh_account(
        self, provider: str, provider_account_id: str, refresh: Refresh, *, timeout: timedelta = TIMEOUT
    ) -> Account:
        """See `authstore.adapter.Accounts.refresh_account`."""
        if not isinstance(timeout, timedelta):
            raise TypeError(f"timeout is a timedelta, not {type(timeout).__name__}")
        with self._in_company(provider, provider_account_id) as company:
            before = company.answers
            lease = _Lease({"provider": provider, "provider_account_id": provider_account_id})
            seen = await self._existing(lease.key)
            account = rows.account(seen, self._cipher)  # raises where it cannot be read, before anybody waits for it
            if company.has_answered(seen, before):
                return account
            return await self._refresh(lease, seen, refresh, timeout, company)

    @contextmanager
    def _in_company(self, provider: str, provider_account_id: str) -> Iterator[_Company]:
        key = (provider, provider_account_id)
        company = self._companies.setdefault(key, _Company())
        company.callers += 1
        try:
            yield company
        finally:
            company.callers -= 1
            if not company.callers:
                del self._companies[key]

    async def _refresh(
        self, lease: _Lease, seen: Row, refresh: Refresh, timeout: timedelta, company: _Company
    ) -> Account:
        try:
            current = await self._wait_for_turn(lease, seen)
            if current["refresh_holder"] != lease.name:
                return rows.account(current, self._cipher)
            async with self._renewed(lease, current):
                return await self._ask(lease, current, refresh, timeout, company)
        except BaseException:
            # Also who was cancelled while taking the lease may have it.
            await self._release(lease)
            raise

    async def _ask(self, lease: _Lease, held: Row, refresh: Refresh, timeout: timedelta, company: _Company) -> Account:
        company.asking = _version(held)
        try:
            with lease.asking():
                fields = await _answer(refresh, rows.account(held, self._cipher), timeout)
            account = await self._to_the_end(lease, held, fields)
            company.answers += 1
            return account
        finally:
            company.asking = None

    async def _existing(self, key: Key, owner: str | None = None) -> Row:
        row = await self._account_row(key["provider"], key["provider_account_id"])
        if row is None or owner not in (None, row["user_id"]):
            raise AccountNotFoundError("no such account is linked" if owner is None else _UNLINKED)
        return row

    async def _wait_for_turn(self, lease: _Lease, seen: Row) -> Row:
        """The row with our lease on it, or as somebody left it who refreshed it meanwhile."""
        wait, watch, current = _FIRST_WAIT_SECONDS, _Watch(self._tuning.lease), seen
        while _version(current) == _version(seen):
            now = self._now()
            if _is_free(current, now, self._tuning.lease) or watch.is_silent(current):
                held = await self._take_unless_busy(lease, current, now)
                if held is not None:
                    return held
            elif current["refresh_holder"].partition(".")[0] in _ASKING.get():
                raise StoreMisuseError(_WITHIN)
            else:
                await asyncio.sleep(wait)
                wait = min(wait * 2, _LONGEST_WAIT_SECONDS)
            current = await self._existing(lease.key, seen["user_id"])
        return current

    async def _take_unless_busy(self, lease: _Lease, row: Row, now: datetime) -> Row | None:
        """Takes the lease from the former holder. Where the database is busy, but somebody was faster, their answer can
        be waited for all the same."""
        try:
            return await self._take(lease, row, now, former=row["refresh_holder"])
        except StoreBusyError:
            current = await self._existing(lease.key, row["user_id"])
            if current["refresh_holder"] == row["refresh_holder"] and _version(current) == _version(row):
                raise
            return None

    async def _take(self, lease: _Lease, row: Row, now: datetime, *, former: str | None) -> Row | None:
        """Takes the lease from the former holder, or renews our own; `None` where the row is no longer as it was."""
        began, name, lasts = time.monotonic(), lease.next_name(), self._tuning.lease
        statement = queries.hold_refresh(
            id=row["id"], count=row["refresh_count"], former=former or "", holder=name, until=end_of(now, lasts)
        )
        held = await self._db.unit(lambda: _written(statement))
        if held is not None:
            lease.name, lease.until = name, began + lasts.total_seconds()
        return held

    async def _to_the_end(self, lease: _Lease, held: Row, fields: Mapping[str, Any]) -> Account:
        """Keeps what the provider gave, whatever becomes of the caller: the old grant may be spent."""
        keeping = asyncio.create_task(self._keep(lease, held, fields))
        try:
            return await asyncio.shield(keeping)
        except asyncio.CancelledError:
            await asyncio.wait([keeping])
            if not keeping.cancelled():
                keeping.exception()  # seen, though nobody is left to be told
            raise

    async def _keep(self, lease: _Lease, held: Row, fields: Mapping[str, Any]) -> Account:
        wait = _FIRST_WAIT_SECONDS
        while True:
            try:
                now = self._now()
                return await self._write_often(partial(_finish, held, fields, now, self._cipher), now)
            except StoreError as error:
                if not isinstance(error, _PASSING) or time.monotonic() + wait >= lease.until:
                    error.fields = fields
                    raise
            await asyncio.sleep(wait)
            wait = min(wait * 2, _LONGEST_WAIT_SECONDS)

    async def _release(self, lease: _Lease) -> None:
        # Shielded: a cancelled caller must not leave the others waiting for the lease to run out.
        statement = queries.release_refresh(**lease.key, holder=lease.holder)
        with suppress(StoreError):
            await asyncio.shield(self._db.unit(lambda: _written(statement)))

    @asynccontextmanager
    async def _renewed(self, lease: _Lease, held: Row) -> AsyncIterator[None]:
        """A slow provider is no crash: while the caller lives, the lease does."""

        async def renew() -> None:
            is_ours = True
            while is_ours:
                await asyncio.sleep(self._tuning.renew_seconds)
                with suppress(StoreError):
                    is_ours = await self._take(lease, held, self._now(), former=lease.name) is not None
            lease.until = 0.0

        task = asyncio.create_task(renew())
        try:
            yield
        finally:
            task.cancel()


_UNLINKED = "the account was unlinked meanwhile"
_WITHIN = "refresh_account was called for an account within its own refresh, which it would wait for: return the fields"


def _version(row: Row) -> tuple[object, ...]:
    """Changes when the account is refreshed, or linked anew."""
    return row["id"], row["refresh_count"]


def _is_free(row: Row, now: datetime, lease: timedelta) -> bool:
    """Whether nobody holds a lease that can be alive. A clock that went back may have left one that ends later than
    any living one could."""
    until = rows.lease_end(row)
    return row["refresh_holder"] is None or until is None or until <= now or until > end_of(now, lease + _SKEW)


async def _answer(refresh: Refresh, account: Account, timeout: timedelta) -> dict[str, Any]:
    """What the provider gives. Raises `TimeoutError`."""
    limit = asyncio.timeout(timeout.total_seconds())
    try:
        async with limit:
            return given(dict(await refresh(account)))
    except TimeoutError:
        if not limit.expired():
            raise
        raise TimeoutError(f"refresh did not return within {timeout.total_seconds():g} seconds") from None


def _written(statement: Statement) -> Unit[Row | None]:
    written = yield statement
    return written[0] if written else None


def _finish(held: Row, fields: Mapping[str, Any], now: datetime, cipher: Cipher) -> Unit[Account]:
    """Writes what the provider gave, unless the account moved on since its lease was taken."""
    found = yield claimed_account(held["provider"], held["provider_account_id"])
    if not found or found[0]["user_id"] != held["user_id"]:
        raise AccountNotFoundError(_UNLINKED)
    row = found[0]
    if _version(row) != _version(held):
        # We were taken for dead, and somebody was faster: theirs is the newer grant.
        return rows.account(row, cipher)
    yield queries.finish_refresh(id=row["id"])
    if _has_newer_tokens(row, held, cipher):
        return rows.account(row, cipher)
    return (yield from update_account(row, fields, now, cipher))


def _has_newer_tokens(row: Row, held: Row, cipher: Cipher) -> bool:
    """Whether somebody gave the account other tokens since. What was sealed anew under a key that we do not have, or
    cleared, is no newer for that; whoever links an account leaves a time."""
    now, then = rows.account_as_readable(row, cipher), rows.tokens(held, cipher)
    if any(getattr(now, column) not in (None, token) for column, token in then.items()):
        return True
    return bool(now.unreadable) and row["updated_at"] != held["updated_at"]
