"""console: the pages of `auth.console()` for whoever sits at this machine."""

import asyncio
import getpass
import signal
import socket
from contextlib import suppress
from importlib.util import find_spec
from typing import Annotated, Final
from urllib.parse import urlsplit

import typer

from authstore import connect
from authstore.cli.arguments import Json, Url
from authstore.cli.output import Output
from authstore.errors import ConfigurationError

_NEEDED: Final = ("starlette", "jinja2", "uvicorn")
_LOOPBACK: Final = "127.0.0.1"


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(console)


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

    async with connect(url, create=False) as store:
        with _listener(port) as listener:
            port = listener.getsockname()[1]
            app, link = local_console(store, port=port, name=_name_of(url), actor=_actor())
            output.event("open", url=link)
            output.say(f"open {link}")
            output.say("the link works once, on this machine; Ctrl-C ends it")
            config = uvicorn.Config(app, log_level="warning", access_log=False, server_header=False, lifespan="off")
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
