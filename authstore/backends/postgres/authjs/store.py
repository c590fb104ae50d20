"""The `Adapter` on Auth.js's tables: the store itself, but for sessions and tokens, which stand there as they are."""

from collections import deque
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, NoReturn, TypeVar, cast

from pydantic import JsonValue

from authstore.adapter import UNSET, JsonObject, Unset
from authstore.backends.postgres.authjs.database import AuthJsDatabase, not_held
from authstore.backends.postgres.authjs.tokens import AuthJsTokens
from authstore.database import Row, Unit
from authstore.errors import ConflictError, UserNotFoundError
from authstore.expiry import END_OF_TIME, is_session_alive, session_expiry
from authstore.models import Account, PruneReport, Session, SignIn, User
from authstore.store import rows
from authstore.store.shared import checked_limit, is_storable, json_object
from authstore.tokens import MAX_TOKEN_LENGTH, MIN_TOKEN_LENGTH, is_presentable, new_secret

T = TypeVar("T")

_LAST_ID = "\U0010ffff"
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
    **dict.fromkeys(("open_visit", "get_visit", "change_visit", "delete_visit"), "visits"),
}


class AuthJsStore(AuthJsTokens):
    """A store whose sessions, users and accounts an application in JavaScript reads and writes too."""

    def _has_numbers(self, role: str) -> bool:
        return cast(AuthJsDatabase, self._db).tables.mapped[role].has_numbers

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

    # ── sessions ─────────────────────────────────────────────────────────────────────────────────────────

    async def create_session(
        self,
        user_id: str,
        *,
        expires: datetime | None = None,
        token: str | None = None,
        ip: str | None = None,
        user_agent: str | None = None,
        data: JsonObject | None = None,
    ) -> Session:
        """See `authstore.adapter.Sessions.create_session`. `ip`, `user_agent` and `data` are dropped."""
        now = self._now()
        if token is not None and not MIN_TOKEN_LENGTH <= len(token) <= MAX_TOKEN_LENGTH:
            raise ValueError(f"a token has {MIN_TOKEN_LENGTH} to {MAX_TOKEN_LENGTH} characters")
        limit = session_expiry(self._policy, created_at=now, now=now)
        session = Session(
            id=self._new_id(now),
            token=new_secret() if token is None else token,
            user_id=user_id,
            expires=limit if expires is None else expires,
            created_at=now,
            last_used_at=now,
            authenticated_at=now,
            ip=ip,
            user_agent=user_agent,
            data=json_object(data),
        )
        session = session.model_copy(update={"expires": min(session.expires, limit)})
        return await self._write(lambda: self._insert(session), now)

    def _insert(self, session: Session) -> Unit[Session]:
        now = session.created_at
        if not (yield self._mapped.get_user(id=session.user_id)):
            raise UserNotFoundError("no user has this id")
        yield self._mapped.delete_dead_session(token=session.token, now=now)
        values = {name: getattr(session, name) for name in ("id", "token", "user_id", "expires", "created_at")}
        made = yield self._mapped.insert_session(**values, updated_at=now)
        if not made:
            raise ConflictError("a session with this token exists")
        return self._session(made[0], session.token)

    async def _living(self, token: str, now: datetime) -> tuple[Session, User] | None:
        if not is_presentable(token) or not is_storable(token):
            return None
        row = await self._db.one(self._mapped.session_and_user(token=token))
        if row is None:
            return None
        session = self._session(row, token)
        user = rows.user({name[6:]: value for name, value in row.items() if name.startswith("user__")})
        return (session, user) if self._is_alive(session, now) else None

    def _session(self, row: Row, token: str | None) -> Session:
        expires = rows.instant(row["expires"])
        made = row["created_at"] or (expires - self._policy.lifetime if self._policy.lifetime else expires)
        return Session(
            id=row["id"],
            token=token,
            user_id=row["user_id"],
            expires=expires,
            created_at=made,
            last_used_at=made,
            authenticated_at=made,
        )

    def _is_alive(self, session: Session, now: datetime) -> bool:
        return is_session_alive(
            self._policy,
            now,
            expires=session.expires,
            created_at=session.created_at,
            last_used_at=session.last_used_at,
        )

    async def touch_session(self, token: str) -> Session | None:
        """See `authstore.adapter.Sessions.touch_session`. There is no last use to note."""
        return await self.get_session(token)

    async def update_session(
        self,
        token: str,
        *,
        expires: datetime | Unset = UNSET,
        data: JsonObject | Unset = UNSET,
        merge: Mapping[str, JsonValue | Unset] | Unset = UNSET,
    ) -> Session | None:
        """See `authstore.adapter.Sessions.update_session`."""
        if not (isinstance(data, Unset) and isinstance(merge, Unset)):
            raise not_held("data of a session")
        now = self._now()
        found = await self._living(token, now)
        if found is None or isinstance(expires, Unset):
            return found and found[0]
        wanted = Session(**{**found[0].__dict__, "expires": expires})
        limit = session_expiry(self._policy, created_at=wanted.created_at, now=now, wanted=wanted.expires)
        return await self._write(lambda: self._move(token, limit, now), now)

    def _move(self, token: str, expires: datetime, now: datetime) -> Unit[Session | None]:
        moved = yield self._mapped.move_expiry(token=token, expires=expires, now=now)
        return self._session(moved[0], token) if moved else None

    async def rotate_session(self, token: str, *, grace: timedelta | None = None) -> Session | None:
        """See `authstore.adapter.Sessions.rotate_session`."""
        now = self._now()
        if grace is not None:
            raise not_held("the token before")
        if "id" not in cast(AuthJsDatabase, self._db).tables.mapped["sessions"].table.columns:
            raise not_held("stable session ids")
        return (
            await self._write(lambda: self._new_token(token, new_secret(), now), now) if is_presentable(token) else None
        )

    def _new_token(self, token: str, new: str, now: datetime) -> Unit[Session | None]:
        replaced = yield self._mapped.replace_token(token=token, new=new, now=now)
        return self._session(replaced[0], new) if replaced else None

    async def delete_session(self, token: str, *, reason: str = "signed-out") -> bool:  # noqa: ARG002 - there is no place for it
        """See `authstore.adapter.Sessions.delete_session`."""
        if not is_presentable(token) or not is_storable(token):
            return False
        return bool(await self._deleted(lambda: self._mapped.delete_session_by_token(token=token)))

    async def list_sessions(self, user_id: str, *, after: Session | None = None, limit: int = 100) -> list[Session]:
        """See `authstore.adapter.Sessions.list_sessions`."""
        if not (after is None or isinstance(after, Session)):
            raise TypeError("after is the last session of the page before")
        checked_limit(limit)
        if not is_storable(user_id):
            return []
        has_instant = "created_at" in cast(AuthJsDatabase, self._db).tables.mapped["sessions"].table.columns
        before = END_OF_TIME if after is None else after.created_at if has_instant else after.expires
        statement = self._mapped.list_sessions_of_user(
            user_id=user_id,
            now=self._now(),
            before=before,
            before_id=_LAST_ID if after is None else after.id,
            limit=limit,
        )
        found = [self._session(row, None) for row in await self._db.all(statement)]
        return [session for session in found if self._is_alive(session, self._now())]

    async def revoke_session(self, session_id: str, *, reason: str = "revoked") -> bool:  # noqa: ARG002 - as above
        """See `authstore.adapter.Sessions.revoke_session`."""
        if not is_storable(session_id):
            return False
        return bool(await self._deleted(lambda: self._mapped.delete_session(id=session_id)))

    async def revoke_sessions(self, user_id: str, *, except_token: str | None = None, reason: str = "revoked") -> int:  # noqa: ARG002 - as above
        """See `authstore.adapter.Sessions.revoke_sessions`."""
        if not is_storable(user_id):
            return 0
        spared = except_token if is_presentable(except_token) else ""
        return await self._deleted(lambda: self._mapped.delete_sessions_of_user(user_id=user_id, except_token=spared))

    async def _deleted(self, make: Callable[[], Any]) -> int:
        def unit() -> Unit[int]:
            return len((yield make()))

        return await self._db.unit(unit)

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


def _refusing(what: str) -> Any:
    async def refuse(*_: Any, **__: Any) -> NoReturn:
        raise not_held(what)

    return refuse


for _name, _what in NOT_HELD.items():
    setattr(AuthJsStore, _name, _refusing(_what))
