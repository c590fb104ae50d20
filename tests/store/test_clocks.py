"""The application's clock: asked in the caller's own context, once for a call."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from authstore import Adapter, SessionPolicy, connect

START = datetime(2031, 5, 6, 7, 8, 9, tzinfo=UTC)
TOKEN = "moved-token-0123456789"
NUMBERS = itertools.count(1)

Call = Callable[[Adapter], Awaitable[Any]]
CALLS: dict[str, Call] = {
    "create_user": lambda store: store.create_user(),
    "update_user": lambda store: store.update_user("ada", name="Ada"),
    "link_account": lambda store: store.link_account("ada", "github", "42"),
    "sign_in": lambda store: store.sign_in_with_account(provider="github", provider_account_id="7"),
    "create_session": lambda store: store.create_session("ada"),
    "get_session": lambda store: store.get_session(TOKEN),
    "get_session_and_user": lambda store: store.get_session_and_user(TOKEN),
    "touch_session": lambda store: store.touch_session(TOKEN),
    "update_session": lambda store: store.update_session(TOKEN, data={"a": 1}),
    "rotate_session": lambda store: store.rotate_session(TOKEN),
    "list_sessions": lambda store: store.list_sessions("ada"),
    "create_verification_token": lambda store: store.create_verification_token("ada"),
    "peek_verification_token": lambda store: store.peek_verification_token("ada", "123456"),
    "use_verification_token": lambda store: store.use_verification_token("ada", "123456"),
    "create_authenticator": lambda store: store.create_authenticator("ada", f"key-{next(NUMBERS)}", b"key"),
    "update_counter": lambda store: store.update_authenticator_counter("key", next(NUMBERS)),
    "prune": lambda store: store.prune(),
}


async def fill(store: Adapter) -> None:
    await store.create_user(id="ada")
    await store.create_session("ada", token=TOKEN)
    await store.create_verification_token("ada", token="123456")
    await store.create_authenticator("ada", "key", b"key")


@pytest.mark.parametrize("name", CALLS)
async def test_a_call_asks_once_and_on_the_loops_thread(tmp_path: Path, name: str) -> None:
    asked: list[datetime] = []

    def clock() -> datetime:
        asyncio.get_running_loop()  # raises on a database thread
        asked.append(START + timedelta(minutes=len(asked)))
        return asked[-1]

    async with connect(tmp_path / "auth.db", clock=clock) as store:
        await fill(store)
        asked.extend([START] * 10)  # ten minutes on: a touch is due
        before = len(asked)
        await CALLS[name](store)
        assert len(asked) - before == 1
        before = len(asked)
        async with store.transaction() as transaction:
            await CALLS[name](transaction)
        assert len(asked) - before == 1


async def test_each_request_may_have_a_now_of_its_own(tmp_path: Path) -> None:
    now: ContextVar[datetime] = ContextVar("now", default=START)
    policy = SessionPolicy(lifetime=timedelta(days=1), idle=None, touch_every=timedelta(0))
    async with connect(tmp_path / "auth.db", clock=now.get, policy=policy) as store:
        await fill(store)

        async def used_at(moment: datetime) -> None:
            now.set(moment)
            session = await store.touch_session(TOKEN)
            assert session is not None
            assert session.last_used_at == moment
            made = await store.create_verification_token(f"at-{moment}", expires=moment + timedelta(seconds=1))
            assert await store.use_verification_token(f"at-{moment}", str(made.token)) == made

        for hour in range(8):
            await asyncio.create_task(used_at(START + timedelta(hours=hour)))
        now.set(START + timedelta(days=1))
        assert await store.rotate_session(TOKEN) is None


@pytest.mark.parametrize("wrong", [datetime(2031, 5, 6), None, 1.5], ids=repr)  # naive on purpose
async def test_a_clock_that_gives_no_aware_datetime_is_refused(wrong: Any) -> None:
    now: list[Any] = [START]
    async with connect("sqlite://", clock=lambda: now[0]) as store:
        now[0] = wrong
        with pytest.raises((ValueError, TypeError), match="aware datetime"):
            await store.create_user()
