"""The contract suite itself: whole, usable in parts, and able to fail."""

import asyncio
import contextlib
import inspect
from collections import Counter
from pathlib import Path

import pytest

from authstore import Adapter, testing
from authstore.testing import AdapterContract, contract

PARTS = [part for part in AdapterContract.__mro__ if part.__module__.startswith(f"{contract.__name__}.")]


def test_no_part_hides_a_rule_of_another():
    names = Counter(name for part in PARTS for name in vars(part) if name.startswith("test_"))
    assert [name for name, count in names.items() if count > 1] == []


def test_every_part_is_in_the_whole_and_can_be_subclassed_alone():
    defined = {
        kind for name in contract.__all__ for kind in [getattr(contract, name)]
        if inspect.isclass(kind) and issubclass(kind, contract.ContractBase) and kind is not AdapterContract
    }  # fmt: skip
    apart = {contract.SlowRefreshContract, contract.EventsContract}
    assert defined - set(PARTS) == apart, "what takes its time, and what asks for a log of changes, is told apart"
    assert set(PARTS) <= defined


def test_every_method_of_the_adapter_is_called_by_a_rule():
    parts = [*PARTS, contract.EventsContract]
    source = "".join(Path(str(inspect.getsourcefile(part))).read_text(encoding="utf-8") for part in parts)
    methods = [name for name in dir(Adapter) if not name.startswith("_")]
    assert [name for name in methods if f".{name}(" not in source] == []


def test_the_suite_knows_no_backend_and_skips_nothing():
    for part in PARTS:
        source = Path(str(inspect.getsourcefile(part))).read_text(encoding="utf-8").lower()
        assert [word for word in ("sqlite", "postgres", "skip(", "skipif", "xfail") if word in source] == []


def test_every_rule_is_a_coroutine_that_asks_for_the_adapter():
    for name, rule in inspect.getmembers(AdapterContract, inspect.isfunction):
        if name.startswith("test_"):
            assert inspect.iscoroutinefunction(rule), name
            assert "adapter" in inspect.signature(rule).parameters, name


async def test_a_rule_that_does_not_end_fails_by_name_also_where_nothing_can_be_cancelled():
    class Impatient(contract.ContractBase):
        time_limit = 0.05

        async def test_waiting(self, adapter: asyncio.Event) -> None:
            while not adapter.is_set():
                with contextlib.suppress(asyncio.CancelledError):
                    await adapter.wait()

    freed = asyncio.Event()
    with pytest.raises(pytest.fail.Exception, match=r"test_waiting was not done after 0\.05 seconds"):
        await Impatient().test_waiting(freed)
    freed.set()


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="nonsense"):
        testing.nonsense  # noqa: B018 - looking is the test
