"""Keeping the store in order: pruning, transactions, health, new keys."""

import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from typing import Any, NamedTuple, Self

from pydantic import JsonValue

from authstore.database import Row, Unit
from authstore.encryption import Cipher
from authstore.errors import KeyUnavailableError, StoreClosedError, StoreError, StoreMisuseError
from authstore.models import Health, PruneReport
from authstore.sql import Query, queries
from authstore.store import rows
from authstore.store.base import StoreBase, Values

_ACCOUNTS = 200
_PRUNE_BATCH = 250  # at most, so that another writer waits for milliseconds (a quarter of what 1000 rows take)


class _Prunable(NamedTuple):
    scan: Query
    delete: Query
    total: Query
    first: str | int  # what comes before every key


_PRUNABLE: Mapping[str, _Prunable] = {
    "sessions": _Prunable(queries.scan_sessions, queries.delete_dead_sessions, queries.count_dead_sessions, ""),
    "verification_tokens": _Prunable(
        queries.scan_verification_tokens,
        queries.delete_dead_verification_tokens,
        queries.count_dead_verification_tokens,
        -(2**63),
    ),
}


class MaintenanceStore(StoreBase):
    """`Maintenance` of the contract."""

    async def prune(self, *, batch: int = 1000, max_seconds: float | None = None) -> PruneReport:
        """See `authstore.adapter.Maintenance.prune`."""
        if isinstance(batch, bool) or not isinstance(batch, int) or batch < 1:
            raise ValueError("batch must be a whole number of at least 1")
        if max_seconds is not None and not max_seconds >= 0:
            raise ValueError("max_seconds must not be negative")
        deadline = None if max_seconds is None else time.monotonic() + max_seconds
        cutoffs = self._cutoffs(self._now())
        deleted = {table: await self._prune(steps, cutoffs, batch, deadline) for table, steps in _PRUNABLE.items()}
        remaining = 0
        if deadline is not None and time.monotonic() >= deadline:
            remaining = sum([await self._count(steps, cutoffs) for steps in _PRUNABLE.values()])
        return PruneReport(deleted=deleted, remaining=remaining)

    async def _prune(self, steps: _Prunable, cutoffs: Values, batch: int, deadline: float | None) -> int:
        """Walks the table by key on the reading side, so that no index on dates burdens every sign-in, and
        writes only where something is dead, at most `batch` rows a transaction."""
        deleted = 0
        after: Any = steps.first
        while deadline is None or time.monotonic() < deadline:
            stretch = await self._db.one(steps.scan(**{**cutoffs, "after": after, "limit": min(batch, _PRUNE_BATCH)}))
            if stretch is None or stretch["last"] is None:
                break
            after = stretch["last"]
            if stretch["dead"] != "[]":
                deleted += await self._delete(steps.delete, stretch, cutoffs)
        return deleted

    async def _delete(self, query: Query, stretch: Row, cutoffs: Values) -> int:
        def unit() -> Unit[int]:
            return len((yield query(**cutoffs, ids=stretch["dead"])))

        return await self._db.unit(unit)

    async def _count(self, steps: _Prunable, cutoffs: Values) -> int:
        row = await self._db.one(steps.total(**cutoffs))
        return int(row["dead"]) if row else 0

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Self]:
        """See `authstore.adapter.Maintenance.transaction`."""
        async with self._db.transaction() as database:
            inner = type(self)(database, self._policy, self._clock, self._cipher)
            inner._ids = self._ids
            yield inner

    async def health(self) -> Health:
        """See `authstore.adapter.Maintenance.health`. Raises `StoreClosedError`, `StoreMisuseError`."""
        started = time.perf_counter()
        detail: dict[str, JsonValue]
        try:
            detail = await self._db.facts()
        except (StoreClosedError, StoreMisuseError):
            raise
        except StoreError as error:
            detail = {"error": type(error).__name__, "message": str(error)}
        latency = timedelta(seconds=time.perf_counter() - started)
        return Health(ok="error" not in detail, latency=latency, detail=detail)

    async def rekey(self) -> int:
        """See `authstore.adapter.Maintenance.rekey`.

        Raises `KeyUnavailableError`, after all others are done, where some were sealed under a key that
        was not given. Without keys there is nothing to do.
        """
        changed, unreadable = await self._each_account(_rekey)
        if unreadable:
            raise KeyUnavailableError(
                f"{changed} accounts were encrypted anew; {unreadable} are under a key that was not given:"
                " pass it in keys=, or clear them by forget_unreadable()"
            )
        return changed

    async def forget_unreadable(self) -> int:
        """See `authstore.adapter.Maintenance.forget_unreadable`."""
        changed, _ = await self._each_account(_forget_unreadable)
        return changed

    async def _each_account(self, work: Callable[[str, Cipher], "Unit[_Step]"]) -> tuple[int, int]:
        """Runs `work` on a stretch of accounts at a time: how many it changed, and how many it could not read."""
        changed, unreadable, after = 0, 0, ""
        while True:
            step = await self._db.unit(partial(work, after, self._cipher))
            changed, unreadable = changed + step.changed, unreadable + step.unreadable
            if step.last is None:
                return changed, unreadable
            after = step.last

    async def close(self) -> None:
        """See `authstore.adapter.Maintenance.close`."""
        await self._db.close()


class _Step(NamedTuple):
    changed: int
    unreadable: int
    last: str | None


def _rekey(after: str, cipher: Cipher) -> Unit[_Step]:
    if not cipher.prefix:
        return _Step(0, 0, None)
    found = yield queries.list_accounts_to_rekey.changing(
        after=after, length=len(cipher.prefix), prefix=cipher.prefix, limit=_ACCOUNTS
    )
    unreadable = 0
    for row in found:
        account = rows.account_as_readable(row, cipher)
        yield queries.update_account(**rows.account_values(account, cipher, row))
        unreadable += bool(account.unreadable)
    return _Step(len(found) - unreadable, unreadable, found[-1]["id"] if found else None)


def _forget_unreadable(after: str, cipher: Cipher) -> Unit[_Step]:
    found = yield queries.list_encrypted_accounts.changing(after=after, limit=_ACCOUNTS)
    changed = 0
    for row in found:
        account = rows.account_as_readable(row, cipher)
        if account.unreadable:
            yield queries.update_account(**rows.account_values(account, cipher))
            changed += 1
    return _Step(changed, 0, found[-1]["id"] if found else None)
