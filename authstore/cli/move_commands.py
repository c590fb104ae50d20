"""plan, move, verify, recover, rollback."""

import asyncio
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from authstore.cli.output import Output, human_seconds
from authstore.errors import ConfigurationError

Source = Annotated[
    str, typer.Argument(envvar="AUTHSTORE_SOURCE", show_envvar=True, help="postgresql://user@host/database")
]
Target = Annotated[str, typer.Argument(envvar="AUTHSTORE_URL", show_envvar=True, help="sqlite:///auth.db")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]
Schema = Annotated[list[str] | None, typer.Option("--schema", metavar="S", help="Only tables of this schema.")]
Prefix = Annotated[str | None, typer.Option("--prefix", metavar="P", help="The auth tables' names begin with this.")]
ProfileFile = Annotated[str | None, typer.Option("--profile", metavar="FILE", help="Which table plays which role.")]
Only = Annotated[list[str] | None, typer.Option("--only", metavar="TABLE", help="Move only this table.")]
Skip = Annotated[list[str] | None, typer.Option("--skip", metavar="TABLE", help="Leave this table behind.")]
WithExpired = Annotated[bool, typer.Option("--with-expired", help="Expired sessions and tokens too.")]
NaiveTz = Annotated[str, typer.Option("--naive-tz", metavar="ZONE", help="Of timestamps without a time zone.")]
Replace = Annotated[bool, typer.Option("--replace", help="Move over a target that the application wrote to.")]
OnBadRow = Annotated[Literal["stop", "reject"], typer.Option("--on-bad-row")]
OnOrphan = Annotated[Literal["stop", "reject"], typer.Option("--on-orphan")]
OnDuplicate = Annotated[Literal["stop", "keep-oldest", "merge"], typer.Option("--on-duplicate")]
Secrets = Annotated[Literal["stop", "keep", "drop"], typer.Option("--secrets", help="Password hashes and the like.")]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    for command in (plan, move, verify, recover, rollback):
        app.command()(command)


def _needs_the_mover() -> None:
    if find_spec("psycopg") is None or find_spec("sqlglot") is None:
        raise ConfigurationError("moving needs an extra: pip install 'authstore[move]'")


def _options(given: dict[str, Any]) -> Any:
    _needs_the_mover()
    from authstore.mover import MoveOptions

    return MoveOptions(
        schemas=tuple(given["schema"] or ()),
        prefix=given["prefix"],
        profile=given["profile"],
        only=tuple(given["only"] or ()),
        skip=tuple(given["skip"] or ()),
        with_expired=given["with_expired"],
        naive_tz=given["naive_tz"],
        replace=given["replace"],
        on_bad_row=given["on_bad_row"],
        on_orphan=given["on_orphan"],
        on_duplicate=given["on_duplicate"],
        secrets=given["secrets"],
    )


def plan(
    source: Source,
    target: Target,
    json: Json = False,
    schema: Schema = None,
    prefix: Prefix = None,
    profile: ProfileFile = None,
    only: Only = None,
    skip: Skip = None,
    with_expired: WithExpired = False,
    naive_tz: NaiveTz = "UTC",
    replace: Replace = False,
    on_bad_row: OnBadRow = "stop",
    on_orphan: OnOrphan = "stop",
    on_duplicate: OnDuplicate = "stop",
    secrets: Secrets = "stop",
    write_profile: Annotated[
        str | None, typer.Option("--write-profile", metavar="FILE", help="Write down what was recognised; - prints it.")
    ] = None,
) -> int:
    """What `move` would do; changes nothing. Exit 1 when `move` would stop."""
    options = _options(locals())
    from authstore.cli.plan_view import show_plan
    from authstore.mover import make_plan

    found = asyncio.run(make_plan(source, target, options))
    output = Output(is_json=json)
    if write_profile:
        _write_profile(found, write_profile)
    show_plan(output, found)
    return 0 if found.ok else 1


def _write_profile(found: Any, path: str) -> None:
    from authstore.mover.recognition.profile import write_profile

    text = write_profile(found.recognised)
    if path == "-":
        sys.stdout.write(text)
        return
    try:
        Path(path).write_text(text, "utf-8")
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written: {error.strerror}") from error


