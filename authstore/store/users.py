"""Users: canonical addresses, and nothing left behind."""

from datetime import datetime
from typing import Any

from authstore.adapter import UNSET, JsonObject, Unset
from authstore.database import Unit
from authstore.email import canonical_email
from authstore.errors import ConflictError, EmailTakenError, InvalidEmailError
from authstore.models import User
from authstore.sql import queries
from authstore.store import rows
from authstore.store.sessions.endings import Ending, end_sessions
from authstore.store.sessions.slices import SlicingStore
from authstore.store.shared import checked_limit, is_storable, json_object


class UserStore(SlicingStore):
    """`Users` of the contract."""

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
        """See `authstore.adapter.Users.create_user`."""
        now = self._now()
        user = User(
            id=self._new_id(now) if id is None else id,
            email=None if email is None else canonical_email(email),
            email_verified=email_verified,
            name=name,
            image=image,
            data=json_object(data),
            created_at=now,
            updated_at=now,
        )
        return await self._write_often(lambda: _create_user(user), now)

    async def get_user(self, user_id: str) -> User | None:
        """See `authstore.adapter.Users.get_user`."""
        if not is_storable(user_id):
            return None
        row = await self._db.one(queries.get_user(id=user_id))
        return rows.user(row) if row else None

    async def get_user_by_email(self, email: str) -> User | None:
        """See `authstore.adapter.Users.get_user_by_email`."""
        try:
            canonical = canonical_email(email)
        except InvalidEmailError:
            return None
        row = await self._db.one(queries.get_user_by_email(email=canonical))
        return rows.user(row) if row else None

    async def get_user_by_account(self, provider: str, provider_account_id: str) -> User | None:
        """See `authstore.adapter.Users.get_user_by_account`."""
        if not (is_storable(provider) and is_storable(provider_account_id)):
            return None
        row = await self._db.one(
            queries.get_user_by_account(provider=provider, provider_account_id=provider_account_id)
        )
        return rows.user(row) if row else None

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
        """See `authstore.adapter.Users.update_user`."""
        named = {
            "email": canonical_email(email) if isinstance(email, str) else email,
            "name": name,
            "email_verified": email_verified,
            "image": image,
            "disabled": disabled,
            "data": data if isinstance(data, Unset) else json_object(data),
        }
        changes = {field: value for field, value in named.items() if value is not UNSET}
        if not is_storable(user_id):
            return None
        now = self._now()
        disabling = self._ending("user-disabled", now)
        updated, _ = await self._write_ending(self._write, lambda: _update_user(user_id, changes, disabling), now)
        return updated

    async def delete_user(self, user_id: str) -> bool:
        """See `authstore.adapter.Users.delete_user`."""
        if not is_storable(user_id):
            return False
        now = self._now()
        ending = self._ending("user-deleted", now)
        deleted, _ = await self._write_ending(self._write, lambda: _delete_user(user_id, ending), now)
        return deleted

    async def list_users(self, *, after: str | None = None, limit: int = 100) -> list[User]:
        """See `authstore.adapter.Users.list_users`."""
        statement = queries.list_users(after=_cursor(after), limit=checked_limit(limit))
        return [rows.user(row) for row in await self._db.all(statement)]


def _cursor(after: str | None) -> str:
    if after is not None and not is_storable(after):
        raise ValueError("after is the id of the last user of the page before")
    return after or ""


def _create_user(user: User) -> Unit[User]:
    if (yield queries.insert_user.alone(**rows.user_values(user))):
        return user
    return (yield from insert_user(user))


def insert_user(user: User) -> Unit[User]:
    """A new user, or the error that says what is taken."""
    if (yield queries.insert_user(**rows.user_values(user))):
        return user
    yield from refuse_taken_email(user)
    raise ConflictError("a user with this id exists")


def refuse_taken_email(user: User) -> Unit[None]:
    """Raises `EmailTakenError` where another user has the address."""
    if user.email is not None:
        owners = yield queries.get_user_by_email(email=user.email)
        if owners and owners[0]["id"] != user.id:
            raise EmailTakenError("a user with this e-mail address exists")


def _update_user(user_id: str, changes: dict[str, Any], disabling: Ending) -> Unit[User | None]:
    found = yield queries.get_user.changing(id=user_id)
    if not found:
        return None
    old = rows.user(found[0])
    if not changes:
        return old
    new = User(**{**old.__dict__, **changes, "updated_at": disabling.at})
    yield from refuse_taken_email(new)
    yield queries.update_user(**rows.user_values(new))
    if new.disabled:
        yield from end_sessions(user_id, "", disabling)
    return new


def _delete_user(user_id: str, ending: Ending) -> Unit[bool]:
    yield from end_sessions(user_id, "", ending)
    if (yield queries.delete_user_and_tokens(id=user_id)):
        return True
    deleted = yield queries.delete_user(id=user_id)
    for row in deleted:
        if row["email"] is not None:
            yield queries.delete_verification_tokens(identifier=row["email"])
    return bool(deleted)
