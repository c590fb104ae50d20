"""Sessions are made, touched, changed and ended, and never revived."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from pydantic import JsonValue

from authstore.adapter import UNSET, JsonObject, Unset
from authstore.database import Row, Unit
from authstore.errors import ConflictError, UserDisabledError, UserNotFoundError
from authstore.expiry import end_of, is_touch_due, session_expiry
from authstore.models import Session, aware_utc
from authstore.sql import Statement, queries
from authstore.store import rows
from authstore.store.log.acting import said
from authstore.store.sessions.endings import (
    Ending,
    end_found,
    end_session,
    end_sessions,
    find_presented,
    find_session,
    is_row_alive,
    refuse_many,
    replace_token,
)
from authstore.store.sessions.reading import SessionReader
from authstore.store.sessions.slices import SlicingStore
from authstore.store.shared import Values, checked_merge, checked_token, is_storable, json_object, laid_over
from authstore.tokens import (
    hash_token,
    is_presentable,
    named_session,
    new_session_token,
)

Change = Callable[[Session, Row], Session | None]


class SessionStore(SessionReader, SlicingStore):
    """`Sessions` of the contract."""

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
        """See `authstore.adapter.Sessions.create_session`."""
        now = self._now()
        session_id = self._new_id(now)
        limit = session_expiry(self._policy, created_at=now, now=now)
        session = Session(
            id=session_id,
            token=new_session_token(session_id) if token is None else checked_token(token),
            user_id=user_id,
            expires=limit if expires is None else expires,
            created_at=now,
            last_used_at=now,
            authenticated_at=now,
            ip=ip,
            user_agent=user_agent,
            data=json_object(data),
        )
        asked = None if expires is None else session.expires
        if session.expires > limit:
            session = session.model_copy(update={"expires": limit})
        is_given = token is not None
        if self._policy.max_per_user is None:
            return await self._write_often(lambda: self._insert_session(session, asked, is_given), now)
        made, _ = await self._write_ending(
            self._write_often, lambda: self._insert_session(session, asked, is_given), now
        )
        return made

    async def touch_session(self, token: str) -> Session | None:
        """See `authstore.adapter.Sessions.touch_session`."""
        now = self._now()
        found = await self._living(token, now)
        if found is None or not self._is_touch_due(found[0], now):
            return found and found[0]
        if not is_presentable(token):
            return None
        return await self._db.unit(lambda: self._touch(token, found[0], now))

    async def update_session(
        self,
        token: str,
        *,
        expires: datetime | Unset = UNSET,
        data: JsonObject | Unset = UNSET,
        merge: Mapping[str, JsonValue | Unset] | Unset = UNSET,
    ) -> Session | None:
        """See `authstore.adapter.Sessions.update_session`."""
        now = self._now()
        if not (isinstance(data, Unset) or isinstance(merge, Unset)):
            raise ValueError("pass data, which replaces all of it, or merge, which is laid over it")
        expires = expires if isinstance(expires, Unset) else aware_utc(expires)
        merged = {} if isinstance(merge, Unset) else checked_merge(merge)
        named = {"expires": expires, "data": data if isinstance(data, Unset) else json_object(data)}
        changes = {field: value for field, value in named.items() if value is not UNSET}

        def change(session: Session, _row: Row) -> Session:
            new = Session(**{**session.__dict__, "data": laid_over(session.data, merged), **changes})
            limit = session_expiry(self._policy, created_at=new.created_at, now=now, wanted=new.expires)
            return new.model_copy(update={"expires": limit}) if "expires" in changes else new

        if not is_presentable(token):
            return None
        return await self._write(lambda: self._change_session(token, now, change, expires), now)

    async def rotate_session(self, token: str, *, grace: timedelta | None = None) -> Session | None:
        """See `authstore.adapter.Sessions.rotate_session`."""
        rotating = self._ending("rotated", self._now())
        until = None if grace is None else end_of(rotating.at, _checked_grace(grace))
        if not is_presentable(token):
            return None
        return await self._write_often(lambda: self._rotate(token, until, rotating), rotating.at)

    def _rotate(self, token: str, until: datetime | None, rotating: Ending) -> Unit[Session | None]:
        named = named_session(token)
        new = new_session_token(named) if named else ""
        if named and named_session(new):
            hashes = {"token_hash": hash_token(token), "new_token_hash": hash_token(new)}
            found = yield queries.rotate_session(id=named, **hashes, until=until, **rotating.note)
            if found:
                yield queries.say_no_more_after()
                return rows.session(found[0], new)
        replacing = partial(self._replace, token, new, until, rotating)
        return (yield from said(replacing, rotating.at, rotating.actor))

    def _replace(self, token: str, new: str, until: datetime | None, rotating: Ending) -> Unit[Session | None]:
        """A statement at a time; `new`: a token for the session that the old one names."""
        row = yield from find_presented(token, rotating.at, self._policy)
        if row is None or row["user__disabled"] or not is_row_alive(row, rotating.at, self._policy):
            return None
        if "replaced_until" in row:  # somebody else rotated it a moment ago, and has the new token
            return rows.session(row)
        yield from replace_token(row, until, rotating)
        session = rows.session(row, new if named_session(new) == row["id"] else new_session_token(row["id"]))
        yield queries.update_session(**_session_values(session, row["expires_asked"]))
        return session

    async def delete_session(self, token: str, *, reason: str = "signed-out") -> bool:
        """See `authstore.adapter.Sessions.delete_session`."""
        ending = self._ending(reason, self._now())
        if not is_presentable(token):
            return False
        return await self._write_often(lambda: _delete_session(token, ending), ending.at)

    async def revoke_session(self, session_id: str, *, reason: str = "revoked") -> bool:
        """See `authstore.adapter.Sessions.revoke_session`."""
        ending = self._ending(reason, self._now())
        if not is_storable(session_id):
            return False
        return await self._write_often(lambda: end_session(session_id, ending), ending.at)

    async def revoke_sessions(self, user_id: str, *, except_token: str | None = None, reason: str = "revoked") -> int:
        """See `authstore.adapter.Sessions.revoke_sessions`."""
        ending = self._ending(reason, self._now())
        if not is_storable(user_id):
            return 0
        revoked, before = await self._write_ending(
            self._write_often, lambda: _revoke_sessions(user_id, except_token, ending), ending.at
        )
        return before + revoked

    def _touch(self, token: str, seen: Session, now: datetime) -> Unit[Session | None]:
        slid = seen.expires if self._policy.lifetime is not None else self._slid(seen, now, None)
        touched = seen.model_copy(update={"last_used_at": now, "expires": slid})
        if (
            yield queries.touch_session.alone(
                id=seen.id,
                token_hash=hash_token(token),
                now=now,
                expires=slid,
                seen_expires=seen.expires,
                seen_used=seen.last_used_at,
            )
        ):
            return touched

        def touch(session: Session, row: Row) -> Session | None:
            if not self._is_touch_due(session, now):
                return None
            if self._policy.lifetime is not None:
                return session.model_copy(update={"last_used_at": now})
            slid = self._slid(session, now, rows.asked_expiry(row))
            return session.model_copy(update={"last_used_at": now, "expires": slid})

        return (yield from self._change_session(token, now, touch, UNSET))

    def _is_touch_due(self, session: Session, now: datetime) -> bool:
        """Whether a use is to be noted; one at the very instant of the last is."""
        used = session.last_used_at
        return used != now and is_touch_due(self._policy, now, last_used_at=used)

    def _slid(self, session: Session, now: datetime, asked: datetime | None) -> datetime:
        return session_expiry(self._policy, created_at=session.created_at, now=now, wanted=asked)

    def _change_session(
        self, token: str, now: datetime, change: Change, asked: datetime | Unset
    ) -> Unit[Session | None]:
        """Applies a change to the living session of this token; a change of `None` leaves it as it is.

        `asked`: the expiry that the caller asks for, beyond which no touch will go.
        """
        row = yield from find_presented(token, now, self._policy)
        if row is None or row["user__disabled"] or not is_row_alive(row, now, self._policy):
            return None
        old = rows.session(row, token)
        new = change(old, row)
        if new is None:
            return old
        asked = row["expires_asked"] if isinstance(asked, Unset) else asked
        yield queries.update_session(**{**_session_values(new, asked), **_token_of(row)})
        return new

    def _insert_session(self, session: Session, asked: datetime | None, is_given: bool) -> Unit[Session]:
        if is_given:
            yield from self._free_token(session.token or "", session.created_at)
        if not (yield self._insertion(session, asked, is_given)):
            if (yield queries.get_user(id=session.user_id)):
                raise UserDisabledError("this user is disabled")
            raise UserNotFoundError("no user has this id")
        # One that is dead from the start (`expires` has passed) takes nobody's place.
        if self._policy.max_per_user is not None and self._is_alive(session, session.created_at):
            ending, keep = self._ending("limit", session.created_at)._replace(actor=None), self._policy.max_per_user - 1
            yield from refuse_many(session.user_id, ending, except_id=session.id, keep=keep)
            excess = yield queries.list_excess_sessions(
                user_id=session.user_id,
                new_id=session.id,
                keep=keep,
                **self._cutoffs(session.created_at),
            )
            for row in excess:
                yield from end_session(row["id"], ending)
        return session

    def _insertion(self, session: Session, asked: datetime | None, is_given: bool) -> Statement:
        values = _session_values(session, asked, is_given=is_given)
        if self._policy.max_per_user is not None:
            return queries.insert_session.claiming("sessions", session.user_id, **values)
        return queries.insert_session(**values) if is_given else queries.insert_session.alone(**values)

    def _free_token(self, token: str, now: datetime) -> Unit[None]:
        """Makes room for a given token where a dead session has it. Raises `ConflictError` where a living one does."""
        row = yield from find_session(token, to_change=True)
        if row is None:
            return
        if not row["user__disabled"] and self._is_alive(rows.session(row), now):
            raise ConflictError("a session with this token exists")
        yield from end_found(row, Ending("revoked", now, None, self._policy))


def _checked_grace(grace: timedelta) -> timedelta:
    if not isinstance(grace, timedelta):
        raise TypeError(f"grace is a timedelta, not {type(grace).__name__}")
    if grace < timedelta(0):
        raise ValueError("grace must not be negative")
    return grace


def _session_values(session: Session, asked: Any, *, is_given: bool = False) -> Values:
    """The columns of a session; `asked`: the expiry that was asked for, as an instant or as a row holds it;
    `is_given`: its token is not of our making."""
    token = session.token or ""
    values = {
        **session.__dict__,
        "token_hash": hash_token(token),
        "token_indexed": is_given or named_session(token) != session.id,
        "expires_asked": asked,
        "data": rows.json_text(session.data),
    }
    del values["token"]
    return values


def _token_of(row: Row) -> Values:
    return {"token_hash": row["token_hash"], "token_indexed": bool(row["token_indexed"])}


def _delete_session(token: str, ending: Ending) -> Unit[bool]:
    named = named_session(token)
    if named and (yield queries.end_session.alone(id=named, token_hash=hash_token(token), **ending.note)):
        return True
    row = yield from find_presented(token, ending.at, ending.policy)
    return row is not None and (yield from end_found(row, ending))


def _revoke_sessions(user_id: str, except_token: str | None, ending: Ending) -> Unit[int]:
    spared = None
    if except_token and is_presentable(except_token):
        spared = yield from find_presented(except_token, ending.at, ending.policy)
    return (yield from end_sessions(user_id, spared["id"] if spared else "", ending))
