"""The pytest plugin under every async runner, in runs of its own."""

import pytest

pytest_plugins = ["pytester"]
pytestmark = pytest.mark.processes

FIXTURES = """
import asyncio
from datetime import datetime, timedelta, UTC

import pytest

from authstore import Adapter, SessionPolicy, StoreClosedError
from authstore.testing import make_session, make_user

{mark}

async def test_a_session_expires_on_the_clock_of_the_test(auth_store, auth_clock):
    assert isinstance(auth_store, Adapter)
    session = await make_session(auth_store, await make_user(auth_store))
    assert await auth_store.get_session(session.token) == session
    auth_clock.advance(timedelta(days=31))
    assert await auth_store.get_session(session.token) is None

async def test_every_test_has_a_store_of_its_own(auth_store):
    assert await auth_store.list_users() == []
    await asyncio.gather(*(make_user(auth_store) for _ in range(10)))
    assert len(await auth_store.list_users()) == 10

async def test_the_store_takes_transactions_and_may_be_closed(auth_store):
    async with auth_store.transaction() as transaction:
        user = await make_user(transaction)
    assert await auth_store.list_users() == [user]
    await auth_store.close()
    with pytest.raises(StoreClosedError):
        await auth_store.list_users()

async def test_the_store_lives_by_the_clock_and_the_policy(auth_store, auth_clock, auth_policy):
    auth_clock.set(datetime(2031, 5, 6, tzinfo=UTC))
    assert (await make_user(auth_store)).created_at == auth_clock() == datetime(2031, 5, 6, tzinfo=UTC)
    assert auth_store.clock is auth_clock
    assert auth_store.policy is auth_policy
    assert auth_policy == SessionPolicy()
"""

PLAIN = """
import asyncio

from authstore.testing import make_user

def test_a_plain_test_may_run_the_loop_itself(auth_store):
    async def count():
        await make_user(auth_store)
        return len(await auth_store.list_users())
    assert asyncio.run(count()) == 1

def test_a_store_nobody_uses_is_never_opened(auth_store):
    pass
"""

CONTRACT = """
import pytest

from authstore import connect
from authstore.testing.contract import UsersContract, NestedTransactionsContract

{mark}

class TestPart(UsersContract, NestedTransactionsContract):
    {fixture}
    async def adapter(self, clock):
        async with connect("sqlite://", clock=clock) as store:
            yield store
"""

RUNNERS = {
    "pytest-asyncio strict": (["-p", "no:anyio"], "strict", "pytestmark = pytest.mark.asyncio"),
    "pytest-asyncio auto": (["-p", "no:anyio"], "auto", ""),
    "anyio": (["-p", "no:asyncio"], None, "pytestmark = pytest.mark.anyio"),
    "both, strict": ([], "strict", "pytestmark = pytest.mark.asyncio"),
    "both, auto": ([], "auto", ""),
    "both, anyio": ([], "strict", "pytestmark = pytest.mark.anyio"),
}


def _configured(pytester: pytest.Pytester, mode: str | None) -> None:
    asyncio = f"asyncio_mode = {mode}\nasyncio_default_fixture_loop_scope = function\n" if mode else ""
    pytester.makeini(f"[pytest]\nfilterwarnings = error\naddopts = --strict-markers\n{asyncio}")
    pytester.makeconftest("import pytest\n\n@pytest.fixture\ndef anyio_backend():\n    return 'asyncio'\n")


@pytest.mark.parametrize("runner", RUNNERS)
def test_the_fixtures_and_the_contract_run_under(pytester: pytest.Pytester, runner: str):
    options, mode, mark = RUNNERS[runner]
    _configured(pytester, mode)
    is_asyncio_strict = mode == "strict" and "asyncio" in mark
    fixture = "@__import__('pytest_asyncio').fixture" if is_asyncio_strict else "@pytest.fixture"
    # In strict mode the contract needs no marker of its own; anyio's plugin needs one to be chosen over the other.
    contract_mark = mark if runner == "both, anyio" else ""
    pytester.makepyfile(
        test_contract=CONTRACT.format(mark=contract_mark, fixture=fixture),
        test_fixtures=FIXTURES.format(mark=mark),
        test_plain=PLAIN,
    )
    outcomes = pytester.runpytest_subprocess("-q", *options).parseoutcomes()
    assert set(outcomes) == {"passed"}
    assert outcomes["passed"] > 20


def test_a_store_is_closed_where_the_event_loop_outlives_the_test(pytester: pytest.Pytester):
    _configured(pytester, "strict")
    pytester.makepyfile(FIXTURES.format(mark="pytestmark = pytest.mark.asyncio(loop_scope='module')"))
    pytester.runpytest_subprocess("-q", "-p", "no:anyio").assert_outcomes(passed=4)


def test_two_suites_in_one_run_may_use_different_runners(pytester: pytest.Pytester):
    _configured(pytester, "strict")
    asyncio_fixture = "@__import__('pytest_asyncio').fixture"
    pytester.makepyfile(
        test_a_anyio=CONTRACT.format(mark="pytestmark = pytest.mark.anyio", fixture="@pytest.fixture"),
        test_b_asyncio=CONTRACT.format(mark="", fixture=asyncio_fixture),
        test_c_anyio=CONTRACT.format(mark="pytestmark = pytest.mark.anyio", fixture="@pytest.fixture"),
    )
    outcomes = pytester.runpytest_subprocess("-q").parseoutcomes()
    assert set(outcomes) == {"passed"}
    assert outcomes["passed"] > 3 * 20


def test_without_a_runner_the_contract_fails_instead_of_passing_unseen(pytester: pytest.Pytester):
    pytester.makepyfile(test_contract=CONTRACT.format(mark="", fixture="@pytest.fixture"))
    result = pytester.runpytest_subprocess("-q", "-x", "-p", "no:asyncio", "-p", "no:anyio")
    assert result.parseoutcomes().get("passed", 0) == 0
    assert result.ret != 0


def test_a_contract_without_an_adapter_says_what_to_write(pytester: pytest.Pytester):
    _configured(pytester, "auto")
    imported = "from authstore.testing.contract import CounterContract"
    pytester.makepyfile(test_contract=f"{imported}\n\nclass TestNothing(CounterContract): pass\n")
    result = pytester.runpytest_subprocess("-q", "-x")
    result.stdout.fnmatch_lines(["*override the fixture `adapter(self, clock)`*"])
    assert result.parseoutcomes().get("passed", 0) == 0


def test_a_failing_rule_shows_the_values_that_differ(pytester: pytest.Pytester):
    _configured(pytester, "auto")
    source = CONTRACT.format(mark="", fixture="@pytest.fixture").replace(
        "yield store", "store.get_user = store.get_user_by_email\n            yield store"
    )
    pytester.makepyfile(test_contract=source)
    result = pytester.runpytest_subprocess("-q", "-x", "-k", "comes_back_as_created")
    result.stdout.fnmatch_lines(["*assert None == User(*"])


def test_loading_the_plugin_loads_neither_the_contract_nor_any_extra(pytester: pytest.Pytester):
    pytester.makepyfile(
        """
        import sys

        HEAVY = {"starlette", "fastapi", "httpx", "httpx2", "authlib", "joserfc", "cryptography", "typer", "psycopg"}

        def test_it():
            assert "authstore.testing.plugin" in sys.modules
            assert "authstore.testing.contract" not in sys.modules
            assert HEAVY.isdisjoint(sys.modules)
        """
    )
    # anyio's own plugin and others may load what they like.
    pytester.runpytest_subprocess("-q", "-p", "no:anyio", "-p", "no:hypothesispytest").assert_outcomes(passed=1)