def move(
    source: Source,
    target: Target,
    json: Json = False,
    schema: Schema = None,
    prefix: Prefix = None,
    profile: ProfileFile = None,
    only: Only = None,
    skip: Skip = None,
    with_expired: WithExpired = False,
    naive_tz: NaiveTz = "UTC",
    replace: Replace = False,
    on_bad_row: OnBadRow = "stop",
    on_orphan: OnOrphan = "stop",
    on_duplicate: OnDuplicate = "stop",
    secrets: Secrets = "stop",
    verify_after: Annotated[
        bool,
        typer.Option("--verify/--no-verify", help="Read back what was written, and compare its digests."),
    ] = True,
) -> int:
    """Moves; goes on where it was stopped, and catches up, when run again."""
    options = _options(locals())
    from authstore.cli.plan_view import how_to_decide, show_undecided
    from authstore.cli.progress import ProgressView
    from authstore.mover import Plan, UndecidedError
    from authstore.mover import move as start

    output = Output(is_json=json)
    plan = Plan(source, target, options, (), (), ())
    try:
        with ProgressView(output) as view:
            report = asyncio.run(start(plan, view, prove=verify_after))
    except UndecidedError as error:
        show_undecided(output, error.problems)
        error.hint = how_to_decide(error.problems)
        raise
    _show_move(output, report)
    return 0


def _show_move(output: Output, report: Any) -> None:
    tables = {
        name: {"rows": table.rows, "copied": table.copied, "deleted": table.deleted, "rejected": table.rejected}
        for name, table in report.tables.items()
    }
    output.event(
        "done",
        ok=True,
        tables=tables,
        rejected=report.rejected,
        rejects=report.rejects,
        backup=report.backup,
        target=report.target,
        seconds=round(report.seconds, 3),
    )
    rows = sum(table.rows for table in report.tables.values())
    output.say(f"{rows:,} rows in {len(tables)} tables, in {human_seconds(report.seconds)}: {report.target}")
    if report.rejected:
        output.say(f"{report.rejected:,} rows were left out; which, and why: {report.rejects}")
    if report.backup:
        output.say(f"what was there before: {report.backup}")


def verify(
    source: Source,
    target: Target,
    json: Json = False,
    schema: Schema = None,
    prefix: Prefix = None,
    profile: ProfileFile = None,
    only: Only = None,
    skip: Skip = None,
    with_expired: WithExpired = False,
    naive_tz: NaiveTz = "UTC",
    replace: Replace = False,
    on_bad_row: OnBadRow = "stop",
    on_orphan: OnOrphan = "stop",
    on_duplicate: OnDuplicate = "stop",
    secrets: Secrets = "stop",
) -> int:
    """Compares every row of the target with the source; options not given are those of the move."""
    options = _options(locals())
    from authstore.cli.plan_view import show_verify
    from authstore.cli.progress import ProgressView
    from authstore.mover import verify as compare

    output = Output(is_json=json)
    with ProgressView(output) as view:
        report = asyncio.run(compare(source, target, options, view))
    show_verify(output, report)
    return 0 if report.ok else 1


def recover(
    source: Source,
    target: Target,
    table: Annotated[str, typer.Argument(help="The table's name in the target.")],
    json: Json = False,
    schema: Schema = None,
    prefix: Prefix = None,
    profile: ProfileFile = None,
    only: Only = None,
    skip: Skip = None,
    with_expired: WithExpired = False,
    naive_tz: NaiveTz = "UTC",
    replace: Replace = False,
    on_bad_row: OnBadRow = "stop",
    on_orphan: OnOrphan = "stop",
    on_duplicate: OnDuplicate = "stop",
    secrets: Secrets = "stop",
) -> int:
    """Moves one table again; what refers to its rows stays."""
    options = _options(locals())
    from authstore.cli.progress import ProgressView
    from authstore.mover import recover as again

    output = Output(is_json=json)
    with ProgressView(output) as view:
        report = asyncio.run(again(source, target, table, options, view))
    _show_move(output, report)
    return 0


def rollback(target: Target, json: Json = False) -> int:
    """Puts back what was at TARGET before the last move; what is there now is set aside."""
    _needs_the_mover()
    from authstore.mover import rollback as back

    output = Output(is_json=json)
    report = asyncio.run(back(target))
    output.event("done", ok=True, restored=report.restored, set_aside=report.set_aside, tables={}, rejected=0)
    output.say(
        f"{report.target}: {'restored from ' + report.restored if report.restored else 'nothing was there before'}"
    )
    output.say(f"what was there is now {report.set_aside}")
    return 0
