"""Sessions: begin, find, list, end. Uses `Users` and `Sessions`."""

import re
from datetime import datetime, timedelta

import pytest

from authstore.adapter import Adapter
from authstore.errors import ConflictError, UserDisabledError, UserNotFoundError
from authstore.models import Session
from authstore.testing.clock import Clock
from authstore.testing.contract.shared import (
    INSTANT,
    MANY,
    ContractBase,
    all_pages,
    errors,
    later,
    policy_of,
    settled,
    short,
    winners,
)
from authstore.testing.factories import make_session, make_user

NO_TOKEN = [
    "", " ", "x", "x" * 15, "x" * 43, "x" * 513, "x" * 100_000, "\0" * 32, "\ud800" * 32, "é" * 43, "🔑" * 20,
    *(f"{name}.{'x' * 43}" for name in ("a\0b", "\0", "\ud800", "é", "a.b", "'", " ", "")),
]  # fmt: skip


def secret(session: Session) -> str:
    """The token of a session that must have one."""
    assert session.token is not None
    return session.token


def default_expiry(adapter: object, now: datetime) -> datetime:
    """When a session created now expires unless asked otherwise."""
    policy = policy_of(adapter)
    return later(now, policy.idle if policy.lifetime is None else policy.lifetime)


async def living(adapter: Adapter, sessions: list[Session]) -> list[str]:
    """The ids of those that are found by their token."""
    return [session.id for session in sessions if await adapter.get_session(secret(session)) is not None]


