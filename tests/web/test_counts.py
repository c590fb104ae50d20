"""How often a client may begin something, and what it costs to refuse."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2

from authstore import connect
from authstore.testing.web import Person
from authstore.web.counts import Counts

WINDOW = timedelta(minutes=10)
START = datetime(2026, 11, 22, 12, 3, tzinfo=UTC)


async def begin(browser: Any) -> int:
    return int((await browser.get("/auth/login/pretend")).status_code)


def from_elsewhere(world: Any) -> Any:
    browser = world.new_browser()
    browser._transport = httpx2.ASGITransport(world.app, client=("203.0.113.9", 1))
    return browser


async def test_a_client_begins_so_many_sign_ins_and_no_more(make_world: Any) -> None:
    world = await make_world(sign_ins_per_client=3)
    browser = world.new_browser()
    assert [await begin(browser) for _ in range(5)] == [303, 303, 303, 429, 429]
    assert await begin(world.new_browser()) == 429, "the client is counted and not the browser"
    assert await begin(from_elsewhere(world)) == 303
    world.clock.advance(WINDOW)
    assert await begin(browser) == 303


async def test_who_began_too_many_is_told_when_to_come_again_and_can_finish(make_world: Any) -> None:
    world = await make_world(sign_ins_per_client=1)
    browser = world.new_browser()
    departure = await browser.get("/auth/login/pretend")
    refused = await browser.get("/auth/login/pretend", headers={"accept": "application/json"})
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "60")
    assert refused.json()["error"] == "too_many"
    await browser.get(await world.pretend.approve(departure.headers["location"], Person("ada-1")))
    assert await browser.who() is not None


async def test_passkeys_are_counted_by_themselves(make_world: Any) -> None:
    world = await make_world(sign_ins_per_client=2)
    browser = world.new_browser()
    options = [(await browser.send_json("/auth/passkeys/sign-in/options")).status_code for _ in range(3)]
    assert options == [200, 200, 429]
    assert await begin(browser) == 303


class Counted:
    """A store that counts what it is asked."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self.calls = 0

    def __getattr__(self, name: str) -> Any:
        self.calls += 1
        return getattr(self._store, name)


async def test_a_limit_that_nobody_reaches_costs_no_more_than_a_small_one() -> None:
    async with connect("sqlite://") as store:
        assert await Counts().allow(store, "somebody", 10**15, window=WINDOW, now=START)


async def test_to_refuse_costs_no_look_up_until_a_place_is_free_again() -> None:
    now = [START]
    async with connect("sqlite://", clock=lambda: now[0]) as opened:
        store: Any = Counted(opened)
        ours = Counts()

        async def allow() -> bool:
            return await ours.allow(store, "x", 4, window=WINDOW, now=now[0])

        for _ in range(4):
            assert await allow()
            now[0] += timedelta(minutes=1)
        assert not await allow()
        asked = store.calls
        for _ in range(100):
            assert not await allow()
        assert store.calls == asked
        now[0] = START + WINDOW
        assert [await allow(), await allow()] == [True, False]
        now[0] += timedelta(minutes=1)
        assert [await allow(), await allow()] == [True, False]


async def test_what_is_remembered_has_a_bound() -> None:
    async with connect("sqlite://", clock=lambda: START) as store:
        ours = Counts(most_remembered=8)
        for subject in map(str, range(30)):
            allowed = [await ours.allow(store, subject, 1, window=WINDOW, now=START) for _ in range(3)]
            assert allowed == [True, False, False]
        assert len(ours._exhausted) <= 8
