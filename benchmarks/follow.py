"""`make follow`: a source written to in every way, whose follower is killed every second; equal at the end, each time.

Writes results/follow.md: rows a second that a follower kept up with, how long the cut-over stood still, how soon a
killed follower went on. The tests do the same with few rows. Whoever is killed every second is a process that has its
modules already, so that on a busy machine too it comes to its work before.
"""

import argparse
import asyncio
import json
import os
import platform
import random
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from multiprocessing.synchronize import Event
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import psycopg

from authstore.mover import follow, verify
from tests.mover.moving import people
from tests.postgres import PostgresServer, embedded_server

PROCESSES = get_context("forkserver")
PROCESSES.set_forkserver_preload(["authstore.mover.following.run", "tests.mover.moving"])
RESULT = Path(__file__).parent / "results" / "follow.md"
USERS, BULK = 5_000, 500
MARK = "the last row of all"
RESUMED = "After a SIGKILL to the first new row, seconds"
SHAPES = (
    "ALTER TABLE note ALTER body SET STORAGE EXTERNAL",
    "ALTER TABLE note ADD twice int GENERATED ALWAYS AS (pages * 2) STORED",
    "CREATE TABLE emptied (id int PRIMARY KEY, v text)",
    "CREATE TABLE loose (a int, b text)",
    "UPDATE note SET body = repeat('long ', 1000) WHERE id <= 200",
)
# Each with one number of a row; a key that changes goes where no other is.
WRITES = (
    "UPDATE note SET pages = pages + 1 WHERE id = %s",
    "UPDATE note SET pages = 1 - pages, weight = random() WHERE id = %s",
    "INSERT INTO note (author, body) VALUES ('u' || %s, 'new')",
    "DELETE FROM note WHERE id = %s + 2500",
    "UPDATE note SET id = nextval('note_id_seq') WHERE id = %s + 5000",
    """UPDATE "User" SET name = md5(random()::text) WHERE id = 'u' || %s""",
    """UPDATE "Session" SET expires = expires + interval '1 second' WHERE id = 's' || %s""",
    """DELETE FROM "Session" WHERE id = 's' || %s + 10000""",
    "INSERT INTO emptied VALUES (%s, 'e') ON CONFLICT (id) DO UPDATE SET v = 'again'",
    "INSERT INTO loose VALUES (%s, 'l')",
)


def write(url: str, a_second: int, stop: Event, written: Any) -> None:
    """Single writes of every kind, so many a second, until it is stopped or the table is closed."""
    dice, began, done = random.Random(), time.monotonic(), 0
    while not stop.is_set():
        try:
            with psycopg.connect(url, autocommit=True, connect_timeout=10) as link:
                while not stop.is_set():
                    if done >= (time.monotonic() - began) * a_second:
                        time.sleep(0.005)
                        continue
                    link.execute(dice.choice(WRITES).encode(), (dice.randint(1, 2500),))
                    done += 1
                    with written.get_lock():
                        written.value += 1
                    if dice.random() < 0.0005:
                        link.execute("TRUNCATE emptied")
        except psycopg.errors.ReadOnlySqlTransaction:
            return
        except psycopg.Error:
            time.sleep(0.1)


class Pace(NamedTuple):
    """`seconds`: of writing `rows`; `behind`: until the last of them stood in the target."""

    rows: int
    seconds: float
    behind: float


@dataclass(slots=True)
class Figures:
    """What was measured."""

    paces: list[Pace] = field(default_factory=list)
    again: list[float] = field(default_factory=list)
    again_warm: list[float] = field(default_factory=list)
    standstills: list[float] = field(default_factory=list)
    rounds: list[tuple[int, int, bool]] = field(default_factory=list)  # writes, kills, equal
    rate: list[float] = field(default_factory=list)
    loads: list[float] = field(default_factory=list)

    def note_load(self) -> None:
        self.loads.append(os.getloadavg()[0])


def follow_on(url: str, target: str) -> None:
    """A follower, in a process that is killed."""
    asyncio.run(follow(url, Path(target)))


def start_warm(url: str, target: Path) -> BaseProcess:
    """A follower that begins at once."""
    process = PROCESSES.Process(target=follow_on, args=(url, str(target)))
    process.start()
    return process


def start(url: str, target: Path, *more: str) -> subprocess.Popen[str]:
    """A follower of its own process."""
    command = [sys.executable, "-m", "authstore.cli", "follow", url, f"sqlite:///{target}", "--json", *more]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


