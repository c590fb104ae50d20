"""The second connection of a move into PostgreSQL: it makes the keys, indexes and foreign keys of tables that are
filled while others are being filled."""

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from queue import SimpleQueue
from types import TracebackType

from authstore.mover.errors import MoverError
from authstore.mover.names import quote
from authstore.mover.postgres.named_queries import named_queries
from authstore.mover.postgres.target import BUILDING, PostgresTarget, translated_target
from authstore.mover.rebuilding.incoming import Incoming
from authstore.mover.rebuilding.scheme import RebuildScheme
from authstore.mover.rebuilding.steps import Step
from authstore.mover.tuning import Tuning

_TICK_SECONDS = 0.2


class Helper:
    """At work from its first table to the end of a block. It says nothing: whatever it has not made, for want of a
    connection or because the rows break it, is made at the end over the first one, which tells why it cannot be."""

    def __init__(self, url: str, scheme: RebuildScheme, tuning: Tuning) -> None:
        self.analysed: set[str] = set()
        self.made = 0  # steps
        self._url = url
        self._tuning = tuning
        self._tables = {one.target: one for one in scheme.tables}
        steps = [step for step in scheme.finishing if step.table in self._tables and not step.is_view]
        self._steps = [step for step in steps if not step.is_foreign_key]
        self._references = [step for step in steps if step.is_foreign_key]
        self._filled: set[str] = set()
        self._orders: SimpleQueue[Step | Incoming | None] = SimpleQueue()
        self._has_all = False
        self._enough = threading.Event()
        self._thread = threading.Thread(target=self._work, name="authstore-helper", daemon=True)

    def take(self, tables: Sequence[Incoming]) -> None:
        """Tables to which nothing more is written, and whose rows others see."""
        if not tables:
            return
        if not self._filled:
            self._thread.start()
        self._filled |= {one.target for one in tables}
        self._steps = self._ordered(self._steps)
        for one in tables:
            self._orders.put(one)
        self._references = self._ordered(self._references)

    def _ordered(self, steps: Sequence[Step]) -> list[Step]:
        """Those that have to wait; the others are on their way."""
        waiting = []
        for step in steps:
            parents = self._tables[step.table].parents if step.is_foreign_key else frozenset[str]()
            if {step.table, *parents} <= self._filled:
                self._orders.put(step)
            else:
                waiting.append(step)
        return waiting

    def _work(self) -> None:
        with suppress(MoverError), translated_target(), PostgresTarget(self._url, self._enough, self._tuning) as target:
            target.lock_as_helper()
            there = made_in(target)
            while (order := self._orders.get()) is not None:
                # Workers of its own make an index sooner and with a third more work, which the rows would wait for.
                target.execute(f"SET max_parallel_maintenance_workers TO {'DEFAULT' if self._has_all else '0'}")
                if isinstance(order, Incoming):
                    target.execute(analysis(order))
                    self.analysed.add(order.target)
                elif (self._tables[order.table].name, order.name) not in there and target.broken_by(order.sql):
                    return
                else:
                    self.made += 1

    def finish(self, say: Callable[[int], None]) -> None:
        """Waits for all that can be made of what was taken. `say`: is told how many steps are."""
        self._has_all = True
        self._orders.put(None)
        while self._thread.is_alive():
            say(self.made)
            self._thread.join(_TICK_SECONDS)

    def __enter__(self) -> "Helper":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Ends what is at work."""
        self._enough.set()
        self._orders.put(None)
        if self._filled:
            self._thread.join()


def made_in(target: PostgresTarget) -> set[tuple[str, str]]:
    """What stands there already of the steps that finish tables: the table's name, and the step's."""
    return set(target.rows(named_queries("target.sql")["made"], {"schema": BUILDING}))


def analysis(one: Incoming) -> str:
    """Has the server learn what is in the table, which nobody asks it for while it is being built."""
    return f"ANALYZE {quote(BUILDING)}.{quote(one.name)}"
