"""Passkeys: registered once, counted upwards. Uses `Users` and `Authenticators`."""

from datetime import timedelta
from typing import Any

import pytest

from authstore.adapter import Adapter
from authstore.errors import AuthenticatorNotFoundError, ConflictError, CounterError, UserNotFoundError
from authstore.models import Authenticator
from authstore.testing.clock import Clock
from authstore.testing.contract.shared import MANY, ContractBase, errors, settled, winners
from authstore.testing.factories import make_authenticator, make_user

KEY = bytes(range(256))


async def _counting(adapter: Adapter, counter: int) -> Authenticator:
    return await make_authenticator(adapter, await make_user(adapter), credential_id="c1", counter=counter)


async def _stored(adapter: Adapter) -> int:
    found = await adapter.get_authenticator("c1")
    assert found is not None
    return found.counter


class AuthenticatorsContract(ContractBase):
    """The rules of passkeys."""

    async def test_a_passkey_comes_back_as_created(self, adapter: Adapter, clock: Clock) -> None:
        user = await make_user(adapter)
        made = await adapter.create_authenticator(
            user.id, "Y3JlZA-_", KEY, counter=7, device_type="multi_device", backed_up=True,
            transports=["internal", "hybrid"], name="Phone", data={"aaguid": "0"},
        )  # fmt: skip
        assert (made.credential_id, made.user_id, made.public_key, made.counter) == ("Y3JlZA-_", user.id, KEY, 7)
        assert (made.device_type, made.backed_up, made.transports) == ("multi_device", True, ("internal", "hybrid"))
        assert (made.name, made.data, made.created_at) == ("Phone", {"aaguid": "0"}, clock())
        assert await adapter.get_authenticator("Y3JlZA-_") == made
        assert await adapter.list_authenticators(user.id) == [made]

    async def test_a_passkey_needs_its_id_and_key(self, adapter: Adapter) -> None:
        made = await adapter.create_authenticator((await make_user(adapter)).id, "c1", b"k")
        assert (made.counter, made.device_type, made.backed_up, made.transports) == (0, None, False, ())
        assert (made.name, made.data, made.last_used_at) == (None, {}, None)
        assert await adapter.get_authenticator("c1") == made

    async def test_a_credential_taken_by_anyone_is_refused_and_unchanged(self, adapter: Adapter) -> None:
        ada, eve = await make_user(adapter), await make_user(adapter)
        made = await make_authenticator(adapter, ada, credential_id="c1", counter=5)
        for user in (ada, eve):
            with pytest.raises(ConflictError):
                await adapter.create_authenticator(user.id, "c1", b"other", counter=9)
        assert await adapter.get_authenticator("c1") == made
        assert await adapter.list_authenticators(eve.id) == []

    async def test_nobody_cannot_register(self, adapter: Adapter) -> None:
        with pytest.raises(UserNotFoundError):
            await adapter.create_authenticator("nobody", "c1", KEY)
        assert await adapter.get_authenticator("c1") is None

    async def test_an_unknown_passkey_is_not_found(self, adapter: Adapter) -> None:
        assert await adapter.get_authenticator("c1") is None
        assert await adapter.list_authenticators("nobody") == []
        assert await adapter.delete_authenticator("c1") is False
        with pytest.raises(AuthenticatorNotFoundError):
            await adapter.update_authenticator_counter("c1", 1)

    @pytest.mark.parametrize(
        "wrong",
        [{"device_type": "phone"}, {"counter": -1}, {"public_key": "text"}, {"credential_id": b"c1"}, {"counter": 1.5}],
        ids=str,
    )
    async def test_fields_of_the_wrong_shape_are_refused(self, adapter: Adapter, wrong: dict[str, Any]) -> None:
        user = await make_user(adapter)
        with pytest.raises((TypeError, ValueError)):
            await make_authenticator(adapter, user, **wrong)
        assert await adapter.list_authenticators(user.id) == []

    async def test_credential_ids_differ_by_case(self, adapter: Adapter) -> None:
        user = await make_user(adapter)
        made = [await make_authenticator(adapter, user, credential_id=text) for text in ("abc", "ABC", "abC")]
        assert [await adapter.get_authenticator(text) for text in ("abc", "ABC", "abC")] == made

    async def test_passkeys_are_listed_oldest_first(self, adapter: Adapter, clock: Clock) -> None:
        user, made = await make_user(adapter), []
        for credential_id in ("c", "a", "b"):
            made.append(await make_authenticator(adapter, user, credential_id=credential_id))
            clock.advance(timedelta(seconds=1))
        await make_authenticator(adapter, await make_user(adapter))
        assert await adapter.list_authenticators(user.id) == made

    async def test_a_deleted_passkey_is_gone_and_may_be_registered_again(self, adapter: Adapter) -> None:
        user = await make_user(adapter)
        await make_authenticator(adapter, user, credential_id="c1", counter=5)
        assert await adapter.delete_authenticator("c1") is True
        assert await adapter.delete_authenticator("c1") is False
        assert await adapter.get_user(user.id) == user
        assert await adapter.get_authenticator("c1") is None
        again = await make_authenticator(adapter, user, credential_id="c1")
        assert again.counter == 0
        assert await adapter.list_authenticators(user.id) == [again]


