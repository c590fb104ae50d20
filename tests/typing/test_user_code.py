"""What a user's type checker sees: this file is checked by mypy and pyright, strictly, and runs.

An `ignore` is the test that something is an error: mypy and pyright report one that is not needed.
"""

# pyright: strict, reportUnnecessaryTypeIgnoreComment=true

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, assert_type

import pytest
from pydantic import JsonValue, ValidationError

from authstore import (
    Account,
    AccountLinkedError,
    Adapter,
    Authenticator,
    AuthStoreError,
    ConfigurationError,
    Health,
    Permission,
    PruneReport,
    Role,
    Session,
    SessionPolicy,
    SignIn,
    User,
    VerificationToken,
    connect,
)
from authstore.testing import Clock


async def test_users(auth_store: Adapter) -> None:
    user = await auth_store.create_user(email="ada@example.com", name="Ada")
    assert_type(user, User)
    assert_type(user.id, str)
    assert_type(user.email, str | None)
    assert_type(user.email_verified, datetime | None)
    assert_type(user.disabled, bool)
    assert_type(user.data, dict[str, JsonValue])
    assert_type(await auth_store.get_user(user.id), User | None)
    assert_type(await auth_store.update_user(user.id, email=None, data={"plan": ["pro", 1, None]}), User | None)
    assert_type(await auth_store.list_users(after=None, limit=5), list[User])
    assert_type(await auth_store.delete_user(user.id), bool)


async def test_accounts(auth_store: Adapter) -> None:
    user = await auth_store.create_user()
    account = await auth_store.link_account(user.id, "github", "42", type="oidc", expires_at=None)
    assert_type(account, Account)

    async def refresh(account: Account) -> Mapping[str, Any]:
        return {"access_token": "new"}

    assert_type(await auth_store.refresh_account("github", "42", refresh), Account)
    done = await auth_store.sign_in_with_account(provider="github", provider_account_id="42")
    assert_type(done, SignIn)
    assert_type(done.created_user, bool)


async def test_sessions(auth_store: Adapter) -> None:
    user = await auth_store.create_user()
    session = await auth_store.create_session(user.id, ip="::1")
    assert_type(session, Session)
    assert_type(session.token, str | None)
    assert session.token is not None
    found = await auth_store.get_session_and_user(session.token)
    assert_type(found, tuple[Session, User] | None)
    assert_type(await auth_store.touch_session(session.token), Session | None)
    assert_type(await auth_store.revoke_sessions(user.id, except_token=session.token), int)


async def test_the_rest(auth_store: Adapter) -> None:
    user = await auth_store.create_user()
    token = await auth_store.create_verification_token("ada@example.com", purpose="reset")
    assert_type(token, VerificationToken)
    passkey = await auth_store.create_authenticator(user.id, "c1", b"key", transports=("usb",))
    assert_type(passkey, Authenticator)
    assert_type(passkey.transports, tuple[str, ...])
    allowed = Permission(resource="posts", action="read")
    role = await auth_store.create_role("editor", permissions={allowed})
    assert_type(role, Role)
    assert_type(role.permissions, frozenset[Permission])
    assert_type(await auth_store.has_permission(user.id, "posts", "read"), bool)
    assert_type(await auth_store.prune(), PruneReport)
    assert_type(await auth_store.health(), Health)


async def test_connect_is_awaited_or_entered() -> None:
    async with connect("sqlite://", policy=SessionPolicy.aal2(), keys=["k" * 32], durability="relaxed") as entered:
        assert_type(entered, Adapter)
        async with entered.transaction() as transaction:
            assert_type(transaction, Adapter)
    awaited = await connect("sqlite://", clock=Clock())
    assert_type(awaited, Adapter)
    await awaited.close()


def test_errors_carry_what_the_caller_can_use() -> None:
    error = AccountLinkedError("taken", user_id="u1")
    assert_type(error.user_id, str)
    assert isinstance(error, AuthStoreError)


async def test_what_is_wrong_is_a_type_error_too(auth_store: Adapter) -> None:
    user = await auth_store.create_user()
    with pytest.raises(ValidationError):
        user.name = "Changed"  # type: ignore[misc]
    with pytest.raises((TypeError, ValueError)):
        await auth_store.link_account(user.id, "github", 42)  # type: ignore[arg-type]
    with pytest.raises(ValueError):
        await auth_store.link_account(user.id, "github", "42", type="saml")  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        await auth_store.create_user("ada@example.com")  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        await auth_store.create_session(user.id, expires_in=60)  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        SessionPolicy(lifetime=3600)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError):
        connect("sqlite://", keys="k" * 64)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError):
        connect("sqlite://", keys={"k" * 64})  # type: ignore[arg-type]
    with pytest.raises(ValueError):
        await auth_store.create_session(user.id, expires=timedelta(hours=1))  # type: ignore[arg-type]
