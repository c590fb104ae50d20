"""A cancelled call happened wholly or not at all, and the store works on. Uses the whole `Adapter`."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from authstore.adapter import Adapter
from authstore.errors import EmailTakenError
from authstore.testing.contract.sessions.making import living, secret
from authstore.testing.contract.shared import ContractBase, errors, settled, winners
from authstore.testing.factories import make_account, make_email, make_session, make_user

# When to cancel: after so many turns of the event loop, then after ever more real time.
TURNS = range(12)
DELAYS = [0.0001 * number for number in range(1, 16)]
MOMENTS: list[float] = [*TURNS, *DELAYS]


async def cancelled(call: Coroutine[Any, Any, Any], moment: float) -> Any:
    """Starts the call and cancels it at the moment; its result, if it was faster, else `None`."""
    task = asyncio.ensure_future(call)
    if isinstance(moment, int):
        for _ in range(moment):
            await asyncio.sleep(0)
    else:
        await asyncio.sleep(moment)
    task.cancel()
    [result] = await settled(task)
    if isinstance(result, asyncio.CancelledError):
        return None
    if isinstance(result, BaseException):
        raise result
    return result


class CancellationContract(ContractBase):
    """Cancel anywhere; nothing is half done."""

    async def test_creating_a_user(self, adapter: Adapter) -> None:
        for moment in MOMENTS:
            email = make_email()
            created = await cancelled(adapter.create_user(email=email, name="Ada"), moment)
            [again] = await settled(adapter.create_user(email=email, name="Ada"))
            found = await adapter.get_user_by_email(email)
            assert found is not None
            assert found.name == "Ada"
            assert found in (created, again) or isinstance(again, EmailTakenError)
            assert created in (None, found)

    async def test_signing_in_creates_user_and_account_or_neither(self, adapter: Adapter) -> None:
        for number, moment in enumerate(MOMENTS):
            email = make_email()
            await cancelled(
                adapter.sign_in_with_account(provider="google", provider_account_id=f"{number}", email=email), moment
            )
            account = await adapter.get_account("google", f"{number}")
            user = await adapter.get_user_by_email(email)
            assert (account is None) == (user is None)

    async def test_disabling_a_user_ends_all_sessions_or_none(self, adapter: Adapter) -> None:
        for moment in MOMENTS:
            user = await make_user(adapter)
            sessions = [await make_session(adapter, user) for _ in range(2)]
            await cancelled(adapter.update_user(user.id, disabled=True), moment)
            found = await adapter.update_user(user.id, disabled=False)
            assert found is not None
            assert len(await living(adapter, sessions)) in (0, 2)

    async def test_deleting_a_user_takes_everything_or_nothing(self, adapter: Adapter) -> None:
        for number, moment in enumerate(MOMENTS):
            user = await make_user(adapter)
            session = await make_session(adapter, user)
            account = await make_account(adapter, user, provider_account_id=f"{number}")
            await cancelled(adapter.delete_user(user.id), moment)
            left = [
                await adapter.get_user(user.id), await adapter.get_session(secret(session)),
                await adapter.get_account("github", f"{number}"),
            ]  # fmt: skip
            assert left in ([None] * 3, [user, session, account])

    async def test_using_a_token_ends_all_of_its_kind_or_none(self, adapter: Adapter) -> None:
        for moment in MOMENTS:
            email = make_email()
            tokens = [str((await adapter.create_verification_token(email)).token) for _ in range(2)]
            used = await cancelled(adapter.use_verification_token(email, tokens[0]), moment)
            left = [await adapter.peek_verification_token(email, token) for token in tokens]
            assert left.count(None) in ((2,) if used else (0, 2))

    async def test_rotating_a_session_leaves_one_session(self, adapter: Adapter) -> None:
        for moment in MOMENTS:
            user = await make_user(adapter)
            session = await make_session(adapter, user)
            rotated = await cancelled(adapter.rotate_session(secret(session)), moment)
            assert [listed.id for listed in await adapter.list_sessions(user.id)] == [session.id]
            if rotated is not None:
                assert await living(adapter, [session, rotated]) == [session.id]
                assert await adapter.get_session(secret(session)) is None

    async def test_a_transaction(self, adapter: Adapter) -> None:
        async def two_users(emails: list[str]) -> None:
            async with adapter.transaction() as transaction:
                for email in emails:
                    await transaction.create_user(email=email)

        for moment in [*MOMENTS, 0.002, 0.003, 0.005]:
            emails = [make_email(), make_email()]
            await cancelled(two_users(emails), moment)
            found = [await adapter.get_user_by_email(email) for email in emails]
            assert found.count(None) in (0, 2)
            assert (await make_user(adapter)).id

    async def test_those_who_stay_are_served_beside_those_who_leave(self, adapter: Adapter) -> None:
        for moment in (0, 1, 2, 4, 0.0003, 0.001):
            emails = [make_email() for _ in range(20)]
            tasks = [asyncio.ensure_future(adapter.create_user(email=email)) for email in emails]
            await asyncio.sleep(moment if isinstance(moment, float) else 0)
            for task in tasks[::2]:
                task.cancel()
            results = await settled(*tasks)
            assert errors(results[1::2]) == []
            found = [await adapter.get_user_by_email(email) for email in emails]
            assert found[1::2] == results[1::2]
            assert all(user in found for user in winners(results))

    async def test_reading(self, adapter: Adapter) -> None:
        user = await make_user(adapter)
        session = await make_session(adapter, user)
        for moment in MOMENTS:
            seen = await cancelled(adapter.get_session_and_user(secret(session)), moment)
            assert seen in (None, (session, user))
        reads = [asyncio.ensure_future(adapter.get_user(user.id)) for _ in range(20)]
        await asyncio.sleep(0)
        for read in reads[::2]:
            read.cancel()
        results = await settled(*reads)
        assert results[1::2] == [user] * 10
        # Who was answered before the cancellation keeps the answer.
        assert all(result == user or isinstance(result, asyncio.CancelledError) for result in results[::2])
