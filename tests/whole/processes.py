"""Other processes for these tests: forked from one warm server, let go together, killed when asked."""

import asyncio
import multiprocessing
from collections.abc import Awaitable, Callable, Iterable
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from multiprocessing.synchronize import Barrier
from typing import Any

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["pytest", "tests.whole.jobs"])

PATIENCE = 60.0  # seconds, for a machine with much else to do

Gate = Callable[[], object]
Job = Callable[..., Awaitable[Any]]


def together(job: Job, arguments: Iterable[tuple[Any, ...]]) -> list[Any]:
    """Runs `job(gate, *arguments)` in a process for each; whoever calls `gate()` waits there for all others."""
    calls = list(arguments)
    barrier = CONTEXT.Barrier(len(calls))
    started = [_start(job, barrier, call) for call in calls]
    try:
        return [_result(pipe) for _, pipe in started]
    finally:
        for process, _ in started:
            process.join(PATIENCE)
            process.kill()


def alone(job: Job, *arguments: Any) -> tuple[BaseProcess, Connection]:
    """Starts `job(pipe, *arguments)` in one process, to be watched through the pipe and killed."""
    here, there = CONTEXT.Pipe()
    process = CONTEXT.Process(target=_run_with_pipe, args=(job, there, arguments), daemon=True)
    process.start()
    there.close()
    return process, here


def _start(job: Job, barrier: Barrier, call: tuple[Any, ...]) -> tuple[BaseProcess, Connection]:
    here, there = CONTEXT.Pipe(duplex=False)
    process = CONTEXT.Process(target=_run, args=(job, barrier, there, call), daemon=True)
    process.start()
    there.close()
    return process, here


def _run(job: Job, barrier: Barrier, pipe: Connection, call: tuple[Any, ...]) -> None:
    try:
        pipe.send((True, asyncio.run(job(lambda: barrier.wait(PATIENCE), *call))))
    except BaseException as error:  # noqa: BLE001  # whatever it is, the test must hear of it
        barrier.abort()
        pipe.send((False, f"{type(error).__name__}: {error}"))


def _run_with_pipe(job: Job, pipe: Connection, arguments: tuple[Any, ...]) -> None:
    asyncio.run(job(pipe, *arguments))


def _result(pipe: Connection) -> Any:
    if not pipe.poll(PATIENCE):
        raise TimeoutError("a process did not answer")
    happened, result = pipe.recv()
    if not happened:
        raise RuntimeError(f"in another process: {result}")
    return result
