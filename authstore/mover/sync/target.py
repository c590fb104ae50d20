"""The target as a move will find it, judged beforehand; nothing is written."""

import os
import shutil
from pathlib import Path

from authstore.mover.errors import MoverError, TargetChangedError, TargetError
from authstore.mover.options import MoveOptions
from authstore.mover.plan import Scheme
from authstore.mover.reports import Problem
from authstore.mover.sqlite.errors import translated
from authstore.mover.sqlite.seal import is_sealed
from authstore.mover.sqlite.target_files import TargetFiles, check_target
from authstore.mover.sync.start import Start, refuse_foreign, refuse_written

_ROOM = 4096 * 64  # bytes that a move needs whatever it moves


def target_problems(files: TargetFiles, scheme: Scheme, size: int, options: MoveOptions) -> list[Problem]:
    """Why a move of about `size` bytes would stop at this target; each of them does."""
    try:
        with translated():
            _judge(files, scheme, options)
            refuse_full(_nearest(files.target.parent), size, "make room, or choose another disk")
    except MoverError as error:
        decision = "replace" if isinstance(error, TargetChangedError) else ""
        return [Problem("target", "", f"{error}; {error.hint}", decision=decision, stops=True)]
    return []


def _judge(files: TargetFiles, scheme: Scheme, options: MoveOptions) -> None:
    folder = _nearest(files.target.parent)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise TargetError(f"{folder} cannot be written", hint="choose another folder, or take the right to write there")
    there = check_target(files)
    if options.replace:
        return
    start = Start.look(files, there)
    refuse_foreign(start, scheme.source.system)
    if start.target and not is_sealed(files.target):
        refuse_written(files)


def _nearest(folder: Path) -> Path:
    """The folder, or the first above it that is there. Raises `TargetError` where that is none."""
    while not folder.exists():
        folder = folder.parent
    if not folder.is_dir():
        raise TargetError(f"{folder} is in the way: it is no folder")
    return folder


def refuse_full(folder: Path, size: int, hint: str) -> None:
    """Raises `TargetError` where a file of about so many bytes has no room."""
    free = shutil.disk_usage(folder).free
    if free < size + _ROOM:
        raise TargetError(
            f"{folder} has {free // 2**20:,} MB free, and the move needs about {size // 2**20:,} MB",
            hint=hint,
        )
