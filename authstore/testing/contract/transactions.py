"""`transaction()`: all or nothing, serializable, nested as savepoints. Uses the whole `Adapter`."""

import asyncio
import time
from contextlib import AbstractContextManager, nullcontext
from itertools import product

import pytest

from authstore.adapter import Adapter
from authstore.errors import AuthStoreError, EmailTakenError, StoreBusyError
from authstore.models import User
from authstore.testing.contract.sessions.making import living
from authstore.testing.contract.shared import ContractBase, errors, settled, winners
from authstore.testing.factories import make_account, make_role, make_session, make_user

AT_ONCE = 2.0  # seconds that a call which waits for nobody may take on a busy machine
BUSY_TIMEOUT = 5.0


class Undo(Exception):
    """Raised in a transaction to end it."""


class Interrupt(BaseException):
    """As `KeyboardInterrupt` and `CancelledError` are: no `Exception`."""


def undo_if(undone: bool) -> None:
    """Ends the transaction around it."""
    if undone:
        raise Undo


def ends(undone: bool) -> AbstractContextManager[object]:
    """Around a transaction: whether `Undo` comes out of it."""
    return pytest.raises(Undo) if undone else nullcontext()


class TransactionsContract(ContractBase):
    """All or nothing."""

    async def test_what_was_done_stays(self, adapter: Adapter) -> None:
        async with adapter.transaction() as transaction:
            user = await make_user(transaction)
            session = await make_session(transaction, user)
            account = await make_account(transaction, user, provider_account_id="42")
        assert await adapter.list_users() == [user]
        assert await adapter.get_session_and_user(str(session.token)) == (session, user)
        assert await adapter.get_account("github", "42") == account

    @pytest.mark.parametrize("error", [Undo, Interrupt, asyncio.CancelledError])
    async def test_whatever_is_raised_undoes_everything(self, adapter: Adapter, error: type[BaseException]) -> None:
        ada = await make_user(adapter)
        session = await make_session(adapter, ada)
        with pytest.raises(error):
            async with adapter.transaction() as transaction:
                await make_user(transaction)
                await transaction.update_user(ada.id, disabled=True)
                await make_role(transaction)
                raise error
        assert await adapter.list_users() == [ada]
        assert await adapter.list_roles() == []
        assert await living(adapter, [session]) == [session.id]

    async def test_it_sees_what_it_did(self, adapter: Adapter) -> None:
        async with adapter.transaction() as transaction:
            user = await make_user(transaction, email="ada@example.com")
            assert await transaction.get_user_by_email("ADA@example.com") == user
            await transaction.delete_user(user.id)
            assert await transaction.list_users() == []
            assert (await make_user(transaction, email="ada@example.com")).id != user.id

    async def test_nobody_else_sees_it_or_waits_for_it_to_read(self, adapter: Adapter) -> None:
        ada = await make_user(adapter)
        session = await make_session(adapter, ada)
        async with adapter.transaction() as transaction:
            await make_user(transaction)
            await transaction.update_user(ada.id, disabled=True)
            assert await asyncio.wait_for(adapter.list_users(), AT_ONCE) == [ada]
            found = await asyncio.wait_for(adapter.get_session_and_user(str(session.token)), AT_ONCE)
            assert found == (session, ada)
        assert len(await adapter.list_users()) == 2
        assert await adapter.get_session_and_user(str(session.token)) is None

    async def test_a_refused_call_leaves_nothing_and_is_survived(self, adapter: Adapter) -> None:
        await make_user(adapter, email="taken@example.com")
        async with adapter.transaction() as transaction:
            before = await make_user(transaction)
            with pytest.raises(EmailTakenError):
                await make_user(transaction, email="taken@example.com")
            with pytest.raises(EmailTakenError):
                await transaction.update_user(before.id, name="Changed", email="taken@example.com")
            after = await make_user(transaction)
        assert await adapter.get_user(before.id) == before
        assert await adapter.get_user(after.id) == after
        assert len(await adapter.list_users()) == 3

    async def test_calls_at_once_inside_one_are_all_part_of_it(self, adapter: Adapter) -> None:
        with pytest.raises(Undo):
            async with adapter.transaction() as transaction:
                created = await settled(*(make_user(transaction) for _ in range(20)))
                assert errors(created) == []
                assert len(await transaction.list_users()) == 20
                raise Undo
        assert await adapter.list_users() == []

    async def test_sign_in_and_the_single_use_of_a_token_take_part(self, adapter: Adapter) -> None:
        token = await adapter.create_verification_token("ada@example.com")
        with pytest.raises(Undo):
            async with adapter.transaction() as transaction:
                assert await transaction.use_verification_token("ada@example.com", str(token.token)) == token
                await transaction.sign_in_with_account(provider="google", provider_account_id="42")
                raise Undo
        assert await adapter.use_verification_token("ada@example.com", str(token.token)) == token
        assert await adapter.get_account("google", "42") is None

    async def test_the_store_works_on_after_one_was_undone(self, adapter: Adapter) -> None:
        for _ in range(3):
            with pytest.raises(Undo):
                async with adapter.transaction() as transaction:
                    await make_user(transaction)
                    raise Undo
        user = await make_user(adapter)
        assert await adapter.list_users() == [user]

    async def test_one_that_is_over_takes_no_more_calls(self, adapter: Adapter) -> None:
        async with adapter.transaction() as transaction:
            await make_user(transaction)
        with pytest.raises(AuthStoreError):
            await make_user(transaction)
        assert len(await adapter.list_users()) == 1


