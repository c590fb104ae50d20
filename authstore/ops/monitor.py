"""Looks at a store every minute, and calls somebody when something changed."""

import asyncio
import inspect
import logging
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final, Self

from pydantic import JsonValue

from authstore.backends.inspection import Symptom
from authstore.database import Unit
from authstore.errors import AuthStoreError, ChangesLostError
from authstore.ops.alerts import Alert, CheckState, Look, OnAlert, State, log_alert, states_of
from authstore.ops.checks import Rules, backup_age, dead_rows
from authstore.ops.inspecting import inspect as look_at
from authstore.ops.subject import subject
from authstore.store import Store, rows
from authstore.store.health import LONG_LOG
from authstore.store.notes import LOOK

_log = logging.getLogger("authstore.monitor")

_LEASE: Final = "monitor"
_PRUNING_SECONDS: Final = 5.0
_EVENTS: Final = 1000
_MANY_FAILURES: Final = 20  # of sign-ins, between two looks
_DAY: Final = timedelta(days=1)

_HEALTH: Final[Mapping[str, State]] = {"pass": "ok", "warn": "warning", "fail": "failing"}
Found = tuple[State, str]


class Monitor:
    """Looks after an open store: `async with ops.Monitor(store, on_alert=tell): …`.

    Checks, by name: `health`, `log` (SQLite's, over 64 MB), `backup` (older than a week, or none after the first day),
    `dead-rows`, `counter-errors` (of passkeys), `failed-sign-ins` (20 or more between two looks, in this process).

    Once a day it keeps the sizes of the tables, with which `inspect` compares what it finds (`growth`).

    every: from one look to the next. on_alert: called with each `Alert`, plain or async, or several in a list; what it
    raises is logged. Without it the logger `authstore.monitor` is told. prune: whoever looks deletes dead rows too.

    Of all processes that watch one database one looks at a time, by a lease in the database that another takes over
    when it is not renewed; the states go with it, so that nothing is told twice. Where the lease cannot be written each
    one looks and tells.
    """

    def __init__(
        self,
        store: Store,
        *,
        every: timedelta = timedelta(minutes=1),
        on_alert: OnAlert | Sequence[OnAlert] = log_alert,
        prune: bool = False,
    ) -> None:
        if not isinstance(store, Store):
            raise TypeError("a monitor looks after a store that authstore.connect opened")
        if every <= timedelta(0):
            raise ValueError("every must be positive")
        self._store = store
        self._every = every
        self._sinks = (on_alert,) if callable(on_alert) else tuple(on_alert)
        self._prunes = prune
        self._name = uuid.uuid4().hex
        self._states: dict[str, CheckState] = {}
        self._seen: int | None = None  # the newest event that was looked at
        self._failures = store.failed_sign_ins
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._look_for_ever())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
            await self.hand_over()

    @property
    def states(self) -> dict[str, State]:
        """The state of each check, as far as this process knows."""
        return {check: kept.state for check, kept in self._states.items()}

    @property
    def found(self) -> dict[str, State]:
        """What the last look found of each check, also where it takes another one to make it its state."""
        return {check: kept.found for check, kept in self._states.items()}

    async def look(self) -> list[Alert]:
        """One look, by whoever holds the lease; the alerts that were told. Others see nothing."""
        now = self._store.clock()
        kept = await self._take_lease(now)
        if kept is None:
            return []
        if kept:
            self._states = states_of(kept.get("states"))
            self._seen = _number(kept.get("seen"), self._seen)
        alerts = [alert for check in self._checks() if (alert := await self._check(*check, now)) is not None]
        if self._prunes:
            await self._prune()
        with suppress(AuthStoreError):
            await self._keep_look(now)
        with suppress(AuthStoreError):
            await self._store.put_note(_LEASE, self._lease(now))
        for alert in alerts:
            await self._tell(alert)
        return alerts

    async def hand_over(self) -> None:
        """Lets another process look from now on, where it was this one that did."""
        with suppress(AuthStoreError):
            async with self._store.transaction() as store:
                note = await store.get_note(_LEASE)
                if note is not None and note.data.get("holder") == self._name:
                    await store.put_note(_LEASE, {**note.data, "holder": None, "until": None})

    async def _look_for_ever(self) -> None:
        while True:
            try:
                await self.look()
            except Exception as error:  # noqa: BLE001 - whatever it is, the next look may go well
                _log.error("a look failed: %s", type(error).__name__)
            await asyncio.sleep(self._every.total_seconds())

    def _checks(self) -> Sequence[tuple[str, Callable[[datetime], Awaitable[Found]]]]:
        return (
            ("health", self._health),
            ("log", self._log_size),
            ("backup", partial(self._asked, backup_age)),
            ("dead-rows", partial(self._asked, dead_rows)),
            ("counter-errors", self._counter_errors),
            ("failed-sign-ins", self._failed_sign_ins),
        )

    async def _check(self, name: str, check: Callable[[datetime], Awaitable[Found]], now: datetime) -> Alert | None:
        try:
            state, detail = await check(now)
        except AuthStoreError as error:
            state, detail = "failing", str(error)
        return self._states.setdefault(name, CheckState()).note(name, Look(state, now, detail))

    async def _health(self, _: datetime) -> Found:
        health = await self._store.health()
        said = health.detail.get("error") or health.detail.get("message")
        milliseconds = health.latency.total_seconds() * 1000
        return _HEALTH[health.status], str(said) if said else f"{health.status}, answered in {milliseconds:.0f} ms"

    async def _log_size(self, _: datetime) -> Found:
        size = _number((await self._store.database.facts()).get("wal_bytes"), None) or 0
        return "warning" if size > LONG_LOG else "ok", f"{size / 1e6:,.0f} MB"

    async def _keep_look(self, now: datetime) -> None:
        kept = await self._store.get_note(LOOK)
        if kept is None or not timedelta(0) <= now - kept.at < _DAY:
            await look_at(self._store, keep=True)

    async def _asked(self, unit: Callable[[Rules], Unit[list[Symptom]]], now: datetime) -> Found:
        found = await subject(self._store).inspector.ask(partial(unit, Rules(now, self._store.policy, None)))
        return ("warning", found[0].detail) if found else ("ok", "as it should be")

    async def _counter_errors(self, _: datetime) -> Found:
        """Of the events since the last look; the first look only finds out where they end."""
        errors, is_first = 0, self._seen is None
        after = self._seen or 0
        while page := await self._page(after):
            errors += sum(event.type == "authenticator.counter-error" for event in page)
            after = page[-1].seq
        self._seen = after
        if errors and not is_first:
            return "warning", f"{errors} passkeys came with a counter that was used before: copies of them exist"
        return "ok", "none"

    async def _page(self, after: int) -> list[Any]:
        try:
            return list(await self._store.events(after=after, limit=_EVENTS))
        except ChangesLostError as lost:
            return list(await self._store.events(after=lost.first - 1, limit=_EVENTS))

    async def _failed_sign_ins(self, _: datetime) -> Found:
        failures, self._failures = self._store.failed_sign_ins - self._failures, self._store.failed_sign_ins
        return "warning" if failures >= _MANY_FAILURES else "ok", f"{failures} since the last look"

    async def _prune(self) -> None:
        try:
            await self._store.prune(max_seconds=_PRUNING_SECONDS)
        except AuthStoreError as error:
            _log.warning("not pruned: %s", error)

    async def _tell(self, alert: Alert) -> None:
        for sink in self._sinks:
            try:
                told = sink(alert)
                if inspect.isawaitable(told):
                    await told
            except Exception as error:  # noqa: BLE001 - one sink that fails keeps no other from hearing
                _log.error("an alert of %s was not told: %s", alert.check, type(error).__name__)

    async def _take_lease(self, now: datetime) -> Mapping[str, JsonValue] | None:
        """What the last look left, where this process may look: empty if that was its own; `None` where it may not."""
        try:
            async with self._store.transaction() as store:
                note = await store.get_note(_LEASE)
                data = {} if note is None else note.data
                holder, until = data.get("holder"), data.get("until")
                if holder != self._name and _is_held(until, now, self._length):
                    return None
                await store.put_note(_LEASE, {**data, "holder": self._name, "until": self._until(now)})
        except AuthStoreError as error:
            _log.debug("no lease, so every process looks: %s", type(error).__name__)
            return {}
        return {} if holder == self._name else data

    @property
    def _length(self) -> timedelta:
        return max(3 * self._every, timedelta(seconds=30))

    def _until(self, now: datetime) -> str:
        return rows.instant_text(now + self._length)

    def _lease(self, now: datetime) -> dict[str, JsonValue]:
        states: dict[str, JsonValue] = {check: state.kept() for check, state in self._states.items()}
        return {"holder": self._name, "until": self._until(now), "seen": self._seen, "states": states}


def _is_held(until: object, now: datetime, length: timedelta) -> bool:
    """A lease that ends later than any could was written by another clock, and holds nobody off."""
    return isinstance(until, str) and now < datetime.fromisoformat(until) <= now + length


def _number(value: object, otherwise: int | None) -> int | None:
    return value if isinstance(value, int) else otherwise
