"""A store that nobody closed must not keep the interpreter from exiting, nor its file open.

aiosqlite's threads are joined at exit, before `atexit` functions run. This thread is not: it wakes when the
main thread has ended and lets the others go, each once the thread that used it has ended too.
"""

import _thread
import os
import threading
import warnings
from typing import Any, Protocol
from weakref import WeakKeyDictionary, finalize


class Stoppable(Protocol):
    """Something with threads."""

    def stop(self) -> None:
        """Lets the threads end; returns at once."""
        ...


_open: "WeakKeyDictionary[Stoppable, threading.Thread]" = WeakKeyDictionary()
_lock = threading.Lock()
_watcher: threading.Thread | None = None


def stop_at_exit(store: Stoppable) -> None:
    """Stops this store, if it is still there, when the main thread and the present one have ended."""
    global _watcher
    with _lock:
        _open[store] = threading.current_thread()
        if _watcher is None or not _watcher.is_alive():
            _watcher = threading.Thread(target=_watch, name="authstore-exit", daemon=True)
            _watcher.start()


def stop_when_forgotten(store: object, *threads: Stoppable) -> "finalize[..., Any]":
    """Stops these threads when `store` is collected, with a `ResourceWarning`; closing detaches what this gives."""
    finalizer = finalize(store, _stop_forgotten, set(threads), os.getpid())
    finalizer.atexit = False
    return finalizer


def forget(store: Stoppable) -> None:
    """This one was closed."""
    with _lock:
        _open.pop(store, None)


def _stop_forgotten(threads: set[Stoppable], pid: int) -> None:
    if os.getpid() != pid:
        return
    for thread in threads:
        # On a thread of its own, and a bare one: aiosqlite would answer to the event loop that runs here, which
        # may be gone by then, and this may run while `threading` holds its locks.
        try:
            _thread.start_new_thread(thread.stop, ())
        except RuntimeError:
            thread.stop()
    warnings.warn("a store was not closed: use `async with connect(…)` or `await store.close()`", ResourceWarning, 2)


def _watch() -> None:
    threading.main_thread().join()
    while still_open := _copy():
        for store, user in still_open:
            # The interpreter waits for every thread that is no daemon, and so may its store.
            if not user.daemon:
                user.join()
            store.stop()
            forget(store)


def _copy() -> list[tuple[Stoppable, threading.Thread]]:
    with _lock:
        return list(_open.items())


def _start_afresh() -> None:
    """In a forked child: the parent's stores are not its to stop, and the lock may have been held."""
    global _lock
    _lock = threading.Lock()
    _open.clear()


os.register_at_fork(after_in_child=_start_afresh)
