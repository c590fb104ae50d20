"""`sign_in_with_account`: the whole table of decisions. Uses `Users` and `Accounts`."""

from datetime import timedelta
from typing import Any

import pytest

from authstore.adapter import Adapter
from authstore.errors import (
    AccountLinkedError,
    AccountNotLinkedError,
    UserDisabledError,
    UserNotFoundError,
)
from authstore.models import SignIn, User
from authstore.testing.clock import Clock
from authstore.testing.contract.shared import BAD_TEXTS, MANY, ContractBase, errors, settled, winners
from authstore.testing.factories import make_account, make_session, make_user

ADDRESS = "ada@example.com"


async def _sign_in(adapter: Adapter, **arguments: Any) -> SignIn:
    return await adapter.sign_in_with_account(**{"provider": "google", "provider_account_id": "42", **arguments})


async def _verified(adapter: Adapter, clock: Clock) -> User:
    return await make_user(adapter, email=ADDRESS, email_verified=clock())


async def _nothing_happened(adapter: Adapter, *users: User) -> bool:
    """Whether the users are as they were, nobody came, and nobody has the account."""
    expected = sorted(users, key=lambda user: user.id)
    return await adapter.list_users() == expected and await adapter.get_account("google", "42") is None


class KnownAccountContract(ContractBase):
    """Signing in with an account the store knows, or to add one to the user at hand."""

    async def test_a_known_account_gives_its_user_and_keeps_the_new_tokens(
        self, adapter: Adapter, clock: Clock
    ) -> None:
        user = await make_user(adapter)
        before = await make_account(
            adapter, user, provider="google", provider_account_id="42", type="oidc",
            access_token="old", refresh_token="kept", data={"login": "ada"},
        )  # fmt: skip
        clock.advance(timedelta(minutes=1))
        done = await _sign_in(
            adapter, email="other@example.com", email_verified=True, name="Other", tokens={"access_token": "new"}
        )
        assert (done.created_user, done.linked_account) == (False, False)
        assert done.user == user
        assert done.account == before.model_copy(update={"access_token": "new", "updated_at": clock()})
        assert await adapter.get_account("google", "42") == done.account
        assert await adapter.list_users() == [user]

    async def test_a_known_account_of_the_current_user_is_welcome(self, adapter: Adapter) -> None:
        user = await make_user(adapter)
        await make_account(adapter, user, provider="google", provider_account_id="42")
        done = await _sign_in(adapter, current_user_id=user.id)
        assert (done.user.id, done.created_user, done.linked_account) == (user.id, False, False)
        assert await adapter.list_accounts(user.id) == [done.account]

    async def test_a_known_account_of_somebody_else_is_refused(self, adapter: Adapter) -> None:
        ada, eve = await make_user(adapter), await make_user(adapter)
        account = await make_account(adapter, ada, provider="google", provider_account_id="42", access_token="old")
        with pytest.raises(AccountLinkedError) as caught:
            await _sign_in(adapter, current_user_id=eve.id, tokens={"access_token": "new"})
        assert caught.value.user_id == ada.id
        assert await adapter.get_account("google", "42") == account

    async def test_a_known_account_of_a_disabled_user_is_refused_and_unchanged(self, adapter: Adapter) -> None:
        user = await make_user(adapter)
        account = await make_account(adapter, user, provider="google", provider_account_id="42", access_token="old")
        await adapter.update_user(user.id, disabled=True)
        with pytest.raises(UserDisabledError):
            await _sign_in(adapter, tokens={"access_token": "new"})
        assert await adapter.get_account("google", "42") == account

    async def test_a_new_account_is_linked_to_the_current_user_whatever_its_address(self, adapter: Adapter) -> None:
        ada = await make_user(adapter)
        await make_user(adapter, email=ADDRESS)
        done = await _sign_in(adapter, current_user_id=ada.id, email=ADDRESS, tokens={"access_token": "new"})
        assert (done.user, done.created_user, done.linked_account) == (ada, False, True)
        assert (done.account.user_id, done.account.type, done.account.access_token) == (ada.id, "oidc", "new")
        assert await adapter.list_accounts(ada.id) == [done.account]

    async def test_a_current_user_who_does_not_exist_is_an_error(self, adapter: Adapter) -> None:
        with pytest.raises(UserNotFoundError):
            await _sign_in(adapter, current_user_id="nobody", email=ADDRESS)
        assert await _nothing_happened(adapter)

    @pytest.mark.parametrize("nobody", ["", *BAD_TEXTS], ids=ascii)
    async def test_nor_does_one_whom_no_id_names(self, adapter: Adapter, nobody: str) -> None:
        with pytest.raises(UserNotFoundError):
            await _sign_in(adapter, current_user_id=nobody, email=ADDRESS)
        assert await _nothing_happened(adapter)

    @pytest.mark.parametrize("wrong", [5, b"ada", ["ada"], 0], ids=str)
    async def test_a_current_user_is_named_by_a_text(self, adapter: Adapter, wrong: Any) -> None:
        with pytest.raises((TypeError, ValueError)):
            await _sign_in(adapter, current_user_id=wrong, email=ADDRESS)
        assert await _nothing_happened(adapter)

    async def test_a_disabled_current_user_links_nothing(self, adapter: Adapter) -> None:
        user = await make_user(adapter)
        disabled = await adapter.update_user(user.id, disabled=True)
        assert disabled is not None
        with pytest.raises(UserDisabledError):
            await _sign_in(adapter, current_user_id=user.id)
        assert await _nothing_happened(adapter, disabled)

    async def test_a_field_that_no_account_has_is_refused(self, adapter: Adapter) -> None:
        for tokens in ({"user_id": "somebody-else"}, {"acess_token": "misspelt"}):
            with pytest.raises((TypeError, ValueError)):
                await _sign_in(adapter, tokens=tokens)
        assert await _nothing_happened(adapter)


