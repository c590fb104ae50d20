"""What Litestream, which copies a store's file elsewhere, leaves beside it: each change in a file of its own."""

import os
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path


def newest_copy(path: Path) -> datetime | None:
    """When it wrote the last of them; `None` where there is none, or nobody may look."""
    newest = 0.0
    for folder, _, names in os.walk(path.with_name(f".{path.name}-litestream")):
        for name in names:
            with suppress(OSError):  # it does away with those that it no longer needs
                newest = max(newest, os.stat(os.path.join(folder, name)).st_mtime)
    return datetime.fromtimestamp(newest, UTC) if newest else None
