"""Which processes have a store's file open, and which hold what others wait for, as Linux tells of their locks.

The bytes of `-shm` that SQLite locks: https://sqlite.org/walformat.html §2.3.1; of the file itself, where the journal
mode is not WAL: https://sqlite.org/lockingv3.html.
"""

import os
import re
from pathlib import Path
from typing import NamedTuple

from authstore.backends.sqlite import file

_LOCK = re.compile(r"^\d+: \S+ +\S+ +(READ|WRITE) +(\d+) [0-9a-f]+:[0-9a-f]+:(\d+) (\d+) (\d+|EOF)$", re.MULTILINE)
_WRITER, _FIRST_READER, _LAST_READER, _OPEN = 120, 123, 127, 128
_RESERVED = 0x40000001


class Holders(NamedTuple):
    """Processes by their ids; all empty where the system does not tell."""

    opened: frozenset[int]
    writing: frozenset[int]
    reading: frozenset[int]  # also between two reads: whoever reads just now, or has for long

    @property
    def others(self) -> frozenset[int]:
        """Who else has it open."""
        return self.opened - {os.getpid()}


def holders(path: Path) -> Holders:
    """Who holds this file now."""
    _, shared, _ = file.logs(path)
    try:
        locks = Path("/proc/locks").read_text("ascii")
    except OSError:
        return Holders(frozenset(), frozenset(), frozenset())
    itself, beside = _inode(path), _inode(shared)
    opened, writing, reading = set(), set(), set()
    for kind, pid, locked, first, last in _LOCK.findall(locks):
        if int(locked) == itself and kind == "WRITE" and int(first) <= _RESERVED:
            writing.add(int(pid))
        if int(locked) != beside:
            continue
        start, end = int(first), int(last) if last != "EOF" else _OPEN
        if start <= _OPEN <= end:
            opened.add(int(pid))
        if start <= _WRITER <= end and kind == "WRITE":
            writing.add(int(pid))
        if start <= _LAST_READER and end >= _FIRST_READER:
            reading.add(int(pid))
    return Holders(frozenset(opened), frozenset(writing), frozenset(reading))


def _inode(path: Path) -> int | None:
    try:
        return path.stat().st_ino
    except OSError:
        return None


def writing(path: Path) -> str:
    """Who keeps others from writing now, or from reading too."""
    return named(holders(path).writing)


def named(pids: frozenset[int]) -> str:
    """Processes as people know them: "python (412), uvicorn (7)"."""
    return ", ".join(f"{_name(pid)} ({pid})" for pid in sorted(pids)) or "nobody that this system tells of"


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text("utf-8", "replace").strip()
    except OSError:
        return "process"
