"""sessions list, revoke."""

from typing import Annotated

import typer

from authstore import Adapter, Session
from authstore.cli.arguments import Json, StoreUrl
from authstore.cli.output import Output
from authstore.cli.stores import ALL_SESSIONS, as_events, find_user, with_store
from authstore.cli.user_commands import WhichUser

sessions = typer.Typer(name="sessions", help="Who is signed in where; end it.", no_args_is_help=True)


@sessions.command("list")
def list_sessions(user: WhichUser, url: StoreUrl, json: Json = False) -> int:
    """A user's living sessions, newest first."""

    async def work(store: Adapter) -> list[Session]:
        return await store.list_sessions((await find_user(store, user)).id, limit=ALL_SESSIONS)

    found = with_store(url, work)
    output = Output(is_json=json)
    as_events(output, "session", found)
    output.table(
        ("id", "made", "last used", "ends", "address", "browser"),
        (
            (
                s.id,
                f"{s.created_at:%Y-%m-%d %H:%M}",
                f"{s.last_used_at:%Y-%m-%d %H:%M}",
                f"{s.expires:%Y-%m-%d %H:%M}",
                s.ip or "-",
                (s.user_agent or "-")[:60],
            )
            for s in found
        ),
    )
    return 0


@sessions.command("revoke")
def revoke_sessions(
    url: StoreUrl,
    session_id: Annotated[str | None, typer.Argument(metavar="[ID]", help="The session's id.")] = None,
    user: Annotated[
        str | None, typer.Option("--user", metavar="USER", help="All sessions of this user, by id or address.")
    ] = None,
    json: Json = False,
) -> int:
    """Ends a session, or all of a user. Exit 1 where there was none."""
    if (session_id is None) == (user is None):
        raise typer.BadParameter("name a session's id, or --user USER for all of a user's sessions")

    async def work(store: Adapter) -> int:
        if session_id is not None:
            return int(await store.revoke_session(session_id))
        return await store.revoke_sessions((await find_user(store, user or "")).id)

    count = with_store(url, work)
    output = Output(is_json=json)
    output.event("done", ok=count > 0, revoked=count)
    output.say({0: "there was no such session", 1: "1 session is ended"}.get(count, f"{count:,} sessions are ended"))
    return 0 if count else 1
