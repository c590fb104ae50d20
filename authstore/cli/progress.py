"""The mover's events as bars, as plain lines or as JSON."""

import time
from types import TracebackType

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from authstore.cli.arguments import as_typed
from authstore.cli.output import Output, one_or_many
from authstore.mover import Event, LagEvent, ProblemEvent, ProgressEvent, RetryEvent, TableEvent

_JSON_SECONDS = 0.5  # between two progress events of one table
_LINE_SECONDS = 5.0

_FOLLOWING = "following"
_SAID = ("plan", "slot", "wait")  # what happens meanwhile; the other problems are told at the end
_PHASES = {
    "index": "building indexes",
    "check": "checking",
    "verify": "reading it back",
    "finish": "putting it in place",
}


class ProgressView:
    """Call it with each event."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._bars = _bars(output) if output.is_lively else None
        self._tasks: dict[str, TaskID] = {}
        self._all = self._bars.add_task("all", total=None, rate="") if self._bars else None
        self._expected = 0  # rows in all tables
        self._begun: dict[str, int] = {}
        self._done: dict[str, int] = {}
        self._began = time.monotonic()
        self._last: dict[str, float] = {}

    def __enter__(self) -> "ProgressView":
        if self._bars:
            self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._bars:
            self._bars.stop()

    def __call__(self, event: Event) -> None:
        if isinstance(event, TableEvent):
            self._table(event)
        elif isinstance(event, ProgressEvent):
            self._progress(event)
        elif isinstance(event, LagEvent):
            self._lag(event)
        elif isinstance(event, RetryEvent):
            self._output.event("problem", kind="retry", message=event.message, seconds=event.seconds)
            self._output.say(f"{event.message}; trying again in {event.seconds:g} s")
        elif isinstance(event, ProblemEvent) and not event.problem.stops:
            problem = event.problem
            self._output.event(
                "problem",
                kind=problem.kind,
                table=problem.table,
                message=as_typed(problem.message),
                count=problem.count,
            )
            if problem.kind in _SAID:
                self._output.say(problem.message)

    def _lag(self, event: LagEvent) -> None:
        """Rows that wait, of all that came since the last time nothing did."""
        self._output.event(
            "progress", table="", phase="follow", rows=event.applied, lag_rows=event.rows, lag_seconds=event.seconds
        )
        if self._bars:
            self._bar(_FOLLOWING, event.applied, event.applied + event.rows)
            return
        now = time.monotonic()
        if now - self._last.get(_FOLLOWING, 0.0) >= _LINE_SECONDS:
            self._last[_FOLLOWING] = now
            behind = (
                f"{one_or_many(event.rows, 'row')} and {event.seconds:.1f} s behind" if event.rows else "nothing waits"
            )
            self._output.say(f"following: {one_or_many(event.applied, 'row')} applied, {behind}")

    def _table(self, event: TableEvent) -> None:
        self._output.event(
            "table",
            table=event.table,
            state=event.state,
            rows=event.rows,
            copied=event.copied,
            deleted=event.deleted,
        )
        if event.state == "begin":
            self._begun[event.table] = event.rows
        else:  # some may have been left out
            self._expected += event.rows - self._begun.get(event.table, event.rows)
        if self._bars:
            self._bar(event.table, event.rows if event.state == "done" else 0, event.rows)
        elif event.state == "done":
            self._output.say(f"{event.table}: {event.rows:,} rows, {event.copied:,} copied, {event.deleted:,} deleted")

    def _progress(self, event: ProgressEvent) -> None:
        if self._bars:
            if event.table or event.phase in _PHASES:
                self._bar(event.table or _PHASES[event.phase], event.rows, event.total)
            else:
                self._expected = event.total
            return
        now, last = time.monotonic(), self._last.get(event.table + event.phase)
        if last is not None and now - last < (_JSON_SECONDS if self._output.is_json else _LINE_SECONDS):
            return
        self._last[event.table + event.phase] = now
        self._output.event("progress", table=event.table, phase=event.phase, rows=event.rows, total=event.total)
        if not event.table and event.rows == 0:
            self._output.say(_PHASES.get(event.phase, one_or_many(event.total, "row")))
        elif last is not None:
            self._output.say(f"{event.table}: {event.rows:,} of {event.total:,} rows")

    def _bar(self, name: str, rows: int, total: int) -> None:
        bars = self._bars
        if bars is None or self._all is None:
            return
        if name not in self._tasks:
            self._tasks[name] = bars.add_task(name, total=total, rate="")  # nothing of nothing is all of it
        bars.update(self._tasks[name], completed=rows, total=max(rows, total))
        if name not in _PHASES.values():
            self._done[name] = rows
            done = sum(self._done.values())
            rate = done / max(0.001, time.monotonic() - self._began)
            bars.update(self._all, completed=done, total=max(self._expected, done), rate=f"{rate:,.0f} rows/s")


def _bars(output: Output) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        console=output.console,
    )
