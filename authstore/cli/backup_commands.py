"""backup, restore, drill."""

import os
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from authstore import ops
from authstore.cli.arguments import Json, Url
from authstore.cli.output import Output, human_bytes, human_seconds
from authstore.cli.running import run_to_end
from authstore.models import aware_utc

File = Annotated[Path, typer.Argument(metavar="FILE", help="A file that `backup` made.", show_default=False)]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    for command in (backup, restore, drill):
        app.command()(command)


def backup(
    url: Url,
    file: Annotated[
        Path | None,
        typer.Argument(metavar="FILE", help="The new file; its SHA-256 goes beside.", show_default=False),
    ] = None,
    keep: Annotated[
        int | None,
        typer.Option("--keep", metavar="N", min=1, help="Put the instant into the name, and keep the newest N."),
    ] = None,
    json: Json = False,
) -> int:
    """Copies a store that is in use into a file."""
    store, path = _told(url, file)
    report = run_to_end(ops.backup(store, path, keep=keep))
    output = Output(is_json=json)
    _tell_problems(report.problems, output)
    said = {"ok": report.ok, "path": report.path, "bytes": report.bytes, "sha256": report.sha256}
    output.event("done", **said, seconds=report.seconds, tables={}, rejected=0)
    output.say(f"{report.path}: {human_bytes(report.bytes)} in {human_seconds(report.seconds)}")
    output.say(f"SHA-256 {report.sha256}")
    return 0 if report.ok else 1


def _told(first: str, second: Path | None) -> tuple[str, Path]:
    """The store and the file; of one argument alone it is the file, where the environment names the store."""
    if second is not None:
        return first, second
    named = os.environ.get("AUTHSTORE_URL")
    if named is None or named == first:
        raise typer.BadParameter("name the file to make, after the store's URL or with AUTHSTORE_URL set")
    return named, Path(first)


def restore(
    file: File,
    url: Url,
    revoke_since: Annotated[
        str | None,
        typer.Option(
            "--revoke-since",
            metavar="INSTANT",
            help="End the sessions that lived at this instant or began after it, such as 2026-11-28T14:00:00Z.",
        ),
    ] = None,
    json: Json = False,
) -> int:
    """Puts a backup in the place of a store; what was there is set aside."""
    since = None if revoke_since is None else _instant(revoke_since)
    report = run_to_end(ops.restore(file, url, revoke_since=since))
    output = Output(is_json=json)
    _tell_problems(report.problems, output)
    said = {"ok": report.ok, "place": report.place, "set_aside": report.set_aside, "revoked": report.revoked}
    output.event("done", **said, seconds=report.seconds, tables={}, rejected=0)
    output.say(f"{report.place} is what {file.name} holds")
    if report.set_aside:
        output.say(f"what was there: {report.set_aside}")
    if since is not None:
        output.say(f"sessions ended: {report.revoked:,}")
    return 0 if report.ok else 1


def _instant(text: str) -> datetime:
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter("an instant is written 2026-11-28T14:00:00Z") from None
    if instant.tzinfo is None:
        raise typer.BadParameter("an instant needs its zone: 2026-11-28T14:00:00Z, or with +01:00 at its end")
    try:
        return aware_utc(instant)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def drill(file: File, json: Json = False) -> int:
    """Proves that a backup can be put back: puts it back where it harms nobody, and checks all of it."""
    report = run_to_end(ops.drill(file))
    output = Output(is_json=json)
    _tell_problems(report.problems, output)
    tables = {name: {"rows": rows} for name, rows in report.counts.items()}
    output.event("done", ok=report.ok, problems=report.problems, sha256=report.sha256, tables=tables, rejected=0)
    output.table(("table", "rows"), report.counts.items(), numbers=1)
    if report.sha256 is None and report.ok:
        output.say(f"no {file.name}.sha256 beside it: what it should be is not known")
    output.say("it can be put back" if report.ok else "it is not what was backed up: keep another")
    return 0 if report.ok else 1


def _tell_problems(problems: tuple[str, ...], output: Output) -> None:
    for problem in problems:
        output.event("problem", message=problem)
        output.say(f"problem: {problem}")
