"""People sign in and out."""

import copy
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import Bundle, invariant, multiple, rule

from authstore.adapter import UNSET
from authstore.errors import ConflictError, UserDisabledError, UserNotFoundError
from authstore.models import Event
from authstore.testing.model.expected import laid_over
from authstore.testing.model.machine import DATA, JSON, NAMES, STEPS, TEXTS, ModelBase

GRACES = st.sampled_from([timedelta(0), timedelta(seconds=5), timedelta(minutes=10), timedelta(hours=1)])
ENDINGS = ("session.ended", "session.rotated", "user.disabled", "user.enabled", "user.deleted")
MOVED = st.sampled_from(["moved-token-0123456789", "another-moved-token-01"])


class SessionsModel(ModelBase):
    """Sessions: begun, used, changed, rotated, ended."""

    sessions: Bundle[str] = Bundle("sessions")
    seen = 0  # of the events

    @rule(target=sessions, user_id=ModelBase.users, data=DATA, ahead=st.none() | STEPS, token=st.none() | MOVED)
    def create_session(self, user_id: str, data: dict[str, Any], ahead: timedelta | None, token: str | None) -> Any:
        """Also with a token from elsewhere, which a dead session may have."""
        now, user = self.now, self.expected.users.get(user_id)
        expires = None if ahead is None else now + ahead
        call = self.store.create_session(user_id, data=data, expires=expires, token=token)
        if token is not None and self.expected.living(token, now) is not None:
            self.refused(call, ConflictError)
        elif user is None:
            self.refused(call, UserNotFoundError)
        elif user.disabled:
            self.refused(call, UserDisabledError)
        else:
            session = self.do(call)
            self.signed_in(session, data, expires)
            return session.token
        return multiple()

    @rule(target=sessions, name=st.sampled_from(NAMES), times=st.integers(2, 4))
    def sign_in_often(self, name: str, times: int) -> Any:
        """Beyond a limit per user."""
        user = self.expected.users.get(name)
        if user is None or user.disabled:
            return multiple()
        return multiple(*(self.create_session(name, {}, None, None) for _ in range(times)))

    @rule(token=sessions)
    def touch_session(self, token: str) -> None:
        """Notes a use now and then, and revives nobody."""
        touched, session = self.do(self.store.touch_session(token)), self.expected.presented(token)
        assert (touched is None) == (session is None)
        if touched is not None and session is not None:
            self.expected.touch(session, self.now)
            assert (touched.last_used_at, touched.expires) == (session.last_used_at, session.expires)

    @rule(token=sessions, data=st.none() | DATA, ahead=st.none() | STEPS)
    def update_session(self, token: str, data: dict[str, Any] | None, ahead: timedelta | None) -> None:
        """Either, both or neither."""
        session, named = self.expected.presented(token), dict[str, Any]()
        if data is not None:
            named["data"] = data
        if ahead is not None:
            named["expires"] = self.now + ahead
        updated = self.do(self.store.update_session(token, **named))
        assert (updated is None) == (session is None)
        if session is not None:
            session.data = copy.deepcopy(named.get("data", session.data))
            session.asked = named.get("expires", session.asked)
            if ahead is not None:
                session.expires = min(named["expires"], self.expected.limit(session.created_at, self.now))

    @rule(token=sessions, merge=st.dictionaries(TEXTS, JSON | st.just(UNSET), max_size=3))
    def merge_data(self, token: str, merge: dict[str, Any]) -> None:
        """Key by key; `UNSET` takes one away."""
        session = self.expected.presented(token)
        updated = self.do(self.store.update_session(token, merge=merge))
        assert (updated is None) == (session is None)
        if session is not None:
            session.data = laid_over(session.data, merge)

    @rule(target=sessions, token=sessions, grace=st.none() | GRACES)
    def rotate_session(self, token: str, grace: timedelta | None) -> Any:
        """The same session, found by another token; for a while by the old one too, which later is a thief's."""
        session = self.expected.presented(token)
        rotated = self.do(self.store.rotate_session(token, grace=grace))
        assert (rotated and rotated.id) == (session and session.id)
        if rotated is None or rotated.token is None:
            assert token not in self.expected.sessions or session is None
            return multiple()
        self.expected.rotate(token, rotated.token, grace)
        return rotated.token

    @rule(
        target=sessions,
        name=st.sampled_from(NAMES),
        grace=GRACES,
        times=st.integers(1, 2),
        wait=st.sampled_from([timedelta(0), timedelta(seconds=5), timedelta(minutes=9), timedelta(hours=2)]),
        how=st.sampled_from(["look_up", "touch_session", "delete_session", "ask_why_it_ended"]),
    )
    def come_with_a_replaced_token(self, name: str, grace: timedelta, times: int, wait: timedelta, how: str) -> Any:
        """In its grace or after it, once replaced or twice."""
        user = self.expected.users.get(name)
        if user is None or user.disabled:
            return multiple()
        tokens = [self.create_session(name, {}, None, None)]
        while len(tokens) <= times and isinstance(tokens[-1], str):
            tokens.append(self.rotate_session(tokens[-1], grace))
        self.clock.advance(wait)
        getattr(self, how)(tokens[0])
        self.ask_why_it_ended(tokens[0])
        return multiple(*(token for token in tokens if isinstance(token, str)))

    @rule(token=sessions)
    def look_up(self, token: str) -> None:
        """By whatever token there ever was."""
        session, found = self.expected.presented(token), self.do(self.store.get_session(token))
        assert (found and (found.id, found.token)) == (session and (session.id, token))

    @rule(token=sessions)
    def delete_session(self, token: str) -> None:
        """Living or dead."""
        current = self.expected.current(token)
        if current is not None:
            self.expected.end(current, "signed-out")
        assert self.do(self.store.delete_session(token)) == (current is not None)

    @rule(token=sessions)
    def revoke_session(self, token: str) -> None:
        """By its id."""
        session = self.expected.sessions.get(token)
        if session is not None:
            self.expected.end(token, "revoked")
        assert self.do(self.store.revoke_session(session.id if session else token)) == (session is not None)

    @rule(user_id=ModelBase.users, token=st.none() | sessions)
    def revoke_sessions(self, user_id: str, token: str | None) -> None:
        """All, or all but one."""
        gone = self.do(self.store.revoke_sessions(user_id, except_token=token))
        assert gone == self.expected.end_sessions(user_id, "revoked", spared=token)

    @rule(token=sessions)
    def ask_why_it_ended(self, token: str) -> None:
        """Which is not presenting it."""
        ended = self.do(self.store.why_ended(token))
        assert (ended and (ended.reason, ended.at)) == self.expected.why(token)

    @rule()
    def read_the_events(self) -> None:
        """Each once, in their order, and of what ended all. A store without a change log raises
        `NotImplementedError`."""
        seen: Counter[tuple[str, str | None, str | None]] = Counter()
        while page := self._page_of_events():
            assert [event.seq for event in page] == sorted({event.seq for event in page})
            assert page[0].seq > self.seen
            self.seen = page[-1].seq
            for event in page:
                if event.type in ENDINGS:
                    whose = event.session_id if event.type.startswith("session.") else event.user_id
                    seen[event.type, whose, event.reason] += 1
        assert seen == self.expected.events
        self.expected.events.clear()

    def _page_of_events(self) -> Sequence[Event]:
        try:
            return self.do(self.store.events(after=self.seen, limit=7))
        except NotImplementedError:
            self.expected.events.clear()
            return []

    @invariant()
    def sessions_are_the_same(self) -> None:
        """By their tokens, and listed newest first."""
        now = self.now
        for token, session in self.expected.sessions.items():
            found = self.do(self.store.get_session_and_user(token))
            assert (found is not None) == self.expected.is_alive(session, now)
            if found is not None:
                actual, user = found
                assert (actual.id, actual.user_id, user.id) == (session.id, session.user_id, session.user_id)
                assert (actual.expires, actual.last_used_at) == (session.expires, session.last_used_at)
                assert (actual.created_at, actual.data) == (session.created_at, session.data)
                assert not user.disabled
        for user_id in self.expected.users:
            listed = self.do(self.store.list_sessions(user_id))
            living = self.expected.living_of(user_id, now).values()
            expected = sorted(((session.created_at, session.id) for session in living), reverse=True)
            assert [(session.created_at, session.id) for session in listed] == expected
            for place in (0, len(listed) // 2):
                page = self.do(self.store.list_sessions(user_id, after=listed[place - 1] if place else None, limit=2))
                assert page == listed[place : place + 2]
