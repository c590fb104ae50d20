"""`make ledger`: a million look-ups in a cached store while two other processes end sessions and are killed at random.

Writes results/ledger.md. The tests run the same for some seconds.
"""

import argparse
import asyncio
import os
import platform
import sqlite3
import sys
import time
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from authstore.testing.contract import RevocationContract
from authstore.testing.contract.revocation import Revoking
from tests.backends.sqlite.test_revocation import PlainSql, opened

RESULT = Path(__file__).parent / "results" / "ledger.md"
WANTED = 1_000_000


class Ledger(RevocationContract):
    """One store with a cache; a second with another, and plain SQL, end its sessions."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds


async def counted(seconds: float) -> tuple[str, int]:
    """The result as Markdown, and how many look-ups. Raises `AssertionError` for one stale answer."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "auth.db"
        open_store, began = partial(opened, path), time.monotonic()
        revokers = [Revoking(open_store), PlainSql(path)]
        tally = await Ledger(seconds).counted(open_store, revokers, Path(folder))
        spent = time.monotonic() - began
    assert tally.stale == 0, f"{tally.stale} stale answers"
    return (
        "# The ledger of acknowledged revocations\n\n"
        f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, {os.cpu_count()} cores, "
        f"{datetime.now(UTC):%Y-%m-%d}; {spent:.0f} s, load of the machine {os.getloadavg()[0]:.1f}.\n\n"
        "| look-ups | ends acknowledged by two other processes | of those processes killed | stale answers |\n"
        "|---:|---:|---:|---:|\n"
        f"| {tally.looked:,} | {tally.ended:,} | {tally.killed:,} | {tally.stale} |\n"
    ), tally.looked


def main() -> None:
    """Counts, prints, writes."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ledger", description=__doc__)
    parser.add_argument("--seconds", type=float, default=300.0)
    result, looked = asyncio.run(counted(parser.parse_args().seconds))
    print(result)
    RESULT.write_text(result)
    if looked < WANTED:
        sys.exit(f"fewer than {WANTED:,} look-ups: give it more --seconds")


if __name__ == "__main__":
    main()