class NestedTransactionsContract(ContractBase):
    """A transaction in a transaction is a savepoint."""

    async def test_the_inner_one_is_undone_alone(self, adapter: Adapter) -> None:
        async with adapter.transaction() as outer:
            before = await make_user(outer)
            with pytest.raises(Undo):
                async with outer.transaction() as inner:
                    await make_user(inner)
                    await inner.update_user(before.id, name="Changed")
                    raise Undo
            after = await make_user(outer)
        assert await adapter.list_users() == sorted([before, after], key=lambda user: user.id)

    async def test_the_outer_one_undoes_the_inner(self, adapter: Adapter) -> None:
        with pytest.raises(Undo):
            async with adapter.transaction() as outer:
                async with outer.transaction() as inner:
                    await make_user(inner)
                assert len(await outer.list_users()) == 1
                raise Undo
        assert await adapter.list_users() == []

    async def test_both_stay_when_nothing_is_raised(self, adapter: Adapter) -> None:
        async with adapter.transaction() as outer:
            await make_user(outer)
            async with outer.transaction() as inner:
                await make_user(inner)
                async with inner.transaction() as innermost:
                    await make_user(innermost)
                assert await asyncio.wait_for(adapter.list_users(), AT_ONCE) == []
        assert len(await adapter.list_users()) == 3

    @pytest.mark.parametrize("undone", list(product([False, True], repeat=3)), ids=str)
    async def test_at_two_levels_each_is_undone_with_what_is_in_it_and_nothing_else(
        self, adapter: Adapter, undone: tuple[bool, bool, bool]
    ) -> None:
        outer_undone, middle_undone, innermost_undone = undone
        before = await make_user(adapter)
        kept, in_middle, in_innermost = [], [], []
        with ends(outer_undone):
            async with adapter.transaction() as outer:
                kept.append(await make_user(outer))
                with ends(middle_undone):
                    async with outer.transaction() as middle:
                        in_middle.append(await make_user(middle))
                        with ends(innermost_undone):
                            async with middle.transaction() as innermost:
                                in_innermost.append(await make_user(innermost))
                                await innermost.update_user(before.id, name="Innermost")
                                undo_if(innermost_undone)
                        in_middle.append(await make_user(middle))
                        undo_if(middle_undone)
                kept.append(await make_user(outer))
                undo_if(outer_undone)
        middle_stays = not outer_undone and not middle_undone
        innermost_stays = middle_stays and not innermost_undone
        expected = [user.id for user in ([] if outer_undone else kept)]
        expected += [user.id for user in (in_middle if middle_stays else [])]
        expected += [user.id for user in (in_innermost if innermost_stays else [])]
        users = await adapter.list_users()
        assert [user.id for user in users] == sorted([before.id, *expected])
        changed = await adapter.get_user(before.id)
        assert changed is not None
        assert changed.name == ("Innermost" if innermost_stays else before.name)
        assert (await make_user(adapter)).id not in [user.id for user in users]

    async def test_one_that_follows_an_undone_one_is_undone_alone(self, adapter: Adapter) -> None:
        async with adapter.transaction() as outer:
            with pytest.raises(Undo):
                async with outer.transaction() as first:
                    await make_user(first)
                    raise Undo
            between = await make_user(outer)
            with pytest.raises(Undo):
                async with outer.transaction() as second:
                    await make_user(second)
                    raise Undo
            async with outer.transaction() as third:
                kept = await make_user(third)
            assert len(await outer.list_users()) == 2
        assert await adapter.list_users() == sorted([between, kept], key=lambda user: user.id)

    async def test_a_refused_call_in_an_inner_one_is_survived_at_every_level(self, adapter: Adapter) -> None:
        await make_user(adapter, email="taken@example.com")
        async with adapter.transaction() as outer:
            made = [await make_user(outer)]
            async with outer.transaction() as middle:
                made.append(await make_user(middle))
                async with middle.transaction() as innermost:
                    with pytest.raises(EmailTakenError):
                        await make_user(innermost, email="taken@example.com")
                    made.append(await make_user(innermost))
                made.append(await make_user(middle))
            made.append(await make_user(outer))
        assert [await adapter.get_user(user.id) for user in made] == made
        assert len(await adapter.list_users()) == 6

    async def test_an_undone_innermost_one_leaves_the_middle(self, adapter: Adapter) -> None:
        async with adapter.transaction() as outer, outer.transaction() as middle:
            kept = await make_user(middle)
            for _ in range(2):
                with pytest.raises(Undo):
                    async with middle.transaction() as innermost:
                        await make_user(innermost)
                        raise Undo
        assert await adapter.list_users() == [kept]


