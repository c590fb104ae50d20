"""An application's process: signs people in and out, looks them up and notes what it was told, until its input ends.

Run by its path, with this or an older version of the package before all others: only what every version has is called.
"""

import asyncio
import json
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Awaitable
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

from authstore import Adapter, SessionPolicy, StoreError, connect

T = TypeVar("T")
EVERY_USE = SessionPolicy(touch_every=timedelta(0))
PAUSE = 0.04  # seconds: four of these share a machine with the tests


class Ledger:
    """One file for all processes: what each was told, a line at a time, and what it was about to end."""

    def __init__(self, path: Path) -> None:
        self._writing = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._reading = path.open("rb")
        self._rest = b""
        self.heard: dict[str, list[str]] = {"made": [], "ending": [], "ended": []}

    def note(self, what: str, token: str) -> None:
        os.write(self._writing, f"{what} {token}\n".encode())

    def hear(self) -> None:
        """What all have noted until now."""
        *lines, self._rest = (self._rest + self._reading.read()).split(b"\n")
        for line in lines:
            what, token = line.decode().split()
            self.heard[what].append(token)


class Process:
    """What this one does, and what it saw."""

    def __init__(self, store: Adapter, ledger: Ledger, name: str) -> None:
        self._store = store
        self._ledger = ledger
        self._name = name
        self.is_over = False
        self.calls: Counter[str] = Counter()
        self.longest: dict[str, float] = {}
        self.wrong: list[str] = []

    async def _told(self, what: str, call: Awaitable[T]) -> T:
        started = time.monotonic()
        result = await call
        self.calls[what] += 1
        self.longest[what] = max(self.longest.get(what, 0.0), time.monotonic() - started)
        return result

    def _expect(self, holds: bool, what: str) -> None:
        if not holds:
            self.wrong.append(what)

    async def sign_people_in_and_out(self, me: int) -> None:
        step = 0
        while not self.is_over:
            step += 1
            await self._visit(f"{self._name}-{me}-{step}", is_leaving=step % 2 == 0)
            await asyncio.sleep(PAUSE)

    async def _visit(self, user_id: str, *, is_leaving: bool) -> None:
        store, email = self._store, f"{user_id}@example.com"
        await self._told("create_user", store.create_user(id=user_id, email=email))
        letter = await self._told("letter", store.create_verification_token(email))
        used = await self._told("use", store.use_verification_token(email, letter.token or ""))
        self._expect(used is not None, "a token that was just made is not there")
        await self._told("link", store.link_account(user_id, "github", user_id))
        token = (await self._told("create_session", store.create_session(user_id))).token or ""
        self._ledger.note("made", token)
        self._expect(await self._told("touch", store.touch_session(token)) is not None, "a new session has no use")
        await self._told("update_user", store.update_user(user_id, name="Ada"))
        found = await self._told("look", store.get_session_and_user(token))
        self._expect(found is not None and found[1].name == "Ada", "what was just written is not there")
        if is_leaving:
            self._ledger.note("ending", token)
            self._expect(await self._told("delete_session", store.delete_session(token)), "nothing to end")
            self._ledger.note("ended", token)
            self._expect(await store.get_session_and_user(token) is None, "a session outlived its end")

    async def look_others_up(self) -> None:
        """Whoever was told that a session has ended is not answered with it, whichever version ended it."""
        looked: Counter[str] = Counter()
        while not self.is_over:
            await asyncio.sleep(PAUSE)
            self._ledger.hear()
            heard = self._ledger.heard
            for token in random.sample(heard["made"][-40:], min(4, len(heard["made"][-40:]))):
                had_ended = token in heard["ended"]
                found = await self._told("look at another's", self._store.get_session_and_user(token))
                looked["found" if found else "gone"] += 1
                self._expect(not (found and had_ended), "a session outlived its end")
                if not found:
                    self._ledger.hear()
                    self._expect(token in heard["ending"], "a session is gone that nobody ended")

    async def until_the_end(self) -> None:
        work = [self.sign_people_in_and_out(1), self.sign_people_in_and_out(2), self.look_others_up()]
        tasks = [asyncio.create_task(self._guarded(each)) for each in work]
        await asyncio.to_thread(sys.stdin.read)
        self.is_over = True
        await asyncio.gather(*tasks)

    async def _guarded(self, work: Awaitable[None]) -> None:
        try:
            await work
        except StoreError as error:
            self.wrong.append(f"{type(error).__name__}: {error}")


async def main(name: str, url: str, ledger: str, options: dict[str, Any]) -> None:
    async with connect(url, policy=EVERY_USE, **options) as store:
        print("ready", flush=True)  # the test waits for it
        process = Process(store, Ledger(Path(ledger)), name)
        await process.until_the_end()
    report = {"calls": process.calls, "longest": process.longest, "wrong": process.wrong}
    print(json.dumps(report))  # the test reads it


asyncio.run(main(*sys.argv[1:4], json.loads(sys.argv[4])))
