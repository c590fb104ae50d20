"""A TCP proxy before PostgreSQL that can be cut, or fall silent, in the middle of things."""

import asyncio
import contextlib
import threading
from collections.abc import Callable
from urllib.parse import urlsplit


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
        self.swallows = b""  # a connection that says this to the server is silent from then on, to either side
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
            quiet: list[bytes] = []
            await asyncio.gather(self._pump(reader, up_writer, quiet, up=True), self._pump(up_reader, writer, quiet))

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, quiet: list[bytes], *, up: bool = False
    ) -> None:
        """`quiet`: what made the connection silent; nothing is put through any more once it is there."""
        with contextlib.suppress(OSError):
            while data := await reader.read(1 << 16):
                if not up:
                    self._count(len(data))
                elif self.swallows and self.swallows in data:
                    quiet.append(self.swallows)
                    self.swallowed += 1
                if quiet:
                    continue
                while self.silent:  # noqa: ASYNC110  # set from another thread
                    await asyncio.sleep(0.05)
                writer.write(data)
                await writer.drain()
        writer.close()

    def _count(self, size: int) -> None:
        self.bytes += size
        if self.after is not None and self.bytes >= self.after[0]:
            act, self.after = self.after[1], None
            act()

    def cut(self) -> None:
        """Every connection ends at once."""
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
