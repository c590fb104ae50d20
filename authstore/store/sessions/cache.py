"""Sessions with their users, and users' roles, kept in this process, and never stale.

What the change log has new is read after a look-up has begun (in the loop's own thread, microseconds), whoever it names
is forgotten, and only then comes the look into the dictionary. So a look-up does not see what was before a change that
was acknowledged before it began, whoever made it: this process or another, by authstore or by plain SQL.

- A row that was asked for while its user changed is not kept: what the database answered may be older than the change.
- The newest row that was read must still be there, with its nonce, and so must the newest session: an older file that
  was restored over this one has other rows under the same numbers, and lacks sessions that nothing else tells of, since
  signing in leaves no row.
- What is kept are the checked values of the row, all immutable; each caller gets models of its own. Expiry, policy and
  the clock are judged at every look-up, not here.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

from authstore.database import ChangeLog, Found, Row
from authstore.models import CacheInfo
from authstore.store import rows
from authstore.store.sessions.kept import Kept

MOST_ROWS = 1000  # whoever is further behind begins anew
_ALONE = 64  # look-ups of one who was alone, until it is tried again whether others ask as well
_SEQ, _USER, _SESSION, _NONCE, _NEWEST = range(5)  # the columns of `changes_since`
_NOTHING = -1  # no row has this number
_NO_SESSION: tuple[int, str | None] = (_NOTHING, None)


class Filling:
    """A look-up that is under way: whose rows changed meanwhile; `None`: some role."""

    __slots__ = ("changed", "is_spoiled")

    def __init__(self) -> None:
        self.changed: set[str | None] = set()
        self.is_spoiled = False


class KeptRoles:
    """A user's roles, as rows, and what they permit: nothing while the user is disabled."""

    __slots__ = ("permitted", "rows")

    def __init__(self, found: Sequence[Row]) -> None:
        """Raises `StoreCorruptError` where one of them cannot be read."""
        self.rows = [row for row in found if row["name"] is not None]
        pairs = [permission for row in self.rows for permission in rows.role(row).permissions]
        self.permitted = frozenset((each.resource, each.action) for each in pairs if not found[0]["user__disabled"])


