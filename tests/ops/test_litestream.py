"""The real Litestream beside a store: what it replicated comes back, is drilled, and nobody is signed in by it."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from authstore import connect, ops

LITESTREAM = Path(sys.executable).with_name("litestream")
WRITER = """
import asyncio, sys
from authstore import connect

async def main():
    async with connect(sys.argv[1]) as store:
        for number in range(10**9):
            user = await store.create_user(email=f"u{number}@example.com")
            session = await store.create_session(user.id)
            print(session.token, flush=True)

asyncio.run(main())
"""


async def replicated(replica: Path, restored: Path) -> int:
    """How many sessions there are in what Litestream restores; 0 where it has nothing yet."""
    restored.unlink(missing_ok=True)
    command = [LITESTREAM, "restore", "-o", restored, f"file://{replica}"]
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, check=False)
    return (await ops.drill(restored)).counts.get("sessions", 0) if done.returncode == 0 else 0


@pytest.mark.processes
async def test_what_litestream_replicated_comes_back(tmp_path: Path) -> None:
    path, replica, restored = tmp_path / "auth.db", tmp_path / "replica", tmp_path / "restored.db"
    async with connect(path):
        pass
    litestream = await asyncio.create_subprocess_exec(
        LITESTREAM, "replicate", path, f"file://{replica}", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    writer = await asyncio.create_subprocess_exec(
        sys.executable, "-c", WRITER, f"sqlite:///{path}", stdout=subprocess.PIPE
    )
    assert writer.stdout is not None
    tokens = [(await asyncio.wait_for(writer.stdout.readline(), 30)).decode().strip() for _ in range(50)]
    deadline = time.monotonic() + 60
    while await replicated(replica, tmp_path / "look.db") < len(tokens):  # it copies once a second
        assert time.monotonic() < deadline, "Litestream copied nothing within a minute"
        await asyncio.sleep(0.5)
    assert "authstore.W047" not in {each.id for each in await ops.doctor(path)}
    async with connect(path) as store:
        assert datetime.fromisoformat(str((await store.health()).detail["litestream_newest"])) > datetime(
            2026, 1, 1, tzinfo=UTC
        )
    since = datetime.now(UTC)
    for process in (writer, litestream):
        process.send_signal(signal.SIGKILL)
        await process.communicate()
    assert await replicated(replica, restored) >= len(tokens)
    for copied in tmp_path.glob(".auth.db-litestream/**/*.ltx"):  # as if it had been killed an hour ago
        os.utime(copied, (time.time() - 3600,) * 2)
    assert "authstore.W047" in {each.id for each in await ops.doctor(path)}
    drilled = await ops.drill(restored)
    assert (drilled.ok, drilled.sha256) == (True, None), drilled.problems
    assert drilled.counts["sessions"] >= len(tokens)
    report = await ops.restore(restored, path, revoke_since=since)
    assert report.revoked == drilled.counts["sessions"]
    assert report.set_aside is not None
    async with connect(path) as store:
        assert await store.get_user_by_email("u0@example.com") is not None
        for token in tokens:
            ended = await store.why_ended(token)
            assert ended is not None
            assert ended.reason == "restored"


async def test_who_asks_for_health_holds_no_look_up_up_while_its_files_are_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".auth.db-litestream").mkdir()
    (tmp_path / ".auth.db-litestream" / "1.ltx").touch()
    walk, walked = os.walk, list[int]()

    def noting(*given: Any) -> Iterator[Any]:
        walked.append(threading.get_ident())
        return walk(*given)

    async with connect(tmp_path / "auth.db") as store:
        database: Any = store.database
        reading = await database._reader.run(lambda _: threading.get_ident())
        monkeypatch.setattr(os, "walk", noting)
        assert "litestream_newest" in (await store.health()).detail
    assert len(walked) == 1
    assert walked[0] not in (reading, threading.get_ident())
