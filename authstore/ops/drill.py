"""Proof that a backup can be put back, by putting it back where it harms nobody."""

import os
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from authstore.backends.sqlite.backups import checking
from authstore.backends.sqlite.backups.checking import Checked
from authstore.backends.threads import Stop, in_thread
from authstore.connect import connect
from authstore.errors import SchemaError, StoreCorruptError
from authstore.ops import checksum
from authstore.ops.events.following import verify_events
from authstore.ops.partial import partial_file
from authstore.ops.places import backup_at, temporary


@dataclass(frozen=True, slots=True)
class DrillReport:
    """`ok`: the backup can be put back as it was made. `counts`: rows by table. `sha256`: the sum it was compared with,
    `None` where no `.sha256` stands beside it."""

    ok: bool
    problems: tuple[str, ...]
    counts: dict[str, int] = field(default_factory=dict)
    sha256: str | None = None


async def drill(path: str | os.PathLike[str]) -> DrillReport:
    """Puts a backup back into a temporary file (TMPDIR needs the room), compares its SHA-256, reads every page, index,
    constraint and reference, opens it as a store, and checks the chain of an audit.

    Raises `StoreNotFoundError`, `StoreFullError`, `StoreBusyError` where the file is a store that is open.
    """
    source = backup_at(path)
    async with partial_file(temporary("drill")) as made:
        report = await in_thread(partial(_look, source, made))
        if not report.ok:
            return report
        try:
            async with connect(made, create=False) as store:
                chain = await verify_events(store)
        except (SchemaError, StoreCorruptError) as error:
            return _failed(report, str(error))
    if chain.problems:
        return _failed(report, f"{len(chain.problems)} events of the audit were changed, dropped or moved")
    return report


def _look(source: Path, made: Path, stop: Stop) -> DrillReport:
    problems: list[str] = []
    found = Checked((), (), {})
    expected = None
    try:
        expected = checksum.read(source)
        if checksum.copied(source, made, stop) != expected and expected is not None:
            problems.append("it is not what its .sha256 says: it was damaged or changed")
        found = checking.check(made, stop)
    except (SchemaError, StoreCorruptError) as error:
        problems.append(str(error))
    problems += [*found.damage, *found.problems]
    return DrillReport(not problems, tuple(problems), found.counts, expected)


def _failed(report: DrillReport, problem: str) -> DrillReport:
    return replace(report, ok=False, problems=(*report.problems, problem))
