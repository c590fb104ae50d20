"""`python -m benchmarks.web`: `GET /me` through FastAPI under uvicorn, against no session at all and fastapi-users;
the sign-in page and letters.

Writes results/web.md. One worker each, on a core of its own where there are two, the load generator on another;
alternating rounds. The user is hard-coded for the very requests that authstore gets, cookie and all.
"""

import argparse
import asyncio
import os
import platform
import secrets
import socket
import sys
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from itertools import cycle
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import NamedTuple

from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from authstore import connect
from benchmarks import sign_ins
from benchmarks.load import Load, load
from benchmarks.rounds import Demand
from benchmarks.web_apps import auth
from benchmarks.web_peer import Base, PeerToken, PeerUser

RESULT = Path(__file__).parent / "results" / "web.md"
CONNECTIONS = 64
CORES = sorted(os.sched_getaffinity(0))  # the first is the servers', of which one at a time is busy
COST = (
    "the cookie's signature, the look at the change log and the middleware cost a third of what FastAPI and uvicorn"
    " cost themselves"
)
APPS = ("hard_coded", "authstore", "fastapi_users")


async def fill(file: Path, users: int) -> dict[str, list[str]]:
    """Users with a session each, for both; the cookies that sign them in."""
    cookies: dict[str, list[str]] = {"authstore": [], "fastapi_users": []}
    async with connect(f"sqlite:///{file}", durability="relaxed") as store:
        signing_in = auth(store)
        made = [await store.create_user(email=f"user{n}@example.com", name=f"User {n}") for n in range(users)]
        for user in made:
            session = await store.create_session(user.id, ip="127.0.0.1", user_agent="benchmark")
            cookies["authstore"].append("=".join(signing_in.cookie_for(session)))
    engine = create_async_engine(f"sqlite+aiosqlite:///{file}")
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    async with AsyncSession(engine) as session_of_peer:
        for number in range(users):
            user_id, token = uuid.uuid4(), secrets.token_urlsafe()
            name = f"user{number}@example.com"
            session_of_peer.add(PeerUser(id=user_id, email=name, hashed_password="", name=f"User {number}"))
            session_of_peer.add(PeerToken(token=token, user_id=user_id))
            cookies["fastapi_users"].append(f"peer={token}")
        await session_of_peer.commit()
    await engine.dispose()
    return {**cookies, "hard_coded": cookies["authstore"]}


def requests(cookies: list[str]) -> Iterator[bytes]:
    """Requests of one user after another."""
    return cycle([f"GET /me HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: {cookie}\r\n\r\n".encode() for cookie in cookies])


class Server(NamedTuple):
    """A running application."""

    port: int
    pid: int

    def cpu_seconds(self) -> float:
        """What its process has used so far, all threads together (Linux: proc(5))."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Measured(NamedTuple):
    """One round of one application: the load, and the server's processor time for an answer, in microseconds."""

    load: Load
    cpu: float


async def measured(server: Server, asked: Iterator[bytes], seconds: float) -> Measured:
    """One round."""
    before = server.cpu_seconds()
    result = await load(server.port, asked, CONNECTIONS, seconds)
    return Measured(result, (server.cpu_seconds() - before) / result.answers * 1e6)


@asynccontextmanager
async def served(name: str, file: Path) -> AsyncIterator[Server]:
    """The application under uvicorn, in a process of its own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    command = ["uvicorn", "--factory", f"benchmarks.web_apps:{name}", "--port", str(port), "--log-level", "error"]
    environment = {**os.environ, "BENCHMARK_FILE": str(file)}
    os.sched_setaffinity(0, CORES[:1])  # the process, with all its threads, is born where we are now
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", *command, env=environment)
    os.sched_setaffinity(0, CORES[1:] or CORES)
    try:
        await _answering(port)
        yield Server(port, process.pid)
    finally:
        process.terminate()
        await process.wait()


async def _answering(port: int) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.05)
        else:
            writer.close()
            return


async def measure(rounds: int, seconds: float, users: int) -> dict[str, list[Measured]]:
    """Each application once a round; who begins changes."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "auth.db"
        asked = {name: requests(cookies) for name, cookies in (await fill(file, users)).items()}
        results: dict[str, list[Measured]] = {name: [] for name in APPS}
        async with AsyncExitStack() as stack:
            servers = {name: await stack.enter_async_context(served(name, file)) for name in APPS}
            for name in APPS:
                await measured(servers[name], asked[name], min(seconds, 1.0))
            for number in range(rounds):
                for name in APPS[number % len(APPS) :] + APPS[: number % len(APPS)]:
                    results[name].append(await measured(servers[name], asked[name], seconds))
        return results


