"""Where a file may stand: SQLite needs locks and shared memory that all who open it see, and its log beside it."""

import ctypes
import os
import sys
import warnings
from pathlib import Path

from authstore.errors import ConfigurationError

# What statfs answers, as its manual page lists it.
REFUSED = {0x6969: "NFS", 0x517B: "SMB", 0xFF534D42: "SMB", 0xFE534D42: "SMB"}
DOUBTFUL = {0x01021997: "9p", 0x65735546: "FUSE or virtiofs"}


def check_volume(path: Path) -> None:
    """Raises `ConfigurationError` for a network file system; warns of what may lose what was acknowledged."""
    standing = next(each for each in (path, *path.parents) if each.exists())
    kind = kind_of_volume(standing)
    if kind in REFUSED:
        raise ConfigurationError(
            f"{path} is on {REFUSED[kind]}: SQLite's locks and shared memory do not work over a network, so that two"
            " writers would damage the file; put it on a local disk"
        )
    if kind in DOUBTFUL:
        warnings.warn(
            f"{path} is on {DOUBTFUL[kind]}: locks and shared memory work only among processes of one machine there",
            stacklevel=1,
        )
    if path.exists() and is_mounted_alone(path):
        warnings.warn(
            f"{path} is mounted alone, without its folder: the log beside it would be left behind with what was written"
            " last; mount the folder",
            stacklevel=1,
        )


def is_mounted_alone(path: Path) -> bool:
    """Whether a file is where it is by a mount of its own, and its folder, where its log is, from elsewhere."""
    return os.stat(path).st_dev != os.stat(path.parent).st_dev or _is_mount_point(path)


def _is_mount_point(path: Path) -> bool:
    """Whether something is mounted just here: also what is from the same file system as its folder."""
    try:
        mounts = Path("/proc/self/mountinfo").read_bytes()
    except OSError:  # no Linux
        return False
    name = os.fsencode(os.path.realpath(path))
    for character in b"\\ \t\n":  # which the kernel writes in octal
        name = name.replace(bytes([character]), b"\\%03o" % character)
    return any(line.split(b" ", 5)[4] == name for line in mounts.splitlines())


def kind_of_volume(path: Path) -> int | None:
    """What the kernel calls the file system here (`f_type` of statfs); `None` where it does not say."""
    if sys.platform != "linux":
        return None
    answer = ctypes.create_string_buffer(512)  # more than the structure has; f_type, a long, comes first
    if ctypes.CDLL(None).statfs(os.fsencode(path), answer) != 0:
        return None
    return ctypes.c_long.from_buffer(answer).value & 0xFFFFFFFF
