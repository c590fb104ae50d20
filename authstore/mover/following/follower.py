"""A target kept equal to a source that is at work: what a follower does while its connections live."""

import json
import time
from collections.abc import Collection
from dataclasses import dataclass, field

from authstore.mover.errors import TargetError
from authstore.mover.following.applying import Applying
from authstore.mover.following.feeds import Feeds, feeds_of
from authstore.mover.following.log import Log
from authstore.mover.following.order import Order, bound
from authstore.mover.following.slot_watch import heed_slot
from authstore.mover.following.source import FollowedSource, await_settled, planned, sources_of
from authstore.mover.options import MoveOptions
from authstore.mover.plan import Scheme
from authstore.mover.reports import LagEvent
from authstore.mover.sqlite.followed import FollowedFile

_WAIT = 0.2  # seconds that news are waited for
_SAY, _LOOK, _NOTE = 1.0, 1.0, 5.0  # seconds between lags told, looks at the source, notes of a quiet log


class PlanChangedError(Exception):
    """The target has to be made with another plan. Never leaves this room."""


@dataclass(slots=True)
class Following:
    """A target that is open, and a log that is read. `shape`: of the source's tables when they were planned."""

    order: Order
    source: FollowedSource
    scheme: Scheme
    applying: Applying
    log: Log
    shape: str
    options: MoveOptions
    _rested: float = 0.0
    _compared: float = field(default_factory=time.monotonic)
    _said: float = 0.0
    _looked: float = field(default_factory=time.monotonic)
    _noted: float = field(default_factory=time.monotonic)

    @property
    def target(self) -> FollowedFile:
        return self.applying.target

    @property
    def feeds(self) -> Feeds:
        return self.applying.feeds

    def go_on(self) -> None:
        """Until it is stopped, or something has to be begun anew, which is raised."""
        while True:
            self.step()
            self.by_the_clock()
            self.log.wait(_WAIT)

    def step(self) -> int:
        """Applies what there is; how many rows of the source had changed."""
        self.order.heed_stop()
        changes = self.log.take()
        if changes.transactions:
            await_settled(self.source.view, changes.transactions, self.order.stop)
            self.applying.apply(changes, self.source.view)
            self.source.view.rest()
            self.log.confirm(self.target.lsn)
        return changes.rows

    def by_the_clock(self) -> None:
        """What is due. Raises `PlanChangedError`, `SlotLostError`."""
        now = time.monotonic()
        if now - self._said > _SAY:
            self._said = now
            self.say()
        if now - self._looked > _LOOK:
            self.look()
        if now - self._noted > _NOTE:
            self._noted = now
            self.note_quiet()
        if now > self._rested and (self.target.is_plan_old or self._due(now)):
            self.settle(self._due(now))
            self._rested = time.monotonic() + self.order.tuning.compare_share * (time.monotonic() - now)

    def say(self) -> None:
        """How far the target is behind."""
        waiting = self.log.behind
        seconds = max(0.0, time.time() - waiting.since) if waiting.since else 0.0
        self.order.emit(LagEvent(waiting.rows, round(seconds, 3), self.order.applied))

    def look(self) -> None:
        """At the source's definitions and at the slot."""
        if self.source.slot.shape() != self.shape:
            raise PlanChangedError("the source's tables are not what they were: planned anew")
        self._look_at_slot()

    def _look_at_slot(self) -> None:
        self._looked = time.monotonic()
        heed_slot(self.order, self.source.slot.state())

    def note_quiet(self) -> None:
        """Where nothing of ours changes, the log goes on all the same, and need not be kept."""
        if (read := self.log.read) > self.target.lsn:
            with self.target.transaction():
                self.target.note({"follow_lsn": str(read)})
            self.log.confirm(read)

    def _due(self, now: float) -> set[str]:
        """Tables to be compared as a whole."""
        if now - self._compared < self.order.tuning.compare_rest:
            return self.target.stale
        return self.target.stale | set(self.feeds.unpublished)

    def settle(self, tables: set[str]) -> None:
        """Plans anew where that is due, and compares these tables as a whole."""
        view = self.source.view
        view.renew()
        is_planned = self.target.is_plan_old or self.feeds.is_plan_outgrown(tables | self.target.stale, view)
        if is_planned:
            self.replan(bound(self.order.options, self.target.notes))
        if tables >= set(self.feeds.unpublished):
            self._compared = time.monotonic()
        try:
            self.compare(tables)
        except TargetError:  # two rows that share what only one may have, of which the plan knows nothing
            if is_planned:
                raise
            self.replan(bound(self.order.options, self.target.notes))
            self.compare(tables)
        view.rest()

    def compare(self, tables: Collection[str]) -> None:
        """These tables and those that are stale, each as a whole, with an eye on the slot, which keeps the log of all
        that comes meanwhile."""
        for copy in self.scheme.copies:
            if copy.target in tables or copy.target in self.target.stale:
                self.applying.equalise(copy.target, self.source.view, self._look_now_and_then)

    def _look_now_and_then(self) -> None:
        if time.monotonic() - self._looked > _LOOK:
            self._look_at_slot()

    def replan(self, options: MoveOptions) -> None:
        """As the view shows the source; tables that must hold something else than before are stale."""
        scheme = planned(self.order, self.source.view, options)
        if scheme.fingerprint != self.scheme.fingerprint:
            raise PlanChangedError("the source's rows need other columns than before: moved anew")
        published = self.source.slot.refuse(sources_of(scheme))
        self.applying.feeds = feeds_of(scheme, self.source.view, published, self.feeds.leaves, self.order.tuning)
        self.scheme, self.options = scheme, options
        with self.target.transaction():
            note_scheme(self.target, scheme)


def note_scheme(target: FollowedFile, scheme: Scheme) -> None:
    """What its tables must hold from now on; those of which that is something else are stale."""
    before, now = json.loads(target.notes.get("contents", "{}")), scheme.contents
    other = {table for table, content in now.items() if before.get(table) != content}
    target.note({"contents": json.dumps(now)})
    target.note_changes(0, (), target.stale | other)
