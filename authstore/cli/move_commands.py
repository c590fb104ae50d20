"""plan, move, verify, recover, rollback."""

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from authstore.cli.arguments import Json, Source, Target, as_typed, needs_the_mover, takes_move_options
from authstore.cli.output import Output, human_seconds, masked, one_or_many
from authstore.cli.running import run_to_end
from authstore.errors import ConfigurationError

if TYPE_CHECKING:
    from authstore.mover import MoveOptions


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    for command in (plan, move, verify, recover, rollback):
        app.command()(command)


@takes_move_options()
def plan(
    source: Source,
    target: Target,
    json: Json = False,
    *,
    options: "MoveOptions",
    write_profile: Annotated[
        str | None, typer.Option("--write-profile", metavar="FILE", help="Write down what was recognised; - prints it.")
    ] = None,
    columns: Annotated[bool, typer.Option("--columns", help="Every column with its type there and here.")] = False,
) -> int:
    """What `move` would do; changes nothing. Exit 1 when `move` would stop."""
    from authstore.cli.plan_view import show_plan
    from authstore.mover import make_plan

    if write_profile == "-" and json:
        raise ConfigurationError("--write-profile - and --json both write to standard output: leave one out")
    found = asyncio.run(make_plan(source, target, options))
    output = Output(is_json=json, to_stderr=write_profile == "-")
    if write_profile:
        _write_profile(found, write_profile)
    show_plan(output, found, with_columns=columns)
    return 0 if found.ok else 1


def _write_profile(found: Any, path: str) -> None:
    from authstore.mover.recognition.profile import write_profile

    text = write_profile(found.recognised, stopping=[problem for problem in found.problems if problem.stops])
    if path == "-":
        sys.stdout.write(as_typed(text))
        return
    try:
        Path(path).write_text(as_typed(text), "utf-8")
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written: {error.strerror}") from error


@takes_move_options()
def move(
    source: Source,
    target: Target,
    json: Json = False,
    *,
    options: "MoveOptions",
    verify_after: Annotated[
        bool,
        typer.Option("--verify/--no-verify", help="Read back what was written, and compare its digests."),
    ] = True,
) -> int:
    """Moves; goes on where it was stopped, and catches up, when run again."""
    from authstore.cli.plan_view import how_to_decide, show_undecided
    from authstore.cli.progress import ProgressView
    from authstore.mover import Plan, UndecidedError
    from authstore.mover import move as start

    output = Output(is_json=json)
    plan = Plan(source, target, options, (), (), ())
    try:
        with ProgressView(output) as view:
            report = run_to_end(start(plan, view, prove=verify_after))
    except UndecidedError as error:
        show_undecided(output, error.problems)
        error.hint = how_to_decide(error.problems)
        raise
    _show_move(output, report)
    output.say(f"compare the two at any time: authstore verify {masked(source)} {target}")
    return 0


def _show_move(output: Output, report: Any) -> None:
    from authstore.cli.plan_view import show_left_behind

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
    moved = f"{one_or_many(rows, 'row')} in {one_or_many(len(tables), 'table')}"
    output.say(f"{moved}, in {human_seconds(report.seconds)}: {report.target}")
    if report.rejected:
        was = "was" if report.rejected == 1 else "were"
        output.say(f"{one_or_many(report.rejected, 'row')} {was} left out; which, and why: {report.rejects}")
    show_left_behind(output, report.problems)
    if report.backup:
        output.say(f"what was there before: {report.backup}")


@takes_move_options(defaults="as in the move")
def verify(
    source: Source,
    target: Target,
    json: Json = False,
    *,
    options: "MoveOptions",
) -> int:
    """Compares every row of the target with the source; options not given are those of the move."""
    from authstore.cli.plan_view import show_verify
    from authstore.cli.progress import ProgressView
    from authstore.mover import verify as compare

    output = Output(is_json=json)
    with ProgressView(output) as view:
        report = asyncio.run(compare(source, target, options, view))
    show_verify(output, report)
    return 0 if report.ok else 1


@takes_move_options(defaults="as in the move")
def recover(
    source: Source,
    target: Target,
    table: Annotated[str, typer.Argument(help="The table's name in the target.")],
    json: Json = False,
    *,
    options: "MoveOptions",
) -> int:
    """Moves one table again; what refers to its rows stays."""
    from authstore.cli.progress import ProgressView
    from authstore.mover import recover as again

    output = Output(is_json=json)
    with ProgressView(output) as view:
        report = run_to_end(again(source, target, table, options, view))
    _show_move(output, report)
    return 0


def rollback(target: Target, json: Json = False) -> int:
    """Puts back what was at TARGET before the last move; what is there now is set aside."""
    needs_the_mover()
    from authstore.mover import rollback as back

    output = Output(is_json=json)
    report = run_to_end(back(target))
    output.event("done", ok=True, restored=report.restored, set_aside=report.set_aside, tables={}, rejected=0)
    output.say(
        f"{report.target}: {'restored from ' + report.restored if report.restored else 'nothing was there before'}"
    )
    output.say(f"what was there is now {report.set_aside}")
    return 0
