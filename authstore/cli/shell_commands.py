"""shell: a Python prompt with the store open."""

import ast
import asyncio
import code
import inspect
import threading
from collections.abc import Awaitable
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from types import CodeType, FunctionType
from typing import Any

import typer

import authstore
from authstore import connect, ops
from authstore.cli.arguments import Url
from authstore.cli.output import masked_url

_BANNER = """\
{url} is open as `store`; `await` works here, and what `authstore` exports is at hand, with `ops`.
What you do stands in the change log as done by {actor!r}. Ctrl-D ends it."""
_ACTOR = "shell"


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(shell)


def shell(url: Url) -> int:
    """A Python prompt with `store` open and top-level await."""
    return asyncio.run(_run(url))


async def _run(url: str) -> int:
    with suppress(ImportError):
        import readline  # noqa: F401 - input() edits and remembers lines once it is there
    async with connect(url, create=False) as store:
        names = {name: getattr(authstore, name) for name in authstore.__all__}
        console = _Console({**names, "ops": ops, "store": store}, asyncio.get_running_loop())
        await console.talk(_BANNER.format(url=masked_url(url), actor=_ACTOR))
    return 0


class _Console(code.InteractiveConsole):
    """Reads in a thread of its own; what is typed runs in the event loop's, where the store is."""

    def __init__(self, names: dict[str, Any], loop: asyncio.AbstractEventLoop) -> None:
        super().__init__({"__name__": "__console__", "__doc__": None, **names})
        self.compile.compiler.flags |= ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        self._loop = loop
        self._running: Future[object] | None = None

    async def talk(self, banner: str) -> None:
        """Until the input ends."""
        done = asyncio.Event()

        def read() -> None:
            try:
                self.interact(banner, exitmsg="")
            except SystemExit:
                pass
            finally:
                self._loop.call_soon_threadsafe(done.set)

        # A daemon: who waits at a prompt does not keep the process from ending.
        threading.Thread(target=read, name="authstore shell", daemon=True).start()
        try:
            await done.wait()
        except asyncio.CancelledError:  # Ctrl-C: what runs ends, the prompt stays
            if self._running is None:
                raise
            self._running.cancel()
            await done.wait()

    def runcode(self, code: CodeType) -> None:
        """See `code.InteractiveInterpreter.runcode`."""
        self._running = asyncio.run_coroutine_threadsafe(self._awaited(code), self._loop)
        try:
            self._running.result()
        except SystemExit:
            raise
        except CancelledError:
            self.write("\nKeyboardInterrupt\n")
        except BaseException:  # noqa: BLE001 - whatever was typed, the prompt goes on
            self.showtraceback()
        finally:
            self._running = None

    async def _awaited(self, code: CodeType) -> None:
        with ops.acting(_ACTOR):
            result = FunctionType(code, self.locals)()
            if inspect.isawaitable(result):
                waited: Awaitable[object] = result
                await waited
