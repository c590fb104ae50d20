"""An adapter of one's own, and the suite that says whether it keeps the contract.

This one logs how long each call of another adapter took. Run the suite: pytest examples/third_party_adapter.py
"""

import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest

from authstore import Adapter, connect
from authstore.testing import AdapterContract, Clock

log = logging.getLogger("third_party_adapter")


class LoggingAdapter:
    """Every call is logged by name and duration, never with its arguments: they hold secrets."""

    def __init__(self, store: Adapter) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._store, name)
        return self._logged(name) if callable(attribute) and hasattr(Adapter, name) else attribute

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Adapter]:
        async with self._store.transaction() as transaction:
            yield logging_adapter(transaction)

    def _logged(self, name: str) -> Any:
        async def call(*args: Any, **kwargs: Any) -> Any:
            started = time.perf_counter()
            try:
                return await getattr(self._store, name)(*args, **kwargs)
            finally:
                log.info("%s took %.2f ms", name, (time.perf_counter() - started) * 1000)

        return call


def logging_adapter(store: Adapter) -> Adapter:
    """`store`, with every call logged."""
    return cast(Adapter, LoggingAdapter(store))


class TestLoggingAdapter(AdapterContract):
    @pytest.fixture
    async def adapter(self, clock: Clock) -> AsyncIterator[Adapter]:
        async with connect("sqlite://", clock=clock) as store:
            yield logging_adapter(store)
