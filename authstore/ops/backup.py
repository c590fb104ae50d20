"""A copy of a store while it is in use: one file of SQLite, whatever the store's own database is."""

import logging
import os
import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import cast

from pydantic import JsonValue

from authstore.adapter import Adapter
from authstore.backends.sqlite import file
from authstore.backends.sqlite.backups import checking, copying
from authstore.backends.sqlite.errors import files_translated
from authstore.backends.threads import Stop, in_thread
from authstore.connect import connect, file_of
from authstore.errors import ConfigurationError, SchemaError, StoreCorruptError, StoreError
from authstore.expiry import utc_now
from authstore.ops import checksum
from authstore.ops.partial import partial_file
from authstore.ops.places import absolute
from authstore.store import Store
from authstore.store.notes import BACKUP

_logger = logging.getLogger("authstore.ops")


@dataclass(frozen=True, slots=True)
class BackupReport:
    """A backup that was made. `ok`: nothing is wrong with what it holds; else `problems` says what is wrong in the
    store. `bytes`: how long the file is; `sha256`: its sum, which stands in `path.sha256` too."""

    ok: bool
    path: str
    bytes: int
    sha256: str
    seconds: float
    problems: tuple[str, ...] = ()


async def backup(
    url_or_store: str | Path | Adapter, path: str | os.PathLike[str], *, keep: int | None = None
) -> BackupReport:
    """Copies a store, as it stands at one moment, into a new file of SQLite, whatever its database is: mode 0600,
    checked, flushed to the disk, and only then named. Who reads or writes meanwhile does not wait for it.
    `path.sha256` holds its sum, as `sha256sum` writes it.

    With `keep` the name gets the instant (UTC): `auth.db` becomes `auth-20261128T140000Z.db`, and of the backups so
    named the newest `keep` stay, unless this one has problems.

    Raises `ConfigurationError` where the file is there already, `StoreCorruptError` where the store is damaged (nothing
    is named then), `StoreNotFoundError`, `SchemaError`, `StoreFullError`, `StoreUnavailableError`.
    """
    if keep is not None and (isinstance(keep, bool) or not isinstance(keep, int) or keep < 1):
        raise ValueError("keep is a whole number of backups, at least 1")
    started = time.monotonic()
    place = absolute(path)
    copy_to, clock = _source(url_or_store)
    instant = None if keep is None else clock().astimezone(UTC)
    if instant is None:
        _refuse_taken(place)
    async with partial_file(place) as made:
        await copy_to(made)
        report = await in_thread(partial(_finish, made, place, instant))
    if keep is not None and report.ok:
        await in_thread(lambda _: _forget_older(place, Path(report.path), keep))
    report = replace(report, seconds=time.monotonic() - started)
    await _note(url_or_store, report)
    return report


def _source(given: object) -> tuple[Callable[[Path], Awaitable[None]], Callable[[], datetime]]:
    if isinstance(given, Store):
        return given.database.copy_to, given.clock
    if not isinstance(given, (str, Path)):
        raise TypeError("a backup is made of a URL, a path, or a store that authstore.connect opened")
    source = file_of(given)
    if source is not None:
        return lambda made: in_thread(partial(copying.copy, source, made)), utc_now
    from authstore.backends.postgres.backups import copying as servers  # the driver is an extra

    return partial(servers.copy, str(given)), utc_now


async def _note(given: object, report: BackupReport) -> None:
    """So that `doctor` knows in the store of its newest backup. A store that cannot be written has one nevertheless."""
    said: dict[str, JsonValue] = {"ok": report.ok, "path": report.path, "bytes": report.bytes, "sha256": report.sha256}
    try:
        if isinstance(given, Store):
            await given.put_note(BACKUP, said)
        elif isinstance(given, (str, Path)):
            async with connect(given, create=False, migrate=False) as store:
                await cast(Store, store).put_note(BACKUP, said)
    except (StoreError, SchemaError) as error:
        _logger.warning("the backup is made, but could not be noted in the store: %s", error)


def _finish(made: Path, place: Path, instant: datetime | None, stop: Stop) -> BackupReport:
    """Checks a copy that is whole, and gives it its name."""
    found = checking.check(made, stop)
    if found.damage:
        raise StoreCorruptError(f"the store is damaged, and so would be its backup: {'; '.join(found.damage)}")
    sha256 = checksum.of(made, stop)
    with files_translated(), file.alone_in(place.parent):  # each backup has its own sum beside it
        size = made.stat().st_size
        path = place if instant is None else _free(place, instant)
        _refuse_taken(path)
        checksum.write(path, sha256)
        file.put_in_place(made, path, is_alone=True)
        file.sync(path.parent)
    return BackupReport(not found.problems, str(path), size, sha256, 0.0, found.problems)


def _refuse_taken(path: Path) -> None:
    if os.path.lexists(path):
        raise ConfigurationError(f"{path} is there already: name another file, or say how many to keep")


def _free(place: Path, instant: datetime) -> Path:
    """The name of this instant's backup; of two within one second the later gets the next one's."""
    while True:
        path = place.with_name(f"{place.stem}-{instant:%Y%m%dT%H%M%SZ}{place.suffix}")
        if not os.path.lexists(path):
            return path
        instant += timedelta(seconds=1)


def _forget_older(place: Path, newest: Path, keep: int) -> None:
    """Of the backups of this name the newest stay: this one, and as many more as are to be kept. The sums of the others
    go with them, and those that stayed alone where somebody was killed."""
    named = re.compile(rf"({re.escape(place.stem)}-\d{{8}}T\d{{6}}Z{re.escape(place.suffix)})(\.sha256)?", re.DOTALL)
    with files_translated(), file.alone_in(place.parent):
        found = [match for each in place.parent.iterdir() if (match := named.fullmatch(each.name))]
        backups = {match[1] for match in found if not match[2]}
        mine = backups & {newest.name}  # another one who keeps as many may have forgotten it
        others = sorted(backups - mine)
        kept = {*mine, *others[max(len(others) - keep + len(mine), 0) :]}
        for match in found:
            if match[1] not in kept:
                _forget(place.with_name(match[0]))


def _forget(path: Path) -> None:
    """The new backup is made, whatever becomes of an older one."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        _logger.warning("the backup is made, but an older one stays: %s: %s", path, error.strerror)
