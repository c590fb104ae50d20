"""Visits: what a site keeps for a browser, whoever is signed in there. Time and tokens are ruled as for sessions."""

from collections.abc import Mapping
from datetime import datetime
from hmac import compare_digest

from pydantic import JsonValue

from authstore.adapter import JsonObject, Unset
from authstore.database import Row, Unit
from authstore.errors import ConflictError
from authstore.expiry import is_session_alive, session_expiry
from authstore.models import Visit
from authstore.sql import queries
from authstore.store import rows
from authstore.store.shared import StoreBase, Values, checked_merge, checked_token, json_object, laid_over
from authstore.tokens import hash_token, is_presentable, named_session, new_session_token


class VisitStore(StoreBase):
    """`Visits` of the contract."""

    async def open_visit(
        self, *, token: str | None = None, data: JsonObject | None = None, expires: datetime | None = None
    ) -> Visit:
        """See `authstore.adapter.Visits.open_visit`."""
        now = self._now()
        visit_id = self._new_id(now)
        limit = session_expiry(self._policy, created_at=now, now=now)
        asked = Visit(
            id=visit_id,
            token=new_session_token(visit_id) if token is None else checked_token(token),
            data=json_object(data),
            expires=limit if expires is None else expires,
            created_at=now,
            last_used_at=now,
        )
        visit = asked.model_copy(update={"expires": min(asked.expires, limit)})
        values = {**_values(visit), "expires_asked": None if expires is None else asked.expires}
        return await self._db.unit(lambda: self._insert_visit(visit, values, now))

    async def get_visit(self, token: str) -> Visit | None:
        """See `authstore.adapter.Visits.get_visit`."""
        now = self._now()
        if not is_presentable(token):
            return None
        presented, named = hash_token(token), named_session(token)
        row = await self._db.one(queries.get_visit_by_id(id=named)) if named else None
        if row is None or not compare_digest(row["token_hash"], presented):
            row = await self._db.one(queries.get_visit_by_hash(token_hash=presented))
        return self._living_visit(row, token, now)

    async def change_visit(
        self, token: str, *, merge: Mapping[str, JsonValue | Unset], rotate: bool = False
    ) -> Visit | None:
        """See `authstore.adapter.Visits.change_visit`."""
        now, changes = self._now(), checked_merge(merge)
        if not is_presentable(token):
            return None
        return await self._db.unit(lambda: self._change_visit(token, changes, now, rotate))

    async def delete_visit(self, token: str) -> bool:
        """See `authstore.adapter.Visits.delete_visit`."""
        return is_presentable(token) and await self._db.unit(lambda: _delete_visit(token))

    def _living_visit(self, row: Row | None, token: str, now: datetime) -> Visit | None:
        visit = rows.visit(row, token) if row else None
        return visit if visit and self._is_visit_alive(visit, now) else None

    def _is_visit_alive(self, visit: Visit, now: datetime) -> bool:
        times = {"expires": visit.expires, "created_at": visit.created_at, "last_used_at": visit.last_used_at}
        return is_session_alive(self._policy, now, **times)

    def _insert_visit(self, visit: Visit, values: Values, now: datetime) -> Unit[Visit]:
        if (yield queries.insert_visit(**values)):
            return visit
        row = yield from _find_visit(visit.token or "")
        if row is not None and not self._is_visit_alive(rows.visit(row), now):
            yield queries.delete_visit(id=row["id"])
            if (yield queries.insert_visit(**values)):
                return visit
        raise ConflictError("a visit with this token exists")

    def _change_visit(
        self, token: str, merge: Mapping[str, JsonValue | Unset], now: datetime, rotate: bool
    ) -> Unit[Visit | None]:
        row = yield from _find_visit(token)
        old = self._living_visit(row, token, now)
        if row is None or old is None:
            return None
        slid = session_expiry(self._policy, created_at=old.created_at, now=now, wanted=rows.asked_expiry(row))
        new = Visit(
            **{
                **old.__dict__,
                "token": new_session_token(old.id) if rotate else token,
                "data": laid_over(old.data, merge),
                "expires": slid if self._policy.lifetime is None else old.expires,
                "last_used_at": now,
            }
        )
        yield queries.update_visit(**_values(new))
        return new


def _values(visit: Visit) -> dict[str, object]:
    """The columns of a visit; which of them a new token of a moved visit changes, too."""
    token = visit.token or ""
    return {
        **visit.__dict__,
        "token_hash": hash_token(token),
        "token_indexed": named_session(token) != visit.id,
        "data": rows.json_text(visit.data),
    }


def _find_visit(token: str) -> Unit[Row | None]:
    presented, named = hash_token(token), named_session(token)
    if named is not None:
        found = yield queries.get_visit_by_id.changing(id=named)
        if found and compare_digest(found[0]["token_hash"], presented):
            return found[0]
    found = yield queries.get_visit_by_hash.changing(token_hash=presented)
    return found[0] if found else None


def _delete_visit(token: str) -> Unit[bool]:
    row = yield from _find_visit(token)
    return row is not None and bool((yield queries.delete_visit(id=row["id"])))
