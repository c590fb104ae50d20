"""Work on one open store, for commands; and how its models are shown."""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

import typer
from pydantic import BaseModel

from authstore import Adapter, User, connect
from authstore.cli.output import Output
from authstore.cli.running import run_to_end
from authstore.errors import UserNotFoundError
from authstore.expiry import LENIENT

T = TypeVar("T")


def with_store(url: str, work: Callable[[Adapter], Awaitable[T]]) -> T:
    """Opens the store that is there, never a new one, and gives what the work returns: the last that a command does."""
    return run_to_end(_opened(url, work))


def look_before(url: str, work: Callable[[Adapter], Awaitable[T]]) -> T:
    """The same for a command that goes on to ask, and may be stopped there."""
    return asyncio.run(_opened(url, work))


async def _opened(url: str, work: Callable[[Adapter], Awaitable[T]]) -> T:
    async with connect(url, create=False, policy=LENIENT) as store:
        return await work(store)


ALL_SESSIONS = 1_000_000  # of one user


async def find_user(store: Adapter, user: str) -> User:
    """The user with this id or address. Raises `UserNotFoundError`."""
    found = await store.get_user(user) or await store.get_user_by_email(user)
    if found is None:
        raise UserNotFoundError("no user has this id or address")
    return found


def as_json(model: BaseModel) -> dict[str, Any]:
    """A model for machines; what is secret is never in it."""
    return model.model_dump(mode="json")


def as_events(output: Output, kind: str, models: Sequence[BaseModel]) -> None:
    """A list for machines: each of them, and how many."""
    for model in models:
        output.event(kind, **{kind: as_json(model)})
    output.event("done", ok=True, count=len(models))


def show_fields(output: Output, model: BaseModel) -> None:
    """A model for people: a line a field, what is empty left out."""
    shown = {name: value for name, value in as_json(model).items() if value not in (None, {}, [])}
    width = max(map(len, shown))
    for name, value in shown.items():
        output.say(f"{name.ljust(width)}  {value}")


def confirm(question: str, is_sure: bool) -> None:
    """Asks in a terminal, and ends the command on a no. Elsewhere `--yes` has to be given."""
    if is_sure:
        return
    if not sys.stdin.isatty():
        raise typer.BadParameter("there is nobody to ask here: add --yes")
    typer.confirm(question, abort=True)
