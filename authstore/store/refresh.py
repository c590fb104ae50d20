"""Refreshing a provider's tokens: one caller at a time, across processes, by a lease on the account's row."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from typing import Any

from authstore.adapter import Refresh
from authstore.database import Row, Unit
from authstore.encryption import Cipher
from authstore.errors import AccountNotFoundError, StoreError
from authstore.models import Account
from authstore.sql import queries
from authstore.store import rows
from authstore.store.accounts import AccountStore, claimed_account, given, update_account
from authstore.tokens import new_secret

LEASE = timedelta(seconds=30)
_RENEW_SECONDS = 10.0
_FIRST_WAIT_SECONDS = 0.01
_LONGEST_WAIT_SECONDS = 0.25


class RefreshStore(AccountStore):
    """`refresh_account` of the contract."""

    async def refresh_account(self, provider: str, provider_account_id: str, refresh: Refresh) -> Account:
        """See `authstore.adapter.Accounts.refresh_account`."""
        key = {"provider": provider, "provider_account_id": provider_account_id}
        seen = await self._existing(key)
        holder = new_secret()
        try:
            return await self._refresh_or_wait(key, holder, seen, refresh)
        except BaseException:
            # Also who was cancelled while taking the lease may have it.
            await self._release(key, holder)
            raise

    async def _refresh_or_wait(self, key: Mapping[str, str], holder: str, seen: Row, refresh: Refresh) -> Account:
        wait = _FIRST_WAIT_SECONDS
        while True:
            held = await self._hold(key, holder, seen["refresh_count"])
            if held is not None and held["refresh_holder"] == holder:
                return await self._refresh(key, holder, held, refresh)
            if held is not None:
                return rows.account(held, self._cipher)
            await asyncio.sleep(wait)
            wait = min(wait * 2, _LONGEST_WAIT_SECONDS)
            current = await self._existing(key)
            if current["refresh_count"] != seen["refresh_count"]:
                return rows.account(current, self._cipher)

    async def _existing(self, key: Mapping[str, str]) -> Row:
        row = await self._account_row(key["provider"], key["provider_account_id"])
        if row is None:
            raise AccountNotFoundError("no such account is linked")
        return row

    async def _hold(self, key: Mapping[str, str], holder: str, seen_count: int) -> Row | None:
        """The row with our lease on it; the row without it where somebody refreshed meanwhile; `None`: wait."""
        now = self._now()
        lease = {**key, "holder": holder, "now": now, "until": now + LEASE}
        return await self._db.unit(lambda: _hold(lease, seen_count))

    async def _refresh(self, key: Mapping[str, str], holder: str, held: Row, refresh: Refresh) -> Account:
        async with self._renewed(key, holder, held["refresh_count"]):
            fields = given(dict(await refresh(rows.account(held, self._cipher))))
        now = self._now()
        return await self._db.unit(lambda: _finish(key, held["refresh_count"], fields, now, self._cipher))

    async def _release(self, key: Mapping[str, str], holder: str) -> None:
        # Shielded: a cancelled caller must not leave the others waiting for the lease to run out.
        with suppress(StoreError):
            await asyncio.shield(self._db.unit(lambda: _release(key, holder)))

    @asynccontextmanager
    async def _renewed(self, key: Mapping[str, str], holder: str, seen_count: int) -> AsyncIterator[None]:
        """A slow provider is no crash: while the caller lives, the lease does."""

        async def renew() -> None:
            while True:
                await asyncio.sleep(_RENEW_SECONDS)
                with suppress(StoreError):
                    await self._hold(key, holder, seen_count)

        task = asyncio.create_task(renew())
        try:
            yield
        finally:
            task.cancel()


def _hold(lease: Mapping[str, Any], seen_count: int) -> Unit[Row | None]:
    key = {"provider": lease["provider"], "provider_account_id": lease["provider_account_id"]}
    found = yield claimed_account(**key)
    if not found:
        raise AccountNotFoundError("no such account is linked")
    if found[0]["refresh_count"] != seen_count:
        return found[0]
    held = yield queries.hold_refresh(**lease)
    return held[0] if held else None


def _finish(
    key: Mapping[str, str], seen_count: int, fields: Mapping[str, Any], now: datetime, cipher: Cipher
) -> Unit[Account]:
    found = yield claimed_account(**key)
    if not found:
        raise AccountNotFoundError("the account was unlinked meanwhile")
    row = found[0]
    if row["refresh_count"] != seen_count:
        # We were taken for dead, and somebody was faster: theirs is the newer grant.
        return rows.account(row, cipher)
    account = yield from update_account(row, fields, now, cipher)
    yield queries.finish_refresh(id=row["id"])
    return account


def _release(key: Mapping[str, str], holder: str) -> Unit[None]:
    yield queries.release_refresh(**key, holder=holder)
