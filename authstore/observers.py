"""What a store tells those who watch it: how long each named query and each public call took, and what they waited for.

A backend notes on its connections what a statement waited for, and tells the `Watch` of each on the event loop's
thread. Who is the cause of it is known by `WAITS`: what the public call of this context has waited for so far. Nobody
who watches, nothing noted.
"""

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from authstore.models import CacheInfo

_log = logging.getLogger("authstore.store")


class Statistic(NamedTuple):
    """One statement, or one public call: what it is called, how long it took and how it ended. No values.

    `seconds`: all of it, with `waited` (for a database thread or a connection) and `locked` (for the right to write).
    The first statement of a unit of work carries what the unit waited for. `rows`: those it gave or wrote; of a call,
    how many things it returned. `error`: the name of the error's class. `reason`: of a statement that writes down why
    sessions end, why.
    """

    name: str
    seconds: float
    waited: float
    locked: float
    rows: int
    error: str | None
    reason: str | None = None


# The same of its seven values, without the function of Python's that `NamedTuple` makes: there is one for each call.
noted: Callable[[tuple[str, float, float, float, int, str | None, str | None]], Statistic] = partial(
    tuple.__new__, Statistic
)


class Opened(NamedTuple):
    """A store that was opened: `system` is "sqlite" or "postgresql", `namespace` the file's name or the database's."""

    system: str
    namespace: str
    cache_info: "Callable[[], CacheInfo]"


class Observer(Protocol):
    """Whoever is told. Make a subclass with what you want to hear of.

    All are called on the event loop's thread, after each call, and hold it up while they run. One that raises is
    logged once, and left out from then on.
    """

    def on_open(self, opened: Opened, /) -> None:
        """A store that it watches was opened."""
        return  # not abstract: a subclass hears of what it likes

    def on_statement(self, statistic: Statistic, /) -> None:
        """A named query was run (that of many look-ups which were answered together: once)."""
        return  # not abstract: a subclass hears of what it likes

    def on_operation(self, statistic: Statistic, /) -> None:
        """A public call of the store ended."""
        return  # not abstract: a subclass hears of what it likes


class Waits:
    """What one public call waited for, in seconds. There is one for each call: without an `__init__`."""

    waited = 0.0
    locked = 0.0


WAITS: ContextVar[Waits | None] = ContextVar("authstore_waits", default=None)


@contextmanager
def locking() -> Iterator[None]:
    """Within the block this public call waits for the right to write."""
    waits = WAITS.get()
    if waits is None:
        yield
        return
    began, before = monotonic(), waits.waited
    try:
        yield
    finally:
        waits.locked += monotonic() - began - (waits.waited - before)


# Who asked for something that many are given together: since when, and whose wait it is. There is one for each call of
# the hot path: a plain tuple.
Asker = tuple[float, Waits | None]


def asker() -> Asker:
    """Who asks in this context, now."""
    return monotonic(), WAITS.get()


def answered(askers: Iterable[Asker], now: float) -> None:
    """What these asked for begins now."""
    for since, waits in askers:
        if waits is not None:
            waits.waited += now - since


Told = tuple[Observer, Callable[[Statistic], None]]


class Watch:
    """Those who watch one store."""

    def __init__(self, observers: Iterable[Observer]) -> None:
        self._observers = list(observers)
        self._on_statement: list[Told] = []
        self._on_operation: list[Told] = []
        self._take_up()

    @property
    def is_told_operations(self) -> bool:
        """Whether anybody wants to hear of public calls."""
        return bool(self._on_operation)

    @property
    def observers(self) -> tuple[Observer, ...]:
        """Who is told."""
        return tuple(self._observers)

    def add(self, observer: Observer) -> None:
        """Tells this one too, from here on."""
        self._observers.append(observer)
        self._take_up()

    def opened(self, opened: Opened) -> None:
        """The store is open."""
        for observer in self._observers:
            try:
                if _hears(observer, "on_open"):
                    observer.on_open(opened)
            except Exception as error:  # noqa: BLE001 - whatever it is, the store goes on
                self._leave_out(observer, error)

    def statement(self, statistic: Statistic) -> None:
        """A statement has ended."""
        for observer, tell in self._on_statement:
            try:
                tell(statistic)
            except Exception as error:  # noqa: BLE001 - as above
                self._leave_out(observer, error)
        if _log.isEnabledFor(logging.DEBUG):
            failed = f", {statistic.error}" if statistic.error else ""
            _log.debug("%s: %.3f ms%s", statistic.name, statistic.seconds * 1000, failed)

    def operation(self, statistic: Statistic) -> None:
        """A public call has ended."""
        for observer, tell in self._on_operation:
            try:
                tell(statistic)
            except Exception as error:  # noqa: BLE001 - as above
                self._leave_out(observer, error)

    def _leave_out(self, observer: Observer, error: Exception) -> None:
        self._observers = [other for other in self._observers if other is not observer]
        self._take_up()
        _log.error("an observer failed and is left out: %s", type(observer).__name__, exc_info=error)

    def _take_up(self) -> None:
        # New lists: the old ones may be gone through just now.
        self._on_statement = [(each, each.on_statement) for each in self._observers if _hears(each, "on_statement")]
        self._on_operation = [(each, each.on_operation) for each in self._observers if _hears(each, "on_operation")]


def _hears(observer: Observer, method: str) -> bool:
    own = getattr(observer, method, None)
    return own is not None and getattr(own, "__func__", None) is not getattr(Observer, method)


_LOGGING = Watch(())


def logging_watch() -> Watch | None:
    """Who is told where nobody watches: the log, while it wants to hear of statements."""
    return _LOGGING if _log.isEnabledFor(logging.DEBUG) else None
