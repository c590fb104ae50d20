"""Accounts: link, find, unlink. Uses `Users` and `Accounts`."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from authstore.adapter import Adapter
from authstore.errors import AccountLinkedError, UserNotFoundError
from authstore.testing.clock import Clock
from authstore.testing.contract.shared import MANY, ContractBase, errors, settled, winners
from authstore.testing.factories import make_account, make_user

EXPIRES = datetime(2031, 6, 1, 12, 0, 0, 1, tzinfo=UTC)

EVERYTHING: dict[str, Any] = {
    "type": "oidc", "access_token": "access-0123456789", "refresh_token": "refresh-0123456789",
    "id_token": "id-0123456789", "token_type": "bearer", "scope": "openid email", "session_state": "s1",
    "expires_at": EXPIRES, "data": {"login": "ada"},
}  # fmt: skip

# Texts that a careless comparison holds for the same.
DIFFERENT_IDS = ["7", "07", "7.0", " 7", "7 ", "abc", "ABC", "\u00e9", "e\u0301", "\u00df", "ss", "\u0131", "%", "_"]


class AccountsContract(ContractBase):
    """The rules of linking."""

    async def test_an_account_comes_back_as_linked(self, adapter: Adapter, clock: Clock) -> None:
        user = await make_user(adapter)
        account = await adapter.link_account(user.id, "github", "42", **EVERYTHING)
        assert account.model_dump(include={*EVERYTHING}) == EVERYTHING
        assert (account.user_id, account.provider, account.provider_account_id) == (user.id, "github", "42")
        assert (account.created_at, account.updated_at) == (clock(), clock())
        assert await adapter.get_account("github", "42") == account
        assert await adapter.list_accounts(user.id) == [account]
        assert await adapter.get_user_by_account("github", "42") == user

    async def test_an_account_needs_no_tokens(self, adapter: Adapter) -> None:
        account = await adapter.link_account((await make_user(adapter)).id, "github", "42")
        assert account.model_dump(include={*EVERYTHING}) == dict.fromkeys(EVERYTHING) | {"type": "oauth", "data": {}}
        assert await adapter.get_account("github", "42") == account

    @pytest.mark.parametrize("account_type", ["oauth", "oidc", "email", "webauthn", "credentials"])
    async def test_every_type_is_kept(self, adapter: Adapter, account_type: Any) -> None:
        account = await make_account(adapter, await make_user(adapter), provider_account_id="42", type=account_type)
        assert account.type == account_type
        assert await adapter.get_account("github", "42") == account

    async def test_another_type_is_refused(self, adapter: Adapter) -> None:
        user = await make_user(adapter)
        with pytest.raises(ValueError):
            await make_account(adapter, user, type="saml")
        assert await adapter.list_accounts(user.id) == []

    async def test_nobody_cannot_link(self, adapter: Adapter) -> None:
        with pytest.raises(UserNotFoundError):
            await adapter.link_account("nobody", "github", "42")
        assert await adapter.get_account("github", "42") is None

    async def test_an_unknown_account_is_not_found(self, adapter: Adapter) -> None:
        assert await adapter.get_account("github", "42") is None
        assert await adapter.get_user_by_account("github", "42") is None
        assert await adapter.list_accounts("nobody") == []
        assert await adapter.unlink_account("github", "42") is False

    async def test_linked_again_by_the_same_user_it_is_updated(self, adapter: Adapter, clock: Clock) -> None:
        user = await make_user(adapter)
        first = await adapter.link_account(user.id, "github", "42", **EVERYTHING)
        clock.advance(timedelta(minutes=1))
        again = await adapter.link_account(user.id, "github", "42", type="oidc", access_token="new", scope="all")
        changed = {"access_token": "new", "scope": "all", "updated_at": clock()}
        assert again == first.model_copy(update=changed)
        assert await adapter.get_account("github", "42") == again
        assert await adapter.list_accounts(user.id) == [again]

    async def test_linked_again_with_everything_everything_is_new(self, adapter: Adapter) -> None:
        user = await make_user(adapter)
        first = await adapter.link_account(user.id, "github", "42")
        again = await adapter.link_account(user.id, "github", "42", **EVERYTHING)
        assert again.id == first.id
        assert again.model_dump(include={*EVERYTHING}) == EVERYTHING
        assert await adapter.get_account("github", "42") == again

    async def test_linked_to_another_user_it_is_refused_and_unchanged(self, adapter: Adapter) -> None:
        ada, eve = await make_user(adapter), await make_user(adapter)
        account = await adapter.link_account(ada.id, "github", "42", **EVERYTHING)
        with pytest.raises(AccountLinkedError) as caught:
            await adapter.link_account(eve.id, "github", "42", access_token="stolen")
        assert caught.value.user_id == ada.id
        assert await adapter.get_account("github", "42") == account
        assert await adapter.list_accounts(eve.id) == []

    async def test_an_id_counts_within_its_provider(self, adapter: Adapter) -> None:
        ada, eve = await make_user(adapter), await make_user(adapter)
        await adapter.link_account(ada.id, "github", "42")
        await adapter.link_account(eve.id, "google", "42")
        await adapter.link_account(eve.id, "GitHub", "42")
        assert await adapter.get_user_by_account("github", "42") == ada
        assert await adapter.get_user_by_account("google", "42") == eve
        assert await adapter.get_user_by_account("GitHub", "42") == eve
        assert await adapter.unlink_account("GitHub", "42") is True
        assert [account.provider for account in await adapter.list_accounts(ada.id)] == ["github"]
        assert [account.provider for account in await adapter.list_accounts(eve.id)] == ["google"]

    async def test_ids_are_compared_byte_for_byte(self, adapter: Adapter) -> None:
        users = {text: await make_user(adapter) for text in DIFFERENT_IDS}
        for text, user in users.items():
            account = await adapter.link_account(user.id, "github", text)
            assert account.provider_account_id == text
        for text, user in users.items():
            assert await adapter.get_user_by_account("github", text) == user
        await adapter.unlink_account("github", "ABC")
        left = [text for text in DIFFERENT_IDS if await adapter.get_account("github", text)]
        assert left == [text for text in DIFFERENT_IDS if text != "ABC"]

    async def test_a_number_is_no_provider_account_id(self, adapter: Adapter) -> None:
        user = await make_user(adapter)
        await adapter.link_account(user.id, "github", "42")
        number: Any = 42
        refused = [
            adapter.link_account(user.id, "github", number),
            adapter.get_account("github", number),
            adapter.get_user_by_account("github", number),
            adapter.unlink_account("github", number),
            adapter.sign_in_with_account(provider="github", provider_account_id=number),
        ]
        for result in await settled(*refused):
            assert isinstance(result, (TypeError, ValueError))
        assert len(await adapter.list_accounts(user.id)) == 1

    async def test_a_user_may_have_many_accounts_listed_oldest_first(self, adapter: Adapter, clock: Clock) -> None:
        user, linked = await make_user(adapter), []
        for provider in ("google", "apple", "github"):
            linked.append(await adapter.link_account(user.id, provider, "1"))
            clock.advance(timedelta(seconds=1))
        await make_account(adapter, await make_user(adapter))
        assert await adapter.list_accounts(user.id) == linked

    async def test_unlinking_forgets_the_account_and_keeps_the_user(self, adapter: Adapter) -> None:
        ada, eve = await make_user(adapter), await make_user(adapter)
        first = await adapter.link_account(ada.id, "github", "42", **EVERYTHING)
        assert await adapter.unlink_account("github", "42") is True
        assert await adapter.unlink_account("github", "42") is False
        assert await adapter.get_user(ada.id) == ada
        again = await adapter.link_account(eve.id, "github", "42")
        assert (again.id != first.id, again.access_token, again.data) == (True, None, {})

    async def test_a_naive_expiry_of_the_access_token_is_refused(self, adapter: Adapter) -> None:
        user = await make_user(adapter)
        with pytest.raises(ValueError):
            await make_account(adapter, user, expires_at=datetime(2031, 5, 6))
        assert await adapter.list_accounts(user.id) == []

    async def test_of_many_users_who_link_one_account_one_gets_it(self, adapter: Adapter) -> None:
        users = [await make_user(adapter) for _ in range(MANY)]
        results = await settled(*(adapter.link_account(user.id, "github", "42") for user in users))
        [account] = winners(results)
        lost = errors(results)
        assert len(lost) == MANY - 1
        assert all(isinstance(error, AccountLinkedError) and error.user_id == account.user_id for error in lost)
        assert await adapter.get_account("github", "42") == account

    async def test_one_user_who_links_one_account_many_times_at_once_has_one(self, adapter: Adapter) -> None:
        user = await make_user(adapter)
        results = await settled(*(adapter.link_account(user.id, "github", "42") for _ in range(MANY)))
        assert len({account.id for account in results}) == 1
        assert len(await adapter.list_accounts(user.id)) == 1
