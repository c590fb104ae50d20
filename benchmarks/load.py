"""A load generator: connections that ask again as soon as they are answered, and how long each answer took."""

import asyncio
import time
from collections.abc import Iterator
from statistics import quantiles
from typing import NamedTuple


class Load(NamedTuple):
    """What came of it: answers, answers a second, and milliseconds that half and 99 % of them took at most."""

    answers: int
    per_second: float
    p50: float
    p99: float


class _Connection(asyncio.Protocol):
    """One keep-alive connection (HTTP/1.1, answers with a Content-Length)."""

    def __init__(self, requests: Iterator[bytes], end: float, spent: list[float]) -> None:
        self._requests = requests
        self._end = end
        self._spent = spent
        self._received = b""
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: asyncio.Transport = transport  # type: ignore[assignment] # of a TCP connection
        self._ask()

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, is_whole, body = self._received.partition(b"\r\n\r\n")
        if not is_whole or len(body) < _length(head):
            return
        if not head.startswith(b"HTTP/1.1 200"):
            self.done.set_exception(RuntimeError(f"not answered: {head[:100]!r}"))
            self._transport.close()
            return
        self._received = b""
        self._spent.append(time.perf_counter() - self._asked)
        self._ask()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(error or ConnectionError("closed by the server"))

    def _ask(self) -> None:
        self._asked = time.perf_counter()
        if self._asked >= self._end:
            self.done.set_result(None)
            self._transport.close()
        else:
            self._transport.write(next(self._requests))


def _length(head: bytes) -> int:
    return int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])


async def load(port: int, requests: Iterator[bytes], connections: int, seconds: float) -> Load:
    """Keeps so many connections busy for so long."""
    loop, spent = asyncio.get_running_loop(), list[float]()
    started = time.perf_counter()
    made = [
        await loop.create_connection(lambda: _Connection(requests, started + seconds, spent), "127.0.0.1", port)
        for _ in range(connections)
    ]
    await asyncio.gather(*(connection.done for _, connection in made))
    cuts = quantiles(spent, n=100)
    return Load(len(spent), len(spent) / (time.perf_counter() - started), cuts[49] * 1000, cuts[98] * 1000)
