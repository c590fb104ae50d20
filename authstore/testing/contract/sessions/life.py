"""How sessions live, are used, changed, renewed and die. Uses `Users` and `Sessions`."""

from datetime import timedelta
from typing import Any

import pytest

from authstore.adapter import UNSET, Adapter
from authstore.models import Session, User
from authstore.testing.clock import Clock
from authstore.testing.contract.sessions.making import default_expiry, secret, touch_pause
from authstore.testing.contract.shared import (
    INSTANT,
    MANY,
    ContractBase,
    end_of_life,
    errors,
    later,
    policy_of,
    settled,
    short,
    winners,
)
from authstore.testing.factories import make_session, make_user


async def _is_dead(adapter: Adapter, session: Session, user: User) -> bool:
    """Whether nothing finds it, and nothing brings it back."""
    token = secret(session)
    found = [
        await adapter.get_session_and_user(token),
        await adapter.get_session(token),
        await adapter.touch_session(token),
        await adapter.update_session(token, expires=later(session.created_at, timedelta(days=3650)), data={"a": 1}),
        await adapter.rotate_session(token),
        await adapter.get_session_and_user(token),
    ]
    return found == [None] * 6 and session.id not in [living.id for living in await adapter.list_sessions(user.id)]


class SessionExpiryContract(ContractBase):
    """When sessions die: alive while `now < end`, dead at the instant."""

    async def test_an_unused_session_dies_at_the_instant_the_policy_says(self, adapter: Adapter, clock: Clock) -> None:
        user = await make_user(adapter)
        session = await make_session(adapter, user)
        end = end_of_life(adapter, session)
        clock.set(end - INSTANT)
        assert await adapter.get_session_and_user(secret(session)) == (session, user)
        assert [listed.id for listed in await adapter.list_sessions(user.id)] == [session.id]
        clock.set(end)
        assert await _is_dead(adapter, session, user)

    async def test_a_session_dies_at_its_own_expiry(self, adapter: Adapter, clock: Clock) -> None:
        user = await make_user(adapter)
        session = await make_session(adapter, user, expires=clock() + short(adapter))
        assert session.expires == clock() + short(adapter)
        clock.set(session.expires - INSTANT)
        assert await adapter.get_session(secret(session)) == session
        clock.set(session.expires)
        assert await _is_dead(adapter, session, user)

    async def test_a_longer_expiry_is_clamped(self, adapter: Adapter, clock: Clock) -> None:
        user = await make_user(adapter)
        limit = default_expiry(adapter, clock())
        session = await make_session(adapter, user, expires=later(limit, timedelta(days=1)))
        assert session.expires == limit
        assert await adapter.get_session(secret(session)) == session

    async def test_what_is_dead_stays_dead_when_the_clock_goes_on(self, adapter: Adapter, clock: Clock) -> None:
        user = await make_user(adapter)
        session = await make_session(adapter, user, expires=clock() + short(adapter))
        for _ in range(3):
            clock.advance(short(adapter))
            assert await _is_dead(adapter, session, user)

    async def test_a_disabled_user_is_signed_out_for_good(self, adapter: Adapter) -> None:
        user, other = await make_user(adapter), await make_user(adapter)
        session, bystander = await make_session(adapter, user), await make_session(adapter, other)
        await adapter.update_user(user.id, disabled=True)
        assert await _is_dead(adapter, session, user)
        await adapter.update_user(user.id, disabled=False)
        assert await _is_dead(adapter, session, user)
        assert await adapter.get_session(secret(bystander)) == bystander

    async def test_use_keeps_a_session_alive_until_its_lifetime_ends(self, adapter: Adapter, clock: Clock) -> None:
        policy = policy_of(adapter)
        session = await make_session(adapter, await make_user(adapter))
        end = later(session.created_at, policy.lifetime)
        step = max(touch_pause(adapter), (policy.idle or policy.lifetime or timedelta(days=1)) / 2)
        for _ in range(60):
            clock.advance(step)
            assert (await adapter.touch_session(secret(session)) is not None) == (clock() < end)

    async def test_looking_is_no_use(self, adapter: Adapter, clock: Clock) -> None:
        session = await make_session(adapter, await make_user(adapter))
        end = end_of_life(adapter, session)
        clock.set(session.created_at + (end - session.created_at) / 2)
        for _ in range(3):
            assert await adapter.get_session_and_user(secret(session)) is not None
        assert await adapter.get_session(secret(session)) == session
        clock.set(end)
        assert await adapter.get_session(secret(session)) is None


