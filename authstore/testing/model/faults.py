"""Writes that are stopped: they happened wholly or not at all, and the store works on."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import nullcontext, suppress
from typing import Any, NamedTuple

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import rule

from authstore.adapter import Adapter
from authstore.errors import StoreBusyError, StoreFullError
from authstore.testing.model.expected import Expected, ExpectedUser
from authstore.testing.model.machine import NAMES, Fault, ModelBase

BULK = {"bulk": "x" * 20_000}  # more than a page of any database


class Write(NamedTuple):
    """A write, what it does, and how to see that it was done."""

    call: Callable[[Adapter], Coroutine[Any, Any, Any]]
    effect: Callable[[Expected], object]
    is_done: Callable[[Adapter], Coroutine[Any, Any, bool]]


def _creating(new: str, _old: str) -> Write:
    async def is_done(store: Adapter) -> bool:
        return await store.get_user(new) is not None

    return Write(
        lambda store: store.create_user(id=new, data=BULK),
        lambda expected: expected.users.update({new: ExpectedUser(data=dict(BULK))}),
        is_done,
    )


def _deleting(_new: str, old: str) -> Write:
    async def is_done(store: Adapter) -> bool:
        return await store.get_user(old) is None

    return Write(lambda store: store.delete_user(old), lambda expected: expected.delete_user(old), is_done)


def _disabling(_new: str, old: str) -> Write:
    async def is_done(store: Adapter) -> bool:
        user = await store.get_user(old)
        return user is not None and user.disabled

    return Write(
        lambda store: store.update_user(old, disabled=True),
        lambda expected: expected.disable(old, disabled=True),
        is_done,
    )


def _several(new: str, old: str) -> Write:
    """One transaction: somebody new takes the place of somebody."""

    async def call(store: Adapter) -> None:
        async with store.transaction() as transaction:
            await transaction.create_user(id=new, data=BULK)
            async with transaction.transaction() as nested:
                await nested.delete_user(old)

    async def is_done(store: Adapter) -> bool:
        return await store.get_user(new) is not None

    def effect(expected: Expected) -> None:
        expected.users[new] = ExpectedUser(data=dict(BULK))
        expected.delete_user(old)

    return Write(call, effect, is_done)


WRITES = {write.__name__: write for write in (_creating, _deleting, _disabling, _several)}


class FaultsModel(ModelBase):
    """Cancelled, busy, full, given up: nothing is half done."""

    made = 0

    @rule(kind=st.sampled_from(list(WRITES)), old=st.sampled_from(NAMES), turns=st.integers(0, 12))
    def cancel_a_write(self, kind: str, old: str, turns: int) -> None:
        """After so many turns of the event loop."""
        write = self._write(kind, old)

        async def cancelled() -> None:
            task = asyncio.ensure_future(write.call(self.store))
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait({task})
            if not task.cancelled():
                task.result()

        self._compare(write, cancelled)

    @rule(kind=st.sampled_from(list(WRITES)), old=st.sampled_from(NAMES), fault=st.sampled_from(["busy", "full"]))
    def fail_a_write(self, kind: str, old: str, fault: Fault) -> None:
        """Where the adapter can arrange it. A full disk may still have room for a small change."""
        failing = self.failing(fault)
        if failing is None:
            return
        write = self._write(kind, old)

        async def failed() -> None:
            if fault == "busy":
                with pytest.raises(StoreBusyError):
                    await write.call(self.store)
                assert await write.is_done(self.store) == was_done
            else:
                try:
                    await write.call(self.store)
                except StoreFullError:
                    assert await write.is_done(self.store) == was_done
                else:
                    assert await write.is_done(self.store) or old not in self.expected.users

        was_done = self.do(write.is_done(self.store))
        with failing:
            self._compare(write, failed)

    @rule(user_id=ModelBase.users, depth=st.integers(1, 3), undone=st.sets(st.integers(1, 3)))
    def give_up_transactions(self, user_id: str, depth: int, undone: set[int]) -> None:
        """Nested so deep, and undone at these levels: with each goes what is in it."""
        name = self._next()

        async def level(store: Adapter, number: int) -> None:
            async with store.transaction() as transaction:
                await transaction.create_user(id=f"{name}-{number}")
                if number < depth:
                    with suppress(LookupError):
                        await level(transaction, number + 1)
                if number in undone:
                    await transaction.delete_user(user_id)
                    raise LookupError

        with pytest.raises(LookupError) if 1 in undone else nullcontext():
            self.do(level(self.store, 1))
        for number in range(1, min(undone | {depth + 1})):
            self.expected.users[f"{name}-{number}"] = ExpectedUser()

    def _next(self) -> str:
        self.made += 1
        return f"made-{self.made}"

    def _write(self, kind: str, old: str) -> Write:
        return WRITES[kind](self._next(), old)

    def _compare(self, write: Write, attempt: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Runs it, and takes over its effect where it is seen; the invariants say whether that is all of it."""
        was_done = self.do(write.is_done(self.store))
        self.do(attempt())
        if not was_done and self.do(write.is_done(self.store)):
            write.effect(self.expected)