class CounterContract(ContractBase):
    """The signature counter (WebAuthn §6.1.1)."""

    @pytest.mark.parametrize(("stored", "new"), [(0, 1), (0, 0), (5, 6), (5, 2**32 - 1), (2**32 - 2, 2**32 - 1)])
    async def test_a_greater_counter_is_stored_with_the_time_of_use(
        self, adapter: Adapter, clock: Clock, stored: int, new: int
    ) -> None:
        made = await _counting(adapter, stored)
        clock.advance(timedelta(minutes=1))
        used = made.model_copy(update={"counter": new, "last_used_at": clock()})
        assert await adapter.update_authenticator_counter("c1", new) == used
        assert await adapter.get_authenticator("c1") == used

    @pytest.mark.parametrize(("stored", "new"), [(5, 5), (5, 4), (5, 0), (1, 0), (1, 1)])
    async def test_a_counter_that_did_not_grow_is_refused_and_unchanged(
        self, adapter: Adapter, clock: Clock, stored: int, new: int
    ) -> None:
        made = await _counting(adapter, stored)
        clock.advance(timedelta(minutes=1))
        with pytest.raises(CounterError):
            await adapter.update_authenticator_counter("c1", new)
        assert await adapter.get_authenticator("c1") == made

    async def test_a_device_that_never_counts_may_be_used_again_and_again(self, adapter: Adapter) -> None:
        await _counting(adapter, 0)
        for _ in range(3):
            assert (await adapter.update_authenticator_counter("c1", 0)).counter == 0
        assert await _stored(adapter) == 0
        assert (await adapter.update_authenticator_counter("c1", 3)).counter == 3
        with pytest.raises(CounterError):
            await adapter.update_authenticator_counter("c1", 0)
        assert await _stored(adapter) == 3

    async def test_of_many_with_one_counter_one_is_accepted(self, adapter: Adapter) -> None:
        await _counting(adapter, 0)
        results = await settled(*(adapter.update_authenticator_counter("c1", 1) for _ in range(MANY)))
        assert len(winners(results)) == 1
        assert all(isinstance(error, CounterError) for error in errors(results))
        assert await _stored(adapter) == 1

    async def test_counters_that_race_never_go_back(self, adapter: Adapter) -> None:
        await _counting(adapter, 0)
        counters = [n * 37 % 101 for n in range(1, MANY + 1)]
        results = await settled(*(adapter.update_authenticator_counter("c1", counter) for counter in counters))
        assert all(isinstance(error, CounterError) for error in errors(results))
        accepted = [authenticator.counter for authenticator in winners(results)]
        assert await _stored(adapter) == max(accepted) == max(counters)
