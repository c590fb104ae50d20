"""The mover for programs: coroutines, since the work itself blocks in a thread of its own."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from authstore.backends.ownership import check_asyncio
from authstore.errors import ConfigurationError
from authstore.mover.following.finishing import run_drop, run_reopen
from authstore.mover.following.order import FollowAction, Order
from authstore.mover.following.run import run_follow
from authstore.mover.options import MoveOptions
from authstore.mover.plan import Plan
from authstore.mover.reports import Event, FollowReport, MoveReport, OnProgress, VerifyReport
from authstore.mover.sqlite.target_files import files_of
from authstore.mover.sync.rebuild_plan import roll_rebuild_back
from authstore.mover.sync.rollback import RollbackReport, run_rollback
from authstore.mover.tuning import DEFAULT, Tuning
from authstore.mover.ways.directions import Journey, direction, is_postgres

_Result = TypeVar("_Result")
_PLAIN = MoveOptions()


async def make_plan(
    source: str, target: str | Path, options: MoveOptions = _PLAIN, *, tuning: Tuning = DEFAULT, **changes: Any
) -> Plan:
    """What `move` would do; writes nothing anywhere. `changes`: single options by name, `on_orphan="reject"`.

    Raises `ConfigurationError`, `SourceError`, `SourceUnavailableError`.
    """
    options = replace(options, **changes)

    def work(emit: OnProgress, stop: threading.Event) -> Plan:
        return direction(Journey(source, target, options, emit, stop, tuning)).plan()

    return await _in_thread(work, None)


async def move(
    plan: Plan, on_progress: OnProgress | None = None, *, prove: bool = False, tuning: Tuning = DEFAULT
) -> MoveReport:
    """Does what the plan says, under a snapshot of its own: problems that came since stop it too.

    `prove`: before the file takes its place, what was written is read back and compared with the digests that the
    source computed (the command line does). `verify` is the whole comparison, with the source as it is then.
    A cancellation that comes when the file is taking its place is too late: the call goes on to its end.
    `on_progress` is called in the running loop. Raises `UndecidedError`, `TargetChangedError`, `TargetBusyError`
    and the other `MoverError`s. After any of them, after a kill or a cancellation, the target is as it was, and
    the same call goes on from there.
    """

    def work(emit: OnProgress, stop: threading.Event) -> MoveReport:
        journey = Journey(plan.source, plan.target, plan.options, emit, stop, tuning)
        return direction(journey).move(proves=prove)

    return await _in_thread(work, on_progress, may_be_done=True)


async def verify(
    source: str,
    target: str | Path,
    options: MoveOptions = _PLAIN,
    on_progress: OnProgress | None = None,
    *,
    tuning: Tuning = DEFAULT,
    **changes: Any,
) -> VerifyReport:
    """Compares every row; writes nothing. Options that are not given are those of the move."""
    options = replace(options, **changes)

    def work(emit: OnProgress, stop: threading.Event) -> VerifyReport:
        return direction(Journey(source, target, options, emit, stop, tuning)).verify()

    return await _in_thread(work, on_progress)


async def recover(
    source: str,
    target: str | Path,
    table: str,
    options: MoveOptions = _PLAIN,
    on_progress: OnProgress | None = None,
    *,
    tuning: Tuning = DEFAULT,
    **changes: Any,
) -> MoveReport:
    """Makes one table of a moved target equal to the source again; what refers to its rows stays."""
    options = replace(options, **changes)

    def work(emit: OnProgress, stop: threading.Event) -> MoveReport:
        return direction(Journey(source, target, options, emit, stop, tuning)).move(table)

    return await _in_thread(work, on_progress, may_be_done=True)


async def follow(
    source: str,
    target: str | Path,
    options: MoveOptions = _PLAIN,
    on_progress: OnProgress | None = None,
    *,
    do: FollowAction = "follow",
    max_slot_wal: int = 0,
    tuning: Tuning = DEFAULT,
    **changes: Any,
) -> FollowReport:
    """Moves, and then keeps the target equal to a source that is at work, by PostgreSQL's logical replication.

    `do`: "follow" runs until it is cancelled; "cut-over" ends it for good: closes the source's tables, drains, proves,
    and opens the target; "reopen" takes the guards off the source's tables again, "drop" gives slot and publication
    up. `max_slot_wal`: bytes of log that the source may be made to keep (0: as many as the server will); beyond it the
    slot is made anew and everything compared. Lost connections are waited for and told as `RetryEvent`s; `LagEvent`s
    tell how far it is behind. Raises `SourceError` for a server or role that cannot be followed, before anything is
    written, `UndecidedError` where a move would, `TargetError` for a bad verdict (the source is open again then).
    """
    if is_postgres(target) or not is_postgres(source):
        raise ConfigurationError("follow goes from PostgreSQL to a file: postgresql://… sqlite:///auth.db")
    options = replace(options, **changes)

    def work(emit: OnProgress, stop: threading.Event) -> FollowReport:
        cuts_over = do == "cut-over"
        order = Order(source, files_of(target), options, emit, stop, tuning, cuts_over, max_slot_wal)
        return {"reopen": run_reopen, "drop": run_drop}.get(do, run_follow)(order)

    return await _in_thread(work, on_progress, may_be_done=True)


async def rollback(target: str | Path) -> RollbackReport:
    """Puts back what was at the target before the last move; what is there now is set aside."""
    check_asyncio()
    return await asyncio.to_thread(roll_rebuild_back if is_postgres(target) else run_rollback, target)


async def _in_thread(
    work: Callable[[OnProgress, threading.Event], _Result], on_progress: OnProgress | None, *, may_be_done: bool = False
) -> _Result:
    """Runs `work` to its end, or, when cancelled, until it has stopped cleanly. `may_be_done`: where it could no longer
    be stopped and is done, that is the outcome, and not that it was stopped."""
    check_asyncio()
    loop, stop = asyncio.get_running_loop(), threading.Event()

    def emit(event: Event) -> None:
        if on_progress is not None:
            loop.call_soon_threadsafe(on_progress, event)

    working = asyncio.ensure_future(asyncio.to_thread(work, emit, stop))
    try:
        return await asyncio.shield(working)
    except asyncio.CancelledError:
        stop.set()
        while not working.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait([working])
        if working.exception() is None and may_be_done:
            task = asyncio.current_task()
            while task is not None and task.uncancel():
                pass
            return working.result()
        raise
