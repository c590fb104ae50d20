"""The SHA-256 of a backup, in a file beside it that `sha256sum --check` reads."""

import hashlib
import os
import re
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from authstore.backends.sqlite import file
from authstore.backends.sqlite.errors import files_translated
from authstore.backends.threads import Stop
from authstore.errors import StoreBusyError, StoreCorruptError

_CHUNK = 1 << 20
_FLUSH_BYTES = 4 << 20  # what another file's flush may have to wait for
_MOST = 80  # characters of a line: the sum stands before the name
_LINE = re.compile(r"\\?([0-9a-f]{64}) [ *]")


def place_of_checksum(path: Path) -> Path:
    """The file that holds it."""
    return path.with_name(path.name + ".sha256")


def write(path: Path, sha256: str) -> None:
    """Says it as `sha256sum` does (which escapes a backslash or a line break in a name), on the disk at the end."""
    escaped = path.name.replace("\\", "\\\\").replace("\n", "\\n")
    mark = "" if escaped == path.name else "\\"
    beside = place_of_checksum(path)
    beside.unlink(missing_ok=True)  # of a backup that was killed before it got its name
    file.make_private(beside)
    with beside.open("r+b") as opened:
        opened.write(os.fsencode(f"{mark}{sha256}  {escaped}\n"))
        _flush(opened)


def read(path: Path) -> str | None:
    """The SHA-256 that the backup had when it was made; `None` where no file says it."""
    beside = place_of_checksum(path)
    with files_translated(beside), suppress(FileNotFoundError), beside.open(encoding="utf-8", errors="replace") as said:
        found = _LINE.match(said.read(_MOST))
        if found is None:
            raise StoreCorruptError(f"{beside} holds no SHA-256: make it again by `sha256sum`, or take it away")
        return found[1]
    return None


def refuse_open(path: Path) -> None:
    """Raises `StoreBusyError` where the file has a log beside it: reading it as a file would miss what that holds, and
    drop the locks of whoever in this process has it open."""
    if file.has_log(path):
        raise StoreBusyError(
            f"{path} has a -wal, -shm or -journal beside it: it is open, or was not closed; back it up first"
        )


def copied(path: Path, target: Path, stop: Stop) -> str:
    """Copies a closed file into an empty one, flushed as it grows, and gives its SHA-256."""
    refuse_open(path)
    found, unflushed = hashlib.sha256(), 0
    with files_translated(target.parent), path.open("rb", buffering=0) as old, target.open("r+b") as new:
        while chunk := old.read(_CHUNK):
            stop()
            found.update(chunk)
            unflushed += new.write(chunk)
            if unflushed >= _FLUSH_BYTES:
                _flush(new)
                unflushed = 0
        _flush(new)
    return found.hexdigest()


def _flush(open_file: BinaryIO) -> None:
    open_file.flush()
    os.fsync(open_file.fileno())


def of(path: Path, stop: Stop) -> str:
    """The SHA-256 of a file that nobody has open."""
    found = hashlib.sha256()
    with files_translated(), path.open("rb", buffering=0) as made:
        while chunk := made.read(_CHUNK):
            stop()
            found.update(chunk)
    return found.hexdigest()
