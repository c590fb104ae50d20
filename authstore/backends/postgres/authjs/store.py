"""The `Adapter` on Auth.js's tables: the store itself, but for sessions and tokens, which stand there as they are."""

from collections import deque
from collections.abc import Mapping
from datetime import datetime
from typing import Any, NoReturn

from authstore.adapter import JsonObject
from authstore.backends.postgres.authjs.database import not_held
from authstore.backends.postgres.authjs.sessions import AuthJsSessions
from authstore.database import Row, Unit
from authstore.errors import ConflictError
from authstore.expiry import end_of, is_alive
from authstore.models import Account, PruneReport, SignIn, User, VerificationToken
from authstore.store import rows
from authstore.store.base import checked_limit, is_storable
from authstore.store.verification_tokens import canonical_identifier
from authstore.tokens import new_secret

_PURPOSE = "sign-in"
NOT_HELD = {
    "refresh_account": "leases",
    "why_ended": "why a session ended",
    "events": "events",
    "rekey": "encryption",
    "forget_unreadable": "encryption",
    **dict.fromkeys(
        (
            "create_role",
            "get_role",
            "list_roles",
            "update_role",
            "delete_role",
            "grant_role",
            "revoke_role",
            "get_roles",
            "has_permission",
            "list_users_with_role",
        ),
        "roles",
    ),
}


