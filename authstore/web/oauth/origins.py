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
_MOST_KNOWN: Final = 100  # sessions of one session at a provider, users of one account there


@dataclass(frozen=True, slots=True)
class Origin:
    """An account at a provider; `subject` and `provider_session` are the `sub` and `sid` of its ID token."""

    provider: str
    account_id: str
    subject: str
    provider_session: str | None


async def remember_origin(store: VerificationTokens, session: Session, origin: Origin, until: datetime) -> None:
    """Notes how a session came about, in the transaction that makes it.

    Whose it is, too: the account may be unlinked, or linked to somebody else, while sessions that came by it go on.
    """
    await _keep(store, _name("session", session.id), asdict(origin), until)
    await _add(store, _name("subject", origin.provider, origin.subject), "users", session.user_id, until)
    if origin.provider_session is not None:
        name = _name("provider-session", origin.provider, origin.provider_session)
        await _add(store, name, "sessions", session.id, until)


async def origin_of(store: VerificationTokens, session_id: str) -> Origin | None:
    """How the session came about; `None` where it was not by an OpenID provider."""
    known = await _read(store, _name("session", session_id))
    return None if known is None else Origin(**known)


async def sessions_of(
    store: Adapter, provider: str, subject: str | None, provider_session: str | None
) -> tuple[str, ...]:
    """The ids of the sessions that came by this session at the provider; without one, by this account there."""
    if provider_session is not None:
        ids = await _listed(store, _name("provider-session", provider, provider_session), "sessions")
    else:
        users = await _listed(store, _name("subject", provider, subject or ""), "users")
        ids = [session_id for user_id in users for session_id in await _sessions_of_user(store, user_id)]
    found = [(each, await origin_of(store, each)) for each in ids]
    return tuple(
        each
        for each, origin in found
        if origin is not None and origin.provider == provider and subject in (None, origin.subject)
    )


async def _sessions_of_user(store: Adapter, user_id: str) -> list[str]:
    ids: list[str] = []
    page = await store.list_sessions(user_id, limit=_PAGE)
    while page:
        ids += [session.id for session in page]
        page = await store.list_sessions(user_id, after=page[-1], limit=_PAGE)
    return ids


async def _read(store: VerificationTokens, name: str) -> dict[str, Any] | None:
    found = await store.peek_verification_token(name, name, purpose=_PURPOSE)
    return None if found is None else dict(found.data)


async def _listed(store: VerificationTokens, name: str, kind: str) -> list[Any]:
    """The ids that are kept under this name."""
    return list((await _read(store, name) or {}).get(kind, ()))


async def _add(store: VerificationTokens, name: str, kind: str, id: str, until: datetime) -> None:
    """Puts an id at the end of them."""
    known = [each for each in await _listed(store, name, kind) if each != id]
    await store.use_verification_token(name, name, purpose=_PURPOSE)
    await _keep(store, name, {kind: [*known, id][-_MOST_KNOWN:]}, until)


async def _keep(store: VerificationTokens, name: str, data: JsonObject, until: datetime) -> None:
    await store.create_verification_token(name, purpose=_PURPOSE, token=name, data=data, expires=until)


def _name(kind: str, *parts: str) -> str:
    return f"{kind}:{sha256(chr(0).join(parts).encode()).hexdigest()}"
