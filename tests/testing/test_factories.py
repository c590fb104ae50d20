"""Factories: every field has a value, any can be named."""

from authstore import Adapter, Permission
from authstore.testing import make_account, make_authenticator, make_email, make_role, make_session, make_user


def test_no_two_addresses_are_alike():
    assert len({make_email() for _ in range(100)}) == 100


async def test_each_makes_something_that_is_stored(auth_store: Adapter):
    user = await make_user(auth_store)
    account = await make_account(auth_store, user)
    session = await make_session(auth_store, user)
    passkey = await make_authenticator(auth_store, user)
    role = await make_role(auth_store, ("posts", "read"))
    assert await auth_store.get_user(user.id) == user
    assert await auth_store.list_accounts(user.id) == [account]
    assert await auth_store.get_session_and_user(str(session.token)) == (session, user)
    assert await auth_store.list_authenticators(user.id) == [passkey]
    assert await auth_store.list_roles() == [role]
    assert role.permissions == {Permission(resource="posts", action="read")}


async def test_two_of_a_kind_get_along(auth_store: Adapter):
    users = [await make_user(auth_store), await make_user(auth_store)]
    for user in users:
        await make_account(auth_store, user)
        await make_authenticator(auth_store, user)
        await make_role(auth_store)
    assert len(await auth_store.list_users()) == len(await auth_store.list_roles()) == 2


async def test_any_field_can_be_named(auth_store: Adapter):
    user = await make_user(auth_store, email=None, name="Grace", data={"a": 1})
    assert (user.email, user.name, user.data) == (None, "Grace", {"a": 1})
    account = await make_account(auth_store, user, provider="google", provider_account_id="42", scope="email")
    assert (account.provider, account.provider_account_id, account.scope) == ("google", "42", "email")
    assert (await make_session(auth_store, user, ip="::1")).ip == "::1"
    assert (await make_authenticator(auth_store, user, credential_id="c1", counter=5)).counter == 5
    assert (await make_role(auth_store, name="editor", description="d")).description == "d"
