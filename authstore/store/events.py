"""What the change log tells, and how long it remembers."""

from datetime import datetime, timedelta
from functools import partial

from authstore.database import Unit
from authstore.expiry import oldest_start
from authstore.models import Event
from authstore.sql import queries
from authstore.store.log.changes import (
    ChainCheck,
    ChainReport,
    checked_after,
    event,
    forget,
    keep_few,
    keep_for,
    lost,
)
from authstore.store.shared import StoreBase, Values, checked_limit

_CHECK_BATCH = 500
_LAST_HASH = b"\xff" * 32
KEEP_ENDED = timedelta(days=30)  # what tokens died of, at least


class EventStore(StoreBase):
    """`events` of the contract, and what `authstore.ops` asks of the log."""

    async def events(self, *, after: int = 0, limit: int = 100) -> list[Event]:
        """See `authstore.adapter.Maintenance.events`."""
        checked_after(after)
        found = await self._db.all(queries.list_events(after=after, limit=checked_limit(limit)))
        if after < found[0]["lost"] or after > found[0]["newest"]:
            first = await self._db.one(queries.get_first_event())
            raise lost(first["seq"] if first and first["seq"] is not None else found[0]["newest"] + 1)
        return [event(row) for row in found if row["seq"] is not None]

    async def keep_events(self, span: timedelta | None, *, at_least: bool = False) -> None:
        """How long events are kept; `None`: the last 10 000 rows. `at_least`: no shorter than somebody asked for."""
        await self._db.unit(keep_few if span is None else partial(keep_for, span, at_least=at_least))
        await self.look_at_log()

    async def look_at_log(self) -> None:
        """Whether there is an audit; asked again once a minute, since another process may begin one."""
        log = await self._db.one(queries.get_change_log())
        if log is not None:
            self._log.note(log)

    async def check_events(self) -> ChainReport:
        """Whether the events are those that were noted, in their order, none gone. Without an audit nothing is
        chained, and nothing checked."""
        log = await self._db.one(queries.get_change_log())
        if log is None or log["audit_seconds"] is None:
            return ChainReport(0, 0, ())
        check = ChainCheck(log)
        while found := await self._db.all(queries.list_chained_changes(after=check.last, limit=_CHECK_BATCH)):
            for row in found:
                check.take(row)
        return check.report()

    async def _forget_events(self, now: datetime) -> bool:
        """Forgets a stretch of events that nobody has to keep any longer; whether there may be more."""
        audit = await self._audit()
        return audit is not None and await self._db.unit(partial(forget, oldest_start(now, audit)))

    async def _audit(self) -> timedelta | None:
        """How long events are kept, where that is said."""
        log = await self._db.one(queries.get_change_log())
        return None if log is None or log["audit_seconds"] is None else timedelta(seconds=log["audit_seconds"])

    async def _forget_tokens(self, after: bytes, now: datetime) -> bytes | None:
        """Forgets a stretch of ended tokens; where it ends, `None` for the last."""
        before = oldest_start(now, max(KEEP_ENDED, await self._audit() or KEEP_ENDED))
        end = await self._db.one(queries.get_end_of_stretch(after=after, length=_CHECK_BATCH))
        stretch = {"after": after, "last": end["token_hash"] if end else _LAST_HASH, "before": before}
        if await self._db.one(queries.has_old_ended_tokens(**stretch)):
            await self._db.unit(partial(_delete_ended_tokens, stretch))
        return end["token_hash"] if end else None


def _delete_ended_tokens(stretch: Values) -> Unit[None]:
    yield queries.delete_old_ended_tokens(**stretch)