async def measure_sign_ins(seconds: float, a_minute: int) -> sign_ins.Measured:
    """The page and the letters, of a site with nobody in it."""
    with TemporaryDirectory() as folder:
        async with served("sign_ins", Path(folder) / "auth.db") as server:
            return await sign_ins.measure(server.port, CONNECTIONS, seconds, a_minute)


def demands(results: dict[str, list[Measured]], way_in: sign_ins.Measured) -> list[Demand]:
    """What was asked for."""

    def ratio(peer: str) -> float:
        pairs = zip(results["authstore"], results[peer], strict=True)
        return median(ours.load.per_second / theirs.load.per_second for ours, theirs in pairs)

    spread = median(one.load.p99 / one.load.p50 for one in results["authstore"])
    return [
        Demand("the same application with the user hard-coded", ratio("hard_coded"), 0.88, "×", reason=COST),
        Demand("fastapi-users, database strategy, same file", ratio("fastapi_users"), 2.0, "×"),
        Demand("p99 against p50", spread, 3.0, "×", at_most=True, reason=COST),
        *sign_ins.demands(way_in),
    ]


def table(results: dict[str, list[Measured]], way_in: sign_ins.Measured) -> str:
    """The figures as Markdown."""
    rows = [
        f"| {name.replace('_', ' ')} | {median(one.load.per_second for one in each):,.0f} "
        f"| {median(one.load.p50 for one in each):.1f} | {median(one.load.p99 for one in each):.1f} "
        f"| {median(one.cpu for one in each):,.0f} |"
        for name, each in results.items()
    ]
    asked = [
        f"| {demand.against} | {'≤' if demand.at_most else '≥'} {demand.wanted:g} {demand.unit} "
        f"| {demand.got:.{2 if demand.unit == '×' else 1}f} {demand.unit} "
        f"| {'reached' if demand.reached else f'missed: {demand.reason}'} |"
        for demand in demands(results, way_in)
    ]
    head = f"`GET /me`, {CONNECTIONS} connections, {os.cpu_count()} cores, Python {platform.python_version()}, "
    return "\n".join(
        [
            "# Authenticated requests through FastAPI under uvicorn",
            "",
            head + f"{datetime.now(UTC):%Y-%m-%d}; medians of {len(results['authstore'])} alternating rounds; "
            f"load of the machine at the end {os.getloadavg()[1]:.1f}, of which this is about 2.",
            "",
            "| application | requests/s | p50 ms | p99 ms | server CPU µs a request |",
            "|---|---:|---:|---:|---:|",
            *rows,
            "",
            sign_ins.table(way_in, CONNECTIONS),
            "| against | asked | measured | |",
            "|---|---|---:|---|",
            *asked,
            "",
        ]
    )


def main() -> None:
    """Measures, prints, writes."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.web", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each application in each round")
    parser.add_argument("--users", type=int, default=10_000)
    parser.add_argument("--letters", type=int, default=1000, help="sign-ins by a letter in the minute of those")
    options = parser.parse_args()
    way_in = asyncio.run(measure_sign_ins(options.seconds, options.letters))
    result = table(asyncio.run(measure(options.rounds, options.seconds, options.users)), way_in)
    print(result)
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(result)


if __name__ == "__main__":
    main()