class KnownAddressContract(ContractBase):
    """Signing in with a new account that shows the address of a user."""

    async def test_with_all_three_assurances_it_is_linked(self, adapter: Adapter, clock: Clock) -> None:
        user = await _verified(adapter, clock)
        done = await _sign_in(adapter, email=" ADA@Example.com", email_verified=True, trust_email=True, name="Other")
        assert (done.user, done.created_user, done.linked_account) == (user, False, True)
        assert await adapter.list_accounts(user.id) == [done.account]

    @pytest.mark.parametrize("given", ["Ada@EXAMPLE.com", ADDRESS])
    @pytest.mark.parametrize(
        "lacking",
        [
            {"trust_email": False, "email_verified": True},
            {"trust_email": True, "email_verified": False},
            {"trust_email": True, "email_verified": None},
            {"trust_email": True, "email_verified": 1},
            {"trust_email": True, "email_verified": "true"},
            {},
        ],
        ids=str,
    )
    async def test_without_one_of_them_it_is_refused(
        self, adapter: Adapter, clock: Clock, lacking: dict[str, Any], given: str
    ) -> None:
        user = await _verified(adapter, clock)
        with pytest.raises(AccountNotLinkedError):
            await _sign_in(adapter, email=given, **lacking)
        assert await _nothing_happened(adapter, user)

    async def test_who_proves_an_address_that_nobody_had_proved_has_the_user_alone(
        self, adapter: Adapter, clock: Clock
    ) -> None:
        squatted = await make_user(adapter, email=ADDRESS, name="Ada", data={"plan": "free"})
        await make_account(adapter, squatted, provider="github", provider_account_id="squatter")
        await adapter.create_authenticator(squatted.id, "squatters-key", b"key")
        await adapter.create_role("reader")
        await adapter.grant_role(squatted.id, "reader")
        session = await make_session(adapter, squatted)
        clock.advance(timedelta(minutes=1))
        done = await _sign_in(adapter, email=ADDRESS, email_verified=True, trust_email=True, name="Other")
        assert (done.created_user, done.linked_account) == (False, True)
        assert done.user == squatted.model_copy(update={"email_verified": clock(), "updated_at": clock()})
        assert await adapter.list_users() == [done.user]
        assert await adapter.list_accounts(squatted.id) == [done.account]
        assert await adapter.get_account("github", "squatter") is None
        assert await adapter.list_authenticators(squatted.id) == []
        assert await adapter.get_session(str(session.token)) is None
        assert await adapter.list_sessions(squatted.id) == []
        assert [role.name for role in await adapter.get_roles(squatted.id)] == ["reader"]

    @pytest.mark.parametrize(
        "lacking", [{"trust_email": False}, {"email_verified": False}, {"email_verified": "true"}], ids=str
    )
    async def test_without_proof_an_unproved_address_is_not_linked(
        self, adapter: Adapter, lacking: dict[str, Any]
    ) -> None:
        user = await make_user(adapter, email=ADDRESS)
        session = await make_session(adapter, user)
        with pytest.raises(AccountNotLinkedError):
            await _sign_in(adapter, **{"email": ADDRESS, "email_verified": True, "trust_email": True, **lacking})
        assert await _nothing_happened(adapter, user)
        assert await adapter.get_session(str(session.token)) == session

    async def test_linking_to_the_user_at_hand_touches_nobody_who_has_the_address(self, adapter: Adapter) -> None:
        ada, other = await make_user(adapter), await make_user(adapter, email=ADDRESS)
        session = await make_session(adapter, other)
        done = await _sign_in(adapter, current_user_id=ada.id, email=ADDRESS, email_verified=True, trust_email=True)
        assert done.user == ada
        assert await adapter.get_user(other.id) == other
        assert await adapter.get_session(str(session.token)) == session

    async def test_a_disabled_user_is_not_linked(self, adapter: Adapter, clock: Clock) -> None:
        user = await adapter.update_user((await _verified(adapter, clock)).id, disabled=True)
        assert user is not None
        with pytest.raises(UserDisabledError):
            await _sign_in(adapter, email=ADDRESS, email_verified=True, trust_email=True)
        assert await _nothing_happened(adapter, user)

    async def test_a_look_alike_address_is_somebody_else(self, adapter: Adapter, clock: Clock) -> None:
        user = await make_user(adapter, email="mike@example.com", email_verified=clock())
        done = await _sign_in(adapter, email="m\u0131ke@example.com", email_verified=True, trust_email=True)
        assert done.created_user
        assert done.user.id != user.id
        assert await adapter.get_user_by_account("google", "42") == done.user
        assert await adapter.list_accounts(user.id) == []


