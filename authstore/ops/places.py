"""Where a backup is put back: in the place of a file, or of a server's tables."""

import os
import re
import tempfile
from datetime import datetime
from pathlib import Path
from typing import Protocol

from authstore.backends.sqlite.backups import restoring
from authstore.backends.sqlite.errors import files_translated
from authstore.backends.sqlite.file import check_reachable
from authstore.backends.threads import in_thread
from authstore.connect import file_of
from authstore.errors import ConfigurationError, StoreNotFoundError

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")  # a Path has one slash of the two


class Place(Protocol):
    """`shown`: what people see of it; `beside`: what the file that is made for it is made beside."""

    shown: str
    beside: Path

    async def check(self, source: Path, /) -> None:
        """Raises where no store may be put, this backup above all, and while somebody has the one there open."""
        ...

    async def newest_change(self) -> int:
        """The number of the newest row in the change log of what is there."""
        ...

    async def put_back(self, made: Path, when: datetime) -> str | None:
        """Puts what the file holds there, whole or not at all; where what was there is now."""
        ...


class FilePlace:
    """See `Place`."""

    def __init__(self, path: Path) -> None:
        with files_translated():
            self.beside = Path(os.path.realpath(path))
        self.shown = str(self.beside)

    async def check(self, source: Path) -> None:
        """See `Place`."""
        await in_thread(lambda _: self._check(source))

    def _check(self, source: Path) -> None:
        check_reachable(self.beside)
        if self.beside.exists() and source.samefile(self.beside):
            raise ConfigurationError(f"{source} would be put in its own place: name the store's file")
        restoring.check_place(self.beside)

    async def newest_change(self) -> int:
        """See `Place`."""
        return await in_thread(lambda _: restoring.newest_change(self.beside))

    async def put_back(self, made: Path, when: datetime) -> str | None:
        """See `Place`."""
        aside = await in_thread(lambda _: restoring.put_back(made, self.beside, when))
        return str(aside) if aside else None


class ServerPlace:
    """See `Place`."""

    def __init__(self, url: str) -> None:
        from authstore.backends.postgres.backups import restoring as servers  # the driver is an extra

        self._url = url
        self._servers = servers
        self.shown = servers.shown(url)
        self.beside = temporary("restore")

    async def check(self, _source: Path) -> None:
        """See `Place`. No file is in the place of a server's tables."""
        await self._servers.check_place(self._url)

    async def newest_change(self) -> int:
        """See `Place`."""
        return await self._servers.newest_change(self._url)

    async def put_back(self, made: Path, when: datetime) -> str | None:
        """See `Place`."""
        return await self._servers.put_back(self._url, made, when)


def place_of(url: str | Path) -> Place:
    """Where this URL leads. Raises `ConfigurationError`."""
    path = file_of(url)
    return FilePlace(path) if path is not None else ServerPlace(str(url))


def absolute(path: str | os.PathLike[str]) -> Path:
    """Whatever becomes of the working directory. Raises `ConfigurationError` for a URL, whose password no message may
    show."""
    if _URL.match(os.fspath(path)):
        raise ConfigurationError("a backup is a file: write its path, not a URL")
    if "\0" in os.fspath(path):
        raise ConfigurationError("the path of the backup contains NUL")
    with files_translated():  # the working directory may be gone
        return Path(os.path.abspath(path))


def backup_at(path: str | os.PathLike[str]) -> Path:
    """The file of a backup. Raises `StoreNotFoundError`."""
    found = absolute(path)
    check_reachable(found)
    if not found.is_file():
        raise StoreNotFoundError(f"there is no backup at {found}")
    return found


def temporary(purpose: str) -> Path:
    """A place for files that nobody is to keep; TMPDIR says where."""
    return Path(tempfile.gettempdir()) / f"authstore-{purpose}.db"
