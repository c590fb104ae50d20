"""How long others wait while a store is backed up: look-ups in the process that makes the backup, sign-ins in another.
`python -m benchmarks.backup [MEGABYTES]`; the result is benchmarks/results/backup.md."""

import asyncio
import json
import os
import platform
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path

from authstore import Adapter, connect, ops

SIGN_INS, LOOK_UPS = 50, 200  # a second
RESULT = Path(__file__).parent / "results" / "backup.md"
_FILL = """
WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
INSERT INTO sessions (id, token_hash, user_id, expires, created_at, last_used_at, authenticated_at, data)
SELECT printf('s%09d', i), randomblob(32), 'ada', '2099-01-01T00:00:00.000000Z', '2026-01-01T00:00:00.000000Z',
    '2026-01-01T00:00:00.000000Z', '2026-01-01T00:00:00.000000Z', json_object('x', hex(randomblob(700))) FROM n
"""


async def repeat(call: Callable[[], Awaitable[object]], a_second: int, until: Callable[[], bool]) -> list[float]:
    """Calls so often, and gives how long each took, in milliseconds."""
    took, due = [], time.perf_counter()
    while not until():
        due += 1 / a_second
        await asyncio.sleep(max(due - time.perf_counter(), 0))
        began = time.perf_counter()
        await call()
        took.append((time.perf_counter() - began) * 1000)
    return took


async def sign_in(path: Path) -> None:
    """Another process: signs in until told to stop, and says how long each took."""
    stop = asyncio.ensure_future(asyncio.to_thread(sys.stdin.read))
    async with connect(path) as store:
        print(json.dumps(await repeat(lambda: store.create_session("ada"), SIGN_INS, stop.done)))


async def phase(path: Path, store: Adapter, token: str, work: Awaitable[object]) -> tuple[list[float], list[float]]:
    """How long look-ups and sign-ins took while this was done."""
    command = [sys.executable, "-m", "benchmarks.backup", "--sign-in", str(path)]
    other = await asyncio.create_subprocess_exec(*command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    await asyncio.sleep(1)
    task = asyncio.ensure_future(work)
    look_ups = await repeat(lambda: store.get_session_and_user(token), LOOK_UPS, task.done)
    await task
    said, _ = await other.communicate(b"\n")
    return look_ups, json.loads(said)


def row(name: str, look_ups: list[float], sign_ins: list[float]) -> str:
    """A line of the table."""
    cells = [f"{sorted(took)[int(len(took) * 0.99)]:.1f} | {max(took):.1f}" for took in (look_ups, sign_ins)]
    return f"| {name} | {' | '.join(cells)} |"


async def measure(folder: Path, megabytes: int) -> str:
    """Everything, as a page."""
    path = folder / "auth.db"
    async with connect(path) as store:
        await store.create_user(id="ada")
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(_FILL, (megabytes * 500,))
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    load = os.getloadavg()[0]
    async with connect(path) as store:
        token = (await store.create_session("ada")).token or ""
        without = await phase(path, store, token, asyncio.sleep(15))
        reports: list[ops.BackupReport] = []

        async def back_up() -> None:
            reports.append(await ops.backup(store, folder / "copy.db"))

        during = await phase(path, store, token, back_up())
    [report] = reports
    return f"""# A backup under load

{report.bytes / 2**20:,.0f} MB in {report.seconds:.1f} s (copied, checked, summed, flushed) by the process that answers
{LOOK_UPS} look-ups a second, while another process signs {SIGN_INS} people in a second. Milliseconds. Load of the
machine before it began (one minute): {load:.1f} on {os.cpu_count()} cores; Python {platform.python_version()}, SQLite
{sqlite3.sqlite_version}. `python -m benchmarks.backup [MEGABYTES]`

| | look-up, 99 % | look-up, longest | sign-in, 99 % | sign-in, longest |
|---|---|---|---|---|
{row("without a backup", *without)}
{row("during the backup", *during)}
"""


def main() -> None:
    """The command."""
    if sys.argv[1:2] == ["--sign-in"]:
        asyncio.run(sign_in(Path(sys.argv[2])))
        return
    data = Path(__file__).parent / "data"  # on the disk, where the temporary folder may be memory
    data.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=data) as folder:
        page = asyncio.run(measure(Path(folder), int(sys.argv[1]) if sys.argv[1:] else 1024))
    RESULT.write_text(page)
    print(page)


if __name__ == "__main__":
    main()
