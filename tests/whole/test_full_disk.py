"""The disk runs full under an open store: whoever was acknowledged is there, whoever was refused is not, and with room
again the same store goes on."""

import asyncio
import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest

SMALL = "1m"
MOUNT = 'mount -t tmpfs -o size=$1,mode=700 authstore "$2" && shift 2 && exec "$@"'


def told(wall: str, folder: Path, *prefix: str) -> subprocess.CompletedProcess[str]:
    command = [*prefix, sys.executable, "-m", "tests.whole.full_disk", wall, str(folder)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def told_on_a_small_disk(folder: Path) -> subprocess.CompletedProcess[str]:
    """On a tmpfs in a mount namespace of its own, which nobody else sees and which is gone afterwards."""
    return told("disk", folder, *unshare(), "sh", "-c", MOUNT, "sh", SMALL, str(folder))


def unshare() -> list[str]:
    return ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--user", "--map-root-user"])]


def may_mount() -> bool:
    """Whether the kernel lets us have mounts of our own."""
    try:
        return subprocess.run([*unshare(), "true"], capture_output=True, timeout=10, check=False).returncode == 0
    except FileNotFoundError:
        return False


@pytest.fixture(params=["disk", "limit", "pages"])
async def story(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, Any]:
    """What happened at each wall. Where there can be no small disk, a limit of pages gives SQLite's same error."""
    wall = request.param if request.param != "disk" or may_mount() else "pages"
    done = await asyncio.to_thread(told_on_a_small_disk if wall == "disk" else partial(told, wall), tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    return {**json.loads(done.stdout), "wall": wall}


def test_a_full_disk_loses_nothing_shows_nothing_and_is_survived(story: dict[str, Any]) -> None:
    acknowledged, refused, found = set(story["acknowledged"]), story["refused"], set(story["found"])
    assert {"before", "after", "after-t"} <= acknowledged
    assert acknowledged <= found, "an acknowledged write was lost"
    assert not found & set(refused), "a refused write is visible"
    assert {name.removesuffix("-first") for name in found} == acknowledged, "half a transaction is visible"
    assert len(refused) > 40
    # A limit on the length of a file is an I/O error to SQLite, no full disk.
    expected = {"StoreError"} if story["wall"] == "limit" else {"StoreFullError"}
    assert set(refused.values()) | {story["session_refused"]} <= expected
    assert story["opening_refused"] == ("StoreFullError" if story["wall"] == "disk" else None)
    assert set(story["left"]) <= ({"auth.db"} if story["wall"] == "disk" else {"auth.db", "new.db"})
    assert story["read_while_full"]
    assert story["healthy"]
    assert story["damage"] == []
