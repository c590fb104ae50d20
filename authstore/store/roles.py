"""Roles, the permissions they carry, and who has them."""

from typing import Any

from authstore.adapter import UNSET, JsonObject, Permissions, Unset
from authstore.database import Unit
from authstore.errors import ConflictError, RoleNotFoundError, UserNotFoundError
from authstore.models import Role, User
from authstore.sql import queries
from authstore.store import rows
from authstore.store.sessions.cache import KeptRoles, SessionCache
from authstore.store.sessions.reading import SessionReader
from authstore.store.shared import checked_limit, is_storable, json_object


class RoleStore(SessionReader):
    """`Roles` of the contract."""

    async def create_role(
        self,
        name: str,
        *,
        description: str | None = None,
        permissions: Permissions = (),
        data: JsonObject | None = None,
    ) -> Role:
        """See `authstore.adapter.Roles.create_role`."""
        role = Role(
            name=name,
            description=description,
            permissions=frozenset(permissions),
            data=json_object(data),
        )
        return await self._write(lambda: _insert_role(role), self._now())

    async def get_role(self, name: str) -> Role | None:
        """See `authstore.adapter.Roles.get_role`."""
        row = await self._db.one(queries.get_role(name=name)) if is_storable(name) else None
        return rows.role(row) if row else None

    async def list_roles(self) -> list[Role]:
        """See `authstore.adapter.Roles.list_roles`."""
        return [rows.role(row) for row in await self._db.all(queries.list_roles())]

    async def update_role(
        self,
        name: str,
        *,
        new_name: str | Unset = UNSET,
        description: str | None | Unset = UNSET,
        permissions: Permissions | Unset = UNSET,
        data: JsonObject | Unset = UNSET,
    ) -> Role | None:
        """See `authstore.adapter.Roles.update_role`."""
        named = {
            "name": new_name,
            "description": description,
            "permissions": permissions if isinstance(permissions, Unset) else frozenset(permissions),
            "data": data if isinstance(data, Unset) else json_object(data),
        }
        changes = {field: value for field, value in named.items() if value is not UNSET}
        if not is_storable(name):
            return None
        return await self._write(lambda: _update_role(name, changes), self._now())

    async def delete_role(self, name: str) -> bool:
        """See `authstore.adapter.Roles.delete_role`."""
        if not is_storable(name):
            return False
        return await self._write(lambda: _delete_role(name), self._now())

    async def grant_role(self, user_id: str, name: str) -> bool:
        """See `authstore.adapter.Roles.grant_role`."""
        if not is_storable(user_id):
            raise UserNotFoundError("no user has this id")
        if not is_storable(name):
            raise RoleNotFoundError("no role has this name")
        return await self._write(lambda: _grant_role(user_id, name), self._now())

    async def revoke_role(self, user_id: str, name: str) -> bool:
        """See `authstore.adapter.Roles.revoke_role`."""
        if not (is_storable(user_id) and is_storable(name)):
            return False
        return await self._write(lambda: _revoke_role(user_id, name), self._now())

    async def get_roles(self, user_id: str) -> list[Role]:
        """See `authstore.adapter.Roles.get_roles`."""
        if not is_storable(user_id):
            return []
        kept = await self._kept_roles(self._cache, user_id) if self._cache else None
        found = kept.rows if kept else await self._db.all(queries.get_roles(user_id=user_id))
        return [rows.role(row) for row in found]

    async def has_permission(self, user_id: str, resource: str, action: str) -> bool:
        """See `authstore.adapter.Roles.has_permission`."""
        if not (is_storable(user_id) and is_storable(resource) and is_storable(action)):
            return False
        kept = await self._kept_roles(self._cache, user_id) if self._cache else None
        if kept is not None:
            return (resource, action) in kept.permitted
        statement = queries.has_permission(user_id=user_id, resource=resource, action=action)
        return await self._db.one(statement) is not None

    async def _kept_roles(self, cache: SessionCache, user_id: str) -> KeptRoles | None:
        """The roles of a user who is there, through the cache."""
        kept = await cache.get_roles(user_id)
        if kept is not None:
            return kept
        filling = cache.begin()
        try:
            found = await self._db.all(queries.get_user_and_roles(user_id=user_id))
            kept = KeptRoles(found) if found else None
        finally:
            cache.end_roles(filling, user_id, kept)
        return kept

    async def list_users_with_role(self, name: str, *, after: str | None = None, limit: int = 100) -> list[User]:
        """See `authstore.adapter.Roles.list_users_with_role`."""
        checked_limit(limit)
        if not is_storable(name) or not is_storable(after or ""):
            return []
        statement = queries.list_users_with_role(role_name=name, after=after or "", limit=limit)
        return [rows.user(row) for row in await self._db.all(statement)]


def _insert_role(role: Role) -> Unit[Role]:
    if not (yield queries.insert_role(**rows.role_values(role))):
        raise ConflictError("a role with this name exists")
    yield from _set_permissions(role)
    return role


def _update_role(name: str, changes: dict[str, Any]) -> Unit[Role | None]:
    found = yield queries.get_role.changing(name=name)
    if not found:
        return None
    old = rows.role(found[0])
    new = Role(**{**old.__dict__, **changes})
    if new.name != name and (yield queries.get_role(name=new.name)):
        raise ConflictError("a role with this name exists")
    yield queries.update_role(name=name, new_name=new.name, description=new.description, data=rows.json_text(new.data))
    if new.permissions != old.permissions:
        yield queries.delete_role_permissions(role_name=new.name)
        yield from _set_permissions(new)
    return new


def _set_permissions(role: Role) -> Unit[None]:
    for permission in sorted(role.permissions, key=lambda p: (p.resource, p.action)):
        key = {"resource": permission.resource, "action": permission.action}
        yield queries.insert_permission(**key)
        yield queries.insert_role_permission(role_name=role.name, **key)


def _delete_role(name: str) -> Unit[bool]:
    return bool((yield queries.delete_role(name=name)))


def _grant_role(user_id: str, name: str) -> Unit[bool]:
    if not (yield queries.get_user(id=user_id)):
        raise UserNotFoundError("no user has this id")
    if not (yield queries.get_role(name=name)):
        raise RoleNotFoundError("no role has this name")
    return bool((yield queries.grant_role(user_id=user_id, role_name=name)))


def _revoke_role(user_id: str, name: str) -> Unit[bool]:
    return bool((yield queries.revoke_role(user_id=user_id, role_name=name)))
