"""The live chapter: a PostgreSQL at work is followed, and cut over while people sign in."""

import asyncio
import secrets
import threading
from contextlib import suppress
from typing import Any, Final

import psycopg

from authstore import connect
from authstore.cli.demo.story import Story
from authstore.mover import Event, LagEvent, follow, verify

_SIGN_IN: Final = (
    """INSERT INTO "Session" VALUES (%s, 'user-' || 1 + floor(random() * 12)::int, now() + interval '20 days')"""
)
_LEFT: Final = "SELECT (SELECT count(*) FROM pg_replication_slots) + (SELECT count(*) FROM pg_publication)"
_PAUSE = 0.002  # seconds between two sign-ins


class Application:
    """The application at work: sign-in after sign-in, until PostgreSQL takes no more. `signed_in`: the tokens of those
    that it acknowledged."""

    def __init__(self, url: str) -> None:
        self.signed_in: list[str] = []
        self.refusal = ""
        self._url = url
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "Application":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        with psycopg.connect(self._url, autocommit=True) as connection:
            while not self._ended.wait(_PAUSE):
                token = secrets.token_urlsafe()
                try:
                    connection.execute(_SIGN_IN, (token,))
                except psycopg.errors.ReadOnlySqlTransaction as error:
                    self.refusal = str(error).splitlines()[0]
                    return
                self.signed_in.append(token)


async def tour(story: Story, source: str, target: str) -> None:
    """Follows the source, cuts it over, and looks for every sign-in that the application was promised."""
    story.chapter("Live: without a minute in which nobody may sign in")
    with Application(source) as application:
        await _follow(story, source, target)
        await _cut_over(story, source, target)
    await _look_for(story, target, application)


async def _follow(story: Story, source: str, target: str) -> None:
    story.step("follow: a move, and from there on the log of PostgreSQL, while people go on signing in")
    brought: asyncio.Future[LagEvent] = asyncio.get_running_loop().create_future()

    def hear(event: Event) -> None:
        if isinstance(event, LagEvent) and event.applied and not brought.done():
            brought.set_result(event)

    following = asyncio.create_task(follow(source, target, on_progress=hear))
    either: tuple[asyncio.Future[Any], ...] = (following, brought)
    await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
    following.cancel()
    with suppress(asyncio.CancelledError):
        await following
    lag = brought.result()
    story.shows(f"{lag.applied:,} rows brought since the move, {lag.seconds:.1f} s behind")
    story.shows("Ctrl-C stops it; slot and publication stay, and any later call goes on from there")


async def _cut_over(story: Story, source: str, target: str) -> None:
    story.step("cut over: guard the tables, bring the rest, compare, and open the file for writing")
    report = await follow(source, target, do="cut-over")
    standstill = report.standstill or 0.0
    story.expect(standstill > 0, f"writes stood still for {1000 * standstill:.0f} ms")
    story.expect((await verify(source, target)).ok, "equal, row for row")
    with psycopg.connect(source) as connection:
        left = connection.execute(_LEFT).fetchone()
    story.expect(left == (0,), "slot and publication are gone from PostgreSQL")


async def _look_for(story: Story, target: str, application: Application) -> None:
    said = application.refusal
    story.expect("has moved" in said, f"who came too late was told, by PostgreSQL: {said}")
    async with connect(target) as store:
        found = [await store.get_session_and_user(token) for token in application.signed_in]
    story.expect(all(found), f"all {len(found):,} sign-ins that PostgreSQL acknowledged are good in the file")
