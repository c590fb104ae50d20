"""Which sign-in at a provider a session came by, so that signing out there can end it here.

Kept beside the session, in verification tokens that live as long as it may: the session's `data` is the application's.
Their secrets are none, only names.
"""

from dataclasses import asdict, dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any, Final

from authstore.adapter import Adapter, JsonObject, VerificationTokens
from authstore.models import Session

_PURPOSE: Final = "origin"
_PAGE: Final = 500  # sessions of one user, asked for at once
_MOST_SESSIONS: Final = 100  # that are known of one session at a provider


@dataclass(frozen=True, slots=True)
class Origin:
    """An account at a provider; `subject` and `provider_session` are the `sub` and `sid` of its ID token."""

    provider: str
    account_id: str
    subject: str
    provider_session: str | None


async def remember_origin(store: VerificationTokens, session: Session, origin: Origin, until: datetime) -> None:
    """Notes how a session came about, in the transaction that makes it."""
    await _replace(store, _name("session", session.id), asdict(origin), until)
    if origin.subject != origin.account_id:
        name = _name("subject", origin.provider, origin.subject)
        await _replace(store, name, {"account_id": origin.account_id}, until)
    if origin.provider_session is not None:
        name = _name("provider-session", origin.provider, origin.provider_session)
        known = (await _read(store, name) or {"sessions": []})["sessions"]
        await _replace(store, name, {"sessions": [*known, session.id][-_MOST_SESSIONS:]}, until)


async def origin_of(store: VerificationTokens, session_id: str) -> Origin | None:
    """How the session came about; `None` where it was not by an OpenID provider."""
    known = await _read(store, _name("session", session_id))
    return None if known is None else Origin(**known)


async def sessions_of(
    store: Adapter, provider: str, subject: str | None, provider_session: str | None
) -> tuple[str, ...]:
    """The ids of the sessions that came by this session at the provider; without one, by this account there."""
    if provider_session is not None:
        known = await _read(store, _name("provider-session", provider, provider_session))
        ids = tuple(known["sessions"]) if known is not None else ()
    else:
        ids = await _sessions_of_account(store, provider, subject or "")
    found = [(each, await origin_of(store, each)) for each in ids]
    return tuple(
        each
        for each, origin in found
        if origin is not None and origin.provider == provider and subject in (None, origin.subject)
    )


async def _sessions_of_account(store: Adapter, provider: str, subject: str) -> tuple[str, ...]:
    known = await _read(store, _name("subject", provider, subject))
    user = await store.get_user_by_account(provider, subject if known is None else known["account_id"])
    if user is None:
        return ()
    ids: list[str] = []
    page = await store.list_sessions(user.id, limit=_PAGE)
    while page:
        ids += [session.id for session in page]
        page = await store.list_sessions(user.id, after=page[-1], limit=_PAGE)
    return tuple(ids)


async def _read(store: VerificationTokens, name: str) -> dict[str, Any] | None:
    found = await store.peek_verification_token(name, name, purpose=_PURPOSE)
    return None if found is None else dict(found.data)


async def _replace(store: VerificationTokens, name: str, data: JsonObject, until: datetime) -> None:
    await store.use_verification_token(name, name, purpose=_PURPOSE)
    await store.create_verification_token(name, purpose=_PURPOSE, token=name, data=data, expires=until)


def _name(kind: str, *parts: str) -> str:
    return f"{kind}:{sha256(chr(0).join(parts).encode()).hexdigest()}"
