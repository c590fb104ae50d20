"""follow, and its end."""

import asyncio
import re
from typing import TYPE_CHECKING, Annotated, Any

import typer

from authstore.cli.arguments import Json, Source, Target, takes_move_options
from authstore.cli.output import Output, masked, one_or_many
from authstore.cli.running import run_to_end
from authstore.errors import ConfigurationError

if TYPE_CHECKING:
    from authstore.mover import FollowReport, MoveOptions
    from authstore.mover.following.order import FollowAction

_UNITS = {"": 0, "k": 10, "m": 20, "g": 30, "t": 40}
_SIZE = re.compile(r"(\d+)\s*([kmgt]?)i?b?", re.IGNORECASE)


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(follow)


@takes_move_options()
def follow(
    source: Source,
    target: Target,
    json: Json = False,
    *,
    options: "MoveOptions",
    cut_over: Annotated[
        bool,
        typer.Option(
            "--cut-over", help="End it: close SOURCE's tables, bring the rest, prove it, and open TARGET for writing."
        ),
    ] = False,
    reopen: Annotated[
        bool, typer.Option("--reopen", help="Open SOURCE's tables for writing again, after a cut-over.")
    ] = False,
    drop: Annotated[
        bool, typer.Option("--drop", help="Give it up: remove slot and publication; TARGET stays as it is.")
    ] = False,
    max_slot_wal: Annotated[
        str,
        typer.Option(
            "--max-slot-wal",
            metavar="SIZE",
            help="How much of its log SOURCE may be made to keep (10GB, 512MB); beyond it the slot is made anew,"
            " and everything compared.",
        ),
    ] = "",
) -> int:
    """Keeps TARGET equal to a PostgreSQL at work, until it is stopped; --cut-over ends it in seconds."""
    from authstore.cli.plan_view import how_to_decide, show_undecided
    from authstore.cli.progress import ProgressView
    from authstore.mover import UndecidedError
    from authstore.mover import follow as start

    action = _action(cut_over=cut_over, reopen=reopen, drop=drop)
    most, output = size_of(max_slot_wal), Output(is_json=json)
    try:
        with ProgressView(output) as view:
            report = run_to_end(start(source, target, options, view, do=action, max_slot_wal=most))
    except UndecidedError as error:
        show_undecided(output, error.problems)
        error.hint = how_to_decide(error.problems)
        raise
    except (KeyboardInterrupt, asyncio.CancelledError):
        message = "slot and publication stay in the source, which keeps its log for them: `--drop` removes them"
        output.event("problem", kind="slot", table="", message=message, count=0)
        output.say(message)
        raise
    _show(output, report, action, source)
    return 0


def _action(*, cut_over: bool, reopen: bool, drop: bool) -> "FollowAction":
    if cut_over + reopen + drop > 1:
        raise ConfigurationError("--cut-over, --reopen and --drop are three different ends: give one of them")
    return "cut-over" if cut_over else "reopen" if reopen else "drop" if drop else "follow"


def size_of(text: str) -> int:
    """Bytes: `10GB`, `512MB`, `64kB`, in powers of 1024 as PostgreSQL counts; 0 for nothing."""
    found = _SIZE.fullmatch(text.strip()) if text else None
    if text and (found is None or not int(found[1])):
        raise ConfigurationError(f"--max-slot-wal {text!r} is no size: write 10GB or 512MB")
    return int(found[1]) << _UNITS[found[2].lower()] if found else 0


def _show(output: Output, report: "FollowReport", action: "FollowAction", source: str) -> None:
    tables = {name: {"rows": rows} for name, rows in report.tables.items()}
    done: dict[str, Any] = {"ok": True, "tables": tables, "rejected": report.rejected, "target": report.target}
    if action == "reopen":
        output.event("done", **done, reopened=list(report.reopened))
        output.say(f"{one_or_many(len(report.reopened), 'table')} of the source can be written again")
    elif action == "drop":
        output.event("done", **done, dropped=report.dropped)
        output.say(f"slot and publication {report.dropped} are gone" if report.dropped else "there was nothing to drop")
    else:
        standstill = report.standstill or 0.0
        output.event("done", **done, applied=report.applied, standstill=round(standstill, 3))
        rows = sum(report.tables.values())
        counted = f"{one_or_many(rows, 'row')} in {one_or_many(len(tables), 'table')}"
        output.say(f"{report.target} is what the source was: {counted}; standstill {standstill:.2f} s")
        output.say("the source's tables refuse every write, and slot and publication are gone")
        output.say(f"now start the application on sqlite:///{report.target} (AUTHSTORE_URL)")
        output.say(f"should it have to go back: authstore follow {masked(source)} sqlite:///{report.target} --reopen")