class AuthJsStore(AuthJsSessions):
    """A store whose sessions, users and accounts an application in JavaScript reads and writes too."""

    # ── users and accounts: where ids are numbers, the database counts ───────────────────────────────────

    def _new_id(self, now: datetime) -> str:
        reserved: deque[str] = self.__dict__.get("_reserved", deque())
        return reserved.popleft() if reserved else super()._new_id(now)

    async def _reserve(self, *roles: str) -> None:
        counted = {"users": "next_user_id", "accounts": "next_account_id"}
        found = []
        for role in roles:
            row = await self._db.one(getattr(self._mapped, counted[role])()) if self._has_numbers(role) else None
            found.append(row["id"] if row else super()._new_id(self._now()))
        self.__dict__["_reserved"] = deque(found)  # taken before anybody else's turn

    async def create_user(self, **fields: Any) -> User:
        """See `authstore.adapter.Users.create_user`."""
        if self._has_numbers("users") and fields.get("id") is None:
            await self._reserve("users")
        made = await super().create_user(**fields)
        return await self.get_user(made.id) or made

    async def update_user(self, user_id: str, **fields: Any) -> User | None:
        """See `authstore.adapter.Users.update_user`."""
        return await super().update_user(user_id, **fields) and await self.get_user(user_id)

    async def link_account(self, user_id: str, provider: str, provider_account_id: str, **fields: Any) -> Account:
        """See `authstore.adapter.Accounts.link_account`."""
        if self._has_numbers("accounts"):
            await self._reserve("accounts")
        made = await super().link_account(user_id, provider, provider_account_id, **fields)
        return await self.get_account(provider, provider_account_id) or made

    async def sign_in_with_account(self, **fields: Any) -> SignIn:
        """See `authstore.adapter.Accounts.sign_in_with_account`."""
        if self._has_numbers("users") or self._has_numbers("accounts"):
            await self._reserve("users", "accounts")
        made = await super().sign_in_with_account(**fields)
        account = await self.get_account(made.account.provider, made.account.provider_account_id)
        user = await self.get_user(made.user.id)
        return made.model_copy(update={"user": user or made.user, "account": account or made.account})

    # ── verification tokens ──────────────────────────────────────────────────────────────────────────────

    async def create_verification_token(
        self,
        identifier: str,
        *,
        purpose: str = _PURPOSE,
        expires: datetime | None = None,
        token: str | None = None,
        data: JsonObject | None = None,
    ) -> VerificationToken:
        """See `authstore.adapter.VerificationTokens.create_verification_token`. The token stands there as it is."""
        self._refuse_purpose(purpose, data)
        now = self._now()
        made = VerificationToken(
            identifier=canonical_identifier(identifier),
            purpose=purpose,
            token=new_secret() if token is None else token,
            expires=end_of(now, self._policy.token_lifetime) if expires is None else expires,
            data={},
        )
        return await self._write(lambda: self._insert_token(made, now), now)

    def _insert_token(self, made: VerificationToken, now: datetime) -> Unit[VerificationToken]:
        key = {"identifier": made.identifier, "token": made.token}
        yield self._mapped.delete_dead_token(**key, now=now)
        if not (yield self._mapped.insert_token(**key, expires=made.expires, id=self._new_id(now))):
            raise ConflictError("this identifier has this token already")
        stored = yield self._mapped.get_token(**key)
        return _token(stored[0])

    async def peek_verification_token(
        self, identifier: str, token: str, *, purpose: str = _PURPOSE
    ) -> VerificationToken | None:
        """See `authstore.adapter.VerificationTokens.peek_verification_token`."""
        self._refuse_purpose(purpose, None)
        key = _token_key(identifier, token)
        row = await self._db.one(self._mapped.get_token(**key)) if key else None
        found = _token(row) if row else None
        return found if found and is_alive(found.expires, self._now()) else None

    async def use_verification_token(
        self, identifier: str, token: str, *, purpose: str = _PURPOSE
    ) -> VerificationToken | None:
        """See `authstore.adapter.VerificationTokens.use_verification_token`."""
        self._refuse_purpose(purpose, None)
        key, now = _token_key(identifier, token), self._now()
        return await self._write(lambda: self._use(key, now), now) if key else None

    def _use(self, key: Mapping[str, str], now: datetime) -> Unit[VerificationToken | None]:
        taken = yield self._mapped.take_token(**key)
        if not taken:
            return None
        found = _token(taken[0])
        if not is_alive(found.expires, now):
            return None
        yield self._mapped.delete_verification_tokens(identifier=found.identifier)
        return found

    def _refuse_purpose(self, purpose: str, data: JsonObject | None) -> None:
        if purpose != _PURPOSE:
            raise not_held("purposes")
        if data:
            raise not_held("data of a verification token")
        if not self._has("verification_tokens"):
            raise not_held("verification tokens")

    # ── keeping it in order ──────────────────────────────────────────────────────────────────────────────

    async def prune(self, *, batch: int = 1000, max_seconds: float | None = None) -> PruneReport:  # noqa: ARG002 - each batch is short, and all of them are done
        """See `authstore.adapter.Maintenance.prune`."""
        checked_limit(batch)
        now, deleted = self._now(), {"sessions": 0, "verification_tokens": 0}
        for table, name in (
            ("sessions", "delete_some_dead_sessions"),
            ("verification_tokens", "delete_some_dead_tokens"),
        ):
            query = self._mapped.__dict__.get(name)
            while query is not None and (
                count := await self._deleted(lambda query=query: query(now=now, limit=batch))  # type: ignore[misc]  # a name bound at once
            ):
                deleted[table] += count
        return PruneReport(deleted=deleted, remaining=0)


def _token(row: Row) -> VerificationToken:
    return VerificationToken(
        identifier=row["identifier"],
        purpose=_PURPOSE,
        token=row["token"],
        expires=rows.instant(row["expires"]),
        data={},
    )


def _token_key(identifier: str, token: str) -> dict[str, str] | None:
    try:
        canonical = canonical_identifier(identifier)
    except ValueError:
        return None
    return {"identifier": canonical, "token": token} if token and is_storable(token) else None


def _refusing(what: str) -> Any:
    async def refuse(*_: Any, **__: Any) -> NoReturn:
        raise not_held(what)

    return refuse


for _name, _what in NOT_HELD.items():
    setattr(AuthJsStore, _name, _refusing(_what))
