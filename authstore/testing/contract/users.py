"""Users: create, find, change, delete, list. Uses the `Users` protocol alone."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from authstore.adapter import Users
from authstore.errors import ConflictError, EmailTakenError, InvalidEmailError
from authstore.models import User
from authstore.testing.clock import Clock
from authstore.testing.contract.shared import INSTANT, MANY, ContractBase, all_pages, errors, settled, winners
from authstore.testing.factories import make_email, make_user

VERIFIED = datetime(2030, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)


class UsersContract(ContractBase):
    """The rules of `Users`."""

    async def test_a_user_needs_nothing_but_to_be_created(self, adapter: Users, clock: Clock) -> None:
        user = await adapter.create_user()
        assert user.id
        assert (user.email, user.email_verified, user.name, user.image) == (None, None, None, None)
        assert (user.disabled, user.data) == (False, {})
        assert (user.created_at, user.updated_at) == (clock(), clock())
        assert await adapter.get_user(user.id) == user

    async def test_a_user_comes_back_as_created(self, adapter: Users) -> None:
        user = await adapter.create_user(
            id="user one", email="ada@example.com", name="Ada", email_verified=VERIFIED, image="https://i/a.png",
            data={"plan": "pro"},
        )  # fmt: skip
        assert (user.id, user.email, user.name) == ("user one", "ada@example.com", "Ada")
        assert (user.email_verified, user.image, user.data) == (VERIFIED, "https://i/a.png", {"plan": "pro"})
        assert await adapter.get_user("user one") == user
        assert await adapter.get_user_by_email("ada@example.com") == user

    async def test_ids_made_by_the_store_differ(self, adapter: Users) -> None:
        users = [await adapter.create_user() for _ in range(20)]
        assert len({user.id for user in users}) == 20

    @pytest.mark.parametrize("user_id", ["0", "007", "Ünïcode/🔑", " space ", "a" * 200, "%_'\"\\;--"])
    async def test_an_id_is_opaque_text_and_kept_as_given(self, adapter: Users, user_id: str) -> None:
        assert (await adapter.create_user(id=user_id)).id == user_id
        found = await adapter.get_user(user_id)
        assert found is not None
        assert found.id == user_id

    async def test_ids_differ_by_case_and_by_form(self, adapter: Users) -> None:
        users = [await adapter.create_user(id=user_id) for user_id in ("abc", "ABC", "\u00e9", "e\u0301", "7", "07")]
        assert [await adapter.get_user(user.id) for user in users] == users
        await adapter.update_user("ABC", name="Changed")
        await adapter.delete_user("7")
        kept = [user for user in users if user.id not in ("ABC", "7")]
        assert [await adapter.get_user(user.id) for user in kept] == kept

    async def test_an_unknown_user_is_none(self, adapter: Users) -> None:
        assert await adapter.get_user("nobody") is None
        assert await adapter.get_user("") is None
        assert await adapter.get_user_by_email("nobody@example.com") is None

    async def test_many_users_may_be_without_an_address(self, adapter: Users) -> None:
        assert (await adapter.create_user()).id != (await adapter.create_user()).id

    async def test_a_taken_address_is_refused_and_nothing_changes(self, adapter: Users) -> None:
        ada = await make_user(adapter, email="ada@example.com", name="Ada")
        with pytest.raises(EmailTakenError):
            await adapter.create_user(email=" ADA@Example.COM ", name="Eve")
        assert await adapter.list_users() == [ada]

    async def test_a_taken_id_is_refused_and_nothing_changes(self, adapter: Users) -> None:
        ada = await make_user(adapter, id="u1")
        with pytest.raises(ConflictError) as caught:
            await adapter.create_user(id="u1", email=make_email(), name="Eve")
        assert not isinstance(caught.value, EmailTakenError)
        assert await adapter.list_users() == [ada]

    async def test_an_instant_given_in_another_zone_is_kept_as_that_instant(self, adapter: Users) -> None:
        elsewhere = VERIFIED.astimezone(timezone(timedelta(hours=5, minutes=30)))
        user = await adapter.create_user(id="u1", email_verified=elsewhere)
        found = await adapter.get_user("u1")
        assert found == user
        assert user.email_verified is not None
        assert (user.email_verified, user.email_verified.utcoffset()) == (VERIFIED, timedelta(0))

    @pytest.mark.parametrize(
        "instant",
        [
            datetime(1, 1, 1, tzinfo=UTC),
            datetime(999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
            datetime(1969, 12, 31, 23, 59, 59, 1, tzinfo=UTC),
            datetime(2031, 5, 6, tzinfo=UTC),
            datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
        ],
        ids=str,
    )
    async def test_every_instant_keeps_its_microseconds(self, adapter: Users, instant: datetime) -> None:
        await adapter.create_user(id="u1", email_verified=instant)
        found = await adapter.get_user("u1")
        assert found is not None
        assert found.email_verified == instant

    async def test_a_naive_instant_is_refused(self, adapter: Users) -> None:
        naive = datetime(2031, 5, 6)
        with pytest.raises(ValueError):
            await adapter.create_user(email_verified=naive)
        user = await make_user(adapter)
        with pytest.raises(ValueError):
            await adapter.update_user(user.id, email_verified=naive)
        assert await adapter.list_users() == [user]


class UserChangesContract(ContractBase):
    """The rules of changing, deleting and listing users."""

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("email", "new@example.com"),
            ("name", "Grace"),
            ("email_verified", VERIFIED + timedelta(days=1)),
            ("image", "https://i/g.png"),
            ("disabled", True),
            ("data", {"other": [1, None]}),
            ("email", None),
            ("name", None),
            ("email_verified", None),
            ("image", None),
            ("data", {}),
        ],
    )
    async def test_an_update_changes_what_is_named_and_nothing_else(
        self, adapter: Users, clock: Clock, field: str, value: object
    ) -> None:
        before = await make_user(adapter, email_verified=VERIFIED, image="https://i/a.png", data={"plan": "pro"})
        clock.advance(timedelta(minutes=3))
        after = await adapter.update_user(before.id, **{field: value})  # type: ignore[arg-type]  # one field at a time
        expected = before.model_copy(update={field: value, "updated_at": clock()})
        assert after == expected
        assert await adapter.get_user(before.id) == expected

    async def test_an_update_of_nobody_is_none(self, adapter: Users) -> None:
        assert await adapter.update_user("nobody", name="X") is None
        assert await adapter.update_user("nobody") is None
        assert await adapter.list_users() == []

    async def test_an_update_that_names_nothing_keeps_everything(self, adapter: Users) -> None:
        before = await make_user(adapter, email_verified=VERIFIED, image="i", data={"a": 1})
        after = await adapter.update_user(before.id)
        assert after is not None
        assert after.model_copy(update={"updated_at": before.updated_at}) == before
        assert await adapter.get_user(before.id) == after

    async def test_an_update_to_a_taken_address_changes_nothing_at_all(self, adapter: Users) -> None:
        ada, eve = await make_user(adapter, email="ada@example.com"), await make_user(adapter)
        with pytest.raises(EmailTakenError):
            await adapter.update_user(eve.id, name="Mallory", email="Ada@EXAMPLE.com")
        assert await adapter.get_user(eve.id) == eve
        assert await adapter.get_user_by_email("ada@example.com") == ada

    async def test_a_user_may_keep_the_own_address_in_another_spelling(self, adapter: Users) -> None:
        ada = await make_user(adapter, email="ada@example.com")
        changed = await adapter.update_user(ada.id, email="ADA@example.com")
        assert changed is not None
        assert changed.email == "ada@example.com"
        assert await adapter.get_user_by_email("ada@example.com") == changed

    async def test_an_update_to_no_address_at_all_is_refused(self, adapter: Users) -> None:
        ada = await make_user(adapter)
        with pytest.raises(InvalidEmailError):
            await adapter.update_user(ada.id, name="X", email="not an address")
        assert await adapter.get_user(ada.id) == ada

    async def test_an_address_given_up_is_free(self, adapter: Users) -> None:
        ada = await make_user(adapter, email="ada@example.com")
        await adapter.update_user(ada.id, email=None)
        assert await adapter.get_user_by_email("ada@example.com") is None
        assert (await adapter.create_user(email="ada@example.com")).id != ada.id

    async def test_a_deleted_user_is_gone_and_deleting_again_is_false(self, adapter: Users) -> None:
        ada, other = await make_user(adapter, email="ada@example.com"), await make_user(adapter)
        assert await adapter.delete_user(ada.id) is True
        assert await adapter.delete_user(ada.id) is False
        assert await adapter.get_user(ada.id) is None
        assert await adapter.get_user_by_email("ada@example.com") is None
        assert await adapter.update_user(ada.id, name="Ghost") is None
        assert await adapter.list_users() == [other]
        assert (await adapter.create_user(email="ada@example.com", id=ada.id)).id == ada.id

    async def test_lists_follow_the_order_of_ids(self, adapter: Users, clock: Clock) -> None:
        users = []
        for user_id in ("b", "B", "a", "Z", "_", "10", "9", "é", "🔑", "aa"):
            users.append(await adapter.create_user(id=user_id))
            clock.advance(INSTANT)
        assert await adapter.list_users() == sorted(users, key=lambda user: user.id)

    @pytest.mark.parametrize("limit", [1, 2, 3, 7, 100])
    async def test_pages_hold_every_user_once(self, adapter: Users, clock: Clock, limit: int) -> None:
        users = []
        for user_id in ("d", "b", None, "f", "a", None, "é"):
            users.append(await adapter.create_user(id=user_id))
            clock.advance(INSTANT)

        async def page(after: User | None) -> list[User]:
            return await adapter.list_users(after=after.id if after else None, limit=limit)

        assert await all_pages(page, of=7, limit=limit) == sorted(users, key=lambda user: user.id)

    async def test_a_page_may_start_after_an_id_that_is_gone(self, adapter: Users) -> None:
        for user_id in ("a", "b", "c", "d"):
            await adapter.create_user(id=user_id)
        await adapter.delete_user("b")
        assert [user.id for user in await adapter.list_users(after="b")] == ["c", "d"]
        assert await adapter.list_users(after="d") == []

    async def test_a_list_holds_a_hundred_unless_told_otherwise(self, adapter: Users) -> None:
        await settled(*(adapter.create_user() for _ in range(101)))
        assert len(await adapter.list_users()) == 100
        assert len(await adapter.list_users(limit=1000)) == 101

    async def test_a_negative_limit_is_refused(self, adapter: Users) -> None:
        await make_user(adapter)
        with pytest.raises(ValueError):
            await adapter.list_users(limit=-1)

    async def test_of_many_who_want_one_address_one_gets_it(self, adapter: Users) -> None:
        spellings = ("race@example.com", "RACE@example.com", " Race@Example.Com")
        results = await settled(*(adapter.create_user(email=spellings[n % 3]) for n in range(MANY)))
        [winner] = winners(results)
        assert all(isinstance(error, EmailTakenError) for error in errors(results))
        assert await adapter.list_users() == [winner]

    async def test_of_many_who_change_to_one_address_one_gets_it(self, adapter: Users) -> None:
        users = [await make_user(adapter) for _ in range(10)]
        results = await settled(*(adapter.update_user(user.id, email="race@example.com") for user in users))
        [winner] = winners(results)
        assert all(isinstance(error, EmailTakenError) for error in errors(results))
        assert await adapter.get_user_by_email("race@example.com") == winner
        expected = [winner if user.id == winner.id else user for user in users]
        assert await adapter.list_users() == sorted(expected, key=lambda user: user.id)

    async def test_updates_of_different_fields_at_once_all_count(self, adapter: Users) -> None:
        for _ in range(5):
            user = await make_user(adapter)
            changes: list[dict[str, Any]] = [
                {"name": "Grace"}, {"image": "https://i/g.png"}, {"email_verified": VERIFIED}, {"data": {"a": 1}},
            ]  # fmt: skip
            results = await settled(*(adapter.update_user(user.id, **change) for change in changes))
            assert errors(results) == []
            expected = user.model_copy(update={key: value for change in changes for key, value in change.items()})
            assert await adapter.get_user(user.id) == expected

    async def test_of_many_who_delete_one_user_one_does(self, adapter: Users) -> None:
        user = await make_user(adapter)
        results = await settled(*(adapter.delete_user(user.id) for _ in range(MANY)))
        assert results.count(True) == 1
        assert results.count(False) == MANY - 1
        assert await adapter.get_user(user.id) is None
