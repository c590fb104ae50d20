"""Verification tokens in Auth.js's table, as the JavaScript side writes and reads them."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TypeVar, cast

from authstore.adapter import JsonObject
from authstore.backends.postgres.authjs.database import AuthJsDatabase, not_held
from authstore.database import Row, Unit
from authstore.errors import ConflictError
from authstore.expiry import end_of, is_alive
from authstore.models import VerificationToken
from authstore.sql import Queries
from authstore.store import Store, rows
from authstore.store.shared import is_storable
from authstore.store.verification_tokens import canonical_identifier
from authstore.tokens import new_secret

T = TypeVar("T")

_PURPOSE = "sign-in"


class AuthJsTokens(Store):
    """A store on these tables, as far as writing and verification tokens go."""

    @property
    def _mapped(self) -> Queries:
        return cast(AuthJsDatabase, self._db).tables.queries

    async def look_at_log(self) -> None:
        """There is none."""

    async def _write(self, make: Callable[[], Unit[T]], now: datetime, *, is_using: bool = False) -> T:  # noqa: ARG002 - as the store's own
        return await self._db.unit(make)

    _write_often = _write

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
        if "verification_tokens" not in cast(AuthJsDatabase, self._db).tables.mapped:
            raise not_held("verification tokens")


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
