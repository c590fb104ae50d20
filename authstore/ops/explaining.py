"""Why somebody is signed in, or is not."""

from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple

from authstore.adapter import Adapter
from authstore.database import Row, Unit
from authstore.expiry import SessionPolicy, end_of_session
from authstore.models import Ended, Event, Session, check_text
from authstore.ops.subject import subject
from authstore.sql import queries
from authstore.store import rows
from authstore.store.log import changes
from authstore.store.sessions.endings import ended, find_session
from authstore.tokens import hash_token, is_presentable

_PAGE = 1000


@dataclass(frozen=True, slots=True)
class Explanation:
    """What is known of a session.

    state: "alive", "ended", or "unknown" (never there, or so long ago that nothing tells of it any more). session: its
    row, where that is still there. ends, ends_of: when an unused living session dies and what of ("expired", "idle"),
    by the policy of whoever asks (of a URL: the default one). ended: why it is over. events: of the change log.
    """

    state: Literal["alive", "ended", "unknown"]
    session: Session | None
    ends: datetime | None
    ends_of: str | None
    ended: Ended | None
    events: tuple[Event, ...]


class _Asked(NamedTuple):
    id: str | None
    token: str | None
    policy: SessionPolicy
    now: datetime


async def explain_session(
    url_or_store: str | Path | Adapter, *, id: str | None = None, token: str | None = None
) -> Explanation:
    """Looks a session up by its id or its token, and says why it lives or does not. Asking is not presenting: a token
    that was replaced ends nothing here.

    Raises `ValueError` unless one of the two is given, or for an id that no database can hold; and what `inspect`
    raises.
    """
    if (id is None) == (token is None):
        raise ValueError("give the session's id, or its token")
    if id is not None:
        check_text(id)
    looked_at = subject(url_or_store)
    asked = _Asked(id, token, looked_at.policy, looked_at.clock())
    return await looked_at.inspector.ask(partial(_explain, asked))


def _explain(asked: _Asked) -> Unit[Explanation]:
    if asked.token is not None and not is_presentable(asked.token):
        return Explanation("unknown", None, None, None, None, ())
    row = yield from _row(asked)
    noted = yield from _noted(asked)
    session = None if row is None else rows.session(row)
    events = yield from _events(session.id if session else asked.id)
    over = noted or (ended({**row, "user_updated_at": asked.now.isoformat()}, asked.now, asked.policy) if row else None)
    if session is not None and over is None:
        times = {"created_at": session.created_at, "last_used_at": session.last_used_at}
        reason, at = end_of_session(asked.policy, expires=session.expires, **times)
        return Explanation("alive", session, at, reason, None, events)
    if over is None and events and events[-1].type == "session.ended":
        over = Ended(reason=events[-1].reason or "revoked", at=events[-1].at, by=events[-1].actor)
    return Explanation("unknown" if over is None else "ended", session, None, None, over, events)


def _row(asked: _Asked) -> Unit[Row | None]:
    if asked.token is not None:
        return (yield from find_session(asked.token))
    found = yield queries.get_session_by_id(id=asked.id)
    return found[0] if found else None


def _noted(asked: _Asked) -> Unit[Ended | None]:
    """What was written down of this very token: its session may live on under another."""
    if asked.token is None:
        return None
    found = yield queries.get_ended_token(token_hash=hash_token(asked.token))
    noted = rows.ended(found[0]) if found else None
    return noted if noted is not None and noted.at <= asked.now else None


def _events(session_id: str | None) -> Unit[tuple[Event, ...]]:
    found: list[Event] = []
    after = 0
    while session_id is not None and (page := (yield queries.list_events(after=after, limit=_PAGE))):
        told = [row for row in page if row["seq"] is not None]
        found += [changes.event(row) for row in told if row["session_id"] == session_id]
        if len(told) < _PAGE:
            break
        after = told[-1]["seq"]
    return tuple(found)
