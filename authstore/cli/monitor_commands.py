"""monitor."""

import asyncio
from datetime import timedelta
from typing import Annotated

import typer

from authstore import connect, ops
from authstore.cli.arguments import Json, Url
from authstore.cli.output import Output
from authstore.errors import ConfigurationError
from authstore.ops import Alert
from authstore.store import Store


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(monitor)


def monitor(
    url: Url,
    every: Annotated[float, typer.Option(metavar="SECONDS", min=0.1, help="From one look to the next.")] = 60.0,
    looks: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="End after so many; 1 if something is wrong then.")
    ] = None,
    prune: Annotated[bool, typer.Option("--prune", help="Delete dead rows with each look.")] = False,
    json: Json = False,
) -> int:
    """Looks at a store every minute, until Ctrl-C, and says when something changes."""
    return asyncio.run(_watch(url, every, looks, prune, Output(is_json=json)))


async def _watch(url: str, every: float, looks: int | None, is_pruning: bool, output: Output) -> int:
    def tell(alert: Alert) -> None:
        said = {"check": alert.check, "state": alert.state, "since": alert.since.isoformat(), "detail": alert.detail}
        output.event("alert", **said)
        output.say(f"{alert.since:%H:%M:%S}  {alert.check} is {alert.state}: {alert.detail}")

    async with connect(url, create=False) as store:
        if not isinstance(store, Store):
            raise ConfigurationError("these tables cannot be watched: they hold no notes")
        watching = ops.Monitor(store, every=timedelta(seconds=every), on_alert=tell, prune=is_pruning)
        count = 0
        output.say(f"looking every {every:g} seconds; Ctrl-C ends it")
        try:
            while looks is None or count < looks:
                if count:
                    await asyncio.sleep(every)
                await watching.look()
                count += 1
        finally:
            await watching.hand_over()
        states = watching.states
    is_well = all(state == "ok" for state in states.values())
    output.event("done", ok=is_well, looks=count, states=states)
    if states:
        for check, state in states.items():
            output.say(f"  {check}: {state}")
    else:
        output.say("another process looks after this store")
    return 0 if is_well else 1
