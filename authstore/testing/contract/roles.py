"""Roles and what they permit. Uses `Users` and `Roles`."""

from typing import Any

import pytest

from authstore.adapter import Adapter, Permissions
from authstore.errors import ConflictError, RoleNotFoundError, UserNotFoundError
from authstore.models import Permission, User
from authstore.testing.clock import Clock
from authstore.testing.contract.shared import INSTANT, MANY, ContractBase, all_pages, errors, settled
from authstore.testing.factories import make_role, make_user

READ = Permission(resource="posts", action="read")
WRITE = Permission(resource="posts", action="write")


class RolesContract(ContractBase):
    """The rules of roles themselves."""

    async def test_a_role_comes_back_as_created(self, adapter: Adapter) -> None:
        role = await adapter.create_role(
            "editor", description="May write", permissions=[READ, WRITE, READ], data={"level": 2}
        )
        assert (role.name, role.description, role.data) == ("editor", "May write", {"level": 2})
        assert role.permissions == frozenset({READ, WRITE})
        assert await adapter.get_role("editor") == role

    async def test_a_role_needs_only_a_name(self, adapter: Adapter) -> None:
        role = await adapter.create_role("guest")
        assert (role.description, role.permissions, role.data) == (None, frozenset(), {})
        assert await adapter.get_role("guest") == role

    async def test_a_taken_name_is_refused_and_unchanged(self, adapter: Adapter) -> None:
        role = await make_role(adapter, ("posts", "read"), name="editor")
        with pytest.raises(ConflictError):
            await adapter.create_role("editor", permissions=[WRITE])
        assert await adapter.list_roles() == [role]

    async def test_roles_are_listed_by_name(self, adapter: Adapter) -> None:
        names = ["b", "B", "a", "é", "_", "10", "9", "aa"]
        for name in names:
            await make_role(adapter, ("posts", "read"), ("posts", name), name=name)
        listed = await adapter.list_roles()
        assert [role.name for role in listed] == sorted(names)
        assert all(Permission(resource="posts", action=role.name) in role.permissions for role in listed)

    async def test_an_unknown_role_is_not_found(self, adapter: Adapter) -> None:
        assert await adapter.get_role("editor") is None
        assert await adapter.list_roles() == []
        assert await adapter.update_role("editor", description="x") is None
        assert await adapter.delete_role("editor") is False
        assert await adapter.list_users_with_role("editor") == []

    async def test_an_update_of_a_role_changes_what_is_named(self, adapter: Adapter) -> None:
        role = await make_role(adapter, ("posts", "read"), name="editor", description="d", data={"a": 1})
        changes: list[dict[str, Any]] = [
            {"description": None}, {"permissions": frozenset({WRITE})}, {"data": {"b": 2}}, {},
        ]  # fmt: skip
        for change in changes:
            role = role.model_copy(update=change)
            assert await adapter.update_role("editor", **change) == role
            assert await adapter.get_role("editor") == role
            assert await adapter.list_roles() == [role]

    @pytest.mark.parametrize("nothing", [[], (), frozenset()], ids=repr)
    async def test_a_role_may_lose_all_its_permissions(self, adapter: Adapter, nothing: Permissions) -> None:
        user = await make_user(adapter)
        role = await make_role(adapter, ("posts", "read"), ("posts", "write"), name="editor", description="d")
        other = await make_role(adapter, ("posts", "read"), name="other")
        await adapter.grant_role(user.id, "editor")
        emptied = role.model_copy(update={"permissions": frozenset()})
        assert await adapter.update_role("editor", permissions=nothing) == emptied
        assert await adapter.get_role("editor") == emptied
        assert await adapter.get_roles(user.id) == [emptied]
        assert await adapter.list_roles() == [emptied, other]
        assert await adapter.has_permission(user.id, "posts", "read") is False

    async def test_two_updates_of_a_role_at_once_both_count(self, adapter: Adapter) -> None:
        role = await make_role(adapter, ("posts", "read"), name="editor")
        changes: list[dict[str, Any]] = [
            {"description": "d"}, {"permissions": frozenset({WRITE})}, {"data": {"b": 2}},
        ]  # fmt: skip
        results = await settled(*(adapter.update_role("editor", **change) for change in changes))
        assert errors(results) == []
        expected = role.model_copy(update={key: value for change in changes for key, value in change.items()})
        assert await adapter.get_role("editor") == expected

    async def test_grants_and_permissions_follow_a_new_name(self, adapter: Adapter) -> None:
        user = await make_user(adapter)
        role = await make_role(adapter, ("posts", "read"), name="editor", description="d")
        await adapter.grant_role(user.id, "editor")
        renamed = role.model_copy(update={"name": "author"})
        assert await adapter.update_role("editor", new_name="author") == renamed
        assert await adapter.get_role("editor") is None
        assert await adapter.get_roles(user.id) == [renamed]
        assert await adapter.list_users_with_role("author") == [user]
        assert await adapter.has_permission(user.id, "posts", "read") is True

    async def test_a_role_may_be_renamed_and_changed_at_once(self, adapter: Adapter) -> None:
        await make_role(adapter, ("posts", "read"), name="editor")
        changed = await adapter.update_role("editor", new_name="author", permissions=[WRITE], description="w")
        assert changed is not None
        assert (changed.name, changed.permissions, changed.description) == ("author", frozenset({WRITE}), "w")
        assert await adapter.list_roles() == [changed]
        assert await adapter.update_role("author", new_name="author") == changed
        assert await adapter.get_role("author") == changed

    async def test_a_role_is_not_renamed_to_a_taken_name(self, adapter: Adapter) -> None:
        editor, author = await make_role(adapter, name="editor"), await make_role(adapter, name="author")
        with pytest.raises(ConflictError):
            await adapter.update_role("editor", new_name="author", description="changed", permissions=[READ])
        assert await adapter.list_roles() == [author, editor]

    async def test_a_deleted_role_takes_its_grants_along(self, adapter: Adapter) -> None:
        user = await make_user(adapter)
        await make_role(adapter, ("posts", "read"), name="editor")
        await adapter.grant_role(user.id, "editor")
        assert await adapter.delete_role("editor") is True
        assert await adapter.delete_role("editor") is False
        assert await adapter.get_roles(user.id) == []
        assert await adapter.has_permission(user.id, "posts", "read") is False
        assert await adapter.list_roles() == []
        again = await make_role(adapter, name="editor")
        assert again.permissions == frozenset()
        assert await adapter.get_role("editor") == again
        assert await adapter.get_roles(user.id) == []