def await_value(target: Path, query: str, wanted: Any, seconds: float = 300.0) -> float:
    """Seconds until a query of the target gives this."""
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        try:
            with closing(sqlite3.connect(f"file:{target}?mode=ro", uri=True)) as file:
                if file.execute(query).fetchone() == (wanted,):
                    return time.monotonic() - began
        except sqlite3.OperationalError:
            pass
        time.sleep(0.02)
    raise AssertionError(f"{query} never gave {wanted!r}")


def mark(source: psycopg.Connection[Any], target: Path, text: str) -> float:
    """Writes a row and waits for it."""
    source.execute("""UPDATE "User" SET name = %s WHERE id = 'u1'""", (text,))
    return await_value(target, "SELECT name FROM users WHERE id = 'u1'", text)


@contextmanager
def writers(url: str, a_second: int, count: int = 2) -> Iterator[Any]:
    """Processes that write; the number of their writes."""
    stop, written = PROCESSES.Event(), PROCESSES.Value("q", 0)
    all_ = [PROCESSES.Process(target=write, args=(url, a_second // count, stop, written)) for _ in range(count)]
    for one in all_:
        one.start()
    while not written.value:
        time.sleep(0.05)
    try:
        yield written
    finally:
        stop.set()
        for one in all_:
            one.join()


def keep_up(source: psycopg.Connection[Any], target: Path, figures: Figures, a_second: int, seconds: int) -> None:
    """Statements of 500 rows each, so many rows a second; then how long the last of them took."""
    began, rows = time.monotonic(), 0
    while time.monotonic() - began < seconds:
        if rows < (time.monotonic() - began) * a_second:
            first = random.randint(1, USERS * 2 - BULK)  # no secret
            where = "WHERE id >= %s AND id < %s"
            rows += source.execute(f"UPDATE note SET pages = pages + 1 {where}", (first, first + BULK)).rowcount
        else:
            time.sleep(0.005)
    spent = time.monotonic() - began
    figures.paces.append(Pace(rows, spent, mark(source, target, f"{MARK} {a_second} {time.monotonic()}")))
    figures.note_load()


def storm(server: PostgresServer, target: Path, figures: Figures, seconds: int) -> None:
    """1,000 writes a second; the follower killed every second, the server restarted once, every connection cut once."""
    with writers(server.url, 1_000) as written:
        kills, began, before = 0, time.monotonic(), written.value
        while time.monotonic() - began < seconds:
            warm = start_warm(server.url, target)
            time.sleep(1.0)
            warm.kill()
            warm.join()
            kills += 1
            if kills == seconds // 3:
                server.stop("immediate")
                server.start()
            with psycopg.connect(server.url, autocommit=True) as source:
                if kills == seconds // 2:
                    source.execute(f"CREATE TABLE IF NOT EXISTS added_{int(began)} (id int PRIMARY KEY)".encode())
                if kills == seconds // 2 + 1:
                    source.execute(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
                    )
        figures.rate.append((written.value - before) / (time.monotonic() - began))
    process = start(server.url, target)
    with psycopg.connect(server.url, autocommit=True) as source:
        mark(source, target, f"after {began}")
    end = time.monotonic() + 120
    while not (equal := asyncio.run(verify(server.url, target)).ok) and time.monotonic() < end:
        time.sleep(0.5)
    figures.rounds.append((written.value, kills, equal))
    process.kill()
    process.communicate()
    again(server, target, figures)
    figures.note_load()


def again(server: PostgresServer, target: Path, figures: Figures) -> None:
    """From the start of a killed follower to the first row that is new."""
    asked = "SELECT name FROM users WHERE id = 'u1'"
    with psycopg.connect(server.url, autocommit=True) as source:
        for spent in (figures.again, figures.again_warm):
            text = f"again {time.monotonic()}"
            source.execute("""UPDATE "User" SET name = %s WHERE id = 'u1'""", (text,))
            if spent is figures.again:
                process = start(server.url, target)
                spent.append(await_value(target, asked, text))
                process.kill()
                process.communicate()
            else:
                warm = start_warm(server.url, target)
                spent.append(await_value(target, asked, text))
                warm.kill()
                warm.join()


def cut_over(server: PostgresServer, target: Path, figures: Figures) -> None:
    """With 1,000 writes a second, and back again."""
    with writers(server.url, 1_000):
        time.sleep(2)
        out, _ = start(server.url, target, "--cut-over").communicate(timeout=300)
    said = json.loads(out.splitlines()[-1])
    if not said.get("ok"):
        raise AssertionError(said)
    assert asyncio.run(verify(server.url, target)).ok
    figures.standstills.append(said["standstill"])
    start(server.url, target, "--reopen").communicate(timeout=60)
    figures.note_load()


def resumed(rounds: int) -> Figures:
    """A follower killed at work on a source that is written to, again and again: how soon the next one goes on."""
    figures = Figures()
    with embedded_server(wal_level="logical") as server, TemporaryDirectory() as folder:
        target = Path(folder) / "auth.db"
        with psycopg.connect(server.url, autocommit=True) as source:
            people(source, users=USERS, sessions=4, notes=2)
            for _ in range(rounds):
                process = start(server.url, target)
                mark(source, target, f"followed {time.monotonic()}")
                process.kill()
                process.communicate()
                again(server, target, figures)
                figures.note_load()
    return figures


def measured(rounds: int, seconds: int) -> Figures:
    """Everything, on one server."""
    figures = Figures()
    with embedded_server(wal_level="logical") as server, TemporaryDirectory() as folder:
        target = Path(folder) / "auth.db"
        with psycopg.connect(server.url, autocommit=True) as source:
            people(source, users=USERS, sessions=4, notes=2)
            for statement in SHAPES:
                source.execute(statement.encode())
            process = start(server.url, target)
            mark(source, target, "begun")
            for a_second in (5_000, 20_000):
                keep_up(source, target, figures, a_second, seconds)
            process.kill()
            process.communicate()
        for _ in range(rounds):
            storm(server, target, figures, seconds)
        for _ in range(3):
            cut_over(server, target, figures)
    return figures


def told_again(figures: Figures) -> str:
    """The paragraph about how soon a killed follower goes on."""
    cold = ", ".join(f"{seconds:.1f}" for seconds in figures.again)
    warm = ", ".join(f"{seconds:.1f}" for seconds in figures.again_warm)
    return f"""{RESUMED} (asked ≤ 3): {warm} in a process that has its modules already,
median {median(figures.again_warm):.1f}; {cold} with the start of Python, median {median(figures.again):.1f}."""


def told(figures: Figures, spent: float) -> str:
    """As Markdown."""
    loads = f"{min(figures.loads):.1f} to {max(figures.loads):.1f}"
    paces = "\n".join(
        f"| {pace.rows / pace.seconds:,.0f} | {pace.rows:,} | {pace.behind:.1f} |"
        f" {pace.rows / (pace.seconds + pace.behind):,.0f} |"
        for pace in figures.paces
    )
    rounds = "\n".join(
        f"| {number} | {written:,} | {rate:,.0f} | {kills} | {'yes' if equal else 'NO'} |"
        for number, ((written, kills, equal), rate) in enumerate(zip(figures.rounds, figures.rate, strict=True), 1)
    )
    python = f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}"
    standstills = ", ".join(f"{seconds:.2f}" for seconds in figures.standstills)
    return f"""# Following a PostgreSQL at work

{python}, {os.cpu_count()} cores, {datetime.now(UTC):%Y-%m-%d};
{spent:.0f} s, load of the machine {loads} (server, writers and follower share it).
{USERS:,} users, {USERS * 4:,} sessions, {USERS * 2:,} notes at the beginning.

## Keeping up

Statements of {BULK} rows each; asked are 5,000 rows a second.

| written, rows/s | rows | seconds until the last stood in the target | kept up with, rows/s |
|---:|---:|---:|---:|
{paces}

## Disturbed

Single writes of every kind (long values left alone, keys that change, generated columns, TRUNCATE, a table without a
key); the follower killed by SIGKILL every second, and once in each round the server restarted, every connection cut, a
table added.

| round | writes | writes/s | kills | equal at the end |
|---:|---:|---:|---:|---|
{rounds}

{told_again(figures)}

## The cut-over

Standstill with 1,000 writes/s, seconds from the lock to the verdict (asked ≤ 2): {standstills}.
"""


def main() -> None:
    """Measures, prints, writes; fails where a round did not end equal."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.follow", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=12)
    parser.add_argument("--resume", type=int, metavar="N", help="Only how soon a killed follower goes on, N times.")
    given, began = parser.parse_args(), time.monotonic()
    if given.resume:
        figures = resumed(given.resume)
        loads = f"{min(figures.loads):.1f} to {max(figures.loads):.1f}"
        said = f"{told_again(figures)}\nMeasured by itself, with a load of the machine of {loads}."
        print(said)
        parts = RESULT.read_text().split("\n\n")
        RESULT.write_text("\n\n".join(said if part.startswith(RESUMED) else part for part in parts))
        return
    figures = measured(given.rounds, given.seconds)
    text = told(figures, time.monotonic() - began)
    print(text)
    RESULT.write_text(text)
    if not all(equal for _, _, equal in figures.rounds):
        sys.exit("a round did not end equal")


if __name__ == "__main__":
    main()
