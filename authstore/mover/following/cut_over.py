"""The cut-over: the source is closed, the rest of its log is drained, and the verdict is spoken.

    level      everything is compared once more while the application works, so that only what changes since is left
    close      the tables are locked, guarded and let go; from here on the standstill counts
    drain      the log up to where it stood under the lock
    verdict    what changed since the levelling is asked of both sides again; tables that no log tells of are compared
    finish     the target becomes a store like any other, slot and publication go

Where the verdict is bad, or anything fails before the end, the guards are taken off again. Whoever is killed leaves
them, and the target marked as followed: the same command goes on from there.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from authstore.expiry import utc_now
from authstore.mover.batches import Key
from authstore.mover.errors import MoverError, SourceError, SourceUnavailableError, TargetError
from authstore.mover.following.finishing import finish
from authstore.mover.following.follower import Following
from authstore.mover.following.order import Order, bound
from authstore.mover.following.source import reopen
from authstore.mover.plan import iso
from authstore.mover.postgres.replication.changes import Identity
from authstore.mover.postgres.replication.guard import close_tables, guarded_tables
from authstore.mover.postgres.replication.keyed import KeyedRows, count_rows
from authstore.mover.reports import FollowReport, ProgressEvent, RetryEvent
from authstore.mover.sqlite.integrity import references_of
from authstore.mover.sqlite.ledger import sessions_moment

_LOCK_MS, _LONGEST_LOCK_MS = 500, 4000  # milliseconds that the application may be kept waiting by one try
_TRIES, _PAUSE = 30, 0.5
_CLOSE = 0.5  # seconds behind, with which the tables are closed
_DRAIN = 60.0  # seconds


def cut_over(following: Following) -> FollowReport:
    """To its end. Raises `TargetError` where the verdict is bad."""
    with _reopened_on_failure(following.order):
        _level(following)
        began, under_lock = _close(following)
        _drain(following, under_lock)
        _settle(following)
        _judge(following)
        standstill = time.monotonic() - began
        return finish(following, standstill)


def _level(following: Following) -> None:
    """With the moments of now, as an ordinary move has them; then the rest of the log, until little is left of it."""
    order, target = following.order, following.target
    order.emit(ProgressEvent("", "compare", 0, sum(following.scheme.rows.values())))
    now = iso(utc_now())
    moments = {"judged_at": now, "sessions_at": sessions_moment(target.notes, now, order.tuning.sessions_may_lag)}
    with target.transaction():
        target.note(moments)
    following.applying.changed = {}
    following.source.view.renew()
    following.replan(bound(order.options, target.notes))
    following.compare(following.feeds.readers)
    following.source.view.rest()
    following.look()
    near = _CLOSE
    while _drained_in(following) > near:  # where the source is never still for so long, a little more is enough
        near *= 1.2


def _drained_in(following: Following) -> float:
    """Seconds that the log takes from where the source stands to the target: what a standstill would begin with."""
    began = time.monotonic()
    _read_up_to(following, following.source.slot.end())
    following.step()
    return time.monotonic() - began


def _read_up_to(following: Following, lsn: int) -> None:
    """What is read on the way is applied. Raises `SourceUnavailableError` where the log does not get there."""
    end = time.monotonic() + _DRAIN
    while not following.log.reach(lsn, _CLOSE):
        following.step()
        if time.monotonic() > end:
            raise SourceUnavailableError("the source's log did not come to its end", hint="run the same command again")


def _close(following: Following) -> tuple[float, int]:
    """When the tables were asked for, and where the log stood under their locks. Keeps on following in between."""
    order, wait = following.order, _LOCK_MS
    tables = sorted(following.feeds.leaves)
    for _ in range(_TRIES):
        began = time.monotonic()
        under_lock = close_tables(following.source.connection, tables, wait)
        if under_lock is not None:
            return began, under_lock
        order.emit(RetryEvent("the source's tables are in use and were not to be locked", _PAUSE))
        end = time.monotonic() + _PAUSE
        while time.monotonic() < end:
            following.step()
            following.log.wait(_CLOSE)
        wait = min(_LONGEST_LOCK_MS, wait * 2)
    raise SourceError(
        "the source's tables were in use at every try to lock them",
        hint="end the transactions that stay open there (pg_stat_activity), and run the same command again",
    )


@contextmanager
def _reopened_on_failure(order: Order) -> Iterator[None]:
    try:
        yield
    except BaseException as error:
        _reopen(order, error)
        raise


def _reopen(order: Order, error: BaseException) -> None:
    """The application goes on where it was; where the source is away, nobody but the operator can see to that."""
    try:
        hint = "the source's tables are open again, and nothing is lost. " if reopen(order) else ""
    except MoverError:
        hint = "where the source's tables are closed, `authstore follow SOURCE TARGET --reopen` opens them. "
    if isinstance(error, MoverError):
        error.hint = f"{hint}{error.hint}".strip()


def _drain(following: Following, under_lock: int) -> None:
    _read_up_to(following, under_lock)
    following.step()


def _settle(following: Following) -> None:
    """Tables of which the log does not tell, and what else has to be compared as a whole."""
    if following.source.slot.shape() != following.shape:
        raise SourceError("the source's tables were changed at the last moment", hint="run the same command again")
    following.settle({*following.feeds.unpublished, *following.target.stale})


def _judge(following: Following) -> None:
    """Asks both sides again for what changed, and counts every table. Raises `TargetError`."""
    source, target, feeds = following.source, following.target, following.feeds
    source.view.renew()
    differing: dict[str, int] = {}
    for changed, identities in (following.applying.changed or {}).items():
        for name in feeds.own.get(changed, ()):
            if name in feeds.keyed:
                differing[name] = _differing(following, feeds.keyed[name].on(source.view.main), identities)
    for name, reader in feeds.readers.items():
        there, here = count_rows(reader.on(source.view.main)), target.count(name)
        differing[name] = max(differing.get(name, 0), abs(there - here))
    source.view.rest()
    broken = references_of(following.order.files.target, [*feeds.readers])
    said = [f"{name} ({count} rows)" for name, count in differing.items() if count]
    said += [f"{table} ({count} rows point to no {parent})" for (table, parent), count in broken.items()]
    if said:
        raise TargetError(f"the target is not what the source is: {', '.join(said)}")
    if len(guarded_tables(source.connection)) < len(feeds.leaves):
        raise SourceError("the source's tables were opened in the meantime", hint="run the same command again")


def _differing(following: Following, keyed: KeyedRows, identities: set[Identity]) -> int:
    layout, listed = keyed.reader.layout, sorted(identities)
    wanted: dict[Key, str | None] = dict.fromkeys(keyed.keys(listed))
    for batch in keyed.rows(listed):
        for digest, row in zip(batch.digests, batch.rows(0, len(batch)), strict=True):
            wanted[layout.key_of(row)] = digest
    return following.target.differing(layout, wanted)
