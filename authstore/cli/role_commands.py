"""roles list, create, delete, grant, revoke."""

from typing import Annotated

import typer

from authstore import Adapter, Permission, Role
from authstore.cli.arguments import Json, StoreUrl
from authstore.cli.output import Output
from authstore.cli.stores import as_events, as_json, confirm, find_user, look_before, with_store
from authstore.cli.user_commands import WhichUser
from authstore.errors import RoleNotFoundError

_Name = Annotated[str, typer.Argument(metavar="NAME", help="The role's name.")]

roles = typer.Typer(name="roles", help="Who may do what.", no_args_is_help=True)


@roles.command("list")
def list_roles(
    url: StoreUrl,
    json: Json = False,
    user: Annotated[str | None, typer.Option("--user", metavar="USER", help="Only roles of this user.")] = None,
) -> int:
    """Roles with their permissions."""

    async def work(store: Adapter) -> list[Role]:
        return await store.list_roles() if user is None else await store.get_roles((await find_user(store, user)).id)

    found = with_store(url, work)
    output = Output(is_json=json)
    as_events(output, "role", found)
    output.table(
        ("role", "permissions", "description"),
        ((role.name, ", ".join(_permissions(role)) or "-", role.description or "") for role in found),
    )
    return 0


def _permissions(role: Role) -> list[str]:
    return sorted(f"{permission.resource}:{permission.action}" for permission in role.permissions)


@roles.command("create")
def create_role(
    name: _Name,
    url: StoreUrl,
    permission: Annotated[
        list[str], typer.Option("--permission", metavar="RESOURCE:ACTION", help="May be repeated.")
    ] = [],  # noqa: B006  # typer reads the default, nobody writes to it
    description: Annotated[str | None, typer.Option("--description", help="What it is for.")] = None,
    json: Json = False,
) -> int:
    """Makes a role."""
    permissions = [_permission(text) for text in permission]
    role = with_store(url, lambda store: store.create_role(name, description=description, permissions=permissions))
    output = Output(is_json=json)
    output.event("done", ok=True, role=as_json(role))
    output.say(f"the role {role.name} is made")
    return 0


def _permission(text: str) -> Permission:
    resource, colon, action = text.partition(":")
    if not (resource and colon and action):
        raise typer.BadParameter(f"a permission is written RESOURCE:ACTION, as posts:edit; not {text}")
    return Permission(resource=resource, action=action)


@roles.command("delete")
def delete_role(
    name: _Name,
    url: StoreUrl,
    json: Json = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> int:
    """Deletes a role, and takes it from everybody. Asks in a terminal."""
    if look_before(url, lambda store: store.get_role(name)) is None:
        raise RoleNotFoundError("no role has this name")
    confirm(f"Delete the role {name}, and take it from everybody who has it?", yes)
    is_deleted = with_store(url, lambda store: store.delete_role(name))
    output = Output(is_json=json)
    output.event("done", ok=True, deleted=is_deleted)
    output.say(f"the role {name} is deleted")
    return 0


@roles.command("grant")
def grant_role(user: WhichUser, name: _Name, url: StoreUrl, json: Json = False) -> int:
    """Gives a role to a user."""

    async def work(store: Adapter) -> bool:
        return await store.grant_role((await find_user(store, user)).id, name)

    is_new = with_store(url, work)
    output = Output(is_json=json)
    output.event("done", ok=True, granted=is_new)
    output.say(f"{name} is granted" if is_new else f"{name} was granted already")
    return 0


@roles.command("revoke")
def revoke_role(user: WhichUser, name: _Name, url: StoreUrl, json: Json = False) -> int:
    """Takes a role from a user."""

    async def work(store: Adapter) -> bool:
        return await store.revoke_role((await find_user(store, user)).id, name)

    was_granted = with_store(url, work)
    output = Output(is_json=json)
    output.event("done", ok=True, revoked=was_granted)
    output.say(f"{name} is taken away" if was_granted else f"{name} was not granted")
    return 0
