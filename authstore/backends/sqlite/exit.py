"""A store that nobody closed must not keep the interpreter from exiting.

aiosqlite's threads are joined at exit, before `atexit` functions run. This thread is not: it wakes when the
main thread has ended and lets the others go.
"""

import threading
from typing import Protocol
from weakref import WeakSet


class Stoppable(Protocol):
    """Something with threads."""

    def stop(self) -> None:
        """Lets the threads end; returns at once."""
        ...


_open: "WeakSet[Stoppable]" = WeakSet()
_lock = threading.Lock()
_watcher: threading.Thread | None = None


def stop_at_exit(store: Stoppable) -> None:
    """Stops this store, if it is still there, when the main thread ends."""
    global _watcher
    with _lock:
        _open.add(store)
        if _watcher is None or not _watcher.is_alive():
            _watcher = threading.Thread(target=_watch, name="authstore-exit", daemon=True)
            _watcher.start()


def forget(store: Stoppable) -> None:
    """This one was closed."""
    _open.discard(store)


def _watch() -> None:
    threading.main_thread().join()
    for store in list(_open):
        store.stop()
