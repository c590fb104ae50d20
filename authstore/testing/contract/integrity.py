"""What spans the tables: nothing is left behind, nothing is shown in an error. Uses the whole `Adapter`."""

import asyncio
import secrets
import traceback
from typing import Any

from authstore.adapter import Adapter
from authstore.errors import AuthStoreError, UserDisabledError, UserNotFoundError
from authstore.models import User
from authstore.testing.clock import Clock
from authstore.testing.contract.sessions.making import living, secret
from authstore.testing.contract.shared import ContractBase, errors, settled, short, winners
from authstore.testing.factories import make_account, make_authenticator, make_role, make_session, make_user

NOTHING = [None] * 6  # what is left of a user, the user aside


async def _with_everything(adapter: Adapter, name: str, **fields: str) -> User:
    """A user who has one of each thing, all named after them."""
    user = await make_user(adapter, email=f"{name}@example.com", **fields)
    await make_session(adapter, user, token=f"session-token-of-{name}")
    await make_account(adapter, user, provider_account_id=name)
    await make_authenticator(adapter, user, credential_id=name)
    await adapter.grant_role(user.id, "editor")
    for purpose in ("sign-in", "reset"):
        await adapter.create_verification_token(f"{name}@example.com", purpose=purpose, token=f"proof-of-{name}")
    return user


async def _what_is_left(adapter: Adapter, user: User, name: str) -> list[Any]:
    return [
        await adapter.get_user(user.id),
        await adapter.get_session_and_user(f"session-token-of-{name}"),
        await adapter.get_account("github", name),
        await adapter.get_authenticator(name),
        next((found for found in await adapter.list_users_with_role("editor") if found.id == user.id), None),
        await adapter.peek_verification_token(f"{name}@example.com", f"proof-of-{name}"),
        await adapter.peek_verification_token(f"{name}@example.com", f"proof-of-{name}", purpose="reset"),
        *await adapter.list_sessions(user.id),
        *await adapter.list_accounts(user.id),
        *await adapter.list_authenticators(user.id),
        *await adapter.get_roles(user.id),
    ]