class NewAccountContract(ContractBase):
    """Signing in for the first time."""

    async def test_user_and_account_are_created(self, adapter: Adapter, clock: Clock) -> None:
        done = await _sign_in(
            adapter, email=" Ada@EXAMPLE.com", name="Ada", image="https://i/a.png", type="oauth",
            tokens={"access_token": "a", "refresh_token": "r", "scope": "email", "expires_at": clock()},
        )  # fmt: skip
        assert (done.created_user, done.linked_account) == (True, True)
        assert (done.user.email, done.user.name, done.user.image) == (ADDRESS, "Ada", "https://i/a.png")
        assert (done.account.type, done.account.access_token, done.account.refresh_token) == ("oauth", "a", "r")
        assert (done.account.scope, done.account.expires_at, done.account.user_id) == ("email", clock(), done.user.id)
        assert await adapter.get_user_by_account("google", "42") == done.user
        assert await adapter.get_account("google", "42") == done.account

    @pytest.mark.parametrize("vouched", [False, None, 1, "true", "false", "yes"])
    async def test_an_address_nobody_vouches_for_is_not_verified(self, adapter: Adapter, vouched: Any) -> None:
        done = await _sign_in(adapter, email=ADDRESS, email_verified=vouched, trust_email=True)
        assert (done.user.email, done.user.email_verified) == (ADDRESS, None)
        assert await adapter.get_user(done.user.id) == done.user

    @pytest.mark.parametrize("trusted", [True, False])
    async def test_an_address_the_provider_vouches_for_is_verified_now(
        self, adapter: Adapter, clock: Clock, trusted: bool
    ) -> None:
        done = await _sign_in(adapter, email=ADDRESS, email_verified=True, trust_email=trusted)
        assert done.user.email_verified == clock()
        assert await adapter.get_user(done.user.id) == done.user

    @pytest.mark.parametrize("text", [None, "", "no address", "a@b@example.com", "\u212a@example.com", "<x@y.example>"])
    async def test_an_address_that_is_none_is_left_out(self, adapter: Adapter, text: str | None) -> None:
        done = await _sign_in(adapter, email=text, email_verified=True, name="Ada")
        assert done.created_user
        assert (done.user.email, done.user.email_verified, done.user.name) == (None, None, "Ada")
        assert await adapter.get_user_by_account("google", "42") == done.user

    async def test_of_many_first_sign_ins_at_once_comes_one_user_with_one_account(self, adapter: Adapter) -> None:
        results = await settled(*(_sign_in(adapter, email=ADDRESS, email_verified=True) for _ in range(MANY)))
        assert errors(results) == []
        assert [done.created_user for done in results].count(True) == 1
        assert len({done.user.id for done in results}) == len({done.account.id for done in results}) == 1
        [user] = await adapter.list_users()
        assert len(await adapter.list_accounts(user.id)) == 1

    async def test_of_two_providers_that_show_one_address_at_once_one_creates_the_user(self, adapter: Adapter) -> None:
        calls = (_sign_in(adapter, provider=f"p{n % 2}", email=ADDRESS, email_verified=True) for n in range(20))
        results = await settled(*calls)
        [user] = await adapter.list_users()
        assert {done.user.id for done in winners(results)} == {user.id}
        assert all(isinstance(error, AccountNotLinkedError) for error in errors(results))
        assert len(await adapter.list_accounts(user.id)) == 1