class SessionChangesContract(ContractBase):
    """Touching, changing and rotating."""

    async def test_a_use_is_noted_at_most_once_per_touch_every(self, adapter: Adapter, clock: Clock) -> None:
        session = await make_session(adapter, await make_user(adapter), data={"a": 1})
        clock.advance(touch_pause(adapter) - INSTANT)
        assert await adapter.touch_session(secret(session)) == session
        assert await adapter.get_session(secret(session)) == session
        clock.advance(INSTANT)
        expires = default_expiry(adapter, clock()) if policy_of(adapter).lifetime is None else session.expires
        touched = session.model_copy(update={"last_used_at": clock(), "expires": expires})
        assert await adapter.touch_session(secret(session)) == touched
        clock.advance(INSTANT)
        assert await adapter.touch_session(secret(session)) == touched
        assert await adapter.get_session(secret(session)) == touched

    async def test_a_use_counts_from_the_use(self, adapter: Adapter, clock: Clock) -> None:
        session = await make_session(adapter, await make_user(adapter))
        clock.advance(touch_pause(adapter))
        touched = await adapter.touch_session(secret(session))
        assert touched is not None
        end = end_of_life(adapter, touched)
        clock.set(end - INSTANT)
        assert await adapter.get_session(secret(session)) == touched
        clock.set(end)
        assert await adapter.get_session(secret(session)) is None

    async def test_an_update_of_a_session_changes_what_is_named(self, adapter: Adapter, clock: Clock) -> None:
        session = await make_session(adapter, await make_user(adapter), ip="::1", user_agent="B", data={"a": 1, "b": 2})
        clock.advance(INSTANT)
        changed = session.model_copy(update={"data": {"c": [3]}})
        assert await adapter.update_session(secret(session), data={"c": [3]}) == changed
        sooner = changed.model_copy(update={"expires": clock() + short(adapter)})
        assert await adapter.update_session(secret(session), expires=sooner.expires) == sooner
        assert await adapter.update_session(secret(session)) == sooner
        assert await adapter.get_session(secret(session)) == sooner

    async def test_an_update_and_a_use_at_once_both_count(self, adapter: Adapter, clock: Clock) -> None:
        session = await make_session(adapter, await make_user(adapter))
        clock.advance(touch_pause(adapter))
        results = await settled(
            adapter.update_session(secret(session), data={"a": 1}),
            adapter.touch_session(secret(session)),
            adapter.update_session(secret(session), expires=clock() + short(adapter)),
        )
        assert errors(results) == []
        found = await adapter.get_session(secret(session))
        assert found is not None
        assert (found.data, found.last_used_at) == ({"a": 1}, clock())
        assert found.expires == clock() + short(adapter)

    async def test_an_update_reaches_at_most_to_the_end_of_the_lifetime(self, adapter: Adapter, clock: Clock) -> None:
        session = await make_session(adapter, await make_user(adapter), expires=clock() + short(adapter))
        lifetime = policy_of(adapter).lifetime
        clock.advance(short(adapter) / 2)
        limit = default_expiry(adapter, clock() if lifetime is None else session.created_at)
        updated = await adapter.update_session(secret(session), expires=later(limit, timedelta(days=1)))
        assert updated is not None
        assert updated.expires == limit
        assert await adapter.get_session(secret(session)) == updated

    async def test_a_touch_never_goes_beyond_an_expiry_that_was_asked_for(self, adapter: Adapter, clock: Clock) -> None:
        user, pause = await make_user(adapter), touch_pause(adapter)
        asked = clock() + 2 * pause + INSTANT
        given = await make_session(adapter, user, expires=asked)
        updated = await make_session(adapter, user)
        await adapter.update_session(secret(updated), expires=asked)
        for session in (given, updated):
            clock.set(session.created_at + pause)
            touched = await adapter.touch_session(secret(session))
            assert touched is not None
            assert touched.last_used_at == clock()
            assert touched.expires <= asked
            clock.set(asked)
            assert await adapter.get_session(secret(session)) is None

    async def test_a_merge_is_laid_over_what_is_there(self, adapter: Adapter, clock: Clock) -> None:
        session = await make_session(adapter, await make_user(adapter), data={"a": {"x": 1}, "b": 2, "c": 3})
        wanted: dict[str, Any] = {"a": {"y": [None]}, "b": UNSET, "d": None, "none such": UNSET}
        merged = await adapter.update_session(secret(session), merge=wanted)
        assert merged == session.model_copy(update={"data": {"a": {"y": [None]}, "c": 3, "d": None}})
        assert await adapter.get_session(secret(session)) == merged
        assert await adapter.update_session(secret(session), merge={}) == merged

    async def test_of_many_merges_at_once_none_is_lost(self, adapter: Adapter) -> None:
        session = await make_session(adapter, await make_user(adapter), data={"kept": 1})
        calls = (adapter.update_session(secret(session), merge={f"tab-{number}": number}) for number in range(MANY))
        assert errors(await settled(*calls)) == []
        stored = await adapter.get_session(secret(session))
        assert stored is not None
        assert stored.data == {"kept": 1, **{f"tab-{number}": number for number in range(MANY)}}

    async def test_a_merge_of_what_no_database_can_keep_changes_nothing(self, adapter: Adapter) -> None:
        session = await make_session(adapter, await make_user(adapter), data={"a": 1})
        wrong: list[Any] = [{"a": "nul\0"}, {"a": float("nan")}, {"nul\0": 1}, {1: 2}, {"a": object()}, ["a"]]
        for merge in wrong:
            with pytest.raises((ValueError, TypeError)):
                await adapter.update_session(secret(session), merge=merge)
        with pytest.raises((ValueError, TypeError)):
            await adapter.update_session(secret(session), data={"b": 1}, merge={"a": 2})
        assert await adapter.get_session(secret(session)) == session

    async def test_an_update_may_end_a_session(self, adapter: Adapter, clock: Clock) -> None:
        user = await make_user(adapter)
        session = await make_session(adapter, user)
        clock.advance(INSTANT)
        await adapter.update_session(secret(session), expires=clock())
        assert await _is_dead(adapter, session, user)

    async def test_a_rotated_session_is_the_same_under_a_new_token(self, adapter: Adapter, clock: Clock) -> None:
        user = await make_user(adapter)
        session = await make_session(adapter, user, ip="::1", user_agent="B", data={"a": 1})
        clock.advance(INSTANT)
        rotated = await adapter.rotate_session(secret(session))
        assert rotated is not None
        assert rotated.token not in (None, session.token)
        assert (rotated.id, rotated.user_id, rotated.created_at) == (session.id, user.id, session.created_at)
        assert (rotated.ip, rotated.user_agent, rotated.data) == ("::1", "B", {"a": 1})
        assert rotated.expires == session.expires
        assert await adapter.get_session_and_user(secret(rotated)) == (rotated, user)
        assert await adapter.get_session(secret(session)) is None
        assert await adapter.rotate_session(secret(session)) is None
        assert await adapter.delete_session(secret(session)) is False
        assert len(await adapter.list_sessions(user.id)) == 1

    async def test_a_moved_session_rotates_too_and_frees_its_token(self, adapter: Adapter) -> None:
        user = await make_user(adapter)
        session = await make_session(adapter, user, token="moved-token-0123456789")
        rotated = await adapter.rotate_session("moved-token-0123456789")
        assert rotated is not None
        assert rotated.id == session.id
        assert await adapter.get_session("moved-token-0123456789") is None
        again = await make_session(adapter, user, token="moved-token-0123456789")
        assert await adapter.get_session("moved-token-0123456789") == again
        assert await adapter.get_session(secret(rotated)) == rotated

    async def test_rotation_gives_no_life(self, adapter: Adapter, clock: Clock) -> None:
        session = await make_session(adapter, await make_user(adapter), expires=clock() + short(adapter))
        rotated = await adapter.rotate_session(secret(session))
        assert rotated is not None
        clock.set(session.expires)
        assert await adapter.get_session(secret(rotated)) is None

    async def test_a_rotated_session_is_touched_updated_and_revoked_as_before(
        self, adapter: Adapter, clock: Clock
    ) -> None:
        session = await make_session(adapter, await make_user(adapter))
        rotated = await adapter.rotate_session(secret(session))
        assert rotated is not None
        clock.advance(touch_pause(adapter))
        touched = await adapter.touch_session(secret(rotated))
        assert touched is not None
        assert touched.last_used_at == clock()
        assert await adapter.get_session(secret(rotated)) == touched
        updated = await adapter.update_session(secret(rotated), data={"a": 1})
        assert updated == touched.model_copy(update={"data": {"a": 1}})
        assert await adapter.get_session(secret(rotated)) == updated
        assert await adapter.revoke_session(session.id) is True
        assert await adapter.get_session(secret(rotated)) is None

    async def test_of_many_who_rotate_one_token_one_gets_the_new_one(self, adapter: Adapter) -> None:
        user = await make_user(adapter)
        session = await make_session(adapter, user)
        results = await settled(*(adapter.rotate_session(secret(session)) for _ in range(MANY)))
        [rotated] = winners(results)
        assert results.count(None) == MANY - 1
        assert await adapter.get_session(secret(rotated)) == rotated
        assert len(await adapter.list_sessions(user.id)) == 1
