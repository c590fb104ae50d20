"""`python -m benchmarks.web`: `GET /me` through FastAPI under uvicorn, against no session at all and fastapi-users.

Writes results/web.md. One worker each, the load generator on the other core, alternating rounds.
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

from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from authstore import connect
from benchmarks.load import Load, load
from benchmarks.rounds import Demand
from benchmarks.web_apps import auth
from benchmarks.web_peer import Base, PeerToken, PeerUser

RESULT = Path(__file__).parent / "results" / "web.md"
CONNECTIONS = 64
APPS = ("hard_coded", "authstore", "fastapi_users")


async def fill(file: Path, users: int) -> dict[str, list[str]]:
    """Users with a session each, for both; the cookies that sign them in."""
    cookies: dict[str, list[str]] = {"hard_coded": ["nothing=here"], "authstore": [], "fastapi_users": []}
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
    return cookies


def requests(cookies: list[str]) -> Iterator[bytes]:
    """Requests of one user after another."""
    return cycle([f"GET /me HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: {cookie}\r\n\r\n".encode() for cookie in cookies])


@asynccontextmanager
async def served(name: str, file: Path) -> AsyncIterator[int]:
    """The application under uvicorn, in a process of its own: its port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    command = ["uvicorn", "--factory", f"benchmarks.web_apps:{name}", "--port", str(port), "--log-level", "error"]
    environment = {**os.environ, "BENCHMARK_FILE": str(file)}
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", *command, env=environment)
    try:
        await _answering(port)
        yield port
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


async def measure(rounds: int, seconds: float, users: int) -> dict[str, list[Load]]:
    """Each application once a round; who begins changes."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "auth.db"
        asked = {name: requests(cookies) for name, cookies in (await fill(file, users)).items()}
        loads: dict[str, list[Load]] = {name: [] for name in APPS}
        async with AsyncExitStack() as stack:
            ports = {name: await stack.enter_async_context(served(name, file)) for name in APPS}
            for name in APPS:
                await load(ports[name], asked[name], CONNECTIONS, min(seconds, 1.0))
            for number in range(rounds):
                for name in APPS[number % len(APPS) :] + APPS[: number % len(APPS)]:
                    loads[name].append(await load(ports[name], asked[name], CONNECTIONS, seconds))
        return loads


def demands(loads: dict[str, list[Load]]) -> list[Demand]:
    """What was asked for."""

    def ratio(peer: str) -> float:
        pairs = zip(loads["authstore"], loads[peer], strict=True)
        return median(ours.per_second / theirs.per_second for ours, theirs in pairs)

    spread = median(one.p99 / one.p50 for one in loads["authstore"])
    return [
        Demand("the same application with the user hard-coded", ratio("hard_coded"), 0.85, "×"),
        Demand("fastapi-users, database strategy, same file", ratio("fastapi_users"), 2.0, "×"),
        Demand("p99 against p50", spread, 3.0, "×", at_most=True),
    ]


def table(loads: dict[str, list[Load]]) -> str:
    """The figures as Markdown."""
    rows = [
        f"| {name.replace('_', ' ')} | {median(one.per_second for one in each):,.0f} "
        f"| {median(one.p50 for one in each):.1f} | {median(one.p99 for one in each):.1f} |"
        for name, each in loads.items()
    ]
    asked = [
        f"| {demand.against} | {'≤' if demand.at_most else '≥'} {demand.wanted:g} × | {demand.got:.2f} × "
        f"| {'reached' if demand.reached else 'missed'} |"
        for demand in demands(loads)
    ]
    head = f"`GET /me`, {CONNECTIONS} connections, {os.cpu_count()} cores, Python {platform.python_version()}, "
    return "\n".join(
        [
            "# Authenticated requests through FastAPI under uvicorn",
            "",
            head + f"{datetime.now(UTC):%Y-%m-%d}; medians of {len(loads['authstore'])} alternating rounds.",
            "",
            "| application | requests/s | p50 ms | p99 ms |",
            "|---|---:|---:|---:|",
            *rows,
            "",
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
    options = parser.parse_args()
    result = table(asyncio.run(measure(options.rounds, options.seconds, options.users)))
    print(result)
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(result)


if __name__ == "__main__":
    main()
