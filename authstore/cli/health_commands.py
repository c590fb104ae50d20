"""health, doctor, inspect."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import asdict
from datetime import timedelta
from textwrap import TextWrapper
from threading import Thread
from time import perf_counter
from typing import Annotated, Literal

import typer
from pydantic import JsonValue

from authstore import connect, ops
from authstore.cli.arguments import Json, Url, waitable
from authstore.cli.output import Output, human_bytes, one_or_many
from authstore.connect import file_of
from authstore.errors import AuthStoreError, ConfigurationError
from authstore.models import Health
from authstore.ops import Finding, Inspection

_WORDS = {"pass": "healthy", "warn": "alive, but slow or busy", "fail": "not healthy"}
_LEAST_SECONDS = 0.001
_LEVELS = ("info", "warning", "error")


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    for command in (health, doctor, inspect):
        app.command()(command)


def health(
    url: Url,
    timeout: Annotated[float, typer.Option(min=0.001, callback=waitable, help="Seconds to wait for an answer.")] = 1.0,
    json: Json = False,
) -> int:
    """Reads and writes; exit 1 where that does not work."""
    found = _health(url, timeout)
    output = Output(is_json=json)
    milliseconds = round(found.latency.total_seconds() * 1000, 1)
    output.event("done", ok=found.ok, status=found.status, latency_ms=milliseconds, detail=found.detail)
    output.say(f"{_WORDS[found.status]}, answered in {milliseconds} ms")
    for name, value in found.detail.items():
        output.say(f"  {name.replace('_', ' ')}: {value}")
    return 0 if found.ok else 1


def _health(url: str, seconds: float) -> Health:
    began, answer = perf_counter(), Future[Health]()
    detail: dict[str, JsonValue]
    # Nobody waits for the end of a daemon: to close a store takes as long as whoever holds up its last write.
    asking = Thread(target=lambda: asyncio.run(_ask(url, seconds, answer)), name="authstore-health", daemon=True)
    asking.start()
    try:
        found = answer.result()
        asking.join(max(began + seconds - perf_counter(), 0.0))  # nobody does, mostly: it takes its logs away
        return found
    except ConfigurationError:
        raise
    except TimeoutError:
        detail = {"error": "TimeoutError", "message": f"it was not open within {seconds:g} s: locked, or out of reach"}
    except AuthStoreError as error:
        detail = {"error": type(error).__name__, "message": str(error)}
    return Health(ok=False, status="fail", latency=timedelta(seconds=perf_counter() - began), detail=detail)


async def _ask(url: str, seconds: float, answer: "Future[Health]") -> None:
    ends = perf_counter() + seconds
    try:
        file_of(url)
        async with asyncio.timeout(seconds) as opening, connect(url, create=False, migrate=False) as store:
            opening.reschedule(None)
            left = max(ends - perf_counter(), _LEAST_SECONDS)
            answer.set_result(await store.health(timeout=timedelta(seconds=left)))
    except BaseException as error:  # noqa: BLE001 - whatever it is, somebody waits for the answer
        if not answer.done():
            answer.set_exception(error)


def doctor(
    url: Url,
    fail_level: Annotated[
        Literal["error", "warning", "info"], typer.Option("--fail-level", help="Exit 1 if something as bad is left.")
    ] = "error",
    ignore: Annotated[
        list[str] | None, typer.Option("--ignore", metavar="ID", help="Leave this out, as W014; may be repeated.")
    ] = None,
    fix: Annotated[bool, typer.Option("--fix", help="Mend what can be mended without touching people's data.")] = False,
    json: Json = False,
) -> int:
    """Says what is broken or set up wrongly, and how to mend it."""
    try:
        found = asyncio.run(ops.doctor(url, fix=fix, ignore=ignore or ()))
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    worst = _LEVELS.index(fail_level)
    is_well = not any(not each.fixed and _LEVELS.index(each.level) >= worst for each in found)
    output = Output(is_json=json)
    for finding in found:
        output.event("finding", **asdict(finding))
    output.event("done", ok=is_well, findings=len(found), fixed=sum(each.fixed for each in found))
    _tell(found, output)
    return 0 if is_well else 1


def _tell(found: Sequence[Finding], output: Output) -> None:
    for finding in found:
        mark = "mended" if finding.fixed else finding.level
        _say_filled(output, f"{finding.id}  {mark}: {finding.title}", "", "    ")
        _say_filled(output, finding.detail, "    ", "    ")
        if not finding.fixed:
            _say_filled(output, f"→ {finding.remedy}", "    ", "      ")
    left = [finding for finding in found if not finding.fixed]
    counts = [one_or_many(sum(each.level == level for each in left), level) for level in ("error", "warning")]
    output.say(", ".join(counts) if found else "nothing is wrong")


def _say_filled(output: Output, text: str, first: str, others: str) -> None:
    """Lines of a terminal's width. Ids, paths and options stay whole, to be copied."""
    whole = TextWrapper(
        80, initial_indent=first, subsequent_indent=others, break_on_hyphens=False, break_long_words=False
    )
    for line in whole.wrap(text):
        output.say(line)


def inspect(
    url: Url,
    keep: Annotated[bool, typer.Option("--keep", help="Compare a later look with this one.")] = False,
    json: Json = False,
) -> int:
    """Tables, rows, indexes and sizes; keeps nobody from working."""
    found = asyncio.run(ops.inspect(url, sizes=True, keep=keep))
    output = Output(is_json=json)
    content = asdict(found)
    tables = {table.pop("name"): table for table in content.pop("tables")}
    output.event("done", ok=True, tables=tables, version=found.schema_version, rejected=0, **content)
    _show(found, output)
    return 0


def _show(found: Inspection, output: Output) -> None:
    output.say(f"{found.place}: {human_bytes(found.bytes)}, schema version {found.schema_version}")
    if found.wal_bytes or found.free_bytes:
        output.say(f"its log: {human_bytes(found.wal_bytes)}; free within: {human_bytes(found.free_bytes)}")
    output.say(f"sessions: {found.sessions_alive:,} alive, {found.sessions_dead:,} dead")
    output.table(
        ("table", "indexes", "rows", "size"),
        (
            (
                table.name,
                len(table.indexes),
                f"{'' if table.is_exact else '~ '}{table.rows:,}",
                "?" if table.bytes is None else human_bytes(table.bytes),
            )
            for table in found.tables
        ),
        numbers=3,
    )
    if any(not table.is_exact for table in found.tables):
        output.say("~ estimated: a table of more than a million rows is not counted")
    if found.growth is not None:
        rows = ", ".join(f"{count:+,} {name}" for name, count in found.growth.rows.items()) or "no rows"
        output.say(f"since {found.growth.since:%Y-%m-%d %H:%M} UTC: {found.growth.bytes:+,} bytes, {rows}")
