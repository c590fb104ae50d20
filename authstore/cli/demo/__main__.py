"""`python -m authstore.cli.demo [--check]`: the whole tour; with `--check` it ends by itself, exit 0 or 1."""

import asyncio
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

from authstore.cli.demo import store, web
from authstore.cli.demo.story import Story


async def tour(folder: Path, is_check: bool) -> None:
    """All chapters in order."""
    story = Story()
    await store.tour(story, folder)
    await web.tour(story, folder, is_check=is_check)


def main() -> None:
    """Runs the tour in a folder of its own, which is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="authstore-demo-") as folder, suppress(KeyboardInterrupt):
        asyncio.run(tour(Path(folder), "--check" in sys.argv[1:]))


if __name__ == "__main__":
    main()
