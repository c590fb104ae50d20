"""users list, show, disable, enable, delete."""

from typing import Annotated

import typer

from authstore import Account, Adapter, Authenticator, Role, Session, User
from authstore.cli.arguments import Json, StoreUrl, countable
from authstore.cli.output import Output
from authstore.cli.stores import (
    ALL_SESSIONS,
    as_events,
    as_json,
    confirm,
    find_user,
    look_before,
    show_fields,
    with_store,
)

WhichUser = Annotated[str, typer.Argument(metavar="USER", help="An id or an address.")]

users = typer.Typer(name="users", help="Who there is; disable, enable or delete one.", no_args_is_help=True)


@users.command("list")
def list_users(
    url: StoreUrl,
    json: Json = False,
    role: Annotated[str | None, typer.Option("--role", metavar="NAME", help="Only users with this role.")] = None,
    after: Annotated[str | None, typer.Option("--after", metavar="ID", help="Go on after this id.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, callback=countable, help="At most so many.")] = 100,
) -> int:
    """Users in the order of their ids."""

    async def work(store: Adapter) -> list[User]:
        if role is None:
            return await store.list_users(after=after, limit=limit)
        return await store.list_users_with_role(role, after=after, limit=limit)

    found = with_store(url, work)
    output = Output(is_json=json)
    as_events(output, "user", found)
    output.table(
        ("id", "email", "name", "made", ""),
        ((u.id, u.email or "-", u.name or "-", f"{u.created_at:%Y-%m-%d}", _state(u)) for u in found),
    )
    if len(found) == limit:
        output.say(f"there may be more: --after {found[-1].id}")
    return 0


def _state(user: User) -> str:
    return "disabled" if user.disabled else ""


@users.command("show")
def show_user(user: WhichUser, url: StoreUrl, json: Json = False) -> int:
    """A user with accounts, passkeys, roles and living sessions."""

    async def work(
        store: Adapter,
    ) -> tuple[User, list[Account], list[Authenticator], list[Role], list[Session]]:
        found = await find_user(store, user)
        return (
            found,
            await store.list_accounts(found.id),
            await store.list_authenticators(found.id),
            await store.get_roles(found.id),
            await store.list_sessions(found.id, limit=ALL_SESSIONS),
        )

    found, accounts, passkeys, roles, sessions = with_store(url, work)
    output = Output(is_json=json)
    output.event(
        "user",
        user=as_json(found),
        accounts=[as_json(account) for account in accounts],
        authenticators=[as_json(passkey) for passkey in passkeys],
        roles=sorted(role.name for role in roles),
        sessions=[as_json(session) for session in sessions],
    )
    output.event("done", ok=True)
    show_fields(output, found)
    output.say(f"roles: {', '.join(sorted(role.name for role in roles)) or 'none'}")
    output.say(f"accounts: {', '.join(f'{a.provider} {a.provider_account_id}' for a in accounts) or 'none'}")
    output.say(f"passkeys: {', '.join(p.name or p.credential_id for p in passkeys) or 'none'}")
    output.say(f"living sessions: {len(sessions)}")
    return 0


@users.command("disable")
def disable_user(user: WhichUser, url: StoreUrl, json: Json = False) -> int:
    """Keeps a user out, and ends all sessions."""
    return _set_disabled(user, url, json, disabled=True)


@users.command("enable")
def enable_user(user: WhichUser, url: StoreUrl, json: Json = False) -> int:
    """Lets a disabled user in again."""
    return _set_disabled(user, url, json, disabled=False)


def _set_disabled(user: str, url: str, json: bool, *, disabled: bool) -> int:
    async def work(store: Adapter) -> User:
        found = await find_user(store, user)
        return await store.update_user(found.id, disabled=disabled) or found

    changed = with_store(url, work)
    output = Output(is_json=json)
    output.event("done", ok=True, user=as_json(changed))
    output.say(f"{changed.id} is {'disabled, and all its sessions ended' if disabled else 'enabled'}")
    return 0


@users.command("delete")
def delete_user(
    user: WhichUser,
    url: StoreUrl,
    json: Json = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> int:
    """Deletes a user with accounts, sessions, passkeys and role grants. Asks in a terminal."""
    found = look_before(url, lambda store: find_user(store, user))
    confirm(f"Delete {found.email or found.id} with all that belongs to this user?", yes)
    is_deleted = with_store(url, lambda store: store.delete_user(found.id))
    output = Output(is_json=json)
    output.event("done", ok=True, deleted=is_deleted, user_id=found.id)
    output.say(f"{found.id} is deleted")
    return 0
