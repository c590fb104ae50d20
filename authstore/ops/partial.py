"""A file that is being made: in a folder of its own beside its place, removed even where its maker was killed (by the
next one who makes a file for that place)."""

import asyncio
import fcntl
import os
import re
import secrets
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from authstore.backends.ownership import check_asyncio
from authstore.backends.sqlite import file
from authstore.backends.sqlite.errors import files_translated
from authstore.backends.threads import in_thread, to_the_end


@asynccontextmanager
async def partial_file(path: Path) -> AsyncIterator[Path]:
    """A new, empty file on the file system of `path`, for its owner alone; at the end what is left there goes."""
    check_asyncio()
    made: list[tuple[Path, int]] = []  # even where the caller is cancelled meanwhile
    try:
        await in_thread(lambda _: made.append(_make(path)))
        yield made[0][0] / path.name
    finally:
        removing = asyncio.ensure_future(asyncio.to_thread(_remove, made))
        try:
            await asyncio.shield(removing)
        except asyncio.CancelledError:
            await to_the_end(removing)
            raise


def _make(path: Path) -> tuple[Path, int]:
    with files_translated():
        file.make_folder(path.parent)
        _remove_left_behind(path)
        while True:
            folder = path.with_name(f".{path.name}.{secrets.token_hex(8)}.partial")
            folder.mkdir(mode=0o700)
            with suppress(FileNotFoundError):  # somebody took it for left behind before it was locked
                return folder, _begin(folder, path.name)


def _begin(folder: Path, name: str) -> int:
    """Locks the folder, and makes the file in it."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        file.make_private(folder / name)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _remove(made: list[tuple[Path, int]]) -> None:
    for folder, descriptor in made:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(descriptor)


def _remove_left_behind(path: Path) -> None:
    named = re.compile(rf"\.{re.escape(path.name)}\.[0-9a-f]{{16}}\.partial")
    for found in path.parent.iterdir():
        if named.fullmatch(found.name) is None:
            continue
        with suppress(OSError):  # it is in use, or another user's
            descriptor = os.open(found, os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)  # goes with the process that has it
                shutil.rmtree(found, ignore_errors=True)
            finally:
                os.close(descriptor)