class IsolationContract(ContractBase):
    """Transactions and other writers, one after the other."""

    async def test_a_writer_outside_waits_or_is_told_the_store_is_busy(self, adapter: Adapter) -> None:
        async with adapter.transaction() as transaction:
            await make_user(transaction)
            outside = asyncio.create_task(make_user(adapter))
            await asyncio.sleep(0.05)
            assert not outside.done() or isinstance(outside.exception(), StoreBusyError)
        [result] = await settled(outside)
        assert isinstance(result, (User, StoreBusyError))
        assert len(await adapter.list_users()) == 1 + isinstance(result, User)

    async def test_nobody_waits_longer_than_the_busy_timeout(self, adapter: Adapter) -> None:
        async with adapter.transaction() as transaction:
            user = await make_user(transaction)
            started = time.monotonic()
            with pytest.raises(StoreBusyError):
                await asyncio.wait_for(make_user(adapter), BUSY_TIMEOUT * 3)
            assert time.monotonic() - started < BUSY_TIMEOUT + AT_ONCE
        assert await adapter.list_users() == [user]

    async def test_no_update_is_lost(self, adapter: Adapter) -> None:
        user = await make_user(adapter, data={"count": 0})

        async def count_up() -> bool:
            async with adapter.transaction() as transaction:
                current = await transaction.get_user(user.id)
                assert current is not None
                count = current.data["count"]
                assert isinstance(count, int)
                await asyncio.sleep(0)
                await transaction.update_user(user.id, data={"count": count + 1})
            return True

        results = await settled(*(count_up() for _ in range(20)))
        assert all(isinstance(error, StoreBusyError) for error in errors(results))
        counted = await adapter.get_user(user.id)
        assert counted is not None
        assert counted.data == {"count": len(winners(results))}
        assert winners(results)
