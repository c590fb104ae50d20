"""Keeping the store in order: pruning, transactions, health, new keys."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from functools import partial
from typing import NamedTuple, Self

from authstore.acting import current_actor
from authstore.database import Unit
from authstore.encryption import Cipher
from authstore.errors import KeyUnavailableError
from authstore.models import Event
from authstore.sql import queries
from authstore.store import rows
from authstore.store.health import HealthStore
from authstore.store.pruning import PruningStore
from authstore.store.sessions.endings import Ending

_ACCOUNTS = 200


class MaintenanceStore(PruningStore, HealthStore):
    """`Maintenance` of the contract."""

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Self]:
        """See `authstore.adapter.Maintenance.transaction`."""
        events: list[Event] = []
        async with self._db.transaction() as database:
            inner = type(self)(database, self._policy, self._clock, self._cipher, tuning=self._tuning)
            inner._ids, inner._log, inner._tally, inner._is_inner = self._ids, self._log, self._tally, True
            inner._listeners = (events.extend,) if self._listeners else ()
            yield inner
        self._tell(events)

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
        changed, unreadable, after, now = 0, 0, "", self._now()
        while True:
            step = await self._write(partial(work, after, self._cipher), now)
            changed, unreadable = changed + step.changed, unreadable + step.unreadable
            if step.last is None:
                return changed, unreadable
            after = step.last

    async def begin_anew(self, after: int, revoke_since: datetime | None) -> int:
        """What a store does that was put back: its change log goes on beyond `after`, the newest row of the one whose
        place it takes, so that neither a cache nor a reader of events takes what follows for what it has seen. Ends
        the sessions that lived at `revoke_since` or began after it, and verification tokens: how many sessions."""
        ending = Ending("restored", self._now(), current_actor(), self._policy)
        return await self._write(lambda: _begin_anew(after, revoke_since, ending), ending.at)

    async def close(self) -> None:
        """See `authstore.adapter.Maintenance.close`."""
        await self._db.close()


def _begin_anew(after: int, since: datetime | None, ending: Ending) -> Unit[int]:
    [newest] = yield queries.get_newest_change()
    yield queries.go_on_from(seq=max(newest["seq"] or 0, after) + 1, at=ending.at)
    if since is None:
        return 0
    yield queries.note_endings_since(since=since, reason=ending.reason, at=ending.at, actor=ending.actor)
    yield queries.delete_verification_tokens_since(since=since)
    return len((yield queries.delete_sessions_since(since=since)))


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
