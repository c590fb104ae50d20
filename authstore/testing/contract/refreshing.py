"""`refresh_account`: one caller asks the provider, the others get what it got. Uses `Users` and `Accounts`."""

import asyncio
import time
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from authstore.adapter import Adapter
from authstore.errors import AccountNotFoundError
from authstore.models import Account
from authstore.testing.clock import Clock
from authstore.testing.contract.shared import INSTANT, MANY, ContractBase, errors, settled, winners
from authstore.testing.factories import make_account, make_user

REPLACED_AFTER = timedelta(seconds=30)
PATIENCE = 20.0  # seconds of real time in which a waiter must have noticed that its turn has come


class ProviderError(Exception):
    """What a provider's client raises."""


class Provider:
    """Counts how often it is asked; the first `failures` times it fails. It answers while its gate is open."""

    def __init__(self, failures: int = 0) -> None:
        self.asked = 0
        self.failures = failures
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self, account: Account) -> Mapping[str, Any]:
        self.asked += 1
        number = self.asked
        await self.gate.wait()
        if number <= self.failures:
            raise ProviderError(f"attempt {number}")
        return {"access_token": f"access-{number}", "refresh_token": f"{account.refresh_token}+{number}"}


class Stuck:
    """A provider that never answers."""

    def __init__(self) -> None:
        self.entered = asyncio.Event()

    async def __call__(self, account: Account) -> Mapping[str, Any]:
        self.entered.set()
        await asyncio.Event().wait()
        raise AssertionError("unreachable")


async def _linked(adapter: Adapter) -> Account:
    user = await make_user(adapter)
    return await make_account(
        adapter, user, provider_account_id="42", access_token="access-0", refresh_token="refresh-0", scope="email"
    )


async def _all_waiting(adapter: Adapter, provider: Provider, callers: int) -> list[asyncio.Task[Account]]:
    """So many callers at once: one asks the provider, whose gate is shut, and the others wait for it."""
    provider.gate.clear()
    tasks = [asyncio.create_task(adapter.refresh_account("github", "42", provider)) for _ in range(callers)]
    await asyncio.sleep(0.1)
    return tasks


async def _stopped(task: asyncio.Task[Any]) -> None:
    task.cancel()
    await asyncio.wait([task])


class SlowRefreshContract(ContractBase):
    """A provider slower than the lease. It waits in real time (36 s), so it is no part of `AdapterContract`."""

    async def test_a_slow_provider_is_no_dead_holder(self, adapter: Adapter, clock: Clock) -> None:
        await _linked(adapter)
        provider, start, began = Provider(), clock(), time.monotonic()
        tasks = await _all_waiting(adapter, provider, 3)
        while clock() < start + 1.2 * REPLACED_AFTER:
            await asyncio.sleep(0.1)
            clock.set(start + timedelta(seconds=time.monotonic() - began))
        assert provider.asked == 1
        provider.gate.set()
        results = await asyncio.wait_for(settled(*tasks), PATIENCE)
        assert provider.asked == 1
        assert [account.access_token for account in results] == ["access-1"] * 3
        account = await adapter.get_account("github", "42")
        assert account == results[0]