class GrantsContract(ContractBase):
    """The rules of having roles."""

    async def test_a_role_is_granted_once_and_revoked_once(self, adapter: Adapter) -> None:
        user = await make_user(adapter)
        role = await make_role(adapter, ("posts", "read"))
        assert await adapter.grant_role(user.id, role.name) is True
        assert await adapter.grant_role(user.id, role.name) is False
        assert await adapter.get_roles(user.id) == [role]
        assert await adapter.revoke_role(user.id, role.name) is True
        assert await adapter.revoke_role(user.id, role.name) is False
        assert await adapter.get_roles(user.id) == []

    async def test_who_or_what_is_unknown_cannot_be_granted(self, adapter: Adapter) -> None:
        user, role = await make_user(adapter), await make_role(adapter)
        with pytest.raises(UserNotFoundError):
            await adapter.grant_role("nobody", role.name)
        with pytest.raises(RoleNotFoundError):
            await adapter.grant_role(user.id, "nothing")
        assert await adapter.revoke_role("nobody", role.name) is False
        assert await adapter.revoke_role(user.id, "nothing") is False
        assert await adapter.get_roles("nobody") == []

    async def test_a_users_roles_are_listed_by_name(self, adapter: Adapter) -> None:
        user = await make_user(adapter)
        roles = [await make_role(adapter, ("r", name), ("r", "any"), name=name) for name in ("b", "B", "a")]
        for role in roles:
            await adapter.grant_role(user.id, role.name)
        await make_role(adapter, name="ungranted")
        assert await adapter.get_roles(user.id) == sorted(roles, key=lambda role: role.name)

    async def test_a_permission_comes_with_any_of_the_roles(self, adapter: Adapter) -> None:
        user, other = await make_user(adapter), await make_user(adapter)
        await make_role(adapter, ("posts", "read"), name="reader")
        await make_role(adapter, ("posts", "write"), ("users", "read"), name="editor")
        for name in ("reader", "editor"):
            await adapter.grant_role(user.id, name)
        for resource, action in (("posts", "read"), ("posts", "write"), ("users", "read")):
            assert await adapter.has_permission(user.id, resource, action) is True
            assert await adapter.has_permission(other.id, resource, action) is False
            assert await adapter.has_permission("nobody", resource, action) is False

    @pytest.mark.parametrize(
        ("resource", "action"),
        [("posts", "write"), ("users", "read"), ("Posts", "read"), ("posts", "READ"), ("posts ", "read"),
         ("%", "read"), ("posts", "%"), ("*", "*"), ("", ""), ("postsread", ""), ("posts", "rea")],
    )  # fmt: skip
    async def test_a_permission_is_compared_exactly(self, adapter: Adapter, resource: str, action: str) -> None:
        user = await make_user(adapter)
        await adapter.grant_role(user.id, (await make_role(adapter, ("posts", "read"))).name)
        assert await adapter.has_permission(user.id, resource, action) is False

    async def test_a_disabled_user_may_nothing_and_keeps_the_roles(self, adapter: Adapter) -> None:
        user, role = await make_user(adapter), await make_role(adapter, ("posts", "read"))
        await adapter.grant_role(user.id, role.name)
        await adapter.update_user(user.id, disabled=True)
        assert await adapter.has_permission(user.id, "posts", "read") is False
        await adapter.update_user(user.id, disabled=False)
        assert await adapter.has_permission(user.id, "posts", "read") is True

    async def test_a_permission_taken_from_the_role_is_taken_from_its_users(self, adapter: Adapter) -> None:
        user, role = await make_user(adapter), await make_role(adapter, ("posts", "read"))
        other = await make_role(adapter, ("posts", "read"))
        await adapter.grant_role(user.id, role.name)
        await adapter.update_role(role.name, permissions=[WRITE])
        assert await adapter.has_permission(user.id, "posts", "read") is False
        assert await adapter.has_permission(user.id, "posts", "write") is True
        assert await adapter.get_role(other.name) == other

    @pytest.mark.parametrize("limit", [1, 2, 5, 100])
    async def test_users_with_a_role_are_listed_in_pages_by_id(
        self, adapter: Adapter, clock: Clock, limit: int
    ) -> None:
        await make_role(adapter, name="editor")
        users = []
        for user_id in ("c", "a", "f", "B", "e", "d", "b"):
            users.append(await make_user(adapter, id=user_id))
            clock.advance(INSTANT)
        for user in users[1:6]:
            await adapter.grant_role(user.id, "editor")
        expected = sorted(users[1:6], key=lambda user: user.id)
        assert await adapter.list_users_with_role("editor") == expected

        async def page(after: User | None) -> list[User]:
            return await adapter.list_users_with_role("editor", after=after.id if after else None, limit=limit)

        assert await all_pages(page, of=5, limit=limit) == expected

    async def test_of_many_who_grant_one_role_one_does(self, adapter: Adapter) -> None:
        user, role = await make_user(adapter), await make_role(adapter)
        granted = await settled(*(adapter.grant_role(user.id, role.name) for _ in range(MANY)))
        assert (granted.count(True), granted.count(False)) == (1, MANY - 1)
        assert await adapter.get_roles(user.id) == [role]
        revoked = await settled(*(adapter.revoke_role(user.id, role.name) for _ in range(MANY)))
        assert (revoked.count(True), revoked.count(False)) == (1, MANY - 1)
        assert await adapter.get_roles(user.id) == []
