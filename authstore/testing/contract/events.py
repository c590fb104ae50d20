"""What the change log tells. Uses everything: each write has its event."""

from typing import Any

import pytest

from authstore.acting import acting
from authstore.adapter import Adapter
from authstore.errors import ChangesLostError, CounterError
from authstore.models import Event, Permission
from authstore.testing.clock import Clock
from authstore.testing.contract.sessions.making import secret, touch_pause
from authstore.testing.contract.shared import INSTANT, ContractBase, all_pages
from authstore.testing.factories import make_session, make_user


async def _newest(adapter: Adapter) -> int:
    found = [event.seq for event in await adapter.events(limit=10_000)]
    return max(found, default=0)


def _told(events: list[Event]) -> list[tuple[Any, ...]]:
    return [(event.type, event.user_id, event.session_id, event.reason) for event in events]


class EventsContract(ContractBase):
    """`events`, of a store without an audit."""

    async def test_each_change_of_a_user_is_told(self, adapter: Adapter, clock: Clock) -> None:
        user = await make_user(adapter)
        start = await _newest(adapter)
        clock.advance(INSTANT)
        with acting("admin:7"):
            await adapter.update_user(user.id, name="Countess", image=None)
            await adapter.update_user(user.id, disabled=True)
        await adapter.update_user(user.id, disabled=False)
        await adapter.delete_user(user.id)
        told = await adapter.events(after=start)
        types = ["user.updated", "user.disabled", "user.enabled", "user.deleted"]
        assert _told(told) == [(type, user.id, None, None) for type in types]
        assert [event.actor for event in told] == ["admin:7", "admin:7", None, None]
        assert {event.at for event in told} == {clock()}
        assert [event.data.get("fields") for event in told[:2]] == [["name"], ["disabled"]]

    async def test_each_change_of_a_session_is_told(self, adapter: Adapter, clock: Clock) -> None:
        user = await make_user(adapter)
        session, other, last = [await make_session(adapter, user) for _ in range(3)]
        start = await _newest(adapter)
        await adapter.update_session(secret(session), data={"a": 1})
        rotated = await adapter.rotate_session(secret(session))
        assert rotated is not None
        await adapter.delete_session(secret(rotated))
        with acting("admin:7"):
            await adapter.revoke_session(other.id, reason="lost phone")
        await adapter.delete_user(user.id)
        told = await adapter.events(after=start)
        assert _told(told[:4]) == [
            ("session.changed", user.id, session.id, None),
            ("session.rotated", user.id, session.id, None),
            ("session.ended", user.id, session.id, "signed-out"),
            ("session.ended", user.id, other.id, "lost phone"),
        ]
        assert sorted(_told(told[4:])) == [
            ("session.ended", user.id, last.id, "user-deleted"),
            ("user.deleted", user.id, None, None),
        ]
        assert [event.actor for event in told] == [None, None, None, "admin:7", None, None]

    async def test_signing_in_and_using_a_session_is_not_told(self, adapter: Adapter, clock: Clock) -> None:
        start = await _newest(adapter)
        user = await make_user(adapter)
        session = await make_session(adapter, user)
        clock.advance(touch_pause(adapter))
        await adapter.touch_session(secret(session))
        made = await adapter.create_verification_token("ada@example.com")
        await adapter.use_verification_token("ada@example.com", made.token or "")
        assert await adapter.events(after=start) == []

    async def test_accounts_authenticators_and_roles_are_told(self, adapter: Adapter) -> None:
        user = await make_user(adapter)
        start = await _newest(adapter)
        await adapter.link_account(user.id, "github", "1", access_token="at-0123456789")
        await adapter.link_account(user.id, "github", "1", data={"a": 1})
        await adapter.unlink_account("github", "1")
        await adapter.create_authenticator(user.id, "Y3JlZA", b"key", counter=5)
        with pytest.raises(CounterError):
            await adapter.update_authenticator_counter("Y3JlZA", 5)
        await adapter.delete_authenticator("Y3JlZA")
        await adapter.create_role("editor", permissions=[Permission(resource="page", action="edit")])
        await adapter.grant_role(user.id, "editor")
        await adapter.update_role("editor", permissions=[])
        await adapter.revoke_role(user.id, "editor")
        await adapter.delete_role("editor")
        told = await adapter.events(after=start)
        assert [(event.type, event.user_id) for event in told] == [
            ("account.linked", user.id),
            ("account.updated", user.id),
            ("account.unlinked", user.id),
            ("authenticator.created", user.id),
            ("authenticator.counter-error", user.id),
            ("authenticator.deleted", user.id),
            ("role.created", None),
            ("role.granted", user.id),
            ("role.changed", None),
            ("role.revoked", user.id),
            ("role.deleted", None),
        ]
        assert [event.data["provider"] for event in told[:3]] == ["github"] * 3
        assert [event.data["role"] for event in told[6:]] == ["editor"] * len(told[6:])
        assert "at-0123456789" not in str(told)

    async def test_pages_of_events_follow_each_other(self, adapter: Adapter) -> None:
        users = [await make_user(adapter) for _ in range(7)]
        start = await _newest(adapter)
        for user in users:
            await adapter.update_user(user.id, name="x")

        async def page(last: Event | None) -> list[Event]:
            return await adapter.events(after=last.seq if last else start, limit=3)

        seen = await all_pages(page, of=len(users), limit=3)
        assert [event.user_id for event in seen] == [user.id for user in users]
        assert [event.seq for event in seen] == sorted(event.seq for event in seen)
        assert await adapter.events(after=start, limit=100) == seen

    async def test_of_what_is_rolled_back_nothing_is_told(self, adapter: Adapter) -> None:
        user = await make_user(adapter)
        start = await _newest(adapter)
        with pytest.raises(ZeroDivisionError):
            async with adapter.transaction() as inside:
                await inside.update_user(user.id, name="x")
                raise ZeroDivisionError
        await adapter.update_user(user.id, name="y")
        assert [event.type for event in await adapter.events(after=start)] == ["user.updated"]

    @pytest.mark.parametrize("after", [1000, 2**40, 2**63 - 1])
    async def test_so_is_a_reader_of_a_log_in_which_nothing_is(self, adapter: Adapter, after: int) -> None:
        assert await adapter.events() == []
        with pytest.raises(ChangesLostError) as caught:
            await adapter.events(after=after)
        assert await adapter.events(after=caught.value.first - 1) == []
        user = await make_user(adapter)
        await adapter.update_user(user.id, name="x")
        assert [event.type for event in await adapter.events(after=caught.value.first - 1)] == ["user.updated"]

    async def test_a_reader_of_what_never_was_is_told_so(self, adapter: Adapter) -> None:
        user = await make_user(adapter)
        await adapter.update_user(user.id, name="x")
        [*_, newest] = await adapter.events(limit=10_000)
        with pytest.raises(ChangesLostError) as caught:
            await adapter.events(after=newest.seq + 1000)
        assert caught.value.first <= newest.seq
        assert newest in await adapter.events(after=caught.value.first - 1, limit=10_000)
        for bad in (-1, 2**63):
            with pytest.raises(ValueError):
                await adapter.events(after=bad)
        with pytest.raises(ValueError):
            await adapter.events(limit=0)
        with pytest.raises(TypeError):
            await adapter.events(after="1")  # type: ignore[arg-type]
