"""The pytest plugin: `auth_store`, `auth_clock`, `auth_policy`, and the care `AdapterContract` needs at collection.

It works with pytest-asyncio, strict and auto, and with anyio's plugin; neither is needed to load it.
"""

from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Any, cast

import pytest

from authstore.expiry import SessionPolicy
from authstore.testing.clock import Clock

if TYPE_CHECKING:
    from authstore.adapter import Adapter

pytest.register_assert_rewrite("authstore.testing.contract")


@pytest.fixture
def auth_clock() -> Clock:
    """The clock `auth_store` lives by; it stands still until `.advance(timedelta)` or `.set(datetime)`."""
    return Clock()


@pytest.fixture
def auth_policy() -> SessionPolicy:
    """The policy of `auth_store`; override it to test with another."""
    return SessionPolicy()


@pytest.fixture
def auth_store(auth_clock: Clock, auth_policy: SessionPolicy) -> "Iterator[Adapter]":
    """An empty store in memory, gone after the test. It opens in the event loop that first uses it."""
    from authstore.testing.lazy import LazyStore

    store = LazyStore(clock=auth_clock, policy=auth_policy)
    yield cast("Adapter", store)
    store.tear_down()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_pycollect_makeitem(collector: pytest.Collector, obj: object) -> Generator[None, Any, Any]:
    """Lets an async runner take the contract's tests, whichever there is."""
    if not getattr(getattr(collector, "obj", None), "__authstore_contract__", False):
        return (yield)
    _mark_for_a_runner(collector)
    marks = getattr(obj, "pytestmark", None)
    try:
        return (yield)
    finally:
        _put_back(obj, marks)


def _mark_for_a_runner(collector: pytest.Collector) -> None:
    if any(collector.get_closest_marker(runner) for runner in ("anyio", "asyncio", "trio")):
        return
    runner = next((name for name in ("asyncio", "anyio") if collector.config.pluginmanager.has_plugin(name)), None)
    if runner is not None:
        collector.add_marker(runner)


def _put_back(obj: object, marks: object) -> None:
    # anyio's plugin marks the function itself, which all subclasses of the contract share.
    if marks is not None and getattr(obj, "pytestmark", None) is not marks:
        obj.pytestmark = marks  # type: ignore[attr-defined]  # a test function carries its marks there
    elif marks is None and "pytestmark" in getattr(obj, "__dict__", {}):
        del obj.pytestmark  # type: ignore[attr-defined]  # as above
