"""Whether the store works: by reading and by writing, not by asking whether one could."""

import asyncio
import time
from collections.abc import Coroutine
from datetime import timedelta
from typing import Any

from pydantic import JsonValue

from authstore.database import Unit
from authstore.errors import StoreBusyError, StoreClosedError, StoreError, StoreMisuseError
from authstore.models import Health, HealthStatus
from authstore.sql import queries
from authstore.store.shared import StoreBase

_SHARED_SECONDS = 5.0
LONG_LOG = 64 * 2**20  # bytes: SQLite cuts it back to this when nothing holds it


class HealthStore(StoreBase):
    """`health` of the contract."""

    _written_at: float | None = None  # when a write succeeded, by the monotonic clock
    _writing: "asyncio.Task[None] | None" = None

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._ended: dict[str, asyncio.Task[Any]] = {}  # the last read, and the last write

    async def health(self, *, timeout: timedelta = timedelta(seconds=1)) -> Health:
        """See `authstore.adapter.Maintenance.health`. Raises `StoreClosedError`, `StoreMisuseError`."""
        if not isinstance(timeout, timedelta):
            raise TypeError(f"timeout is a timedelta, not {type(timeout).__name__}")
        if timeout <= timedelta(0):
            raise ValueError("timeout must be positive")
        started = time.perf_counter()
        reading = _started(self._db.facts())
        waited_for = {"read": reading}
        if self._written_at is None or time.monotonic() - self._written_at >= _SHARED_SECONDS:
            self._writing = self._writing or _started(self._write_probe())
            waited_for["write"] = self._writing
        await asyncio.wait(waited_for.values(), timeout=timeout.total_seconds())
        latency = timedelta(seconds=time.perf_counter() - started)
        status, detail = _judged({name: self._telling(name, task) for name, task in waited_for.items()})
        return Health(ok=status != "fail", status=status, latency=latency, detail=detail)

    async def explain(self, name: str) -> list[str]:
        """How the database goes about a named query, a line each; nothing is run. Raises `ValueError`."""
        query = vars(queries).get(name)
        if query is None:
            raise ValueError(f"no query is called {name!r}: see the names that an observer is told")
        return await self._db.explain(query)

    def _telling(self, name: str, task: "asyncio.Task[Any]") -> "asyncio.Task[Any]":
        """Which of them tells how it is: of one that goes on and on, the one before it, where that failed. A server
        that is gone leaves everybody waiting who asks it."""
        before = self._ended.get(name)
        task.add_done_callback(lambda ended: self._ended.update({name: ended}))
        has_failed = before is not None and not before.cancelled() and before.exception() is not None
        return before if before is not None and has_failed and not task.done() else task

    async def _write_probe(self) -> None:
        try:
            await self._db.unit(_probe)
            self._written_at = time.monotonic()
        finally:
            self._writing = None


def _probe() -> Unit[None]:
    yield queries.insert_probe()
    yield queries.delete_probe()


def _started(work: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]":
    task = asyncio.create_task(work)
    task.add_done_callback(lambda done: done.cancelled() or done.exception())  # who asked may be gone
    return task


def _judged(waited_for: "dict[str, asyncio.Task[Any]]") -> tuple[HealthStatus, dict[str, JsonValue]]:
    """What the read and the write say about the store, and what it says about itself."""
    status: HealthStatus = "pass"
    detail: dict[str, JsonValue] = {}
    for name, task in waited_for.items():
        error = task.exception() if task.done() and not task.cancelled() else None
        if isinstance(error, (StoreClosedError, StoreMisuseError)):
            raise error
        if not task.done() or isinstance(error, StoreBusyError):
            status = "warn" if status == "pass" else status
            detail[f"{name}_waited"] = True
        elif isinstance(error, StoreError):
            status = "fail"
            detail |= {"error": type(error).__name__, "message": str(error)}
        elif error is not None:
            raise error
        elif name == "read":
            detail |= task.result()
    log = detail.get("wal_bytes")
    if status == "pass" and isinstance(log, int) and log > LONG_LOG:
        status = "warn"
    return status, detail
