"""What people meet before they are signed in, measured for `benchmarks.web`: the sign-in page, and letters.

A worker by itself, as `benchmarks.web` serves it; people come when they like and not when the last one was answered.
"""

import asyncio
import gzip
import re
import time
from collections.abc import Awaitable
from html import unescape
from statistics import quantiles
from typing import NamedTuple
from urllib.parse import urlsplit

import httpx2

from benchmarks.load import load
from benchmarks.rounds import Demand

PAGE = "/auth/sign-in"
_FILE = re.compile(r'(?:src|href)="([^"]+\.(?:css|js|svg))"')
_FIELD = re.compile(r'<input type="hidden" name="([^"]+)" value="([^"]*)"')
_PATIENCE = 30.0  # seconds for a letter


class Spread(NamedTuple):
    """Of so many answers: milliseconds that half, and 99 %, took at most."""

    answers: int
    p50: float
    p99: float

    @classmethod
    def of(cls, spent: list[float]) -> "Spread":
        """Of seconds."""
        cuts = quantiles(spent, n=100)
        return cls(len(spent), cuts[49] * 1000, cuts[98] * 1000)


class Measured(NamedTuple):
    """The page packed, in bytes, with all that it loads; its first byte, at a pace and without pause; sign-ins by a
    letter: of each answer, and of all answers of a sign-in together; how many were asked for in a minute."""

    page_bytes: int
    files: int
    first_byte: Spread
    busy_p50: float
    answer: Spread
    sign_in: Spread
    a_minute: int


async def measure(port: int, connections: int, seconds: float, a_minute: int) -> Measured:
    """Asks the site at this port of loopback: for its page, and for letters."""
    page_bytes, files = await _page_bytes(port)
    first_byte = await _first_bytes(port, connections, seconds)
    asked = f"GET {PAGE} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
    busy = await load(port, iter(lambda: asked, None), connections, seconds)
    answers, sign_ins = await _sign_ins(port, a_minute)
    return Measured(page_bytes, files, first_byte, busy.p50, Spread.of(answers), Spread.of(sign_ins), a_minute)


async def _page_bytes(port: int) -> tuple[int, int]:
    """The page and every file that it names, each packed; how many files."""
    async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers={"host": "localhost"}) as client:
        page = await client.get(PAGE)
        files = sorted({urlsplit(name).path for name in _FILE.findall(page.text)})
        bodies = [page.content, *[(await client.get(name)).content for name in files]]
    return sum(len(gzip.compress(body)) for body in bodies), len(files)


async def _first_bytes(port: int, connections: int, seconds: float) -> Spread:
    """Open connections that each ask once a second, one after another."""
    spent: list[float] = []

    async def ask(number: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        due = time.perf_counter() + number / connections
        end = due + seconds
        while due < end:
            await asyncio.sleep(due - time.perf_counter())
            asked = time.perf_counter()
            writer.write(f"GET {PAGE} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            first = await reader.readexactly(1)
            spent.append(time.perf_counter() - asked)
            head = (first + await reader.readuntil(b"\r\n\r\n")).lower()
            await reader.readexactly(int(head.partition(b"content-length:")[2].partition(b"\r\n")[0]))
            due += 1.0
        writer.close()

    await asyncio.gather(*(ask(number) for number in range(connections)))
    return Spread.of(spent)


async def _sign_ins(port: int, a_minute: int) -> tuple[list[float], list[float]]:
    """So many people, evenly over a minute: seconds of each answer, and of each sign-in without the letter's way."""
    answers: list[float] = []
    carrier = httpx2.AsyncHTTPTransport(verify=False, limits=httpx2.Limits(max_keepalive_connections=100))

    async def person(number: int) -> float:
        await asyncio.sleep(number * 60 / a_minute)
        base = f"http://127.0.0.1:{port}"
        client = httpx2.AsyncClient(base_url=base, headers={"host": "localhost"}, transport=carrier, timeout=30)
        spent: list[float] = []
        address = f"person{number}@example.com"
        page = await _timed(client.get(PAGE), spent)
        await _timed(client.post("/auth/email", data={**_fields(page), "email": address}), spent)
        page = await _timed(client.get(await _letter(client, address)), spent)
        answer = await _timed(client.post("/auth/email/verify", data=_fields(page)), spent)
        if "authstore=" not in answer.headers.get("set-cookie", ""):
            raise RuntimeError(f"not signed in: {answer.status_code}")
        answers.extend(spent)
        return sum(spent)

    sign_ins = await asyncio.gather(*(person(number) for number in range(a_minute)))
    await carrier.aclose()
    return answers, sign_ins


async def _timed(asking: Awaitable[httpx2.Response], spent: list[float]) -> httpx2.Response:
    asked = time.perf_counter()
    answer = await asking
    spent.append(time.perf_counter() - asked)
    if answer.status_code >= 400:
        raise RuntimeError(f"{answer.status_code}: {answer.text[:200]}")
    return answer


def _fields(page: httpx2.Response) -> dict[str, str]:
    """What the first form of a page sends of itself."""
    return {name: unescape(value) for name, value in _FIELD.findall(page.text)}


async def _letter(client: httpx2.AsyncClient, address: str) -> str:
    """The way in the letter, once it is there."""
    deadline = time.monotonic() + _PATIENCE
    while not (link := (await client.get("/letter", params={"to": address})).text):
        if time.monotonic() > deadline:
            raise TimeoutError("no letter came")
        await asyncio.sleep(0.05)
    parts = urlsplit(link)
    return f"{parts.path}?{parts.query}"


def table(measured: Measured, connections: int) -> str:
    """The figures as Markdown."""
    rows = [
        ("page, and all that it loads, packed", f"{measured.page_bytes / 1024:.1f} KB, {measured.files} files"),
        (
            f"first byte of the page, {connections} connections that ask once a second",
            f"p50 {measured.first_byte.p50:.1f} ms, p99 {measured.first_byte.p99:.1f} ms",
        ),
        (f"the whole page, {connections} connections that ask without pause", f"p50 {measured.busy_p50:.1f} ms"),
        (
            f"{measured.a_minute:,} sign-ins by a letter in a minute: each of {measured.answer.answers:,} answers",
            f"p50 {measured.answer.p50:.1f} ms, p99 {measured.answer.p99:.1f} ms",
        ),
        (
            "all four answers of a sign-in together",
            f"p50 {measured.sign_in.p50:.1f} ms, p99 {measured.sign_in.p99:.1f} ms",
        ),
    ]
    return "\n".join(["| the way in | |", "|---|---|", *[f"| {what} | {got} |" for what, got in rows], ""])


def demands(measured: Measured) -> list[Demand]:
    """What was asked for."""
    reason = "the machine was busy with other things"
    return [
        Demand("sign-in page, packed", measured.page_bytes / 1024, 15, "KB", at_most=True),
        Demand("its first byte, median", measured.first_byte.p50, 5, "ms", at_most=True, reason=reason),
        Demand("sign-ins by a letter, p99 of an answer", measured.answer.p99, 250, "ms", at_most=True, reason=reason),
    ]
