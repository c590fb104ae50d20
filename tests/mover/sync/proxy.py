"""A TCP proxy before PostgreSQL that can be cut, or fall silent, in the middle of things."""

import asyncio
import contextlib
import threading
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

_GREETING = 400  # bytes, in which a client says who it is


@dataclass(slots=True)
class _Said:
    """What a client said to the server, and whether nothing of its connection is put through any more."""

    first: bytes = b""
    last: bytes = b""
    is_quiet: bool = False


class Proxy:
    """Forwards to the server of a URL until told otherwise. Runs in a thread of its own."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._upstream = (parts.hostname or "127.0.0.1", parts.port or 5432)
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._writers: set[asyncio.StreamWriter] = set()
        self.bytes = 0
        self.after: tuple[int, Callable[[], None]] | None = None
        self.silent = False
        # The connection that next says this to the server, or said it first of all, is silent from then on.
        self.swallows = b""
        self.since = b""  # and not before somebody has said this
        self.swallowed = 0
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self._ready.wait(10)
        self.url = parts._replace(netloc=parts.netloc.replace(f":{parts.port}", f":{self.port}")).geturl()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        self._ending = asyncio.Event()
        server = await asyncio.start_server(self._serve_one, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        async with server:
            await self._ending.wait()
        self.cut()
        await asyncio.sleep(0.05)

    async def _serve_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            up_reader, up_writer = await asyncio.open_connection(*self._upstream)
            self._writers |= {writer, up_writer}
            said = _Said()
            await asyncio.gather(self._pump(reader, up_writer, said, up=True), self._pump(up_reader, writer, said))

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, said: "_Said", *, up: bool = False
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(1 << 16):
                if up:
                    self._hear(data, said)
                else:
                    self._count(len(data))
                if self.swallows and not self.since and (self.swallows in said.first or self.swallows in said.last):
                    self.swallows, said.is_quiet = b"", True
                    self.swallowed += 1
                if said.is_quiet:
                    continue
                while self.silent:  # noqa: ASYNC110  # set from another thread
                    await asyncio.sleep(0.05)
                writer.write(data)
                await writer.drain()
        writer.close()

    def _hear(self, data: bytes, said: "_Said") -> None:
        said.first, said.last = (said.first + data)[:_GREETING], data
        if self.since and self.since in data:
            self.since, said.last = b"", b""

    def _count(self, size: int) -> None:
        self.bytes += size
        if self.after is not None and self.bytes >= self.after[0]:
            act, self.after = self.after[1], None
            act()

    def cut(self) -> None:
        """Every connection ends at once."""
        self._loop.call_soon_threadsafe(self._abort)

    def _abort(self) -> None:
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    def fall_silent(self) -> None:
        """Connections stay, and nothing comes through any more."""
        self.silent = True

    def close(self) -> None:
        self.silent = False
        self._loop.call_soon_threadsafe(self._ending.set)
        self._thread.join(5)
