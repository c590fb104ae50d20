"""The files beside a target: the one being made, the lock, the backup.

A target is never written to. The new file grows as `.NAME.moving` beside it, readable by its owner only, and
takes its name in one step once it is whole and on the disk.
"""

import errno
import fcntl
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from authstore.backends.sqlite import file
from authstore.backends.sqlite.errors import files_translated
from authstore.errors import ConfigurationError
from authstore.mover.errors import TargetBusyError, TargetError


@dataclass(frozen=True, slots=True)
class TargetFiles:
    """Where things are. Paths only; nothing is touched until asked for."""

    target: Path

    @property
    def building(self) -> Path:
        return self.target.with_name(f".{self.target.name}.moving")

    @property
    def lock(self) -> Path:
        return self.target.with_name(f".{self.target.name}.lock")

    @property
    def rejects(self) -> Path:
        return self.target.with_name(f"{self.target.name}.rejects.jsonl")

    def backup(self, when: datetime) -> Path:
        return self._free(f"{self.target.name}.backup-{when:%Y%m%dT%H%M%S}Z")

    def set_aside(self, when: datetime) -> Path:
        return self._free(f"{self.target.name}.set-aside-{when:%Y%m%dT%H%M%S}Z")

    def _free(self, name: str) -> Path:
        path, number = self.target.with_name(name), 1
        while path.exists():
            number += 1
            path = self.target.with_name(f"{name}-{number}")
        return path


def files_of(target: str | Path) -> TargetFiles:
    """The place of `sqlite:///relative.db`, `sqlite:////absolute.db` or a `Path`. Raises `ConfigurationError`."""
    if isinstance(target, str):
        if not target.startswith("sqlite:///") or target in ("sqlite:///", "sqlite:///:memory:") or "?" in target:
            raise ConfigurationError("the target is a file: write sqlite:///auth.db or sqlite:////absolute/auth.db")
        target = Path(target.removeprefix("sqlite:///"))
    if "\0" in str(target):
        raise ConfigurationError("the path of the target contains NUL")
    if not target.name:
        raise ConfigurationError(
            "the target is a file, and no folder: write sqlite:///auth.db or sqlite:////absolute/auth.db"
        )
    with files_translated():  # the working directory may be gone
        return TargetFiles(Path(os.path.abspath(target)))


def check_target(files: TargetFiles) -> bool:
    """Whether there is something at the target. Refuses what is no plain file, what somebody has open, and a name that
    leaves no room for those of the files beside it."""
    _refuse_long_name(files.target)
    try:
        status = files.target.lstat()
    except FileNotFoundError:
        _refuse_logs(files)
        return False
    except NotADirectoryError as error:
        raise TargetError(f"{files.target}: a folder of the path is a file") from error
    if not stat.S_ISREG(status.st_mode):
        kind = "a symbolic link" if stat.S_ISLNK(status.st_mode) else "no plain file"
        raise TargetError(f"{files.target} is {kind}", hint="name the file itself")
    _refuse_logs(files)
    _refuse_locked(files.target)
    return True


def _refuse_long_name(target: Path) -> None:
    longest = target.with_name(f"{target.name}.set-aside-20260101T000000Z")
    try:
        longest.lstat()
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise TargetError(
                f"{target}: the name is too long, since files beside it have longer ones", hint="choose a shorter name"
            ) from error


def _refuse_logs(files: TargetFiles) -> None:
    """An empty log is what a look leaves behind (`sqlite3 -readonly`): nothing is in it, and it proves no user."""
    wal, _, journal = file.logs(files.target)
    for log in (wal, journal):
        if os.path.lexists(log) and log.lstat().st_size:
            raise TargetBusyError(
                f"{log} is there: the target is open, or was not closed",
                hint="stop the application; if it was killed, open the file once with authstore and close it",
            )


def _refuse_locked(path: Path) -> None:
    if file.is_in_use(path):
        raise TargetBusyError(f"{path} is open elsewhere", hint="stop the application first")


@contextmanager
def locked(files: TargetFiles) -> Iterator[None]:
    """Only one move at a time works at a target. The lock dies with its process."""
    files.target.parent.mkdir(parents=True, exist_ok=True)
    descriptor = _lock(files.lock)
    try:
        yield
    finally:
        files.lock.unlink(missing_ok=True)
        os.close(descriptor)


def _lock(path: Path) -> int:
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            raise TargetBusyError("another move into this target is at work", hint="wait for it, or stop it") from error
        # Whoever held it before may have removed the file in between.
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(descriptor), path.stat()):
                return descriptor
        os.close(descriptor)


def fingerprint(path: Path) -> str:
    """Changes whenever somebody writes to the file or puts another in its place."""
    status = path.stat()
    return f"{status.st_ino}:{status.st_size}:{status.st_mtime_ns}"


def copy_to_building(files: TargetFiles) -> None:
    """The building starts as a copy of the target; a half copy never has its name."""
    part = files.building.with_name(files.building.name + f".{secrets.token_hex(4)}")
    try:
        file.copy(files.target, part)
        part.replace(files.building)
    finally:
        part.unlink(missing_ok=True)


def new_building(files: TargetFiles) -> None:
    """An empty file under the building's name."""
    drop_building(files)
    file.make_private(files.building)


def drop_building(files: TargetFiles) -> None:
    """With its logs, and what a copy left that was never whole."""
    file.remove(files.building)
    for part in files.target.parent.glob(f"{_literal(files.building.name)}.*"):
        part.unlink(missing_ok=True)


def _literal(name: str) -> str:
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in name)
