"""Why sessions ended, and what becomes of a token that was replaced. Uses `Users` and `Sessions`."""

from datetime import timedelta

import pytest

from authstore.acting import acting
from authstore.adapter import Adapter
from authstore.models import Ended, Session
from authstore.testing.clock import Clock
from authstore.testing.contract.sessions.making import secret, touch_pause
from authstore.testing.contract.shared import (
    BAD_TEXTS,
    INSTANT,
    MANY,
    ContractBase,
    end_of_life,
    policy_of,
    settled,
    short,
    winners,
)
from authstore.testing.factories import make_session, make_user

GRACE = timedelta(seconds=10)


async def _why(adapter: Adapter, session: Session) -> str | None:
    ended = await adapter.why_ended(secret(session))
    return ended.reason if ended else None


class EndingsContract(ContractBase):
    """What `why_ended` tells."""

    async def test_nobody_knows_why_a_living_or_unknown_session_ended(self, adapter: Adapter) -> None:
        session = await make_session(adapter, await make_user(adapter))
        assert await adapter.why_ended(secret(session)) is None
        for token in (session.id, secret(session)[:-1] + "x", "unknown-token-0123456789", "", "short", *BAD_TEXTS):
            assert await adapter.why_ended(token) is None

    async def test_signing_out_is_remembered_with_time_and_actor(self, adapter: Adapter, clock: Clock) -> None:
        user = await make_user(adapter)
        quiet, said = (
            await make_session(adapter, user),
            await make_session(adapter, user, token="given-token-0123456789"),
        )
        clock.advance(INSTANT)
        assert await adapter.delete_session(secret(quiet)) is True
        assert await adapter.why_ended(secret(quiet)) == Ended(reason="signed-out", at=clock(), by=None)
        with acting("admin:7"):
            assert await adapter.delete_session(secret(said), reason="replaced") is True
        ended = Ended(reason="replaced", at=clock(), by="admin:7")
        clock.advance(INSTANT)
        assert await adapter.delete_session(secret(said)) is False
        assert await adapter.why_ended(secret(said)) == ended

    async def test_each_way_to_end_a_session_has_its_reason(self, adapter: Adapter) -> None:
        ada, bob, eve = [await make_user(adapter) for _ in range(3)]
        one, two, three = [await make_session(adapter, ada) for _ in range(3)]
        of_bob, of_eve = await make_session(adapter, bob), await make_session(adapter, eve)
        await adapter.revoke_session(one.id)
        await adapter.revoke_sessions(ada.id, except_token=secret(three))
        await adapter.update_user(bob.id, disabled=True)
        await adapter.delete_user(eve.id)
        assert [await _why(adapter, session) for session in (one, two, three)] == ["revoked", "revoked", None]
        assert [await _why(adapter, session) for session in (of_bob, of_eve)] == ["user-disabled", "user-deleted"]
        await adapter.revoke_sessions(ada.id, reason="password-changed")
        assert await _why(adapter, three) == "password-changed"
        assert [await _why(adapter, session) for session in (one, two)] == ["revoked", "revoked"]

    async def test_a_reason_is_a_text_that_is_not_empty(self, adapter: Adapter) -> None:
        session = await make_session(adapter, await make_user(adapter))
        for bad in ("", *BAD_TEXTS):
            with pytest.raises(ValueError):
                await adapter.delete_session(secret(session), reason=bad)
            with pytest.raises(ValueError):
                await adapter.revoke_session(session.id, reason=bad)
            with pytest.raises(ValueError):
                await adapter.revoke_sessions(session.user_id, reason=bad)
        assert await adapter.get_session(secret(session)) == session

    async def test_a_session_dies_when_its_time_is_up_and_not_when_it_is_swept(
        self, adapter: Adapter, clock: Clock
    ) -> None:
        session = await make_session(adapter, await make_user(adapter))
        brief = await make_session(adapter, await make_user(adapter), expires=clock() + short(adapter))
        end, policy = end_of_life(adapter, session), policy_of(adapter)
        idle = policy.idle is not None and end == session.last_used_at + policy.idle
        expected = {secret(brief): Ended(reason="expired", at=brief.expires)}
        if policy.idle is not None or policy.lifetime is not None:  # else nothing but an end that was asked for comes
            expected[secret(session)] = Ended(reason="idle" if idle else "expired", at=end)
        clock.set(max(ended.at for ended in expected.values()) + timedelta(hours=1))
        assert {token: await adapter.why_ended(token) for token in expected} == expected
        await adapter.prune()
        assert {token: await adapter.why_ended(token) for token in expected} == expected

    async def test_ending_what_is_dead_does_not_change_why_it_died(self, adapter: Adapter, clock: Clock) -> None:
        user = await make_user(adapter)
        sessions = [await make_session(adapter, user, expires=clock() + short(adapter)) for _ in range(4)]
        expected = Ended(reason="expired", at=sessions[0].expires)
        clock.advance(short(adapter) * 2)
        await adapter.delete_session(secret(sessions[0]))
        await adapter.revoke_session(sessions[1].id)
        await adapter.revoke_sessions(user.id)
        assert [await adapter.why_ended(secret(session)) for session in sessions] == [expected] * 4

    async def test_why_is_remembered_for_thirty_days(self, adapter: Adapter, clock: Clock) -> None:
        session = await make_session(adapter, await make_user(adapter))
        await adapter.delete_session(secret(session))
        clock.advance(timedelta(days=30) - INSTANT)
        await adapter.prune()
        assert await _why(adapter, session) == "signed-out"
        clock.advance(INSTANT)
        await adapter.prune()
        assert await _why(adapter, session) is None

    async def test_a_token_that_is_given_again_lives(self, adapter: Adapter) -> None:
        user = await make_user(adapter)
        session = await make_session(adapter, user, token="given-token-0123456789")
        await adapter.delete_session(secret(session))
        again = await make_session(adapter, user, token="given-token-0123456789")
        assert await adapter.why_ended(secret(again)) is None
        await adapter.revoke_session(again.id)
        assert await _why(adapter, again) == "revoked"

    async def test_of_what_is_rolled_back_nothing_is_remembered(self, adapter: Adapter) -> None:
        session = await make_session(adapter, await make_user(adapter))
        with pytest.raises(ZeroDivisionError):
            async with adapter.transaction() as inside:
                assert await inside.delete_session(secret(session)) is True
                raise ZeroDivisionError
        assert await adapter.why_ended(secret(session)) is None
        assert await adapter.get_session(secret(session)) == session


