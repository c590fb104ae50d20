"""Things a test needs in the store but does not care about: every field has a value, any can be named."""

from itertools import count
from typing import Any

from authstore.adapter import Accounts, Authenticators, Roles, Sessions, Users
from authstore.models import Account, Authenticator, Permission, Role, Session, User

_numbers = count(1)


def make_email() -> str:
    """An address nobody else has in this process."""
    return f"user-{next(_numbers)}@example.com"


async def make_user(store: Users, **fields: Any) -> User:
    """A user with an address of its own."""
    return await store.create_user(**{"email": make_email(), "name": "Ada", **fields})


async def make_account(store: Accounts, user: User, **fields: Any) -> Account:
    """An account of this user at the provider "github"."""
    given = {"provider": "github", "provider_account_id": f"account-{next(_numbers)}", **fields}
    return await store.link_account(user.id, **given)


async def make_session(store: Sessions, user: User, **fields: Any) -> Session:
    """A session of this user, with its token."""
    return await store.create_session(user.id, **fields)


async def make_authenticator(store: Authenticators, user: User, **fields: Any) -> Authenticator:
    """A passkey of this user."""
    given = {"credential_id": f"credential-{next(_numbers)}", "public_key": b"\xa5\x01\x02", **fields}
    return await store.create_authenticator(user.id, **given)


async def make_role(store: Roles, *allowed: tuple[str, str], **fields: Any) -> Role:
    """A role that permits each `(resource, action)`."""
    permissions = [Permission(resource=resource, action=action) for resource, action in allowed]
    return await store.create_role(**{"name": f"role-{next(_numbers)}", "permissions": permissions, **fields})
