"""One call of `follow`: from the first move on, over lost connections, lost slots and other tables, to its end."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from authstore.mover.errors import MoverError, MoveStoppedError, SourceUnavailableError, TargetBusyError
from authstore.mover.following.applying import Applying
from authstore.mover.following.cut_over import cut_over
from authstore.mover.following.feeds import feeds_of
from authstore.mover.following.follower import Following, PlanChangedError, note_scheme
from authstore.mover.following.log import reading
from authstore.mover.following.order import Order, bound
from authstore.mover.following.slot_watch import heed_slot, slot_watched
from authstore.mover.following.source import (
    FollowedSource,
    keys_of,
    make_slot,
    opened,
    planned,
    refuse_closed,
    sources_of,
)
from authstore.mover.options import MoveOptions
from authstore.mover.plan import Scheme
from authstore.mover.postgres.replication.stream import SlotLostError, Stream
from authstore.mover.postgres.url import checked_url
from authstore.mover.reports import FollowReport, Problem, ProblemEvent, RetryEvent
from authstore.mover.sqlite.errors import translated
from authstore.mover.sqlite.followed import FollowedFile, opened_followed
from authstore.mover.sqlite.ledger import notes_in, options_note
from authstore.mover.sqlite.target_files import locked
from authstore.mover.sync.attempt import Run
from authstore.mover.sync.move import move_locked

_LONGEST_WAIT = 15.0
_FIRST_WAIT = 0.25


def run_follow(order: Order) -> FollowReport:
    """Blocks until it is stopped (`MoveStoppedError`), or to the end of the cut-over."""
    with translated(), locked(order.files):
        wait = _FIRST_WAIT
        while True:
            before = order.applied
            try:
                if report := _session(order):
                    return report
                wait = _FIRST_WAIT
            except PlanChangedError as error:
                order.emit(ProblemEvent(Problem("plan", "", str(error))))
            except SlotLostError as error:
                order.emit(ProblemEvent(Problem("slot", "", f"{error}; a new one is made, and everything compared")))
                order.gives_slot_up = True
            except (SourceUnavailableError, TargetBusyError) as error:
                if order.identity is None and "following" not in _notes(order):
                    raise  # nobody has ever answered at this URL
                wait = _FIRST_WAIT if order.applied > before else min(_LONGEST_WAIT, wait * 2)
                order.emit(RetryEvent(str(error), wait))
                order.stop.wait(wait)
            order.heed_stop()


def _notes(order: Order) -> dict[str, str]:
    return notes_in(order.files.target) if order.files.target.is_file() else {}


def _session(order: Order) -> FollowReport | None:
    """While the connections live. Nothing is given where the target was moved, and is to be followed from now on."""
    notes = _notes(order)
    slot = notes.get("following", "")
    with opened(order, slot) as source:
        if not (slot and order.cuts_over):  # a cut-over that was killed goes on
            refuse_closed(source, is_ours=bool(slot))
        if order.gives_slot_up:
            source.slot.drop_slot()
            order.gives_slot_up = False
        options = bound(order.options, notes) if slot else order.options
        shape = source.slot.shape()
        scheme = planned(order, source.view, options)
        published = source.slot.refuse(sources_of(scheme))
        source.view.rest()
        if not slot or notes.get("scheme") != scheme.fingerprint:
            _move(order, source, published)
            return None
        with opened_followed(order.files.target) as target:
            plan = _Planned(scheme, options, shape, published)
            after = _from_where(order, source, target, plan)
            with _followed(order, source, target, plan, after) as following:
                if order.cuts_over:
                    return cut_over(following)
                following.go_on()
    return None


def _move(order: Order, source: FollowedSource, published: list[tuple[str, str]]) -> None:
    """The whole of it, as `move` does it, with the log kept from before it began; then the target is marked."""
    state = source.slot.state()
    is_new = source.slot.publish(published)
    if state is not None and (state.is_lost or is_new):
        source.slot.drop_slot()
        state = None
    began = make_slot(order, source.slot) if state is None else state.confirmed
    try:
        with slot_watched(order, source.slot.name):
            move_locked(
                Run(order.url, order.files, order.options, order.emit, order.stop, proves=True, tuning=order.tuning)
            )
    except (SourceUnavailableError, TargetBusyError, MoveStoppedError):
        raise
    except MoverError:
        if state is None:  # nothing is left behind where nothing was
            source.slot.drop()
        raise
    with opened_followed(order.files.target) as target:
        target.mark(source.slot.name, began)


def _from_where(order: Order, source: FollowedSource, target: FollowedFile, plan: "_Planned") -> int:
    """The place in the log from which to read on. Where that is lost, everything is stale."""
    state = source.slot.state()
    is_new = source.slot.publish(plan.published)
    if state is not None:
        heed_slot(order, state)
    lost = state is None or is_new or state.confirmed > target.lsn
    if state is not None and is_new:
        source.slot.drop_slot()
        state = None
    began = make_slot(order, source.slot) if state is None else max(state.confirmed, target.lsn)
    with target.transaction():
        if lost:  # what came before the new slot, and after the plan, nobody tells of
            target.note_changes(began, (), {copy.target for copy in plan.scheme.copies}, is_plan_old=True)
        note_scheme(target, plan.scheme)
        target.note(options_note(plan.options))  # by which `verify` judges, whatever the first move was told
    return began


@dataclass(frozen=True, slots=True)
class _Planned:
    scheme: Scheme
    options: MoveOptions
    shape: str
    published: list[tuple[str, str]]


@contextmanager
def _followed(
    order: Order,
    source: FollowedSource,
    target: FollowedFile,
    planned: _Planned,
    after: int,
) -> Iterator[Following]:
    scheme = planned.scheme
    leaves = source.slot.leaves(sources_of(scheme))
    source.view.renew()
    feeds = feeds_of(scheme, source.view, planned.published, leaves, order.tuning)
    source.view.rest()
    stream = Stream(checked_url(order.url), order.stop, order.tuning)
    try:
        stream.start(source.slot.name, source.slot.name, after)
    except BaseException:
        stream.close()
        raise
    with reading(stream, after, keys_of(scheme, leaves)) as log:
        yield Following(order, source, scheme, Applying(order, target, feeds), log, planned.shape, planned.options)
