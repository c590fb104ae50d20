"""init, migrate, prune."""

import asyncio
from collections.abc import Sequence
from typing import Annotated

import typer

from authstore import connect, ops
from authstore.backends.sqlite import inspecting as files
from authstore.cli.arguments import Json, Url, waitable
from authstore.cli.output import Output, counted
from authstore.cli.running import run_to_end
from authstore.connect import file_of
from authstore.errors import ConfigurationError, SchemaError
from authstore.expiry import LENIENT
from authstore.schema import Migration, script


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    for command in (init, migrate, prune):
        app.command()(command)


def _pending(url: str) -> tuple[Migration, ...]:
    path = file_of(url)
    if path is not None:
        return files.pending(path)
    from authstore.backends.postgres import inspecting as servers

    return asyncio.run(servers.pending(url))


def _drift(url: str) -> tuple[str, ...]:
    path = file_of(url)
    if path is not None:
        return files.drift(path)
    from authstore.backends.postgres import inspecting as servers

    return asyncio.run(servers.drift(url))


async def _open(url: str, *, create: bool) -> None:
    async with connect(url, create=create):
        pass


def init(url: Url, json: Json = False) -> int:
    """Makes the store, or upgrades the one that is there."""
    path = file_of(url)
    was_there = path.exists() if path else _is_there(url)
    run_to_end(_open(url, create=True))
    place = str(path) if path else asyncio.run(ops.inspect(url)).place
    output = Output(is_json=json)
    output.event("done", ok=True, created=not was_there, path=place, tables={}, rejected=0)
    output.say(f"{place} was there already and is up to date" if was_there else f"{place} is made")
    return 0


def _is_there(url: str) -> bool:
    try:
        asyncio.run(ops.inspect(url))
    except SchemaError:
        return False
    return True


def migrate(
    url: Url,
    json: Json = False,
    check: Annotated[
        bool, typer.Option("--check", help="Only say what is pending or missing; exit 1 if something is.")
    ] = False,
    sql: Annotated[bool, typer.Option("--sql", help="Only print the SQL that is pending.")] = False,
    indexes: Annotated[
        bool,
        typer.Option(
            "--add-indexes", help="Only make the unique indexes that Auth.js's tables lack, to be written in place."
        ),
    ] = False,
) -> int:
    """Brings an existing store to the schema of this version."""
    if indexes:
        return _add_indexes(url, Output(is_json=json))
    steps = _pending(url)
    output = Output(is_json=json)
    if sql and not json:
        for text in _scripts(url, steps):
            output.line(text)
        return 0
    names = [f"{step.version:04} {step.name}" for step in steps]
    drift = _drift(url) if check else ()
    if not (check or sql):
        run_to_end(_open(url, create=False))
    ok = not (check and (steps or drift))
    scripts = _scripts(url, steps) if sql else []
    output.event(
        "done", ok=ok, pending=names if check or sql else [], missing=list(drift), sql=scripts, tables={}, rejected=0
    )
    verb = "pending" if check else "ran"
    lines = [*(f"{verb}: {name}" for name in names), *(f"missing: {name}" for name in drift)]
    for line in lines or ["the schema is up to date"]:
        output.say(line)
    return 0 if ok else 1


def _scripts(url: str, steps: Sequence[Migration]) -> list[str]:
    return [script(step, "postgres" if file_of(url) is None else "sqlite") for step in steps]


def _add_indexes(url: str, output: Output) -> int:
    if file_of(url) is not None:
        raise ConfigurationError("--add-indexes is for the tables of Auth.js on PostgreSQL: write postgresql://…")
    from authstore.backends.postgres.authjs import add_indexes

    made = run_to_end(add_indexes(url))
    output.event("done", ok=True, indexes=made, tables={}, rejected=0)
    for line in [f"made: {name}" for name in made] or ["every unique index is there"]:
        output.say(line)
    return 0


def prune(
    url: Url,
    json: Json = False,
    batch: Annotated[int, typer.Option(min=1, help="Rows a transaction.")] = 1000,
    max_seconds: Annotated[
        float | None, typer.Option("--max-seconds", min=0, callback=waitable, help="Stop after this time.")
    ] = None,
) -> int:
    """Deletes expired sessions and tokens, in short transactions."""
    file_of(url)

    async def work() -> tuple[dict[str, int], int]:
        async with connect(url, create=False, policy=LENIENT) as store:
            report = await store.prune(batch=batch, max_seconds=max_seconds)
            return report.deleted, report.remaining

    deleted, remaining = run_to_end(work())
    output = Output(is_json=json)
    tables = {name: {"deleted": count} for name, count in deleted.items()}
    output.event("done", ok=True, tables=tables, remaining=remaining, rejected=0)
    output.say(f"deleted {counted(deleted)}" + (f"; {remaining:,} are left" if remaining else ""))
    return 0
