"""sessions list, revoke, explain."""

import asyncio
import sys
from getpass import getpass
from typing import Annotated

import typer

from authstore import Adapter, Session, ops
from authstore.cli.arguments import Json, StoreUrl
from authstore.cli.output import Output
from authstore.cli.stores import ALL_SESSIONS, as_events, as_json, find_user, with_store
from authstore.cli.user_commands import WhichUser
from authstore.ops import Explanation

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


@sessions.command("explain")
def explain_session(
    url: StoreUrl,
    session_id: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="The session's id; without it a token is read from the input.")
    ] = None,
    json: Json = False,
) -> int:
    """Why somebody is signed in, or is not any more. Exit 1 where nothing is known of the session."""
    token = None if session_id is not None else _read_token()
    found = asyncio.run(ops.explain_session(url, id=session_id, token=token))
    output = Output(is_json=json)
    output.event(
        "done",
        ok=found.state != "unknown",
        state=found.state,
        session=found.session and as_json(found.session),
        ends=found.ends and found.ends.isoformat(),
        ends_of=found.ends_of,
        ended=found.ended and as_json(found.ended),
        events=[as_json(event) for event in found.events],
    )
    for line in _told(found):
        output.say(line)
    return 1 if found.state == "unknown" else 0


def _read_token() -> str:
    """A token is no argument: those stand in the list of processes, and in the shell's history."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().strip()
    try:
        return getpass("token: ", sys.stderr).strip()  # what is typed is not shown
    except EOFError:
        return ""


def _told(found: Explanation) -> list[str]:
    lines = []
    if found.state == "unknown":
        lines.append("nothing is known of this session: it never was here, or it ended more than 30 days ago")
    if found.ended is not None:
        by = f" by {found.ended.by}" if found.ended.by else ""
        lines.append(f"ended {found.ended.at:%Y-%m-%d %H:%M:%S} UTC: {found.ended.reason}{by}")
    if found.session is not None:
        lines.append(f"session {found.session.id} of user {found.session.user_id}")
        lines.append(
            f"made {found.session.created_at:%Y-%m-%d %H:%M}, used {found.session.last_used_at:%Y-%m-%d %H:%M}"
        )
    if found.ends is not None:
        how = "without use" if found.ends_of == "idle" else "in any case"
        lines.append(f"alive; ends {found.ends:%Y-%m-%d %H:%M:%S} UTC {how}")
    lines += [
        f"  {event.at:%Y-%m-%d %H:%M:%S}  {event.type}"
        + (f", {event.reason}" if event.reason else "")
        + (f", by {event.actor}" if event.actor else "")
        for event in found.events
    ]
    return lines
