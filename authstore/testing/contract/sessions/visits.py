"""Visits: how they are opened, found, changed and die. Uses `Visits` alone, but for `prune`."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from authstore.adapter import UNSET, Adapter
from authstore.errors import ConflictError
from authstore.models import Visit
from authstore.testing.clock import Clock
from authstore.testing.contract.sessions.making import default_expiry
from authstore.testing.contract.shared import (
    BAD_TEXTS,
    FAR_AWAY,
    INSTANT,
    MANY,
    ContractBase,
    errors,
    later,
    policy_of,
    settled,
    short,
)

GIVEN = "a-token-of-a-former-system"


def secret(visit: Visit) -> str:
    """The token of a visit that was just opened."""
    assert visit.token is not None
    return visit.token


def _end(adapter: Adapter, visit: Visit) -> Any:
    """The instant at which an unused visit dies."""
    policy = policy_of(adapter)
    ends = [visit.expires, later(visit.created_at, policy.lifetime), later(visit.last_used_at, policy.idle)]
    return min(ends)


async def _is_dead(adapter: Adapter, visit: Visit) -> bool:
    """Whether nothing finds it, and nothing brings it back."""
    found = [
        await adapter.get_visit(secret(visit)),
        await adapter.change_visit(secret(visit), merge={"a": 1}),
        await adapter.change_visit(secret(visit), merge={}, rotate=True),
        await adapter.get_visit(secret(visit)),
    ]
    return found == [None] * 4


class VisitsContract(ContractBase):
    """What a site keeps for a browser, whoever is signed in there."""

    async def test_an_opened_visit_is_found_by_its_token_alone(self, adapter: Adapter, clock: Clock) -> None:
        visit, other = await adapter.open_visit(data={"cart": ["tea"]}), await adapter.open_visit()
        assert (visit.data, visit.created_at, visit.last_used_at) == ({"cart": ["tea"]}, clock(), clock())
        assert visit.expires == default_expiry(adapter, clock())
        assert visit.id != other.id
        assert len(secret(visit)) >= 43
        assert await adapter.get_visit(secret(visit)) == visit
        assert await adapter.get_visit(secret(other)) == other
        for wrong in ["", "x", secret(visit)[:-1] + "~", secret(visit) + "x", f"{visit.id}.{'x' * 43}", "x" * 513]:
            assert await adapter.get_visit(wrong) is None
            assert await adapter.change_visit(wrong, merge={"a": 1}) is None
            assert await adapter.delete_visit(wrong) is False
        assert await adapter.get_visit(secret(visit)) == visit

    async def test_a_visit_does_not_show_its_token(self, adapter: Adapter) -> None:
        visit = await adapter.open_visit()
        assert secret(visit) not in repr(visit) + str(visit) + visit.model_dump_json()
        assert visit.model_dump(include={"token"}) == {"token": visit.token}

    async def test_a_visit_is_no_session_and_a_session_no_visit(self, adapter: Adapter) -> None:
        visit = await adapter.open_visit()
        user = await adapter.create_user()
        session = await adapter.create_session(user.id)
        assert session.token is not None
        assert await adapter.get_session(secret(visit)) is None
        assert await adapter.get_visit(session.token) is None
        assert await adapter.delete_visit(session.token) is False
        assert await adapter.delete_session(secret(visit)) is False
        assert await adapter.delete_user(user.id) is True
        assert await adapter.get_visit(secret(visit)) == visit

    async def test_a_given_token_keeps_finding_its_visit(self, adapter: Adapter) -> None:
        visit = await adapter.open_visit(token=GIVEN, data={"a": 1})
        assert visit.token == GIVEN
        assert await adapter.get_visit(GIVEN) == visit
        changed = await adapter.change_visit(GIVEN, merge={"b": 2})
        assert changed is not None
        assert (changed.id, changed.data) == (visit.id, {"a": 1, "b": 2})
        assert await adapter.get_visit(GIVEN) == changed
        with pytest.raises(ConflictError):
            await adapter.open_visit(token=GIVEN)
        assert await adapter.get_visit(GIVEN) == changed

    async def test_the_token_of_a_dead_visit_can_be_given_again(self, adapter: Adapter, clock: Clock) -> None:
        first = await adapter.open_visit(token=GIVEN, expires=clock() + short(adapter))
        clock.set(first.expires)
        again = await adapter.open_visit(token=GIVEN)
        assert again.id != first.id
        assert await adapter.get_visit(GIVEN) == again

    @pytest.mark.parametrize("token", ["short", "x" * 15, "x" * 513, *(f"{bad:_<16}" for bad in BAD_TEXTS)])
    async def test_what_is_no_token_is_refused(self, adapter: Adapter, token: str) -> None:
        with pytest.raises(ValueError):
            await adapter.open_visit(token=token)

    async def test_a_visit_dies_at_the_instant_the_policy_says(self, adapter: Adapter, clock: Clock) -> None:
        visit = await adapter.open_visit()
        clock.set(_end(adapter, visit) - INSTANT)
        assert await adapter.get_visit(secret(visit)) == visit
        clock.advance(INSTANT)
        assert await _is_dead(adapter, visit)

    async def test_a_visit_dies_at_its_own_expiry_and_a_longer_one_is_clamped(
        self, adapter: Adapter, clock: Clock
    ) -> None:
        visit = await adapter.open_visit(expires=clock() + short(adapter))
        assert visit.expires == clock() + short(adapter)
        assert (await adapter.open_visit(expires=FAR_AWAY)).expires == default_expiry(adapter, clock())
        clock.set(visit.expires)
        assert await _is_dead(adapter, visit)

    async def test_a_change_is_laid_over_what_is_there_and_notes_the_use(self, adapter: Adapter, clock: Clock) -> None:
        visit = await adapter.open_visit(data={"a": {"x": 1}, "b": 2})
        clock.advance(INSTANT)
        merged = await adapter.change_visit(secret(visit), merge={"a": {"y": [None]}, "b": UNSET, "c": 3})
        assert merged is not None
        assert (merged.data, merged.last_used_at) == ({"a": {"y": [None]}, "c": 3}, clock())
        assert merged.token == visit.token
        assert await adapter.get_visit(secret(visit)) == merged
        clock.advance(INSTANT)
        used = await adapter.change_visit(secret(visit), merge={})
        assert used is not None
        assert (used.data, used.last_used_at) == (merged.data, clock())

    async def test_looking_at_a_visit_is_no_use(self, adapter: Adapter, clock: Clock) -> None:
        visit = await adapter.open_visit()
        end = _end(adapter, visit)
        clock.set(visit.created_at + (end - visit.created_at) / 2)
        assert await adapter.get_visit(secret(visit)) == visit
        clock.set(end)
        assert await adapter.get_visit(secret(visit)) is None

    async def test_use_keeps_a_visit_alive_until_its_lifetime_ends(self, adapter: Adapter, clock: Clock) -> None:
        policy = policy_of(adapter)
        visit = await adapter.open_visit()
        end = later(visit.created_at, policy.lifetime)
        step = (policy.idle or policy.lifetime or timedelta(days=1)) / 2
        for _ in range(60):
            clock.advance(step)
            assert (await adapter.change_visit(secret(visit), merge={}) is not None) == (clock() < end)

    async def test_use_never_goes_beyond_an_expiry_that_was_asked_for(self, adapter: Adapter, clock: Clock) -> None:
        visit = await adapter.open_visit(expires=clock() + short(adapter))
        clock.advance(short(adapter) / 2)
        used = await adapter.change_visit(secret(visit), merge={})
        assert used is not None
        assert used.expires == visit.expires
        clock.set(visit.expires)
        assert await _is_dead(adapter, visit)

    async def test_of_many_changes_at_once_none_is_lost(self, adapter: Adapter) -> None:
        visit = await adapter.open_visit()
        calls = (adapter.change_visit(secret(visit), merge={f"tab-{number}": number}) for number in range(MANY))
        assert not errors(await settled(*calls))
        found = await adapter.get_visit(secret(visit))
        assert found is not None
        assert found.data == {f"tab-{number}": number for number in range(MANY)}

    @pytest.mark.parametrize("moved", [False, True])
    async def test_a_visit_goes_on_under_a_new_token(self, adapter: Adapter, moved: bool) -> None:
        visit = await adapter.open_visit(token=GIVEN if moved else None, data={"a": 1})
        turned = await adapter.change_visit(secret(visit), merge={"b": 2}, rotate=True)
        assert turned is not None
        assert turned.token not in (None, visit.token)
        assert (turned.id, turned.data, turned.expires) == (visit.id, {"a": 1, "b": 2}, visit.expires)
        assert await adapter.get_visit(secret(turned)) == turned
        assert await _is_dead(adapter, visit)
        assert await adapter.delete_visit(secret(visit)) is False
        assert await adapter.get_visit(secret(turned)) == turned

    async def test_of_many_that_give_a_visit_a_new_token_one_does(self, adapter: Adapter) -> None:
        visit = await adapter.open_visit()
        calls = [adapter.change_visit(secret(visit), merge={}, rotate=True) for _ in range(MANY)]
        turned = [each for each in await asyncio.gather(*calls) if each is not None]
        assert len(turned) == 1
        assert await adapter.get_visit(secret(turned[0])) == turned[0]

    async def test_a_change_that_no_database_can_keep_changes_nothing(self, adapter: Adapter) -> None:
        visit = await adapter.open_visit(data={"a": 1})
        wrong: list[Any] = [{"a": bad} for bad in BAD_TEXTS] + [{"a": float("nan")}, {"a": object()}, {1: 2}]
        for merge in wrong:
            with pytest.raises((ValidationError, ValueError, TypeError)):
                await adapter.change_visit(secret(visit), merge=merge)
            with pytest.raises((ValidationError, ValueError, TypeError)):
                await adapter.open_visit(data=merge)
        with pytest.raises((TypeError, ValueError)):
            await adapter.change_visit(secret(visit), merge="a")  # type: ignore[arg-type] # on purpose
        assert await adapter.get_visit(secret(visit)) == visit

    async def test_an_ended_visit_is_gone(self, adapter: Adapter) -> None:
        visit, other = await adapter.open_visit(), await adapter.open_visit()
        assert await adapter.delete_visit(secret(visit)) is True
        assert await adapter.delete_visit(secret(visit)) is False
        assert await _is_dead(adapter, visit)
        assert await adapter.get_visit(secret(other)) == other

    async def test_dead_visits_are_pruned_and_living_ones_stay(self, adapter: Adapter, clock: Clock) -> None:
        dead = [await adapter.open_visit(expires=clock() + short(adapter)) for _ in range(3)]
        living = await adapter.open_visit()
        clock.set(dead[0].expires)
        report = await adapter.prune()
        assert (report.deleted.get("visits"), report.remaining) == (3, 0)
        assert await adapter.get_visit(secret(living)) == living

    async def test_what_a_transaction_takes_back_did_not_happen(self, adapter: Adapter) -> None:
        visit = await adapter.open_visit(data={"a": 1})
        opened = []
        with pytest.raises(LookupError):
            async with adapter.transaction() as inside:
                opened.append(await inside.open_visit())
                await inside.change_visit(secret(visit), merge={"a": 2})
                await inside.delete_visit(secret(visit))
                raise LookupError
        assert await adapter.get_visit(secret(visit)) == visit
        assert await adapter.get_visit(secret(opened[0])) is None