class IntegrityContract(ContractBase):
    """No orphans, no leaks."""

    async def test_a_deleted_user_leaves_nothing_and_takes_nothing_of_others(
        self, adapter: Adapter, clock: Clock
    ) -> None:
        await make_role(adapter, name="editor")
        ada, eve = await _with_everything(adapter, "ada"), await _with_everything(adapter, "eve")
        before = await _what_is_left(adapter, eve, "eve")
        await adapter.delete_user(ada.id)
        assert await _what_is_left(adapter, ada, "ada") == [None, *NOTHING]
        assert await _what_is_left(adapter, eve, "eve") == before
        assert None not in before
        clock.advance(short(adapter))
        assert sum((await adapter.prune()).deleted.values()) == 0

    async def test_what_one_user_has_another_with_an_id_like_it_has_not(self, adapter: Adapter) -> None:
        await make_role(adapter, ("posts", "read"), name="editor")
        ada = await _with_everything(adapter, "ada", id="abc")
        other = await make_user(adapter, id="ABC")
        assert [found for found in await _what_is_left(adapter, other, "nobody") if found is not None] == [other]
        assert await adapter.has_permission("ABC", "posts", "read") is False
        assert await adapter.revoke_role("ABC", "editor") is False
        assert await adapter.revoke_sessions("ABC") == 0
        await adapter.delete_user("ABC")
        refused = [
            adapter.create_session("ABC"), adapter.link_account("ABC", "github", "1"),
            adapter.create_authenticator("ABC", "c1", b"key"), adapter.grant_role("ABC", "editor"),
        ]  # fmt: skip
        assert [type(error) for error in await settled(*refused)] == [UserNotFoundError] * len(refused)
        await make_user(adapter, id="ABC")
        before = await _what_is_left(adapter, ada, "ada")
        await adapter.update_user("ABC", disabled=True)
        await adapter.delete_user("ABC")
        assert await _what_is_left(adapter, ada, "ada") == before
        assert None not in before

    async def test_what_a_deleted_user_had_is_free_and_empty(self, adapter: Adapter) -> None:
        await make_role(adapter, name="editor")
        ada = await _with_everything(adapter, "ada")
        await adapter.delete_user(ada.id)
        again = await make_user(adapter, id=ada.id, email="ada@example.com")
        assert await _what_is_left(adapter, again, "ada") == [again, *NOTHING]
        assert await adapter.delete_user(again.id) is True
        assert (await _with_everything(adapter, "ada")).email == "ada@example.com"

    async def test_tokens_for_an_address_go_with_the_user_in_any_spelling(self, adapter: Adapter) -> None:
        ada = await make_user(adapter, email="ADA@example.com")
        mine = await adapter.create_verification_token("Ada@Example.com")
        other = await adapter.create_verification_token("eve@example.com")
        await adapter.delete_user(ada.id)
        assert await adapter.peek_verification_token("ada@example.com", str(mine.token)) is None
        assert await adapter.peek_verification_token("eve@example.com", str(other.token)) == other

    async def test_sign_ins_that_race_with_the_deletion_leave_no_session(self, adapter: Adapter) -> None:
        for _ in range(5):
            user = await make_user(adapter)
            calls: list[Any] = [adapter.create_session(user.id) for _ in range(20)]
            calls[10:10] = [adapter.delete_user(user.id)]
            results = await settled(*calls)
            assert all(isinstance(error, UserNotFoundError) for error in errors(results))
            sessions = [session for session in winners(results) if session is not True]
            assert await living(adapter, sessions) == []
            assert await adapter.list_sessions(user.id) == []

    async def test_sign_ins_that_race_with_disabling_leave_no_session(self, adapter: Adapter) -> None:
        for _ in range(5):
            user = await make_user(adapter)
            calls: list[Any] = [adapter.create_session(user.id) for _ in range(20)]
            calls[10:10] = [adapter.update_user(user.id, disabled=True)]
            results = await settled(*calls)
            assert all(isinstance(error, UserDisabledError) for error in errors(results))
            await adapter.update_user(user.id, disabled=False)
            assert await adapter.list_sessions(user.id) == []

    async def test_links_that_race_with_the_deletion_leave_no_account(self, adapter: Adapter) -> None:
        user = await make_user(adapter)
        calls: list[Any] = [adapter.link_account(user.id, "github", f"{number}") for number in range(20)]
        calls[10:10] = [adapter.delete_user(user.id)]
        results = await settled(*calls)
        assert all(isinstance(error, UserNotFoundError) for error in errors(results))
        assert [await adapter.get_account("github", f"{number}") for number in range(20)] == [None] * 20

    async def test_a_session_and_its_user_agree_whatever_else_happens(self, adapter: Adapter) -> None:
        user = await make_user(adapter)
        session = await make_session(adapter, user)

        async def watch() -> None:
            while not is_over.is_set():
                found = await adapter.get_session_and_user(secret(session))
                assert found is None or (found[0].user_id == found[1].id and not found[1].disabled)
                await asyncio.sleep(0)

        is_over = asyncio.Event()
        watchers = [asyncio.ensure_future(watch()) for _ in range(5)]
        await asyncio.sleep(0.01)
        await adapter.update_user(user.id, disabled=True)
        assert await adapter.get_session_and_user(secret(session)) is None
        await asyncio.sleep(0.01)
        is_over.set()
        assert errors(await settled(*watchers)) == []

    async def test_no_error_shows_a_secret_or_an_address(self, adapter: Adapter) -> None:
        hidden = secrets.token_hex(16)
        email = f"{hidden}@example.com"
        ada, eve = await make_user(adapter, email=email), await make_user(adapter)
        await make_account(adapter, ada, provider_account_id="42", access_token=hidden)
        await make_session(adapter, ada, token=hidden)
        refused = [
            adapter.create_user(email=email), adapter.update_user(eve.id, email=email.upper()),
            adapter.create_user(email=f"{email}, {email}"), adapter.create_session(eve.id, token=hidden),
            adapter.create_session(eve.id, token=f"{hidden}\0"), adapter.create_session(eve.id, token=hidden * 20),
            adapter.link_account(eve.id, "github", "42", access_token=hidden, id_token=hidden),
            adapter.link_account(eve.id, "google", "42", refresh_token=f"{hidden}\0"),
            adapter.sign_in_with_account(provider="google", provider_account_id="1", email=email),
            adapter.sign_in_with_account(
                provider="google", provider_account_id="1", tokens={"access_token": [hidden]}
            ),
            adapter.create_verification_token("someone", token=f"{hidden}\0"),
        ]  # fmt: skip
        for error in await settled(*refused):
            assert isinstance(error, (AuthStoreError, ValueError, TypeError))
            assert hidden not in "".join(traceback.format_exception(error)) + repr(error)
