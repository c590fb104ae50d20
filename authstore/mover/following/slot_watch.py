"""What the slot makes the source keep, watched: while the log is followed, and while nobody reads it yet."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from authstore.mover.errors import MoverError
from authstore.mover.following.order import Order
from authstore.mover.postgres.connection import connect, end
from authstore.mover.postgres.replication.slots import Slot, SlotState
from authstore.mover.postgres.replication.stream import SlotLostError
from authstore.mover.postgres.url import checked_url
from authstore.mover.reports import Problem, ProblemEvent

_LOOK = 1.0  # seconds between two looks
_NEARLY = 10  # of what the source lets a slot keep, when no more than one part of so many is left


def heed_slot(order: Order, state: SlotState | None) -> None:
    """Raises `SlotLostError` where the slot is gone or has to go; tells, once, where it is about to be lost."""
    if state is None or state.is_lost:
        raise SlotLostError("the replication slot is gone, or the log that it kept")
    if 0 < order.max_slot_wal < state.kept:
        raise SlotLostError(f"the slot keeps {state.kept >> 20:,} MB of the source's log, more than it may")
    if state.safe is not None and state.safe * (_NEARLY - 1) < state.kept:
        said = (
            "the source will soon drop the log that the slot needs, and everything would have to be compared anew:"
            " raise max_slot_wal_keep_size there"
        )
        order.tell([Problem("slot", "", said)])


@contextmanager
def slot_watched(order: Order, name: str) -> Iterator[None]:
    """While everything is copied for the first time, however long that takes: beyond its limit the slot goes at once,
    and the copy goes on without it."""
    ended = threading.Event()
    watching = threading.Thread(target=_watch, args=(order, name, ended), name="authstore-slot", daemon=True)
    watching.start()
    try:
        yield
    finally:
        ended.set()
        watching.join()


def _watch(order: Order, name: str, ended: threading.Event) -> None:
    """Over a connection of its own; one that is lost is made anew, as the move's are."""
    while not ended.wait(_LOOK):
        with suppress(MoverError):
            connection = connect(checked_url(order.url), ended, order.tuning)
            try:
                if not _stays(order, Slot(connection, name, ended, order.tuning), ended):
                    return
            finally:
                end(connection)


def _stays(order: Order, slot: Slot, ended: threading.Event) -> bool:
    """Whether the slot is still there at the end."""
    try:
        while True:
            heed_slot(order, slot.state())
            if ended.wait(_LOOK):
                return True
    except SlotLostError as error:
        said = f"{error}; it is given up, and once all is copied a new one is made and everything compared"
        order.emit(ProblemEvent(Problem("slot", "", said)))
        slot.drop_slot()
        return False
