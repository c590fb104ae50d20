"""The store behind `auth_store`: opened by whoever calls first, and otherwise a store like any other."""

import asyncio

import pytest

from authstore import Adapter, SessionPolicy, StoreClosedError, StoreMisuseError
from authstore.testing import Clock, make_user
from authstore.testing.contract import (
    CancellationContract,
    NestedTransactionsContract,
    RefreshContract,
    TransactionsContract,
    UpkeepContract,
)
from authstore.testing.lazy import LazyStore


class TestAuthStore(
    TransactionsContract, NestedTransactionsContract, CancellationContract, UpkeepContract, RefreshContract
):
    @pytest.fixture
    def clock(self, auth_clock: Clock) -> Clock:
        return auth_clock

    @pytest.fixture
    def adapter(self, auth_store: Adapter) -> Adapter:
        return auth_store


def _lazy() -> LazyStore:
    return LazyStore(clock=Clock(), policy=SessionPolicy())


async def test_callers_who_come_at_once_share_one_store(auth_store: Adapter):
    await asyncio.gather(*(make_user(auth_store) for _ in range(20)))
    assert len(await auth_store.list_users()) == 20


async def test_a_cancelled_first_call_does_not_keep_it_shut(auth_store: Adapter):
    for turns in range(4):
        first = asyncio.ensure_future(auth_store.list_users())
        for _ in range(turns):
            await asyncio.sleep(0)
        first.cancel()
        await asyncio.wait([first])
    assert await auth_store.list_users() == []


def test_its_store_belongs_to_the_loop_that_opened_it_and_is_gone_with_it():
    store = _lazy()
    asyncio.run(store.opened())
    with pytest.raises((StoreClosedError, StoreMisuseError)):
        asyncio.run(store.list_users())
    store.tear_down()


def test_a_loop_that_stays_open_is_used_to_close_it():
    store = _lazy()
    with asyncio.Runner() as runner:
        opened = runner.run(store.opened())
        store.tear_down()
        with pytest.raises(StoreClosedError):
            runner.run(opened.list_users())


def test_one_that_nobody_used_has_nothing_to_close():
    _lazy().tear_down()


def test_outside_of_asyncio_it_says_so() -> None:
    """As under trio, which drives a coroutine by itself."""
    store = LazyStore(clock=Clock(), policy=SessionPolicy())
    with pytest.raises(StoreMisuseError, match="asyncio"):
        store.opened().send(None)