class RefreshContract(ContractBase):
    """The rules of refreshing a provider's tokens."""

    async def test_the_result_is_stored_and_the_rest_kept(self, adapter: Adapter, clock: Clock) -> None:
        account = await _linked(adapter)
        clock.advance(timedelta(minutes=1))
        refreshed = await adapter.refresh_account("github", "42", Provider())
        changed = {"access_token": "access-1", "refresh_token": "refresh-0+1", "updated_at": clock()}
        assert refreshed == account.model_copy(update=changed)
        assert await adapter.get_account("github", "42") == refreshed

    async def test_the_callback_is_given_the_account_with_its_tokens(self, adapter: Adapter) -> None:
        account, given = await _linked(adapter), []

        async def refresh(current: Account) -> Mapping[str, Any]:
            given.append(current)
            return {}

        assert (await adapter.refresh_account("github", "42", refresh)).access_token == "access-0"
        assert given == [account]

    async def test_an_unknown_account_is_not_refreshed(self, adapter: Adapter) -> None:
        provider = Provider()
        with pytest.raises(AccountNotFoundError):
            await adapter.refresh_account("github", "42", provider)
        assert provider.asked == 0

    async def test_of_many_at_once_one_asks_and_all_get_its_result(self, adapter: Adapter) -> None:
        await _linked(adapter)
        provider = Provider()
        tasks = await _all_waiting(adapter, provider, MANY)
        provider.gate.set()
        results = await asyncio.wait_for(settled(*tasks), PATIENCE)
        assert provider.asked == 1
        assert [account.access_token for account in results] == ["access-1"] * MANY

    async def test_one_who_comes_afterwards_asks_again(self, adapter: Adapter) -> None:
        await _linked(adapter)
        provider = Provider()
        await adapter.refresh_account("github", "42", provider)
        assert (await adapter.refresh_account("github", "42", provider)).access_token == "access-2"

    async def test_other_accounts_do_not_wait(self, adapter: Adapter) -> None:
        await _linked(adapter)
        other = await make_account(adapter, await make_user(adapter))
        stuck = Stuck()
        holder = asyncio.create_task(adapter.refresh_account("github", "42", stuck))
        await stuck.entered.wait()
        refreshing = adapter.refresh_account("github", other.provider_account_id, Provider())
        assert (await asyncio.wait_for(refreshing, PATIENCE)).access_token == "access-1"
        await _stopped(holder)

    async def test_the_store_can_be_used_while_the_provider_is_asked(self, adapter: Adapter) -> None:
        account = await _linked(adapter)

        async def refresh(current: Account) -> Mapping[str, Any]:
            await adapter.update_user(current.user_id, name="Renamed")
            assert await adapter.get_account("github", "42") == account
            return {"access_token": "access-1"}

        await asyncio.wait_for(adapter.refresh_account("github", "42", refresh), PATIENCE)
        user = await adapter.get_user(account.user_id)
        assert user is not None
        assert user.name == "Renamed"

    async def test_a_failure_reaches_its_caller_and_changes_nothing(self, adapter: Adapter) -> None:
        account = await _linked(adapter)
        with pytest.raises(ProviderError):
            await adapter.refresh_account("github", "42", Provider(failures=1))
        assert await adapter.get_account("github", "42") == account
        assert (await adapter.refresh_account("github", "42", Provider())).access_token == "access-1"

    async def test_after_a_failure_the_next_waiter_tries(self, adapter: Adapter) -> None:
        await _linked(adapter)
        provider = Provider(failures=2)
        tasks = await _all_waiting(adapter, provider, 8)
        provider.gate.set()
        results = await asyncio.wait_for(settled(*tasks), PATIENCE)
        assert provider.asked == 3
        assert sorted(map(str, errors(results))) == ["attempt 1", "attempt 2"]
        assert [account.access_token for account in winners(results)] == ["access-3"] * 6

    async def test_after_a_cancelled_holder_the_next_waiter_tries(self, adapter: Adapter) -> None:
        await _linked(adapter)
        stuck = Stuck()
        holder = asyncio.create_task(adapter.refresh_account("github", "42", stuck))
        await stuck.entered.wait()
        waiter = asyncio.create_task(adapter.refresh_account("github", "42", Provider()))
        await asyncio.sleep(0.02)
        await _stopped(holder)
        assert (await asyncio.wait_for(waiter, PATIENCE)).access_token == "access-1"

    async def test_a_cancelled_waiter_disturbs_nobody(self, adapter: Adapter) -> None:
        await _linked(adapter)
        provider = Provider()
        tasks = await _all_waiting(adapter, provider, 4)
        await _stopped(tasks[3])
        provider.gate.set()
        results = await asyncio.wait_for(settled(*tasks), PATIENCE)
        # Whoever it was, the one who asks or one who waits: the others end with one result.
        assert isinstance(results[3], asyncio.CancelledError)
        assert {account.access_token for account in winners(results)} == {f"access-{provider.asked}"}
        assert len(winners(results)) == 3

    async def test_a_stuck_holder_is_replaced_after_thirty_seconds(self, adapter: Adapter, clock: Clock) -> None:
        await _linked(adapter)
        stuck, provider = Stuck(), Provider()
        holder = asyncio.create_task(adapter.refresh_account("github", "42", stuck))
        await stuck.entered.wait()
        waiter = asyncio.create_task(adapter.refresh_account("github", "42", provider))
        clock.advance(REPLACED_AFTER - INSTANT)
        await asyncio.sleep(0.3)
        assert provider.asked == 0
        clock.advance(INSTANT)
        assert (await asyncio.wait_for(waiter, PATIENCE)).access_token == "access-1"
        await _stopped(holder)
        account = await adapter.get_account("github", "42")
        assert account is not None
        assert account.access_token == "access-1"

    async def test_a_replaced_holder_that_gives_up_frees_nobody_else(self, adapter: Adapter, clock: Clock) -> None:
        await _linked(adapter)
        stuck, provider = [Stuck(), Stuck()], Provider()
        holders = []
        for each in stuck:
            holders.append(asyncio.create_task(adapter.refresh_account("github", "42", each)))
            await asyncio.wait_for(each.entered.wait(), PATIENCE)
            clock.advance(REPLACED_AFTER)
        clock.advance(-REPLACED_AFTER)
        await _stopped(holders[0])
        waiter = asyncio.create_task(adapter.refresh_account("github", "42", provider))
        await asyncio.sleep(0.3)
        assert provider.asked == 0
        await _stopped(holders[1])
        assert (await asyncio.wait_for(waiter, PATIENCE)).access_token == "access-1"

    async def test_another_account_that_fails_frees_nobody_else(self, adapter: Adapter) -> None:
        await _linked(adapter)
        other = await make_account(adapter, await make_user(adapter))
        stuck, provider = Stuck(), Provider()
        holder = asyncio.create_task(adapter.refresh_account("github", "42", stuck))
        await stuck.entered.wait()
        with pytest.raises(ProviderError):
            await adapter.refresh_account("github", other.provider_account_id, Provider(failures=1))
        waiter = asyncio.create_task(adapter.refresh_account("github", "42", provider))
        await asyncio.sleep(0.1)
        assert provider.asked == 0
        await _stopped(holder)
        assert (await asyncio.wait_for(waiter, PATIENCE)).access_token == "access-1"

    async def test_an_account_unlinked_meanwhile_stays_unlinked(self, adapter: Adapter) -> None:
        await _linked(adapter)

        async def refresh(current: Account) -> Mapping[str, Any]:
            await adapter.unlink_account("github", "42")
            return {"access_token": "access-1"}

        with pytest.raises(AccountNotFoundError):
            await asyncio.wait_for(adapter.refresh_account("github", "42", refresh), PATIENCE)
        assert await adapter.get_account("github", "42") is None

    async def test_an_account_linked_to_somebody_else_meanwhile_is_left_alone(self, adapter: Adapter) -> None:
        await _linked(adapter)
        eve = await make_user(adapter)
        theirs: list[Account] = []

        async def refresh(current: Account) -> Mapping[str, Any]:
            await adapter.unlink_account("github", "42")
            theirs.append(await make_account(adapter, eve, provider_account_id="42", access_token="eves"))
            return {"access_token": "access-1", "refresh_token": "refresh-1"}

        with pytest.raises(AccountNotFoundError):
            await asyncio.wait_for(adapter.refresh_account("github", "42", refresh), PATIENCE)
        assert await adapter.get_account("github", "42") == theirs[0]

    async def test_tokens_given_meanwhile_are_newer(self, adapter: Adapter) -> None:
        account = await _linked(adapter)
        provider = Provider()
        tasks = await _all_waiting(adapter, provider, 4)
        await adapter.link_account(account.user_id, "github", "42", access_token="newer", refresh_token="newest")
        provider.gate.set()
        results = await asyncio.wait_for(settled(*tasks), PATIENCE)
        stored = await adapter.get_account("github", "42")
        assert provider.asked == 1
        assert stored is not None
        assert (stored.access_token, stored.refresh_token) == ("newer", "newest")
        assert results == [stored] * 4

    async def test_what_is_changed_meanwhile_beside_the_tokens_stays_changed(self, adapter: Adapter) -> None:
        account = await _linked(adapter)

        async def refresh(current: Account) -> Mapping[str, Any]:
            await adapter.link_account(account.user_id, "github", "42", data={"login": "ada"})
            return {"access_token": "access-1"}

        refreshed = await asyncio.wait_for(adapter.refresh_account("github", "42", refresh), PATIENCE)
        assert (refreshed.access_token, refreshed.data) == ("access-1", {"login": "ada"})
        assert await adapter.get_account("github", "42") == refreshed

    async def test_a_clock_that_went_back_leaves_no_lease_behind(self, adapter: Adapter, clock: Clock) -> None:
        await _linked(adapter)
        stuck, provider = Stuck(), Provider()
        holder = asyncio.create_task(adapter.refresh_account("github", "42", stuck))
        await stuck.entered.wait()
        clock.advance(-timedelta(days=1))
        refreshing = adapter.refresh_account("github", "42", provider)
        assert (await asyncio.wait_for(refreshing, PATIENCE)).access_token == "access-1"
        await _stopped(holder)

    async def test_a_refreshed_field_that_no_account_has_is_refused(self, adapter: Adapter) -> None:
        account = await _linked(adapter)

        async def refresh(current: Account) -> Mapping[str, Any]:
            return {"access_token": "new", "user_id": "somebody-else"}

        with pytest.raises((TypeError, ValueError)):
            await adapter.refresh_account("github", "42", refresh)
        assert await adapter.get_account("github", "42") == account
