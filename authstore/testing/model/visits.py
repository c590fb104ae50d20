"""What is kept for browsers, before anybody signs in there and after."""

import asyncio
import copy
from datetime import timedelta
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import Bundle, invariant, multiple, rule

from authstore.adapter import UNSET
from authstore.errors import ConflictError
from authstore.models import Session, Visit
from authstore.testing.model.expected import FOREVER, ExpectedVisit, laid_over
from authstore.testing.model.machine import DATA, JSON, NAMES, STEPS, TEXTS, ModelBase

MOVED = st.sampled_from(["cart-of-a-former-shop", "another-former-cart-1"])
MERGE = st.dictionaries(TEXTS, JSON | st.just(UNSET), max_size=3)


class VisitsModel(ModelBase):
    """Visits: opened, looked at, changed, taken along at a sign-in, ended."""

    visits: Bundle[str] = Bundle("visits")

    @rule(target=visits, data=DATA, ahead=st.none() | STEPS, token=st.none() | MOVED)
    def open_visit(self, data: dict[str, Any], ahead: timedelta | None, token: str | None) -> Any:
        """Also with a token from elsewhere, which a dead visit may have."""
        now = self.now
        expires = None if ahead is None else now + ahead
        call = self.store.open_visit(token=token, data=data, expires=expires)
        if token is not None and self.expected.living_visit(token, now) is not None:
            self.refused(call, ConflictError)
            return multiple()
        visit, limit = self.do(call), self.expected.limit(now, now)
        assert visit.token is not None
        assert visit.token == (token or visit.token)
        assert visit.expires == (limit if expires is None else min(expires, limit))
        self.expected.visits[visit.token] = ExpectedVisit(
            visit.id, visit.expires, now, now, copy.deepcopy(data), expires
        )
        return visit.token

    @rule(token=visits)
    def look_at_a_visit(self, token: str) -> None:
        """By whatever token there ever was, which is no use."""
        visit, found = self.expected.living_visit(token, self.now), self.do(self.store.get_visit(token))
        assert (found and (found.id, found.token)) == (visit and (visit.id, token))

    @rule(target=visits, token=visits, merge=MERGE, rotate=st.booleans())
    def change_visit(self, token: str, merge: dict[str, Any], rotate: bool) -> Any:
        """Key by key; it may go on under a new token."""
        changed = self.do(self.store.change_visit(token, merge=merge, rotate=rotate))
        return self._changed(token, merge, changed, rotate=rotate)

    @rule(token=visits, merges=st.lists(st.dictionaries(TEXTS, JSON, max_size=2), min_size=2, max_size=4))
    def change_in_tabs(self, token: str, merges: list[dict[str, Any]]) -> None:
        """All at once, by each store in turn, each a key of its own: nothing of any is lost."""
        named = [{f"{number}{key}": value for key, value in each.items()} for number, each in enumerate(merges)]

        async def all_at_once() -> list[Visit | None]:
            return await asyncio.gather(*(self.store.change_visit(token, merge=each) for each in named))

        visit, changed = self.expected.living_visit(token, self.now), self.do(all_at_once())
        assert [each is None for each in changed] == [visit is None] * len(named)
        for each in named if visit is not None else []:
            self.expected.change_visit(token, each, token, self.now)

    @rule(
        target=visits,
        data=DATA,
        ahead=st.none() | STEPS,
        merge=MERGE,
        wait=STEPS,
        off=st.sampled_from([-1, 0]),
        how=st.sampled_from(["look_at_a_visit", "change_visit", "delete_visit", "prune"]),
    )
    def come_back_to_a_visit(
        self, data: dict[str, Any], ahead: timedelta | None, merge: dict[str, Any], wait: timedelta, off: int, how: str
    ) -> Any:
        """Used once and then left alone until an instant before it dies, or too late."""
        token = self.open_visit(data, ahead, None)
        self.clock.advance(wait)
        token = self.change_visit(token, merge, rotate=False)
        visit = self.expected.visits.get(token) if isinstance(token, str) else None
        if visit is None:
            return multiple()
        if min(self.expected.ends_of(visit)) < FOREVER:
            self.clock.set(min(self.expected.ends_of(visit)) + timedelta(microseconds=off))
        if how == "prune":
            self.prune(1000)
        else:
            getattr(self, how)(token, **({"merge": merge, "rotate": True} if how == "change_visit" else {}))
        return token

    @rule(target=visits, token=visits, name=st.sampled_from(NAMES), is_given_up=st.booleans())
    def sign_in_with_a_visit(self, token: str, name: str, is_given_up: bool) -> Any:
        """One transaction: a session, and the visit goes on under a new token. Given up, neither happened."""
        user = self.expected.users.get(name)
        if user is None or user.disabled:
            return multiple()
        merge, done = {"user": name}, list[tuple[Session, Visit | None]]()

        async def sign_in() -> None:
            async with self.store.transaction() as transaction:
                session = await transaction.create_session(name)
                done.append((session, await transaction.change_visit(token, merge=merge, rotate=True)))
                if is_given_up:
                    raise LookupError

        if is_given_up:
            self.refused(sign_in(), LookupError)
            return token
        self.do(sign_in())
        [(session, changed)] = done
        self.signed_in(session, {}, None)
        return self._changed(token, merge, changed, rotate=True)

    @rule(token=visits, merge=MERGE)
    def leave_with_nothing(self, token: str, merge: dict[str, Any]) -> None:
        """A visit in which nothing is left is ended by whoever took out the last: one transaction."""
        visit = self.expected.living_visit(token, self.now)
        taken = dict.fromkeys(visit.data, UNSET) if visit is not None else merge

        async def leave() -> Visit | None:
            async with self.store.transaction() as transaction:
                changed = await transaction.change_visit(token, merge=taken)
                if changed is not None:
                    assert changed.data == {}
                    assert await transaction.delete_visit(token) is True
                return changed

        assert (self.do(leave()) is None) == (visit is None)
        if visit is not None:
            del self.expected.visits[token]

    @rule(token=visits)
    def delete_visit(self, token: str) -> None:
        """Living or dead."""
        gone = self.expected.visits.pop(token, None)
        assert self.do(self.store.delete_visit(token)) == (gone is not None)

    def _changed(self, token: str, merge: dict[str, Any], changed: Visit | None, *, rotate: bool) -> Any:
        """What became of a change; the token by which the visit is found now."""
        visit, now = self.expected.living_visit(token, self.now), self.now
        assert (changed is None) == (visit is None)
        if visit is None or changed is None or changed.token is None:
            assert changed is None
            return multiple()
        assert (changed.token != token) == rotate
        assert (changed.id, changed.data, changed.last_used_at) == (visit.id, laid_over(visit.data, merge), now)
        self.expected.change_visit(token, merge, changed.token, now)
        return changed.token

    @invariant()
    def visits_are_the_same(self) -> None:
        """By their tokens; looking is no use."""
        for token, visit in self.expected.visits.items():
            found = self.do(self.store.get_visit(token))
            assert (found is not None) == self.expected.is_alive(visit, self.now)
            if found is not None:
                assert (found.id, found.data, found.token) == (visit.id, visit.data, token)
                times = (found.expires, found.created_at, found.last_used_at)
                assert times == (visit.expires, visit.created_at, visit.last_used_at)
