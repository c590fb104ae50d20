"""Sessions with their users, kept in this process, and never stale.

A look-up first reads what the change log has new (in the loop's own thread, microseconds), forgets whoever it names,
and only then looks into the dictionary. So it does not see what was before a change that was acknowledged before it
began, whoever made it: this process or another, by authstore or by plain SQL.

- A row that was asked for while its user changed is not kept: what the database answered may be older than the change.
- The newest row that was read must still be there, with its nonce, and so must the newest session: an older file that
  was restored over this one has other rows under the same numbers, and lacks sessions that nothing else tells of, since
  signing in leaves no row.
- What is kept are the checked values of the row, all immutable; each caller gets models of its own. Expiry, policy and
  the clock are judged at every look-up, not here.
"""

from collections.abc import Sequence
from typing import Any

from authstore.database import ChangeLog, Found
from authstore.models import CacheInfo

MOST_ROWS = 1000  # whoever is further behind begins anew
_SEQ, _USER, _SESSION, _NONCE, _NEWEST = range(5)  # the columns of `changes_since`
_NOTHING = -1  # no row has this number
_NO_SESSION: tuple[int, str | None] = (_NOTHING, None)


class Filling:
    """A look-up that is under way: whose rows changed meanwhile."""

    __slots__ = ("changed", "is_spoiled")

    def __init__(self) -> None:
        self.changed: set[str] = set()
        self.is_spoiled = False


class SessionCache:
    """Up to `size` sessions, by the hash of their token; the longest unused goes."""

    def __init__(self, log: ChangeLog | None, size: int) -> None:
        self._log = log
        self._size = size
        self._found: dict[bytes, Found] = {}
        self._of_user: dict[str, set[bytes]] = {}
        self._fillings: set[Filling] = set()
        self._seq = _NOTHING
        self._nonce: int | None = None
        self._newest = _NO_SESSION  # its place in the table, its id
        self._hits = 0
        self._misses = 0

    @property
    def info(self) -> CacheInfo:
        """What it did so far."""
        return CacheInfo(hits=self._hits, misses=self._misses, entries=len(self._found), size=self._size)

    def get(self, key: bytes) -> Found | None:
        """What is kept under the hash of a token.

        Raises `StoreClosedError`, `StoreMisuseError`, `StoreNotFoundError` (the file was replaced).
        """
        found = self._found.get(key) if self._is_current() else None
        if found is None:
            self._misses += 1
            return None
        self._hits += 1
        self._found[key] = self._found.pop(key)
        return found

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

    def _keep(self, key: bytes, found: Found) -> None:
        self._found[key] = found
        self._of_user.setdefault(found[2], set()).add(key)
        if len(self._found) > self._size:
            oldest = next(iter(self._found))
            self._forget_key(self._found.pop(oldest)[2], oldest)

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
        if user_id is None:  # a role's; roles are not kept
            return
        for filling in self._fillings:
            filling.changed.add(user_id)
        for key in self._of_user.pop(user_id, ()):
            del self._found[key]

    def _forget_all(self) -> None:
        self._found.clear()
        self._of_user.clear()
        for filling in self._fillings:
            filling.is_spoiled = True
