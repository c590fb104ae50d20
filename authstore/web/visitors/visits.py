"""`request.session`, what a site keeps for a browser whoever is signed in there: a visit in the store, and a cookie."""

import json
import logging
from collections.abc import Iterator, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from pydantic import JsonValue

from authstore.adapter import UNSET, Unset
from authstore.errors import StoreError
from authstore.expiry import is_touch_due
from authstore.models import Visit
from authstore.web.source import Source
from authstore.web.visitors.cookies import Cookies, cookie_age

log = logging.getLogger("authstore.web")

_FLASHES: Final = "_flashes"


class Flash(NamedTuple):
    """Something to tell somebody on the next page they see. `kind`: "info", or a word of the site's own."""

    kind: str
    text: str


class BrowserSession(MutableMapping[str, Any]):
    """`request.session`: a mapping of JSON values, written down before the answer goes out.

    Only keys that changed are written, each by itself, so that two tabs lose nothing of each other's. What another site
    makes a browser send finds an empty one that is not kept: its cookie would take the place of the real one.
    `is_former`: a cookie of a former system named it; with the answer ours takes its place.
    """

    def __init__(self, visit: Visit | None, *, is_kept: bool = True, is_former: bool = False) -> None:
        self.visit = visit
        self.is_kept = is_kept
        self.is_former = is_former
        self._data: dict[str, Any] = {} if visit is None else json.loads(json.dumps(visit.data))
        self._kept = {key: _text(value) for key, value in self._data.items()}
        self.is_renewed = False

    def __getitem__(self, key: str) -> Any:
        return self._data[key]

    def __setitem__(self, key: str, value: Any) -> None:
        if not isinstance(key, str):
            raise TypeError(f"a key is text, not {type(key).__name__}")
        self._data[key] = value

    def __delitem__(self, key: str) -> None:
        del self._data[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._data)

    def __len__(self) -> int:
        return len(self._data)

    def __repr__(self) -> str:
        return f"<request.session with {len(self)} keys>"  # what is in it is the visitor's

    def flash(self, text: str, kind: str = "info") -> None:
        """Keeps a sentence for the next page that asks for `flashes`."""
        self._data[_FLASHES] = [*self._data.get(_FLASHES, []), [kind, text]]

    def flashes(self) -> list[Flash]:
        """What was kept by `flash`, in its order; told once."""
        return [Flash(kind, text) for kind, text in self._data.pop(_FLASHES, [])]

    def renew(self) -> None:
        """Goes on under a new token, as after signing in or out (ASVS 5.0 7.2.4)."""
        self.is_renewed = self.visit is not None

    @property
    def changes(self) -> dict[str, JsonValue | Unset]:
        """What must be written: by key, `UNSET` for one that is gone. Raises `TypeError`, `ValueError` for what is no
        JSON."""
        changed = {key: value for key, value in self._data.items() if self._kept.get(key) != _text(value)}
        return {**changed, **dict.fromkeys(self._kept.keys() - self._data.keys(), UNSET)}


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, allow_nan=False)


@dataclass(frozen=True, slots=True)
class Visits:
    """Finds and keeps the visits of a site."""

    source: Source
    cookies: Cookies

    async def find(self, line: bytes) -> BrowserSession:
        """The visit that these cookies name, or a new one that is not in the store yet. Raises `StoreError`."""
        is_former = not self.cookies.brings_visit(line)
        token = self.cookies.presented_visit(line)
        for each in self.cookies.former_tokens(line) if is_former else [token] if token is not None else []:
            visit = await self.source.store.get_visit(each)
            if visit is not None:
                return BrowserSession(visit, is_former=is_former)
        return BrowserSession(None)

    async def keep(self, session: BrowserSession, *, can_answer: bool = True) -> Sequence[str]:
        """Writes down what changed; the Set-Cookie headers that the browser needs to know.

        `can_answer`: whether a cookie can be set; without it nothing new is opened. Raises `StoreError`, and
        `TypeError` or `ValueError` for what is no JSON.
        """
        if not session.is_kept:
            return []
        changes, visit = session.changes, session.visit
        if visit is not None:
            if not (changes or session.is_renewed or self._is_touch_due(visit)):
                # Under the token it has: whatever this browser asked for at the same time still brings the old cookie.
                return self._headers(visit) if session.is_former and visit.data else []
            try:
                changed = await self._change(visit, changes, session)
            except StoreError as error:
                if changes:
                    raise
                # Nothing is lost: who signed in must not be told that it failed, nor who reads that there is nothing.
                log.warning("a visit goes on under the token it has: %s", type(error).__name__)
                return []
            if changed is not None:
                return self._headers(changed)
        if not session:
            return []
        if not can_answer:
            log.warning("request.session was filled where no cookie can be set: it is not kept")
            return []
        return self._headers(await self.source.store.open_visit(data=dict(session)))

    async def _change(
        self, visit: Visit, changes: dict[str, JsonValue | Unset], session: BrowserSession
    ) -> Visit | None:
        token = visit.token or ""
        if session or not changes:
            return await self.source.store.change_visit(token, merge=changes, rotate=session.is_renewed)
        async with self.source.store.transaction() as store:  # whatever another tab put in meanwhile stays
            changed = await store.change_visit(token, merge=changes, rotate=session.is_renewed)
            if changed is not None and not changed.data:
                await store.delete_visit(changed.token or "")
        return changed

    def _headers(self, visit: Visit) -> Sequence[str]:
        if not visit.data:
            return [self.cookies.visit_farewell()]
        age = cookie_age(self.source.policy, visit.created_at, visit.expires)
        return [self.cookies.visit_header(visit.token or "", age)]

    def _is_touch_due(self, visit: Visit) -> bool:
        timed = self.source.timed
        return timed is not None and is_touch_due(timed.policy, timed.clock(), last_used_at=visit.last_used_at)
