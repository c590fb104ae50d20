"""monitor, and console: the pages of `auth.console()` for whoever sits at this machine."""

import asyncio
import getpass
import signal
import socket
from contextlib import suppress
from datetime import timedelta
from importlib.util import find_spec
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

import typer

from authstore import connect, ops
from authstore.cli.arguments import Json, Url, waitable
from authstore.cli.output import Output
from authstore.errors import ConfigurationError
from authstore.expiry import LENIENT
from authstore.ops import Alert
from authstore.store import Store

_NEEDED: Final = ("starlette", "jinja2", "uvicorn")  # by console
_LOOPBACK: Final = "127.0.0.1"
_SHUTDOWN_SECONDS: Final = 3  # for what a browser still waits for


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command()(monitor)
    app.command()(console)


def monitor(
    url: Url,
    every: Annotated[
        float, typer.Option(metavar="SECONDS", min=0.1, callback=waitable, help="From one look to the next.")
    ] = 60.0,
    looks: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="End after so many; 1 if something is wrong then.")
    ] = None,
    prune: Annotated[bool, typer.Option("--prune", help="Delete dead rows with each look.")] = False,
    json: Json = False,
) -> int:
    """Looks at a store every minute, until Ctrl-C, and says when something changes."""
    return asyncio.run(_watch(url, every, looks, prune, Output(is_json=json)))


async def _watch(url: str, every: float, looks: int | None, is_pruning: bool, output: Output) -> int:
    def tell(alert: Alert) -> None:
        said = {"check": alert.check, "state": alert.state, "since": alert.since.isoformat(), "detail": alert.detail}
        output.event("alert", **said)
        output.say(f"{alert.since:%H:%M:%S}  {alert.check} is {alert.state}: {alert.detail}")

    async with connect(url, create=False, policy=LENIENT) as store:
        if not isinstance(store, Store):
            raise ConfigurationError("these tables cannot be watched: they hold no notes")
        watching = ops.Monitor(store, every=timedelta(seconds=every), on_alert=tell, prune=is_pruning)
        count = 0
        output.say(f"looking every {every:g} seconds; Ctrl-C ends it")
        try:
            while looks is None or count < looks:
                if count:
                    await asyncio.sleep(every)
                await watching.look()
                count += 1
        finally:
            await watching.hand_over()
        states = watching.found
    is_well = all(state == "ok" for state in states.values())
    output.event("done", ok=is_well, looks=count, states=states)
    if states:
        for check, state in states.items():
            output.say(f"  {check}: {state}")
    else:
        output.say("another process looks after this store")
    return 0 if is_well else 1


def console(
    url: Url,
    port: Annotated[
        int, typer.Option("--port", metavar="PORT", min=0, max=65535, help="Where to serve; 0: where nobody does.")
    ] = 0,
    json: Json = False,
) -> int:
    """Shows a store in your browser: health, sizes, sign-ins, slow queries, events, users; until Ctrl-C."""
    if any(find_spec(name) is None for name in _NEEDED):
        raise ConfigurationError("the console needs pages and a server: pip install 'authstore[cli,dev]'")
    asyncio.run(_serve(url, port, Output(is_json=json)))
    return 0


async def _serve(url: str, port: int, output: Output) -> None:
    import uvicorn

    from authstore.web.console.local import local_console

    async with connect(url, create=False, policy=LENIENT) as store:
        with _listener(port) as listener:
            port = listener.getsockname()[1]
            app, link = local_console(store, port=port, name=_name_of(url), actor=_actor())
            output.event("open", url=link)
            output.say(f"open {link}")
            output.say("the link works once, on this machine; Ctrl-C ends it")
            quietly: dict[str, Any] = {"log_level": "warning", "access_log": False, "server_header": False}
            config = uvicorn.Config(
                app, lifespan="off", proxy_headers=False, timeout_graceful_shutdown=_SHUTDOWN_SECONDS, **quietly
            )
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, signal.SIG_IGN)  # uvicorn hears them, and then the store is closed in peace
            await uvicorn.Server(config).serve(sockets=[listener])


def _listener(port: int) -> socket.socket:
    try:
        return socket.create_server((_LOOPBACK, port))
    except OSError as error:
        raise ConfigurationError(f"port {port} cannot be served at: {error.strerror}; try --port 0") from error


def _name_of(url: str) -> str:
    """The file's or the database's name."""
    return urlsplit(url).path.rpartition("/")[2] or "authstore"


def _actor() -> str:
    """Who sits here, as the change log is told."""
    with suppress(KeyError, OSError, ImportError):  # nobody has a name where there is no list of users
        return f"console:{getpass.getuser()}"
    return "console"
