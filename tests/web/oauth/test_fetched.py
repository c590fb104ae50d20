"""What a provider publishes is fetched once for all who wait, and kept while it cannot be fetched."""

import asyncio
import gc
from datetime import UTC, datetime, timedelta

import pytest

from authstore.web.oauth.fetched import Fetched

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


class Publisher:
    """Tells a number, one more each time; or fails; or waits until it may go on."""

    def __init__(self) -> None:
        self.told = 0
        self.fails = False
        self.may_go_on = asyncio.Event()
        self.may_go_on.set()
        self.now = datetime(2026, 11, 28, tzinfo=UTC)
        self.fetched = Fetched("numbers", self.tell, lambda: self.now)

    async def tell(self) -> int:
        self.told += 1
        await self.may_go_on.wait()
        if self.fails:
            raise OSError("nobody there")
        return self.told


@pytest.fixture
def publisher() -> Publisher:
    return Publisher()


async def test_it_is_good_for_an_hour_by_the_stores_clock(publisher: Publisher) -> None:
    assert await publisher.fetched.get() == 1
    publisher.now += HOUR - timedelta(microseconds=1)
    assert await publisher.fetched.get() == 1
    publisher.now += timedelta(microseconds=1)
    assert await publisher.fetched.get() == 2


async def test_a_clock_that_was_set_back_does_not_make_it_good_for_longer(publisher: Publisher) -> None:
    await publisher.fetched.get()
    publisher.now -= timedelta(days=1)
    assert await publisher.fetched.get() == 2


async def test_all_who_wait_get_one_answer(publisher: Publisher) -> None:
    publisher.may_go_on.clear()
    waiting = [asyncio.create_task(publisher.fetched.get()) for _ in range(20)]
    await asyncio.sleep(0)
    publisher.may_go_on.set()
    assert await asyncio.gather(*waiting) == [1] * 20


async def test_all_who_wait_get_one_error_and_the_next_one_tries_again(publisher: Publisher) -> None:
    publisher.fails = True
    failed = await asyncio.gather(*(publisher.fetched.get() for _ in range(20)), return_exceptions=True)
    assert {type(each) for each in failed} == {OSError}
    assert publisher.told == 1
    publisher.fails = False
    assert await publisher.fetched.get() == 2


async def test_what_is_known_stays_while_nobody_answers_who_is_asked_once_a_minute(publisher: Publisher) -> None:
    await publisher.fetched.get()
    publisher.now += HOUR
    publisher.fails = True
    for _ in range(5):
        assert await publisher.fetched.get() == 1
    assert publisher.told == 2
    publisher.now += MINUTE
    assert await publisher.fetched.get() == 1
    assert publisher.told == 3
    publisher.fails = False
    publisher.now += MINUTE
    assert await publisher.fetched.get() == 4


async def test_who_leaves_takes_the_answer_from_nobody(publisher: Publisher) -> None:
    publisher.may_go_on.clear()
    first = asyncio.create_task(publisher.fetched.get())
    second = asyncio.create_task(publisher.fetched.get())
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)
    publisher.may_go_on.set()
    assert await second == 1
    assert publisher.told == 1


async def test_what_all_who_waited_left_behind_complains_to_nobody(publisher: Publisher) -> None:
    """An error that nobody fetched would be an "exception was never retrieved" on the log."""
    complaints: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: complaints.append(context))
    publisher.may_go_on.clear()
    publisher.fails = True
    waiting = asyncio.create_task(publisher.fetched.get())
    await asyncio.sleep(0)
    waiting.cancel()
    publisher.may_go_on.set()
    for _ in range(10):
        await asyncio.sleep(0)
    assert publisher.fetched._fetching is not None
    assert publisher.fetched._fetching.done()
    publisher.fetched._fetching = None
    gc.collect()
    assert complaints == []


async def test_what_is_too_young_is_not_fetched_anew(publisher: Publisher) -> None:
    await publisher.fetched.get()
    assert await publisher.fetched.anew(older_than=MINUTE) == 1
    publisher.now += MINUTE
    assert await publisher.fetched.anew(older_than=MINUTE) == 2
    assert await publisher.fetched.anew() == 3


def test_a_loop_that_ended_while_it_fetched_stops_no_other(publisher: Publisher) -> None:
    publisher.may_go_on.clear()

    async def leave_it() -> None:
        task = asyncio.create_task(publisher.fetched.get())
        await asyncio.sleep(0)
        assert not task.done()

    async def fetch() -> int:
        publisher.may_go_on = asyncio.Event()
        publisher.may_go_on.set()
        return await publisher.fetched.get()

    asyncio.run(leave_it())
    assert asyncio.run(fetch()) == 2
