"""The source as a follower has it: an ordinary connection, a view that is renewed, a slot and its publication."""

import hashlib
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from authstore.mover.catalog import QualifiedName
from authstore.mover.errors import SourceError
from authstore.mover.following.order import Order
from authstore.mover.options import MoveOptions
from authstore.mover.plan import Scheme, scheme_of
from authstore.mover.postgres.connection import SourceConnection, connect, end, translated
from authstore.mover.postgres.replication.guard import guarded_tables, reopen_tables
from authstore.mover.postgres.replication.slots import Slot
from authstore.mover.postgres.snapshot import Snapshot
from authstore.mover.postgres.url import checked_url
from authstore.mover.problems import refuse_undecided
from authstore.mover.reports import Problem, ProblemEvent
from authstore.mover.sqlite.target_files import TargetFiles

_SETTLING = 0.01  # seconds between two looks, while a transaction is in the log and not yet to be seen
_LOOKS = 500
_SHOWN = 5
_REOPEN_SECONDS = 5  # of silence, after which a server is given up by whoever opens its tables again
_BOUND = "SET lock_timeout = '15s'"  # what has to wait longer than others may says so itself


@dataclass(frozen=True, slots=True)
class FollowedSource:
    """Open connections. `view` is renewed for each look."""

    connection: SourceConnection
    view: Snapshot
    slot: Slot


@contextmanager
def opened(order: Order, slot: str = "") -> Iterator[FollowedSource]:
    """Raises `SourceUnavailableError`, `SourceError`, `SourceChangedError`."""
    connection = connect(checked_url(order.url), order.stop, order.tuning)
    try:
        with translated():
            connection.execute(_BOUND)
        with Snapshot(order.url, order.stop, order.identity, order.tuning) as view:
            order.identity = view.identity
            yield FollowedSource(
                connection, view, Slot(connection, slot or slot_name(order.files), order.stop, order.tuning)
            )
    finally:
        end(connection)


def refuse_closed(source: FollowedSource, *, is_ours: bool) -> None:
    """Raises `SourceError` where a cut-over closed the source. `is_ours`: one into this target, which did not end."""
    if not (tables := guarded_tables(source.connection)):
        return
    others = f", and {len(tables) - _SHOWN} more" if len(tables) > _SHOWN else ""
    begun = (
        "it did not end: `authstore follow SOURCE TARGET --cut-over` ends it, and until then rows may be missing here"
        if is_ours
        else "its target is the store now"
    )
    raise SourceError(
        f"the source's tables are closed by a cut-over: {', '.join(tables[:_SHOWN])}{others}",
        hint=f"{begun}; `authstore follow SOURCE TARGET --reopen` opens the source again",
    )


def reopen(order: Order) -> list[str]:
    """Opens the source's tables, and gives those that were closed. Over a connection of its own, which hears of no
    stop: the one at hand may be lost, or over because of one."""
    tuning = replace(order.tuning, connect_seconds=_REOPEN_SECONDS, silence_seconds=_REOPEN_SECONDS)
    connection = connect(checked_url(order.url), threading.Event(), tuning)
    try:
        return reopen_tables(connection)
    finally:
        end(connection)


def slot_name(files: TargetFiles) -> str:
    """One for each target, so that several may follow one source."""
    return f"authstore_{hashlib.sha256(str(files.target).encode()).hexdigest()[:16]}"


def planned(order: Order, view: Snapshot, options: MoveOptions) -> Scheme:
    """The scheme as the view shows the source. Raises `UndecidedError` where a move would."""
    scheme = scheme_of(view.main, options)
    order.tell(scheme.problems)
    refuse_undecided(scheme.problems, "")
    return scheme


def sources_of(scheme: Scheme) -> list[QualifiedName]:
    """The tables of the source that the scheme reads, each once."""
    known = {(table.schema, table.name) for table in scheme.source.tables}
    moved = {copy.source for copy in scheme.copies} | {
        (one.table.schema, one.table.name) for one in scheme.recognised if one.moved
    }
    return sorted(moved & known)


def await_settled(view: Snapshot, transactions: set[int], stop: threading.Event) -> None:
    """Renews the view until it shows all of these."""
    for _ in range(_LOOKS):
        view.renew()
        if view.shows(transactions) or stop.wait(_SETTLING):
            return


def make_slot(order: Order, slot: Slot) -> int:
    """Where its log begins."""
    said = "a replication slot is made: the source waits until the transactions that are open there have ended"
    order.emit(ProblemEvent(Problem("wait", "", said)))
    return slot.create()


def keys_of(scheme: Scheme, leaves: dict[QualifiedName, QualifiedName]) -> dict[QualifiedName, Sequence[str]]:
    """By what a row of each table is known whose replica identity is all of it: the primary key."""
    primary = {
        (table.schema, table.name): key.columns for table in scheme.source.tables for key in table.keys if key.primary
    }
    return {leaf: primary[root] for leaf, root in leaves.items() if root in primary}