class SessionCache:
    """Up to `size` sessions, by the hash of their token, and so many users' roles; the longest unused goes."""

    def __init__(self, log: ChangeLog | None, size: int) -> None:
        self._log = log
        self._size = size
        self._kept: dict[bytes, Kept] = {}
        self._of_user: dict[str, set[bytes]] = {}
        self._roles: dict[str, KeptRoles] = {}
        self._fillings: set[Filling] = set()
        self._seq = _NOTHING
        self._nonce: int | None = None
        self._newest = _NO_SESSION  # its place in the table, its id
        self._hits = 0
        self._misses = 0
        self._alone = _ALONE
        self._sharing = 0  # who waits for the next look
        self._looks = 0
        self._is_trusted = False  # by the last look

    @property
    def info(self) -> CacheInfo:
        """What it did so far."""
        return CacheInfo(hits=self._hits, misses=self._misses, entries=len(self._kept), size=self._size)

    async def get(self, key: bytes) -> Kept | None:
        """What is kept under the hash of a token.

        Raises `StoreClosedError`, `StoreMisuseError`, `StoreNotFoundError` (the file was replaced).
        """
        # Who asks alone looks at once: there is a coroutine less to wait for.
        is_trusted = self._look_alone() if self._alone > 0 else await self._look_together()
        kept = self._kept.pop(key, None) if is_trusted else None
        if kept is None:
            self._misses += 1
            return None
        self._hits += 1
        self._kept[key] = kept  # the newest now
        return kept

    async def get_roles(self, user_id: str) -> KeptRoles | None:
        """The same of a user's roles."""
        is_trusted = self._look_alone() if self._alone > 0 else await self._look_together()
        kept = self._roles.pop(user_id, None) if is_trusted else None
        if kept is not None:
            self._roles[user_id] = kept
        return kept

    def _look_alone(self) -> bool:
        """Looks at the log; whether what is kept can be trusted."""
        self._alone -= 1
        return self._is_current()

    async def _look_together(self) -> bool:
        """The same: those who ask in one turn of the event loop share the look of whoever goes on first in the next
        one, after all of them have begun. It costs more than all the rest."""
        looks = self._looks
        self._sharing += 1
        await asyncio.sleep(0)
        if self._looks == looks:  # nobody has looked since this began
            self._alone, self._sharing = _ALONE if self._sharing == 1 else 0, 0
            self._is_trusted = self._is_current()
            self._looks += 1
        return self._is_trusted

    def begin(self) -> Filling:
        """Notes what changes from the last `get` on, until the `end`."""
        filling = Filling()
        self._fillings.add(filling)
        return filling

    def end(self, filling: Filling, key: bytes, found: Found | None) -> None:
        """Keeps what the database answered, unless its user changed since it was asked."""
        try:
            is_there = found is not None and self._log is not None and self._catch_up(self._log, found[1])
        finally:
            self._fillings.discard(filling)
        if found is not None and is_there and not filling.is_spoiled and found[2] not in filling.changed:
            self._keep(key, found)

    def end_roles(self, filling: Filling, user_id: str, kept: KeptRoles | None) -> None:
        """Keeps a user's roles, unless the user or some role changed since they were asked for."""
        try:
            is_known = kept is not None and self._log is not None and self._catch_up(self._log)
        finally:
            self._fillings.discard(filling)
        if kept is not None and is_known and not filling.is_spoiled and filling.changed.isdisjoint((user_id, None)):
            self._roles[user_id] = kept
            if len(self._roles) > self._size:
                del self._roles[next(iter(self._roles))]

    def _keep(self, key: bytes, found: Found) -> None:
        self._kept[key] = Kept(found)
        self._of_user.setdefault(found[2], set()).add(key)
        if len(self._kept) > self._size:
            oldest = next(iter(self._kept))
            self._forget_key(self._kept.pop(oldest).found[2], oldest)

    def _forget_key(self, user_id: str, key: bytes) -> None:
        keys = self._of_user[user_id]
        keys.discard(key)
        if not keys:
            del self._of_user[user_id]

    def _is_current(self) -> bool:
        """Forgets what changed since the last look; whether what is left can be trusted."""
        if self._log is None:
            return False
        rows = self._log.since(self._seq, self._newest[0])
        is_all_known = len(rows) == 1 and (rows[0][_SEQ], rows[0][_NONCE]) == (self._seq, self._nonce)
        if is_all_known and rows[0][_NEWEST] == self._newest[1]:
            return True
        return self._catch_up(self._log)

    def _catch_up(self, log: ChangeLog, session_id: str = "") -> bool:
        """The same at one moment of the database, and where to go on; whether a session is there, if one is named."""
        look = log.look(self._seq, self._newest[0], session_id)
        if look is None:
            self._forget_all()
            self._seq, self._nonce, self._newest = _NOTHING, None, _NO_SESSION
            return False
        if self._goes_on(look.rows):
            for row in look.rows[1:]:
                self._forget_user(row[_USER])
        else:
            self._forget_all()
        self._seq, self._nonce, self._newest = look.seq, look.nonce, (look.newest, look.newest_id)
        return look.is_there or not session_id

    def _goes_on(self, rows: Sequence[tuple[Any, ...]]) -> bool:
        """Whether this is the log of before, with more rows, and the newest session is there or ended in them."""
        if not 0 < len(rows) <= MOST_ROWS or rows[0][_SEQ] != self._seq or rows[0][_NONCE] != self._nonce:
            return False
        newest = self._newest[1]
        return rows[0][_NEWEST] == newest or any(row[_SESSION] == newest for row in rows[1:])

    def _forget_user(self, user_id: str | None) -> None:
        for filling in self._fillings:
            filling.changed.add(user_id)
        if user_id is None:  # a role's: whoever has it
            self._roles.clear()
            return
        self._roles.pop(user_id, None)
        for key in self._of_user.pop(user_id, ()):
            del self._kept[key]

    def _forget_all(self) -> None:
        self._kept.clear()
        self._of_user.clear()
        self._roles.clear()
        for filling in self._fillings:
            filling.is_spoiled = True
