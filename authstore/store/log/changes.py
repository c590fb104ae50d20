"""The change log: which events there are, how long they are kept, and the chain that shows what was done to them."""

import hashlib
import json
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from math import ceil
from typing import Any, NamedTuple, TypeVar

from authstore.database import Row, Unit, within
from authstore.errors import ChangesLostError
from authstore.models import Event
from authstore.sql import queries
from authstore.store import rows

T = TypeVar("T")

_LOOK_SECONDS = 60.0  # how long a store may not notice that another one asked for an audit
_SEAL_BATCH = 500
_FORGET_BATCH = 1000
_BEGINNING = hashlib.sha256(b"authstore").digest()


class LogState:
    """What a store knows of the log: whether there is an audit. Shared by a store and its transactions."""

    def __init__(self) -> None:
        self.is_audited = False
        self._looked = float("-inf")

    @property
    def is_due(self) -> bool:
        """Whether it is time to look again."""
        return time.monotonic() - self._looked > _LOOK_SECONDS

    def note(self, log: Row) -> None:
        """What the database says of the log."""
        self.is_audited = log["audit_seconds"] is not None
        self._looked = time.monotonic()

    def keeping(self, make: Callable[[], Unit[T]], *, look: bool) -> Unit[T]:
        """A unit of work, with a look at the log where it was time for one, and whose events join the chain in the same
        transaction where there is an audit. One without either goes on after nothing: it may be a single statement."""
        if look:
            [log] = yield queries.get_change_log()
            self.note(log)
        result = yield from within(make())
        if self.is_audited:
            yield from seal()
        return result


def seal() -> Unit[int]:
    """Chains the events that are not chained yet, each to the one before; how many. Without an audit, none."""
    count = 0
    while found := (yield queries.list_unsealed_changes(limit=_SEAL_BATCH)):
        chain = bytes(found[0]["sealed_hash"])
        for row in found:
            yield queries.seal_change(seq=row["seq"], chain=chain)
            chain = digest(row, chain)
        yield queries.set_sealed(seq=found[-1]["seq"], hash=chain)
        count += len(found)
    return count


def digest(row: Row, chain: bytes) -> bytes:
    """The SHA-256 of an event and of all before it."""
    at = rows.instant_text(rows.instant(row["at"]))
    said = [row[name] for name in ("seq", "type", "user_id", "session_id", "reason", "actor", "data", "nonce")]
    return hashlib.sha256(json.dumps([at, *said, chain.hex()]).encode()).digest()


def keep_for(span: timedelta, *, at_least: bool) -> Unit[None]:
    """Events are kept for this long, or `at_least` for this long; the chain begins where there was none."""
    [log] = yield queries.get_change_log()
    keep = queries.lengthen_audit if at_least else queries.set_audit
    yield keep(seconds=ceil(span.total_seconds()))
    if log["audit_seconds"] is None:
        yield queries.begin_chain(hash=_BEGINNING)
    yield from seal()


def keep_few() -> Unit[None]:
    """No audit: the last 10 000 rows are kept."""
    yield queries.set_audit(seconds=None)


def forget(before: datetime) -> Unit[bool]:
    """Forgets the oldest events from before this instant, a stretch of them; whether there may be more."""
    yield from seal()
    found = yield queries.list_oldest_changes(limit=_FORGET_BATCH)
    last = None
    for number, row in enumerate(found[:-1]):  # the newest stays, so that the chain has an end
        if rows.instant(row["at"]) >= before:
            break
        last = number
    if last is None:
        return False
    yield queries.set_lost(seq=found[last]["seq"], hash=found[last + 1]["chain"])
    yield queries.delete_changes_before(seq=found[last + 1]["seq"])
    return last == _FORGET_BATCH - 2


@rows.reads("changes", "seq")
def event(row: Row) -> Event:
    """An event from its row."""
    return Event(
        seq=row["seq"],
        at=rows.instant(row["at"]),
        type=row["type"],
        user_id=row["user_id"],
        session_id=row["session_id"],
        reason=row["reason"],
        actor=row["actor"],
        data=json.loads(row["data"] or "{}"),
    )


def checked_after(after: int) -> int:
    """The number of an event. Raises `TypeError`, `ValueError`."""
    if isinstance(after, bool) or not isinstance(after, int):
        raise TypeError("after is the seq of an event")
    if not 0 <= after < 2**63:
        raise ValueError("after is the seq of an event: no less than 0, and less than 2**63")
    return after


def lost(first: int) -> ChangesLostError:
    """What a reader gets who would miss something."""
    return ChangesLostError(
        f"the change log no longer holds what came after that event: it begins with event {first}", first=first
    )


class ChainProblem(NamedTuple):
    """Something was done to the log: an event was changed, dropped or moved.

    `after` is the last event that is where it belongs, `before` the next one there is (`None`: the newest are gone).
    """

    after: int
    before: int | None


class ChainReport(NamedTuple):
    """What checking the chain found. `unsealed`: events that plain SQL made since a store last wrote."""

    checked: int
    unsealed: int
    problems: tuple[ChainProblem, ...]


class ChainCheck:
    """Goes through the events in their order, and compares."""

    def __init__(self, log: Row) -> None:
        self._sealed = log["sealed"]
        self._sealed_hash = _bytes(log["sealed_hash"])
        self._chain = _bytes(log["lost_hash"])
        self.last = log["lost"]
        self._count = 0
        self._unsealed = 0
        self._problems: list[ChainProblem] = []

    def take(self, row: Row) -> None:
        """The next event."""
        chain = _bytes(row["chain"])
        if row["seq"] > self._sealed:
            self._end()
            self._unsealed += 1
        elif chain != self._chain:
            self._problems.append(ChainProblem(self.last, row["seq"]))
        self._chain = digest(row, chain or b"")
        self.last = row["seq"]
        self._count += 1

    def report(self) -> ChainReport:
        """The result."""
        self._end()
        return ChainReport(self._count, self._unsealed, tuple(self._problems))

    def _end(self) -> None:
        if not self._unsealed and self._chain != self._sealed_hash:
            self._problems.append(ChainProblem(self.last, None))
            self._sealed_hash = self._chain


def _bytes(value: Any) -> bytes | None:
    return None if value is None else bytes(value)
