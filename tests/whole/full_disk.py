"""A program that fills its disk under an open store, makes room again, and tells on standard output what it saw.

`python -m tests.whole.full_disk WALL FOLDER`; WALL is what stops the writing: `disk` (FOLDER is on a small file system
of its own), `limit` (the longest file the process may write) or `pages` (the most pages the database may have).
"""

import asyncio
import json
import os
import resource
import signal
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from authstore import Adapter, connect
from authstore.errors import AuthStoreError

BULK = "x" * 3000


class Wall:
    """What stops the writing, and how it is taken away."""

    def __init__(self, kind: str, path: Path, store: Any) -> None:
        self._filler = path.with_name("filler")
        self._writer = store._db._writer
        build, self.remove = {
            "disk": (self._fill, self._empty),
            "limit": (lambda: self._limit(path.stat().st_size + 200_000), lambda: self._limit(None)),
            "pages": (lambda: self._pages("page_count + 20"), lambda: self._pages("1000000")),
        }[kind]
        self.build: Callable[[], Any] = build

    async def _fill(self) -> None:
        with self._filler.open("wb", buffering=0) as file:
            for size in (65536, 4096, 512, 1):
                try:
                    while file.write(b"\0" * size) == size:
                        pass
                except OSError:
                    continue

    async def _empty(self) -> None:
        self._filler.unlink()

    async def _limit(self, size: int | None) -> None:
        _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard if size is None else size, hard))

    async def _pages(self, most: str) -> None:
        def set_limit(connection: sqlite3.Connection) -> None:
            pages = connection.execute("PRAGMA page_count").fetchone()[0] + 20
            connection.execute(f"PRAGMA max_page_count = {pages if '+' in most else most}").fetchall()

        await self._writer.run(set_limit)


class Story:
    """What was acknowledged and what was refused."""

    def __init__(self, store: Adapter) -> None:
        self.store = store
        self.acknowledged: list[str] = []
        self.refused: dict[str, str] = {}

    async def write(self, user_id: str) -> None:
        """One write alone."""
        await self._tell(user_id, self.store.create_user(id=user_id, name=BULK))

    async def write_in_a_transaction(self, user_id: str) -> None:
        """Two users and a session, or nothing."""
        await self._tell(user_id, self._transaction(user_id))

    async def _transaction(self, user_id: str) -> None:
        async with self.store.transaction() as transaction:
            await transaction.create_user(id=f"{user_id}-first", name=BULK)
            await transaction.create_session(f"{user_id}-first")
            await transaction.create_user(id=user_id, name=BULK)

    async def _tell(self, user_id: str, writing: Any) -> None:
        try:
            await writing
        except AuthStoreError as error:
            self.refused[user_id] = type(error).__name__
        else:
            self.acknowledged.append(user_id)

    async def write_until_refused(self, prefix: str) -> None:
        """Ten at a time, so that commits are shared, with a transaction among them."""
        before = len(self.refused)
        for step in range(200):
            names = [f"{prefix}-{step}-{me}" for me in range(10)]
            await asyncio.gather(*map(self.write, names), self.write_in_a_transaction(f"{prefix}-{step}-t"))
            if len(self.refused) > before + 20:
                break


async def tell(kind: str, path: Path) -> dict[str, Any]:
    """The whole story."""
    async with connect(path) as store:
        story = Story(store)
        await story.write("before")
        wall = Wall(kind, path, store)
        await wall.build()
        await story.write_until_refused("full")
        session_refused = await _try(store.create_session("before", data={"bulk": BULK * 10}))
        read_while_full = (await store.get_user("before")) is not None
        await wall.remove()
        await story.write("after")
        await story.write_in_a_transaction("after-t")
        await wall.build()
        await story.write_until_refused("again")
        opening_refused = await _try(_open(path.with_name("new.db")))
        await wall.remove()
        healthy = (await store.health()).ok
        found = [user.id for user in await store.list_users(limit=100_000)]
    return {
        "acknowledged": story.acknowledged,
        "refused": story.refused,
        "found": found,
        "read_while_full": read_while_full,
        "session_refused": session_refused,
        "opening_refused": opening_refused,
        "left": sorted(file.name for file in path.parent.iterdir()),
        "healthy": healthy,
        "damage": damage(path),
    }


async def _open(path: Path) -> None:
    async with connect(path):
        pass


async def _try(call: Any) -> str | None:
    try:
        await call
    except AuthStoreError as error:
        return type(error).__name__
    return None


def damage(path: Path) -> list[Any]:
    """Rows without an owner, and whatever SQLite finds wrong."""
    with closing(sqlite3.connect(path)) as connection:
        orphans = connection.execute("PRAGMA foreign_key_check").fetchall()
        return orphans + [row for row in connection.execute("PRAGMA integrity_check") if row != ("ok",)]


if __name__ == "__main__":
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    os.umask(0o077)
    print(json.dumps(asyncio.run(tell(sys.argv[1], Path(sys.argv[2]) / "auth.db"))))
