"""Where a file is that a move makes on its way: in a folder of its own, which only its owner may enter."""

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_PREFIX = "authstore-moving-"
_NEW = 60.0  # seconds, in which whoever makes a folder comes to lock it


@contextmanager
def folder_aside() -> Iterator[Path]:
    """A folder for the length of a block, in the folder for temporary files. What others of this user left there,
    having been killed, goes first: it holds all that they moved."""
    _clear(Path(tempfile.gettempdir()))
    with tempfile.TemporaryDirectory(prefix=_PREFIX) as folder, _locked(Path(folder)):
        yield Path(folder)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Raises `BlockingIOError` where somebody else has it. The lock goes with the process."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


def _clear(parent: Path) -> None:
    for folder in parent.glob(f"{_PREFIX}*"):
        with suppress(OSError):
            status = folder.lstat()
            if status.st_uid == os.geteuid() and time.time() - status.st_mtime > _NEW:
                with _locked(folder):
                    shutil.rmtree(folder)
