"""Accounts: a link to an identity at a provider, owned by one user."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from authstore.adapter import JsonObject
from authstore.database import Row, Unit
from authstore.encryption import Cipher
from authstore.errors import AccountLinkedError, UserNotFoundError
from authstore.models import Account, AccountType
from authstore.sql import Statement, queries
from authstore.store import rows
from authstore.store.shared import StoreBase, is_storable

TOKEN_FIELDS = frozenset(
    {"type", "access_token", "refresh_token", "id_token", "token_type", "scope", "session_state", "expires_at", "data"}
)


class AccountStore(StoreBase):
    """`Accounts` of the contract, save signing in and refreshing."""

    async def link_account(
        self,
        user_id: str,
        provider: str,
        provider_account_id: str,
        *,
        type: AccountType = "oauth",
        access_token: str | None = None,
        refresh_token: str | None = None,
        id_token: str | None = None,
        token_type: str | None = None,
        scope: str | None = None,
        session_state: str | None = None,
        expires_at: datetime | None = None,
        data: JsonObject | None = None,
    ) -> Account:
        """See `authstore.adapter.Accounts.link_account`."""
        fields = {
            "type": type,
            "access_token": access_token,
            "refresh_token": refresh_token,
            "id_token": id_token,
            "token_type": token_type,
            "scope": scope,
            "session_state": session_state,
            "expires_at": expires_at,
            "data": data,
        }
        wanted = self._new_account(self._now(), user_id, provider, provider_account_id, fields)
        return await self._write(lambda: link_account(wanted, given(fields), self._cipher), wanted.updated_at)

    async def get_account(self, provider: str, provider_account_id: str) -> Account | None:
        """See `authstore.adapter.Accounts.get_account`."""
        row = await self._account_row(provider, provider_account_id)
        return rows.account(row, self._cipher) if row else None

    async def list_accounts(self, user_id: str) -> list[Account]:
        """See `authstore.adapter.Accounts.list_accounts`."""
        if not is_storable(user_id):
            return []
        found = await self._db.all(queries.list_accounts(user_id=user_id))
        return [rows.account_as_readable(row, self._cipher) for row in found]

    async def unlink_account(self, provider: str, provider_account_id: str) -> bool:
        """See `authstore.adapter.Accounts.unlink_account`."""
        if not (is_storable(provider) and is_storable(provider_account_id)):
            return False
        return await self._write(lambda: _unlink_account(provider, provider_account_id), self._now())

    async def _account_row(self, provider: str, provider_account_id: str) -> Row | None:
        if not (is_storable(provider) and is_storable(provider_account_id)):
            return None
        return await self._db.one(queries.get_account(provider=provider, provider_account_id=provider_account_id))

    def _new_account(
        self, now: datetime, user_id: str, provider: str, provider_account_id: str, fields: Mapping[str, Any]
    ) -> Account:
        return Account(
            id=self._new_id(now),
            user_id=user_id,
            provider=provider,
            provider_account_id=provider_account_id,
            **given(fields),
            created_at=now,
            updated_at=now,
        )


def given(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that say something: `None` keeps what was there. Raises `TypeError` for unknown ones."""
    unknown = sorted(set(fields) - TOKEN_FIELDS)
    if unknown:
        raise TypeError(f"not a field of link_account: {', '.join(map(str, unknown))}")
    return {name: value for name, value in fields.items() if value is not None}


def link_account(wanted: Account, fields: Mapping[str, Any], cipher: Cipher) -> Unit[Account]:
    """Links `wanted`, or updates the user's own link with `fields`."""
    if not (yield queries.get_user(id=wanted.user_id)):
        raise UserNotFoundError("no user has this id")
    found = yield claimed_account(wanted.provider, wanted.provider_account_id)
    if not found:
        return (yield from insert_account(wanted, cipher))
    if found[0]["user_id"] != wanted.user_id:
        raise AccountLinkedError("this account is linked to another user", user_id=found[0]["user_id"])
    return (yield from update_account(found[0], fields, wanted.updated_at, cipher))


def claimed_account(provider: str, provider_account_id: str) -> Statement:
    """One account, on which, or on whose absence, a unit decides."""
    claim = ("account", provider, provider_account_id)
    return queries.get_account.claiming(*claim, provider=provider, provider_account_id=provider_account_id)


def insert_account(account: Account, cipher: Cipher) -> Unit[Account]:
    """A new link of an account that nobody has."""
    yield queries.insert_account(**rows.account_values(account, cipher))
    return account


def update_account(row: Row, fields: Mapping[str, Any], now: datetime, cipher: Cipher) -> Unit[Account]:
    """The account of this row with the given fields changed; what no key opens is replaced, or stays."""
    old = rows.account_as_readable(row, cipher)
    unreadable = tuple(column for column in old.unreadable if column not in fields)
    new = Account(**{**old.__dict__, **fields, "unreadable": unreadable, "updated_at": now})
    yield queries.update_account(**rows.account_values(new, cipher, row))
    return new


def _unlink_account(provider: str, provider_account_id: str) -> Unit[bool]:
    return bool((yield queries.delete_account(provider=provider, provider_account_id=provider_account_id)))
