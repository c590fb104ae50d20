"""A backup put back in the place of a store."""

import os
import time
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import cast

from authstore.backends.sqlite.backups import checking
from authstore.backends.sqlite.backups.checking import Checked
from authstore.backends.threads import Stop, in_thread
from authstore.connect import connect
from authstore.errors import StoreCorruptError
from authstore.expiry import utc_now
from authstore.models import aware_utc
from authstore.ops import checksum
from authstore.ops.partial import partial_file
from authstore.ops.places import backup_at, place_of
from authstore.store import Store


@dataclass(frozen=True, slots=True)
class RestoreReport:
    """A store that was put back at `place`. `set_aside`: where what was there is now; `revoked`: how many sessions were
    ended; `ok`: nothing is wrong in it, else `problems` says what, and it was so when it was backed up."""

    ok: bool
    place: str
    set_aside: str | None
    revoked: int
    seconds: float
    problems: tuple[str, ...] = ()


async def restore(
    path: str | os.PathLike[str], url: str | Path, *, revoke_since: datetime | None = None
) -> RestoreReport:
    """Puts a backup in the place of a store, whole or not at all, at the schema of this version. What was there is set
    aside beside it; nothing is deleted.

    `revoke_since`: when the backup was made, or a little earlier. Every session that lived at that instant or began
    after it is ended, reason `"restored"`, since what was revoked since is unknown; so are its verification tokens.

    Raises `StoreBusyError` while somebody has the store, or the backup, open; `StoreCorruptError` for a backup that is
    damaged or not what its `.sha256` says; `SchemaError` for one of a newer version, and for what is no store, here or
    there; `StoreNotFoundError`; `ConfigurationError` for a place where no store may be.
    """
    if revoke_since is not None:
        if not isinstance(revoke_since, datetime) or revoke_since.tzinfo is None:
            raise ValueError("revoke_since is an aware datetime, such as datetime(2026, 11, 28, 14, tzinfo=UTC)")
        revoke_since = aware_utc(revoke_since)
    started, source, place = time.monotonic(), backup_at(path), place_of(url)
    await place.check(source)
    async with partial_file(place.beside) as made:
        found = await in_thread(partial(_copy, source, made))
        newest = await place.newest_change()
        async with connect(made, create=False) as store:
            revoked = await cast(Store, store).begin_anew(newest, revoke_since)
        set_aside = await place.put_back(made, utc_now())
    seconds = time.monotonic() - started
    return RestoreReport(not found.problems, place.shown, set_aside, revoked, seconds, found.problems)


def _copy(source: Path, made: Path, stop: Stop) -> Checked:
    """Copies a backup, and checks the copy. Raises where it is not fit to be a store."""
    expected, sha256 = checksum.read(source), checksum.copied(source, made, stop)
    if expected not in (None, sha256):
        raise StoreCorruptError(
            f"{source} is not what its .sha256 says: it was damaged or changed; take another backup"
        )
    found = checking.check(made, stop)
    if found.damage:
        raise StoreCorruptError(f"{source} is damaged, take another backup: {'; '.join(found.damage)}")
    return found
