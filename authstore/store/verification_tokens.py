"""Verification tokens: proof of control over an identifier, used once."""

from datetime import datetime

from authstore.adapter import JsonObject
from authstore.database import Unit
from authstore.email import MAX_LENGTH, canonical_email
from authstore.errors import ConflictError, InvalidEmailError
from authstore.expiry import end_of, is_alive
from authstore.models import VerificationToken, check_text
from authstore.sql import queries
from authstore.store import rows
from authstore.store.shared import StoreBase, Values, json_object
from authstore.tokens import MAX_TOKEN_LENGTH, hash_token, new_secret

OUTSTANDING = 5  # per identifier and purpose


class VerificationTokenStore(StoreBase):
    """`VerificationTokens` of the contract."""

    async def create_verification_token(
        self,
        identifier: str,
        *,
        purpose: str = "sign-in",
        expires: datetime | None = None,
        token: str | None = None,
        data: JsonObject | None = None,
    ) -> VerificationToken:
        """See `authstore.adapter.VerificationTokens.create_verification_token`."""
        now = self._now()
        made = VerificationToken(
            identifier=canonical_identifier(identifier),
            purpose=purpose,
            token=new_secret() if token is None else _checked_token(token),
            expires=end_of(now, self._policy.token_lifetime) if expires is None else expires,
            data=json_object(data),
        )
        return await self._write_often(lambda: _insert(made, now), now)

    async def peek_verification_token(
        self, identifier: str, token: str, *, purpose: str = "sign-in"
    ) -> VerificationToken | None:
        """See `authstore.adapter.VerificationTokens.peek_verification_token`."""
        key = _key(identifier, token, purpose)
        row = await self._db.one(queries.get_verification_token(**key)) if key else None
        found = rows.verification_token(row, token) if row else None
        return found if found and is_alive(found.expires, self._now()) else None

    async def use_verification_token(
        self, identifier: str, token: str, *, purpose: str = "sign-in"
    ) -> VerificationToken | None:
        """See `authstore.adapter.VerificationTokens.use_verification_token`."""
        key = _key(identifier, token, purpose)
        now = self._now()
        used = None if key is None else await self._write_often(lambda: _use(key, token, now), now, is_using=True)
        if used is None and purpose == "sign-in":
            self._tally.failed_sign_ins += 1
        return used


def canonical_identifier(identifier: str) -> str:
    """An address in its one form; anything else exactly as it is. Raises `ValueError`, `TypeError`."""
    try:
        return canonical_email(identifier)
    except InvalidEmailError:
        if not 1 <= len(identifier) <= MAX_LENGTH:
            raise ValueError(f"an identifier has 1 to {MAX_LENGTH} characters") from None
        return check_text(identifier)


def _checked_token(token: str) -> str:
    if not isinstance(token, str):
        raise TypeError("a token is text")
    if not 1 <= len(token) <= MAX_TOKEN_LENGTH:
        raise ValueError(f"a token has 1 to {MAX_TOKEN_LENGTH} characters")
    return check_text(token)


def _key(identifier: str, token: str, purpose: str) -> Values | None:
    """What must match all at once; `None` where nothing could."""
    if not isinstance(purpose, str):
        raise TypeError("a purpose is text")
    try:
        canonical = canonical_identifier(identifier)
        return {
            "identifier": canonical,
            "purpose": check_text(purpose),
            "token_hash": hash_token(_checked_token(token)),
        }
    except ValueError:
        return None


def _claim(key: Values) -> tuple[str, str, str]:
    return "verification token", key["identifier"], key["purpose"]


def _insert(made: VerificationToken, now: datetime) -> Unit[VerificationToken]:
    values = {
        "identifier": made.identifier,
        "purpose": made.purpose,
        "token_hash": hash_token(made.token or ""),
        "expires": made.expires,
        "data": rows.json_text(made.data),
        "created_at": now,
    }
    if not (yield queries.insert_verification_token.claiming(*_claim(values), **values)):
        of_the_same = {name: values[name] for name in ("identifier", "purpose", "token_hash")}
        yield queries.delete_dead_verification_token(**of_the_same, now=now)
        if not (yield queries.insert_verification_token(**values)):
            raise ConflictError("this identifier has this token for this purpose already")
    yield queries.delete_excess_verification_tokens(
        identifier=made.identifier, purpose=made.purpose, now=now, keep=OUTSTANDING
    )
    return made


def _use(key: Values, token: str, now: datetime) -> Unit[VerificationToken | None]:
    used = yield queries.use_verification_token.claiming(*_claim(key), **key, now=now)
    if used:
        return rows.verification_token(used[0], token)
    taken = yield queries.take_verification_token.claiming(*_claim(key), **key)
    if not taken:
        return None
    found = rows.verification_token(taken[0], token)
    if not is_alive(found.expires, now):
        return None
    yield queries.delete_verification_tokens_for_purpose(identifier=found.identifier, purpose=found.purpose)
    return found