class SessionsContract(ContractBase):
    """The rules of beginning and ending sessions."""

    async def test_a_new_session_shows_its_secret_once(self, adapter: Adapter, clock: Clock) -> None:
        user = await make_user(adapter)
        session = await adapter.create_session(user.id, ip="2001:db8::1", user_agent="Browser/1", data={"device": "d"})
        token = secret(session)
        assert re.fullmatch(r"[A-Za-z0-9._~-]{43,512}", token)
        assert token != session.id
        assert token not in session.id
        assert (session.user_id, session.expires) == (user.id, default_expiry(adapter, clock()))
        assert session.created_at == session.last_used_at == session.authenticated_at == clock()
        assert (session.ip, session.user_agent, session.data) == ("2001:db8::1", "Browser/1", {"device": "d"})

    async def test_a_session_is_found_by_its_token_with_its_user(self, adapter: Adapter) -> None:
        user = await make_user(adapter, data={"plan": "pro"})
        session = await make_session(adapter, user, data={"device": "d"})
        assert await adapter.get_session_and_user(secret(session)) == (session, user)
        assert await adapter.get_session(secret(session)) == session

    async def test_tokens_and_ids_differ(self, adapter: Adapter) -> None:
        users = [await make_user(adapter) for _ in range(10)]
        sessions = [await make_session(adapter, user) for user in users for _ in range(2)]
        assert len({session.id for session in sessions}) == len({session.token for session in sessions}) == 20

    @pytest.mark.parametrize("token", NO_TOKEN, ids=lambda token: f"{ascii(token)[:12]}-{len(token)}")
    async def test_what_was_never_a_token_finds_nothing(self, adapter: Adapter, token: str) -> None:
        await make_session(adapter, await make_user(adapter))
        assert await adapter.get_session_and_user(token) is None
        assert await adapter.get_session(token) is None
        assert await adapter.touch_session(token) is None
        assert await adapter.update_session(token, data={}) is None
        assert await adapter.rotate_session(token) is None
        assert await adapter.delete_session(token) is False

    async def test_a_token_altered_anywhere_finds_nothing(self, adapter: Adapter) -> None:
        session = await make_session(adapter, await make_user(adapter))
        token = secret(session)
        altered = [token[:n] + ("A" if token[n] != "A" else "B") + token[n + 1 :] for n in range(len(token))]
        altered += [token + "A", token[:-1], token[1:], token.swapcase(), f" {token}", f"{token}\n", session.id]
        for forged in altered:
            assert await adapter.get_session_and_user(forged) is None
            assert await adapter.delete_session(forged) is False
        assert await adapter.get_session(token) == session

    async def test_a_secret_opens_its_own_session_only(self, adapter: Adapter) -> None:
        user = await make_user(adapter)
        one, other = await make_session(adapter, user), await make_session(adapter, user)
        half = len(secret(one)) // 2
        forgeries = {secret(one).replace(one.id, other.id), secret(one)[:half] + secret(other)[half:]}
        for forged in forgeries - {secret(one), secret(other)}:
            assert await adapter.get_session(forged) is None

    @pytest.mark.parametrize(
        "token",
        ["x" * 16, "x" * 512, "moved-token-0123456789", "a.b.c.d.e.f.g.h.i", "é🔑" * 10, "tab\tand space\u00a0inside"],
    )
    async def test_a_moved_token_keeps_working(self, adapter: Adapter, token: str) -> None:
        user = await make_user(adapter)
        session = await make_session(adapter, user, token=token)
        assert session.token == token
        assert await adapter.get_session_and_user(token) == (session, user)
        assert await adapter.delete_session(token) is True
        assert await adapter.get_session(token) is None

    @pytest.mark.parametrize("token", ["", "x" * 15, "x" * 513, "nul\0inside-the-token", "lone-surrogate-\ud800"])
    async def test_a_token_of_the_wrong_shape_is_refused(self, adapter: Adapter, token: str) -> None:
        user = await make_user(adapter)
        with pytest.raises(ValueError):
            await make_session(adapter, user, token=token)
        assert await adapter.list_sessions(user.id) == []

    async def test_a_taken_token_is_refused_and_its_session_unharmed(self, adapter: Adapter) -> None:
        ada, eve = await make_user(adapter), await make_user(adapter)
        own, moved = await make_session(adapter, ada), await make_session(adapter, ada, token="moved-token-0123456789")
        for session in (own, moved):
            with pytest.raises(ConflictError):
                await make_session(adapter, eve, token=secret(session))
            assert await adapter.get_session_and_user(secret(session)) == (session, ada)
        assert await adapter.list_sessions(eve.id) == []

    async def test_a_dead_sessions_token_may_be_given_again(self, adapter: Adapter, clock: Clock) -> None:
        ada, eve = await make_user(adapter), await make_user(adapter)
        dead = await make_session(adapter, ada, token="moved-token-0123456789", expires=clock() + INSTANT)
        clock.advance(INSTANT)
        again = await make_session(adapter, eve, token="moved-token-0123456789")
        assert again.id != dead.id
        assert await adapter.get_session_and_user("moved-token-0123456789") == (again, eve)

    async def test_nobody_and_the_disabled_get_no_session(self, adapter: Adapter) -> None:
        with pytest.raises(UserNotFoundError):
            await adapter.create_session("nobody")
        user = await make_user(adapter)
        await adapter.update_user(user.id, disabled=True)
        with pytest.raises(UserDisabledError):
            await adapter.create_session(user.id)
        assert await adapter.list_sessions(user.id) == []

    async def test_a_naive_expiry_of_a_session_is_refused(self, adapter: Adapter) -> None:
        user = await make_user(adapter)
        naive = datetime(2031, 5, 7)
        with pytest.raises(ValueError):
            await make_session(adapter, user, expires=naive)
        session = await make_session(adapter, user)
        with pytest.raises(ValueError):
            await adapter.update_session(secret(session), expires=naive)
        assert await adapter.get_session(secret(session)) == session

    async def test_beyond_the_limit_per_user_the_longest_unused_goes(self, adapter: Adapter, clock: Clock) -> None:
        limit = policy_of(adapter).max_per_user
        user, other = await make_user(adapter), await make_user(adapter)
        bystander, sessions = await make_session(adapter, other), []
        for _ in range(5 if limit is None else limit):
            sessions.append(await make_session(adapter, user))
            clock.advance(INSTANT)
        clock.advance(touch_pause(adapter))
        await adapter.touch_session(secret(sessions[0]))
        newest = await make_session(adapter, user)
        lost = [] if limit is None else [sessions[1]]
        assert await living(adapter, sessions) == [session.id for session in sessions if session not in lost]
        assert await living(adapter, [newest, bystander]) == [newest.id, bystander.id]

    async def test_the_dead_count_not_against_the_limit_per_user(self, adapter: Adapter, clock: Clock) -> None:
        limit = policy_of(adapter).max_per_user or 5
        user = await make_user(adapter)
        oldest = await make_session(adapter, user)
        clock.advance(INSTANT)
        end = clock() + short(adapter)
        dying = [await make_session(adapter, user, expires=end) for _ in range(limit - 1)]
        assert await living(adapter, [oldest, *dying]) == [session.id for session in (oldest, *dying)]
        clock.set(end)
        newest = await make_session(adapter, user)
        assert await living(adapter, [oldest, *dying, newest]) == [oldest.id, newest.id]
        assert [session.id for session in await adapter.list_sessions(user.id)] == [newest.id, oldest.id]

    async def test_many_sign_ins_at_once_keep_to_the_limit_per_user(self, adapter: Adapter) -> None:
        user = await make_user(adapter)
        sessions = await settled(*(adapter.create_session(user.id) for _ in range(MANY)))
        assert errors(sessions) == []
        expected = min(MANY, policy_of(adapter).max_per_user or MANY)
        assert len(await adapter.list_sessions(user.id)) == len(await living(adapter, sessions)) == expected

    async def test_a_deleted_session_is_dead_and_deleting_again_is_false(self, adapter: Adapter) -> None:
        user = await make_user(adapter)
        session, other = await make_session(adapter, user), await make_session(adapter, user)
        assert await adapter.delete_session(secret(session)) is True
        assert await adapter.delete_session(secret(session)) is False
        assert await living(adapter, [session, other]) == [other.id]

    async def test_a_list_holds_the_living_newest_first_without_tokens(self, adapter: Adapter, clock: Clock) -> None:
        user, sessions = await make_user(adapter), []
        step = short(adapter) / 10
        for number in range(4):
            sessions.append(await make_session(adapter, user, expires=clock() + step * 3 if number == 1 else None))
            clock.advance(step)
        await make_session(adapter, await make_user(adapter))
        listed = await adapter.list_sessions(user.id)
        expected = [session.model_copy(update={"token": None}) for session in reversed(sessions)]
        assert listed == [session for session in expected if session.id != sessions[1].id]
        assert await adapter.list_sessions("nobody") == []

    async def test_a_list_comes_in_pages(self, adapter: Adapter, clock: Clock) -> None:
        user = await make_user(adapter)
        sessions = []
        for number in range(5):
            sessions.append(await make_session(adapter, user))
            clock.advance(INSTANT * (number % 2))  # some at one instant
        whole = await adapter.list_sessions(user.id)
        assert sorted(whole, key=lambda each: (each.created_at, each.id), reverse=True) == whole
        assert len(whole) == len(sessions)
        for limit in (1, 2, 3, 5, 100):

            async def page(after: Session | None, limit: int = limit) -> list[Session]:
                return await adapter.list_sessions(user.id, after=after, limit=limit)

            assert await all_pages(page, of=len(sessions), limit=limit) == whole

    async def test_the_last_of_the_page_before_may_be_gone(self, adapter: Adapter, clock: Clock) -> None:
        user = await make_user(adapter)
        for _ in range(4):
            await make_session(adapter, user)
            clock.advance(INSTANT)
        first, second, third, fourth = await adapter.list_sessions(user.id)
        await adapter.revoke_session(second.id)
        assert await adapter.list_sessions(user.id, after=second) == [third, fourth]
        assert await adapter.list_sessions(user.id, after=fourth) == []
        assert await adapter.list_sessions("nobody", after=first) == []

    @pytest.mark.parametrize("limit", [0, -1])
    async def test_a_page_of_no_sessions_is_refused(self, adapter: Adapter, limit: int) -> None:
        user = await make_user(adapter)
        with pytest.raises(ValueError):
            await adapter.list_sessions(user.id, limit=limit)

    async def test_a_session_is_revoked_by_its_id(self, adapter: Adapter) -> None:
        user = await make_user(adapter)
        session, other = await make_session(adapter, user), await make_session(adapter, user)
        assert await adapter.revoke_session(session.id) is True
        assert await adapter.revoke_session(session.id) is False
        assert await adapter.revoke_session(secret(other)) is False
        if other.id != other.id.swapcase():
            assert await adapter.revoke_session(other.id.swapcase()) is False
        assert await living(adapter, [session, other]) == [other.id]

    async def test_all_sessions_of_a_user_are_revoked_and_counted(self, adapter: Adapter) -> None:
        ada, eve = await make_user(adapter), await make_user(adapter)
        sessions = [await make_session(adapter, ada) for _ in range(3)]
        other = await make_session(adapter, eve)
        assert await adapter.revoke_sessions(ada.id) == 3
        assert await adapter.revoke_sessions(ada.id) == 0
        assert await adapter.revoke_sessions("nobody") == 0
        assert await living(adapter, [*sessions, other]) == [other.id]

    async def test_the_session_at_hand_may_be_spared(self, adapter: Adapter) -> None:
        user = await make_user(adapter)
        sessions = [await make_session(adapter, user) for _ in range(3)]
        moved = await make_session(adapter, user, token="moved-token-0123456789")
        assert await adapter.revoke_sessions(user.id, except_token=secret(sessions[1])) == 3
        assert await living(adapter, [*sessions, moved]) == [sessions[1].id]
        again = await make_session(adapter, user, token="moved-token-0123456789")
        assert await adapter.revoke_sessions(user.id, except_token="moved-token-0123456789") == 1
        assert await living(adapter, [sessions[1], again]) == [again.id]

    async def test_a_token_that_is_not_the_users_spares_nothing(self, adapter: Adapter) -> None:
        ada, eve = await make_user(adapter), await make_user(adapter)
        session, other = await make_session(adapter, ada), await make_session(adapter, eve)
        assert await adapter.revoke_sessions(ada.id, except_token=secret(other)) == 1
        await make_session(adapter, ada)
        assert await adapter.revoke_sessions(ada.id, except_token=session.id) == 1
        assert await living(adapter, [session, other]) == [other.id]

    async def test_of_many_who_end_one_session_one_does(self, adapter: Adapter) -> None:
        session = await make_session(adapter, await make_user(adapter))
        token = secret(session)
        results = await settled(
            *(adapter.delete_session(token) for _ in range(MANY)), adapter.revoke_session(session.id)
        )
        assert len(winners(results)) == 1
        assert results.count(False) == MANY


def touch_pause(adapter: object) -> timedelta:
    """How long after a use the next one must be noted: `touch_every`, yet at least twice within `idle`."""
    policy = policy_of(adapter)
    return policy.touch_every if policy.idle is None else min(policy.touch_every, policy.idle / 2)
