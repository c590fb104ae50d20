"""Cancelling a call exactly at its n-th suspension: while it waits, or in the very moment its wait is over."""

import asyncio
from collections.abc import Coroutine, Generator
from typing import Any, Literal

Moment = Literal["waiting", "over"]
MOMENTS: tuple[Moment, ...] = ("waiting", "over")


class Interrupted:
    """Awaits a coroutine; when it suspends for the `step`-th time (from 0), its task is cancelled.

    `waiting`: as soon as the event loop turns. `over`: when what it waits for is done and it has not yet resumed.
    `stubborn`: again at every suspension from then on, so that tidying up is interrupted too.
    `happened` tells whether it suspended so often at all.
    """

    def __init__(
        self, coroutine: Coroutine[Any, Any, Any], step: int, moment: Moment, *, stubborn: bool = False
    ) -> None:
        self._coroutine = coroutine
        self._step = step
        self._moment = moment
        self._stubborn = stubborn
        self.happened = False

    async def run(self) -> Any:
        """The coroutine's own end: its result, its error, or `CancelledError`."""
        return await asyncio.create_task(self._driven())

    async def _driven(self) -> Any:
        return await self

    def __await__(self) -> Generator[Any, Any, Any]:
        suspended = 0
        error: BaseException | None = None
        while True:
            try:
                waits_for = self._coroutine.send(None) if error is None else self._coroutine.throw(error)
            except StopIteration as stop:
                return stop.value
            if suspended == self._step or (self._stubborn and suspended > self._step):
                self._interrupt(waits_for)
            suspended += 1
            try:
                error = None
                yield waits_for
            except BaseException as thrown:  # noqa: BLE001  # it goes on into the coroutine
                error = thrown

    def _interrupt(self, waits_for: Any) -> None:
        self.happened = True
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("not in a task")
        if waits_for is None or self._moment == "waiting":
            asyncio.get_running_loop().call_soon(task.cancel)
        else:
            # Called before the task's own wake-up, which is registered after this.
            waits_for.add_done_callback(lambda _: task.cancel())
