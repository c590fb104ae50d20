"""Sessions are found by their token, and judged by the policy of whoever looks."""

import logging
from datetime import datetime
from hmac import compare_digest

from authstore.database import Found, Unit
from authstore.expiry import END_OF_TIME, is_session_alive
from authstore.models import CacheInfo, Ended, Session, User
from authstore.sql import queries
from authstore.store import rows
from authstore.store.sessions import kept
from authstore.store.sessions.cache import SessionCache
from authstore.store.sessions.endings import ended, find_presented
from authstore.store.shared import StoreBase, Values, checked_limit, is_storable
from authstore.tokens import hash_token, is_presentable, named_session

_log = logging.getLogger("authstore.store")

_STRETCH = 100  # sessions in one read: less than a millisecond, however many a user has
_LAST_ID = "\U0010ffff"  # what comes after every id


class SessionReader(StoreBase):
    """What `Sessions` of the contract reads, through a cache where there is one."""

    _cache: SessionCache | None = None

    def keep_sessions(self, size: int) -> None:
        """Keeps up to so many sessions with their users in this process. Raises `ConfigurationError`."""
        self._cache = SessionCache(self._db.change_log(), size) if size else None

    def cache_info(self) -> CacheInfo:
        """What the cache of this store did."""
        return self._cache.info if self._cache else CacheInfo(hits=0, misses=0, entries=0, size=0)

    async def get_session_and_user(self, token: str) -> tuple[Session, User] | None:
        """See `authstore.adapter.Sessions.get_session_and_user`."""
        return await self._living(token, self._now())

    async def get_session(self, token: str) -> Session | None:
        """See `authstore.adapter.Sessions.get_session`."""
        found = await self._living(token, self._now())
        return found[0] if found else None

    async def _living(self, token: str, now: datetime) -> tuple[Session, User] | None:
        if not is_presentable(token):
            await self._note_refusal(token, now)
            return None
        presented, cache = hash_token(token), self._cache
        if cache is not None and (here := await cache.get(presented)) is not None:
            session, user = here.session_and_user(token)
        else:
            found = await (self._find(token, presented) if cache is None else self._fill(cache, token, presented))
            if found is None:
                replaced = await self._replaced(token, now)
                if replaced is None:
                    await self._note_refusal(token, now)
                return replaced
            session, user = kept.session_and_user(found, token)
        if user.disabled or not self._is_alive(session, now):
            await self._note_refusal(token, now, session)
            return None
        return session, user

    async def _note_refusal(self, token: str, now: datetime, session: Session | None = None) -> None:
        """Tells the log why a token found nobody, where that is asked for; never the token."""
        if not _log.isEnabledFor(logging.DEBUG):
            return
        why = await self._why(token, now) if is_presentable(token) else None
        _log.debug(
            "a session was refused: %s%s",
            why.reason if why else "unknown" if session is None else "ended meanwhile",
            f", {session.id}" if session else "",
        )

    async def _find(self, token: str, presented: bytes) -> Found | None:
        named = named_session(token)
        found = await self._db.lookup(kept.BY_ID, named) if named else None
        if found is not None and compare_digest(found[0], presented):
            return found
        row = await self._db.one(queries.session_and_user_by_hash(token_hash=presented))
        return kept.check(tuple(row.values())) if row else None

    async def _fill(self, cache: SessionCache, token: str, presented: bytes) -> Found | None:
        filling, found = cache.begin(), None
        try:
            found = await self._find(token, presented)
        finally:
            cache.end(filling, presented, found)
        return found

    async def _replaced(self, token: str, now: datetime) -> tuple[Session, User] | None:
        """What a token finds that was replaced: its session during the grace; later a theft, which ends it."""
        if await self._db.one(queries.get_replaced_session(token_hash=hash_token(token))) is None:
            return None
        return await self._write(lambda: self._find_replaced(token, now), now)

    def _find_replaced(self, token: str, now: datetime) -> Unit[tuple[Session, User] | None]:
        row = yield from find_presented(token, now, self._policy)
        if row is None or row["user__disabled"]:
            return None
        session = rows.session(row, token)
        [user] = yield queries.get_user(id=session.user_id)
        return (session, rows.user(user)) if self._is_alive(session, now) else None

    async def why_ended(self, token: str) -> Ended | None:
        """See `authstore.adapter.Sessions.why_ended`."""
        return await self._why(token, self._now()) if is_presentable(token) else None

    async def _why(self, token: str, now: datetime) -> Ended | None:
        named, token_hash = named_session(token), hash_token(token)
        row = await self._db.one(queries.get_session_remains_by_id(id=named, token_hash=token_hash)) if named else None
        if row is None:
            row = await self._db.one(queries.get_session_remains_by_hash(token_hash=token_hash))
        if row is not None:
            return ended(row, now, self._policy)
        found = await self._db.one(queries.get_ended_token(token_hash=token_hash))
        noted = rows.ended(found) if found else None
        return noted if noted is not None and noted.at <= now else None

    async def list_sessions(self, user_id: str, *, after: Session | None = None, limit: int = 100) -> list[Session]:
        """See `authstore.adapter.Sessions.list_sessions`."""
        if not (after is None or isinstance(after, Session)):
            raise TypeError("after is the last session of the page before")
        checked_limit(limit)
        if not is_storable(user_id):
            return []
        place: Values = {"before": END_OF_TIME, "before_id": _LAST_ID}
        if after is not None:
            place = {"before": after.created_at, "before_id": after.id}
        cutoffs, listed = self._cutoffs(self._now()), list[Session]()
        while len(listed) < limit:
            stretch = await self._db.all(queries.list_sessions(user_id=user_id, limit=_STRETCH, **place, **cutoffs))
            living = [row for row in stretch if row["is_alive"]]
            listed += [rows.session(row) for row in living[: limit - len(listed)]]
            if len(stretch) < _STRETCH:
                break
            last = stretch[-1]
            place = {"before": last["created_at"], "before_id": rows.text_key("sessions", last["id"])}
        return listed

    def _is_alive(self, session: Session, now: datetime) -> bool:
        return is_session_alive(
            self._policy,
            now,
            expires=session.expires,
            created_at=session.created_at,
            last_used_at=session.last_used_at,
        )
