"""Somebody else's adapter that implements one small protocol: type-checked against it, and kept to its contract."""

# pyright: strict

from collections.abc import Callable
from datetime import datetime
from itertools import count
from typing import Any

import pytest

from authstore import UNSET, ConflictError, EmailTakenError, InvalidEmailError, Unset, User, Users
from authstore.adapter import JsonObject
from authstore.email import canonical_email
from authstore.testing import Clock
from authstore.testing.contract import EmailContract, UserChangesContract, UsersContract


class DictUsers:
    """Users in a dictionary; no accounts, so nobody is found by one."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._users: dict[str, User] = {}
        self._numbers = count(1)

    async def create_user(
        self,
        *,
        email: str | None = None,
        name: str | None = None,
        email_verified: datetime | None = None,
        image: str | None = None,
        data: JsonObject | None = None,
        id: str | None = None,
    ) -> User:
        now = self._clock()
        user = User(
            id=f"{next(self._numbers):08}" if id is None else id,
            email=None if email is None else canonical_email(email),
            email_verified=email_verified,
            name=name,
            image=image,
            data=dict(data or {}),
            created_at=now,
            updated_at=now,
        )
        if user.id in self._users:
            raise ConflictError("a user with this id exists")
        return self._kept(user)

    async def get_user(self, user_id: str) -> User | None:
        return self._users.get(user_id)

    async def get_user_by_email(self, email: str) -> User | None:
        try:
            canonical = canonical_email(email)
        except InvalidEmailError:
            return None
        return next((user for user in self._users.values() if user.email == canonical), None)

    async def get_user_by_account(self, provider: str, provider_account_id: str) -> User | None:
        return None

    async def update_user(
        self,
        user_id: str,
        *,
        email: str | None | Unset = UNSET,
        name: str | None | Unset = UNSET,
        email_verified: datetime | None | Unset = UNSET,
        image: str | None | Unset = UNSET,
        disabled: bool | Unset = UNSET,
        data: JsonObject | Unset = UNSET,
    ) -> User | None:
        old = self._users.get(user_id)
        if old is None:
            return None
        named: dict[str, Any] = {
            "email": canonical_email(email) if isinstance(email, str) else email,
            "name": name, "email_verified": email_verified, "image": image, "disabled": disabled, "data": data,
        }  # fmt: skip
        changes: dict[str, Any] = {field: value for field, value in named.items() if value is not UNSET}
        changes["updated_at"] = self._clock()
        return self._kept(User.model_validate({**dict(old), **changes}))

    async def delete_user(self, user_id: str) -> bool:
        return self._users.pop(user_id, None) is not None

    async def list_users(self, *, after: str | None = None, limit: int = 100) -> list[User]:
        if limit < 1:
            raise ValueError("limit must be at least 1")
        return [self._users[user_id] for user_id in sorted(self._users) if user_id > (after or "")][:limit]

    def _kept(self, user: User) -> User:
        if user.email is not None and user.email in [other.email for other in self._others(user)]:
            raise EmailTakenError("a user with this e-mail address exists")
        self._users[user.id] = user
        return user

    def _others(self, user: User) -> list[User]:
        return [other for other in self._users.values() if other.id != user.id]


class TestDictUsers(UsersContract, UserChangesContract, EmailContract):
    @pytest.fixture
    def adapter(self, clock: Clock) -> Users:
        return DictUsers(clock)
