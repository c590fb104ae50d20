"""events."""

import asyncio
from collections.abc import Callable
from functools import partial
from json import dumps as to_json
from typing import Annotated, Any, Literal

import typer

from authstore import Adapter, ChangesLostError, connect, ops
from authstore.cli.arguments import Json, Url, countable
from authstore.cli.output import Output, one_or_many
from authstore.models import Event

_PAGE = 1000


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(events)


def events(
    url: Url,
    after: Annotated[
        int | None,
        typer.Option("--after", metavar="N", min=0, callback=countable, help="Only what came after this event."),
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", help="Wait for more, until Ctrl-C.")] = False,
    form: Annotated[
        Literal["plain", "cloudevents", "ocsf"],
        typer.Option("--format", help="For other systems: one JSON object a line, CloudEvents 1.0 or OCSF 1.3."),
    ] = "plain",
    source: Annotated[
        str, typer.Option("--source", metavar="NAME", help="What --format calls where they come from.")
    ] = "authstore",
    verify: Annotated[bool, typer.Option("--verify", help="Look whether an audit was tampered with.")] = False,
    json: Json = False,
) -> int:
    """Shows what happened, who did it, and when."""
    if verify and (follow or after is not None):
        raise typer.BadParameter("--verify looks at the whole log: leave out --after and --follow")
    if form != "plain" and (verify or json):
        raise typer.BadParameter("--format is a form of its own: leave out --verify and --json")
    if not source:
        raise typer.BadParameter("--source is a name: leave it out, or say one")
    output = Output(is_json=json)
    tell: Callable[[Event], None] = partial(_tell, output=output)
    if form != "plain":
        told = ops.cloudevent if form == "cloudevents" else ops.ocsf
        tell = partial(_tell_others, output, lambda event: told(event, source))
    return asyncio.run(_verify(url, output) if verify else _show(url, after, follow, tell, output))


async def _show(url: str, after: int | None, is_following: bool, tell: Callable[[Event], None], output: Output) -> int:
    async with connect(url, create=False) as store:
        seq = await _beginning(store) if after is None else after
        if is_following:
            async for event in ops.follow(store, after=seq):
                tell(event)
        count = 0
        while page := await store.events(after=seq, limit=_PAGE):
            for event in page:
                tell(event)
            seq, count = page[-1].seq, count + len(page)
    output.event("done", ok=True, events=count, after=max(seq, 0))
    return 0


async def _beginning(store: Adapter) -> int:
    """After which event everything that is kept comes."""
    try:
        await store.events(limit=1)
    except ChangesLostError as lost:
        return lost.first - 1
    return 0


def _tell(event: Event, output: Output) -> None:
    output.event("change", **event.model_dump(mode="json"))
    said = (event.seq, event.at.isoformat(), event.type, event.user_id, event.session_id, event.reason, event.actor)
    data = " ".join(f"{key}={value}" for key, value in event.data.items())
    output.say("  ".join(str(value) for value in (*said, data) if value not in (None, "")))


def _tell_others(output: Output, told: Callable[[Event], dict[str, Any]], event: Event) -> None:
    output.line(to_json(told(event)))


async def _verify(url: str, output: Output) -> int:
    async with connect(url, create=False) as store:
        report = await ops.verify_events(store)
    for problem in report.problems:
        output.event("problem", after=problem.after, before=problem.before)
        end = "the end: the newest are gone, or the last was changed" if problem.before is None else str(problem.before)
        output.say(f"changed, dropped or moved: between event {problem.after} and {end}")
    is_whole = not report.problems
    output.event("done", ok=is_whole, checked=report.checked, unsealed=report.unsealed)
    if not (report.checked or report.unsealed or report.problems):
        output.say("no event is in a chain: that begins with an audit, connect(…, audit=timedelta(days=365))")
    else:
        problems = one_or_many(len(report.problems), "problem")
        output.say(f"{one_or_many(report.checked, 'event')} checked, {problems}")
    if report.unsealed:
        output.say(f"not chained yet, since no store has written since: {one_or_many(report.unsealed, 'event')}")
    return 0 if is_whole else 1
