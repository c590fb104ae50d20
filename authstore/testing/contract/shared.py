"""What all parts of the contract stand on: the two fixtures, limits of time, the limits a policy sets, and races."""

import asyncio
import functools
import inspect
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, TypeVar

import pytest

from authstore.expiry import SessionPolicy
from authstore.models import Session
from authstore.testing.clock import Clock

T = TypeVar("T")

INSTANT = timedelta(microseconds=1)
MANY = 50
FAR_AWAY = datetime.max.replace(tzinfo=UTC)

# Texts no database can keep: NUL ends a C string, a lone surrogate has no UTF-8 form.
BAD_TEXTS = ["nul\0inside", "\0", "lone\ud800surrogate", "\udfff"]


class ContractBase:
    """Override `adapter`. It gives an open, empty store, built with the `clock` it is given.

    The tests judge by `adapter.policy` where there is one, else by the default `SessionPolicy()`. Any
    policy will do whose `max_per_user` is `None` or at least 5: subclass once for each you care about.

    Each rule fails, by name, after `time_limit` seconds of real time; a slow database may ask for more.
    """

    __authstore_contract__: ClassVar[bool] = True
    time_limit: ClassVar[float] = 120.0

    def __init_subclass__(cls, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        for name, rule in list(vars(cls).items()):
            if name.startswith("test_") and inspect.iscoroutinefunction(rule):
                setattr(cls, name, _bounded(rule))

    @pytest.fixture
    def clock(self) -> Clock:
        """A clock far from the real time, so that a store which asks another clock is found out."""
        return Clock(datetime(2031, 5, 6, 7, 8, 9, 123456, tzinfo=UTC))

    @pytest.fixture
    def adapter(self, clock: Clock) -> Any:
        """The store under test."""
        raise NotImplementedError("override the fixture `adapter(self, clock)` with an open, empty store")

    @pytest.fixture(scope="session")
    @staticmethod
    def anyio_backend() -> str:
        """For suites run by anyio's plugin: the concurrency tests are written for asyncio."""
        return "asyncio"


def _bounded(rule: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., Coroutine[Any, Any, None]]:
    """The rule with a limit of time, whether or not the adapter's calls let themselves be cancelled."""

    @functools.wraps(rule)
    async def bounded(self: ContractBase, *args: Any, **kwargs: Any) -> None:
        __tracebackhide__ = True
        task = asyncio.ensure_future(rule(self, *args, **kwargs))
        try:
            await asyncio.wait({task}, timeout=self.time_limit)
        finally:
            is_late = not task.done()
            task.cancel()
        if is_late:
            pytest.fail(f"{rule.__name__} was not done after {self.time_limit:g} seconds")
        task.result()

    return bounded


async def all_pages(page: Callable[[T | None], Awaitable[list[T]]], *, of: int, limit: int) -> list[T]:
    """Page after page, each asked for with the last row of the one before, until one is empty.

    Fails where `of` rows in pages of `limit` do not come to an end: an adapter may ignore `after`.
    """
    seen: list[T] = []
    for _ in range(of + 1):
        found = await page(seen[-1] if seen else None)
        if not found:
            return seen
        assert len(found) <= limit
        seen += found
    raise AssertionError(f"{of} rows came as more than {of} pages: is `after` ignored?")


def policy_of(adapter: object) -> SessionPolicy:
    """The policy the adapter judges by."""
    policy = getattr(adapter, "policy", None)
    return policy if isinstance(policy, SessionPolicy) else SessionPolicy()


def later(start: datetime, by: timedelta | None) -> datetime:
    """`start + by`, or the end of time."""
    try:
        return FAR_AWAY if by is None else start + by
    except OverflowError:
        return FAR_AWAY


def end_of_life(adapter: object, session: Session) -> datetime:
    """The first instant at which the session is dead if nobody touches it."""
    policy = policy_of(adapter)
    return min(session.expires, later(session.created_at, policy.lifetime), later(session.last_used_at, policy.idle))


def short(adapter: object) -> timedelta:
    """A time well within every limit of the policy."""
    policy = policy_of(adapter)
    limits = [limit for limit in (policy.lifetime, policy.idle, policy.token_lifetime) if limit is not None]
    return min([timedelta(hours=1), *limits]) / 4


async def settled(*calls: Awaitable[Any]) -> list[Any]:
    """Runs the calls at once; each gives its result or its error."""
    return await asyncio.gather(*calls, return_exceptions=True)


def winners(results: Iterable[Any]) -> list[Any]:
    """Those that are neither an error nor nothing."""
    return [result for result in results if result and not isinstance(result, BaseException)]


def errors(results: Iterable[Any]) -> list[BaseException]:
    """Those that are an error."""
    return [result for result in results if isinstance(result, BaseException)]
