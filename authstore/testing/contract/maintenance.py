"""Pruning, health, keys, closing. Uses the whole `Adapter`."""

import time
from datetime import timedelta

import pytest

from authstore.adapter import Adapter
from authstore.errors import StoreClosedError
from authstore.models import PruneReport, User
from authstore.testing.clock import Clock
from authstore.testing.contract.sessions.making import living
from authstore.testing.contract.shared import ContractBase, end_of_life, errors, later, policy_of, settled, short
from authstore.testing.factories import make_account, make_session, make_user

DEAD = 4  # below the least limit per user the contract promises to keep to


async def _with_dead_rows(adapter: Adapter, clock: Clock) -> User:
    """A user with dead sessions and dead tokens; the clock stands at the instant of their end."""
    user, end = await make_user(adapter), clock() + short(adapter)
    for number in range(DEAD):
        await make_session(adapter, user, expires=end)
        await adapter.create_verification_token(f"someone-{number}", expires=end)
    clock.set(end)
    return user


def _deleted(report: PruneReport) -> tuple[int, int]:
    return report.deleted.get("sessions", 0), report.deleted.get("verification_tokens", 0)


class PruneContract(ContractBase):
    """The rules of forgetting what is dead."""

    async def test_the_dead_go_and_the_living_stay(self, adapter: Adapter, clock: Clock) -> None:
        user = await _with_dead_rows(adapter, clock)
        session = await make_session(adapter, user)
        token = await adapter.create_verification_token("ada@example.com")
        report = await adapter.prune()
        assert _deleted(report) == (DEAD, DEAD)
        assert sum(report.deleted.values()) == 2 * DEAD
        assert report.remaining == 0
        assert await living(adapter, [session]) == [session.id]
        assert await adapter.peek_verification_token("ada@example.com", str(token.token)) == token
        assert await adapter.list_users() == [user]

    async def test_there_is_nothing_to_do_twice(self, adapter: Adapter, clock: Clock) -> None:
        await _with_dead_rows(adapter, clock)
        await adapter.prune()
        report = await adapter.prune()
        assert (_deleted(report), report.remaining) == ((0, 0), 0)

    async def test_an_instant_before_their_end_all_stay(self, adapter: Adapter, clock: Clock) -> None:
        await _with_dead_rows(adapter, clock)
        clock.advance(-timedelta(microseconds=1))
        assert _deleted(await adapter.prune()) == (0, 0)
        clock.advance(timedelta(microseconds=1))
        assert _deleted(await adapter.prune()) == (DEAD, DEAD)

    @pytest.mark.parametrize("limit", ["idle", "lifetime"])
    async def test_sessions_beyond_a_limit_of_the_policy_go(self, adapter: Adapter, clock: Clock, limit: str) -> None:
        session = await make_session(adapter, await make_user(adapter))
        clock.set(later(clock(), getattr(policy_of(adapter), limit) or timedelta(days=1)))
        expected = int(clock() >= end_of_life(adapter, session))
        report = await adapter.prune()
        assert (_deleted(report), report.remaining) == ((expected, 0), 0)
        assert await living(adapter, [session]) == ([] if expected else [session.id])

    @pytest.mark.parametrize("batch", [1, 3, 1000])
    async def test_small_batches_come_to_the_same(self, adapter: Adapter, clock: Clock, batch: int) -> None:
        await _with_dead_rows(adapter, clock)
        report = await adapter.prune(batch=batch)
        assert (_deleted(report), report.remaining) == ((DEAD, DEAD), 0)

    async def test_when_time_is_up_it_says_what_remains(self, adapter: Adapter, clock: Clock) -> None:
        await _with_dead_rows(adapter, clock)
        report = await adapter.prune(batch=1, max_seconds=0)
        assert sum(report.deleted.values()) + report.remaining == 2 * DEAD
        rest = await adapter.prune(max_seconds=60)
        assert sum(rest.deleted.values()) == report.remaining
        assert rest.remaining == 0

    async def test_it_goes_on_where_it_stopped(self, adapter: Adapter, clock: Clock) -> None:
        await _with_dead_rows(adapter, clock)
        deleted, remaining = 0, 2 * DEAD
        for _ in range(200):
            report = await adapter.prune(batch=1, max_seconds=0.01)
            deleted, remaining = deleted + sum(report.deleted.values()), report.remaining
            if not remaining:
                break
        assert (deleted, remaining) == (2 * DEAD, 0)

    @pytest.mark.parametrize("batch", [0, -1])
    async def test_a_batch_of_nothing_is_refused(self, adapter: Adapter, batch: int) -> None:
        with pytest.raises(ValueError):
            await adapter.prune(batch=batch)

    async def test_others_write_meanwhile(self, adapter: Adapter, clock: Clock) -> None:
        await _with_dead_rows(adapter, clock)
        report, *created = await settled(adapter.prune(batch=1), *(make_user(adapter) for _ in range(20)))
        assert errors(created) == []
        assert _deleted(report) == (DEAD, DEAD)

    async def test_two_at_once_delete_each_row_once(self, adapter: Adapter, clock: Clock) -> None:
        await _with_dead_rows(adapter, clock)
        reports = await settled(adapter.prune(batch=1), adapter.prune(batch=1))
        assert sum(sum(report.deleted.values()) for report in reports) == 2 * DEAD


class UpkeepContract(ContractBase):
    """The rules of health, keys and closing."""

    async def test_a_store_that_works_is_healthy(self, adapter: Adapter) -> None:
        health = await adapter.health()
        assert (health.ok, health.status) == (True, "pass")
        assert timedelta(0) <= health.latency < timedelta(seconds=30)
        assert isinstance(health.detail, dict)
        assert health.model_dump_json()

    async def test_a_busy_store_is_alive_and_says_so_in_time(self, adapter: Adapter) -> None:
        async with adapter.transaction() as transaction:
            await make_user(transaction)
            began = time.monotonic()
            health = await adapter.health(timeout=timedelta(seconds=0.5))
            assert health.ok is True
            assert health.status in ("pass", "warn")
            assert time.monotonic() - began < 2
        assert (await adapter.health()).ok is True

    async def test_where_all_is_under_the_newest_key_nothing_is_encrypted_anew(self, adapter: Adapter) -> None:
        account = await make_account(adapter, await make_user(adapter), provider_account_id="42", access_token="a")
        assert await adapter.rekey() == 0
        assert await adapter.get_account("github", "42") == account

    async def test_what_can_be_read_is_not_forgotten(self, adapter: Adapter) -> None:
        account = await make_account(adapter, await make_user(adapter), provider_account_id="42", access_token="a")
        assert await adapter.forget_unreadable() == 0
        assert await adapter.get_account("github", "42") == account

    async def test_closing_may_be_repeated(self, adapter: Adapter) -> None:
        await make_user(adapter)
        await adapter.close()
        await adapter.close()

    async def test_a_closed_store_says_so(self, adapter: Adapter) -> None:
        await adapter.close()
        calls = [
            adapter.create_user(), adapter.get_user("u1"), adapter.list_users(), adapter.get_account("p", "1"),
            adapter.get_session_and_user("x" * 43), adapter.create_verification_token("someone"),
            adapter.get_authenticator("c1"), adapter.has_permission("u1", "r", "a"), adapter.prune(), adapter.rekey(),
        ]  # fmt: skip
        results = await settled(*calls)
        assert [type(result) for result in results] == [StoreClosedError] * len(calls)
        with pytest.raises(StoreClosedError):
            async with adapter.transaction():
                pass