class RotationContract(ContractBase):
    """A replaced token: dead at once, or good for a grace and then a sign of theft."""

    async def test_without_a_grace_the_old_token_is_dead_and_no_theft(self, adapter: Adapter, clock: Clock) -> None:
        session = await make_session(adapter, await make_user(adapter))
        with acting("job"):
            rotated = await adapter.rotate_session(secret(session))
        assert rotated is not None
        assert await adapter.why_ended(secret(session)) == Ended(reason="rotated", at=clock(), by="job")
        assert await adapter.get_session(secret(session)) is None
        assert await adapter.touch_session(secret(session)) is None
        assert await adapter.get_session(secret(rotated)) == rotated

    async def test_within_the_grace_the_old_token_finds_the_session(self, adapter: Adapter, clock: Clock) -> None:
        user = await make_user(adapter)
        for session in (await make_session(adapter, user), await make_session(adapter, user, token="given-0123456789")):
            rotated = await adapter.rotate_session(secret(session), grace=GRACE)
            assert rotated is not None
            clock.advance(GRACE - INSTANT)
            assert await adapter.get_session_and_user(secret(session)) == (session, user)
            assert await adapter.get_session(secret(session)) == session
            assert await adapter.rotate_session(secret(session), grace=GRACE) == rotated.model_copy(
                update={"token": None}
            )
            changed = await adapter.update_session(secret(session), data={"a": 1})
            assert changed == session.model_copy(update={"data": {"a": 1}})
            assert await adapter.get_session(secret(rotated)) == rotated.model_copy(update={"data": {"a": 1}})
            assert await adapter.why_ended(secret(session)) is None

    async def test_within_the_grace_the_old_token_signs_out(self, adapter: Adapter) -> None:
        session = await make_session(adapter, await make_user(adapter))
        rotated = await adapter.rotate_session(secret(session), grace=GRACE)
        assert rotated is not None
        assert await adapter.delete_session(secret(session)) is True
        assert await adapter.get_session(secret(rotated)) is None
        assert [await _why(adapter, one) for one in (session, rotated)] == ["signed-out", "signed-out"]

    @pytest.mark.parametrize(
        "method",
        ["get_session_and_user", "get_session", "touch_session", "update_session", "rotate_session", "delete_session"],
    )
    async def test_after_the_grace_whoever_presents_the_old_token_ends_the_session(
        self, adapter: Adapter, clock: Clock, method: str
    ) -> None:
        user = await make_user(adapter)
        session, bystander = await make_session(adapter, user), await make_session(adapter, user)
        rotated = await adapter.rotate_session(secret(session), grace=GRACE)
        assert rotated is not None
        clock.advance(GRACE)
        assert await adapter.why_ended(secret(session)) == Ended(reason="rotated", at=clock())
        assert await adapter.get_session(secret(rotated)) == rotated
        assert not await getattr(adapter, method)(secret(session))
        assert await adapter.get_session(secret(rotated)) is None
        stolen = Ended(reason="stolen", at=clock(), by=None)
        assert [await adapter.why_ended(secret(one)) for one in (session, rotated)] == [stolen, stolen]
        assert await adapter.get_session(secret(bystander)) == bystander

    async def test_the_token_before_the_last_is_stolen_at_any_time(self, adapter: Adapter) -> None:
        first = await make_session(adapter, await make_user(adapter))
        second = await adapter.rotate_session(secret(first), grace=GRACE)
        assert second is not None
        third = await adapter.rotate_session(secret(second), grace=GRACE)
        assert third is not None
        assert await adapter.get_session(secret(second)) == third.model_copy(update={"token": second.token})
        assert await adapter.get_session(secret(first)) is None
        for session in (first, second, third):
            assert await adapter.get_session(secret(session)) is None
            assert await _why(adapter, session) == "stolen"

    async def test_an_old_token_of_a_session_that_is_over_ends_nothing(self, adapter: Adapter, clock: Clock) -> None:
        session = await make_session(adapter, await make_user(adapter))
        rotated = await adapter.rotate_session(secret(session), grace=GRACE)
        assert rotated is not None
        clock.advance(GRACE)
        await adapter.delete_session(secret(rotated))
        assert await adapter.get_session(secret(session)) is None
        assert [await _why(adapter, one) for one in (session, rotated)] == ["rotated", "signed-out"]

    async def test_a_grace_does_not_outlive_the_session(self, adapter: Adapter, clock: Clock) -> None:
        session = await make_session(adapter, await make_user(adapter), expires=clock() + short(adapter))
        await adapter.rotate_session(secret(session), grace=short(adapter) * 2)
        clock.set(session.expires)
        assert await adapter.get_session(secret(session)) is None
        assert await adapter.touch_session(secret(session)) is None

    async def test_a_rotated_session_of_a_disabled_user_stays_dead(self, adapter: Adapter) -> None:
        user = await make_user(adapter)
        session = await make_session(adapter, user)
        await adapter.rotate_session(secret(session), grace=GRACE)
        await adapter.update_user(user.id, disabled=True)
        assert await adapter.get_session(secret(session)) is None
        assert await _why(adapter, session) == "user-disabled"

    async def test_a_grace_is_a_timedelta_that_is_not_negative(self, adapter: Adapter) -> None:
        session = await make_session(adapter, await make_user(adapter))
        with pytest.raises(TypeError):
            await adapter.rotate_session(secret(session), grace=5)  # type: ignore[arg-type]
        with pytest.raises(ValueError):
            await adapter.rotate_session(secret(session), grace=-INSTANT)
        assert await adapter.get_session(secret(session)) == session
        rotated = await adapter.rotate_session(secret(session), grace=timedelta(0))
        assert rotated is not None
        assert await adapter.get_session(secret(session)) is None
        assert await _why(adapter, rotated) == "stolen"

    async def test_of_many_tabs_that_rotate_within_a_grace_none_is_signed_out(self, adapter: Adapter) -> None:
        session = await make_session(adapter, await make_user(adapter))
        results = await settled(*(adapter.rotate_session(secret(session), grace=GRACE) for _ in range(MANY)))
        assert len(winners(results)) == MANY
        [rotated] = [one for one in results if one.token is not None]
        assert await adapter.get_session(secret(rotated)) == rotated
        assert await adapter.get_session(secret(session)) == session

    async def test_a_use_under_the_old_token_counts(self, adapter: Adapter, clock: Clock) -> None:
        session = await make_session(adapter, await make_user(adapter))
        pause = touch_pause(adapter)
        rotated = await adapter.rotate_session(secret(session), grace=pause * 2)
        assert rotated is not None
        clock.advance(pause)
        touched = await adapter.touch_session(secret(session))
        assert touched is not None
        assert (touched.token, touched.last_used_at) == (session.token, clock())
        found = await adapter.get_session(secret(rotated))
        assert found is not None
        assert found.last_used_at == clock()
