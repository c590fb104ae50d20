"""How long the console takes to open over a million sessions, and how long look-ups of the application wait beside it.
`python -m benchmarks.console [SESSIONS]`; the result is benchmarks/results/console.md."""

import asyncio
import gc
import os
import platform
import sqlite3
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

import httpx2
from starlette.applications import Starlette

from authstore import Adapter, connect
from authstore.backends.sqlite.units import iso
from authstore.store.ids import TimeOrderedIds
from authstore.testing.web import sign_in
from authstore.web import Auth

USERS, DAYS = 1000, 30
ROUNDS, OPENINGS = 5, 10
PAUSE_SECONDS = 0.005  # from one look-up to the next
SITE = "https://app.example"
RESULT = Path(__file__).parent / "results" / "console.md"
_FILL = """
INSERT INTO sessions (id, token_hash, user_id, expires, created_at, last_used_at, authenticated_at, ip, user_agent)
VALUES (?, ?, ?, ?, ?, ?, ?, '192.0.2.7', 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0')
"""


def sessions(users: list[str], count: int) -> Iterator[tuple[Any, ...]]:
    """Rows of sessions, spread evenly over the last days; a third of them was never used again."""
    ids, end, length = TimeOrderedIds(), datetime.now(UTC), timedelta(days=DAYS)
    for number in range(count):
        at = end - length + length * number / count
        used = at if number % 3 == 0 else min(at + timedelta(days=5), end)
        expires, began = iso(at + length), iso(at)
        yield ids.next(at), os.urandom(32), users[number % USERS], expires, began, iso(used), began


async def fill(path: Path, count: int) -> None:
    """A store with so many sessions."""
    async with connect(path) as store, store.transaction() as transaction:
        users = [(await transaction.create_user()).id for _ in range(USERS)]
    with closing(sqlite3.connect(path)) as connection:
        connection.executemany(_FILL, sessions(users, count))
        connection.commit()
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


async def look_ups(store: Adapter, token: str, until: Callable[[], bool]) -> list[float]:
    """How long each took, in milliseconds, one after another."""
    took = []
    while not until():
        began = time.perf_counter()
        await store.get_session_and_user(token)
        took.append((time.perf_counter() - began) * 1000)
        await asyncio.sleep(PAUSE_SECONDS)
    return took


async def beside(store: Adapter, token: str, work: Awaitable[object]) -> list[float]:
    """How long look-ups took while this was done."""
    task = asyncio.ensure_future(work)
    took = await look_ups(store, token, task.done)
    await task
    return took


async def measure(path: Path, count: int) -> str:
    """Everything, as a page."""
    load, opened = os.getloadavg()[0], []
    late: list[bool] = []
    alone: list[float] = []
    during: list[float] = []
    async with connect(path) as store:
        auth, app = Auth(store, base_url=SITE, secrets="a secret of the benchmark, long enough"), Starlette()
        app.routes.append(auth.console())
        auth.install(app)
        user = await store.create_user()
        await store.create_role("admin")
        await store.grant_role(user.id, "admin")
        transport = httpx2.ASGITransport(app)
        async with httpx2.AsyncClient(transport=transport, base_url=SITE, headers={"accept": "text/html"}) as browser:
            session = await sign_in(browser, user, auth=auth)

            async def open_console() -> None:
                for _ in range(OPENINGS):
                    began = time.perf_counter()
                    answer = await browser.get("/auth/console")
                    opened.append(time.perf_counter() - began)
                    assert answer.status_code == 200
                    late.append("left out, not waited for" in answer.text)

            await open_console()
            opened.clear()
            late.clear()
            gc.collect()
            gc.freeze()  # as docs/operations.md says, once the application has started
            for _ in range(ROUNDS):
                alone += await beside(store, str(session.token), asyncio.sleep(3))
                during += await beside(store, str(session.token), open_console())
    return f"""# The console over {count:,} sessions

{len(opened)} openings of `/auth/console`, whole: {median(opened):.2f} s in the median, {max(opened):.2f} s at most; in
{sum(late)} of them something was left out, since the database did not tell it in time. Look-ups of the application in
the same process and event loop, one after another, without and with somebody who opens it all the time; in turns,
{ROUNDS} rounds. Milliseconds. Load of the machine before it began (one minute): {load:.1f} on {os.cpu_count()} cores;
Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}.
`python -m benchmarks.console [SESSIONS]`

| | look-ups | median | 99 % | longest |
|---|---|---|---|---|
{row("without the console", alone)}
{row("beside the console", during)}
"""


def row(name: str, took: list[float]) -> str:
    """A line of the table."""
    took = sorted(took)
    return f"| {name} | {len(took):,} | {median(took):.2f} | {took[int(len(took) * 0.99)]:.2f} | {took[-1]:.2f} |"


def main() -> None:
    """The command."""
    count = int(sys.argv[1]) if sys.argv[1:] else 1_000_000
    data = Path(__file__).parent / "data"  # on the disk, where the temporary folder may be memory
    data.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=data) as folder:
        path = Path(folder) / "auth.db"
        asyncio.run(fill(path, count))
        page = asyncio.run(measure(path, count))
    RESULT.write_text(page)
    print(page)


if __name__ == "__main__":
    main()
