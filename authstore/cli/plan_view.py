"""A plan, its problems and a comparison, as people and machines read them."""

from collections.abc import Iterable

from authstore.cli.arguments import as_typed, dashed
from authstore.cli.output import Output, human_bytes, human_seconds, masked, one_or_many
from authstore.mover import Plan, Problem, VerifyReport
from authstore.mover.ways.directions import is_postgres

_REJECTED = ("orphan", "bad-row", "duplicate")


def show_plan(output: Output, plan: Plan, *, with_columns: bool = False) -> None:
    """Tables in order, roles and why, columns where asked for, problems, what it will take."""
    _as_events(output, plan)
    output.say(f"from {masked(plan.source)} to {plan.target}")
    output.say()
    output.table(
        ("table", "role", "from", "rows"),
        ((table.table, table.role or "carried", table.source, table.rows) for table in plan.tables),
        numbers=1,
    )
    for cycle in plan.cycles:
        output.say(f"a circle of foreign keys: {' → '.join((*cycle, cycle[0]))}")
    _show_why(output, plan)
    for table in plan.tables:
        if kept := [name.removeprefix("data.") for name in table.types if name.startswith("data.")]:
            output.say(f"into data of {table.table}: {', '.join(kept)}")
    if with_columns:
        _show_columns(output, plan)
    show_problems(output, plan.problems)
    output.say()
    connections = f", up to {one_or_many(plan.connections, 'connection')} to PostgreSQL" if plan.connections else ""
    output.say(f"about {human_bytes(plan.bytes)} and {human_seconds(plan.seconds)}{connections}; nothing was written")
    if not plan.ok:
        stopping = sum(problem.stops for problem in plan.problems)
        output.say(f"move would stop: see the {one_or_many(stopping, 'problem')} marked !")


def _as_events(output: Output, plan: Plan) -> None:
    for table in plan.tables:
        types = {name: {"source": source, "target": target} for name, (source, target) in table.types.items()}
        output.event(
            "table",
            table=table.table,
            state="planned",
            role=table.role,
            source=table.source,
            rows=table.rows,
            why=as_typed(table.why),
            types=types,
        )
    for problem in plan.problems:
        _problem_event(output, problem)
    output.event(
        "plan",
        ok=plan.ok,
        source=masked(plan.source),
        target=masked(str(plan.target)),
        order=[table.table for table in plan.tables],
        roles={table.role: table.source for table in plan.tables if table.role},
        cycles=plan.cycles,
        seconds=round(plan.seconds, 1),
        bytes=plan.bytes,
        connections=plan.connections,
    )
    output.event("done", ok=plan.ok, tables={table.table: {"rows": table.rows} for table in plan.tables}, rejected=0)


def _problem_event(output: Output, problem: Problem) -> None:
    output.event(
        "problem",
        kind=problem.kind,
        table=problem.table,
        message=as_typed(problem.message),
        count=problem.count,
        samples=problem.samples,
        option=dashed(problem.decision),
        stops=problem.stops,
    )


def _show_why(output: Output, plan: Plan) -> None:
    output.say()
    for table in plan.tables:
        if table.role:
            output.say(f"{table.source} is {table.role}: {as_typed(table.why)}")


def _show_columns(output: Output, plan: Plan) -> None:
    output.say()
    rows = [
        (table.table, column, source or "—", target)
        for table in plan.tables
        for column, (source, target) in table.types.items()
    ]
    sides = ("PostgreSQL" if is_postgres(url) else "SQLite" for url in (plan.source, plan.target))
    output.table(("table", "column", *sides), rows)


def show_problems(output: Output, problems: Iterable[Problem]) -> None:
    """What stops first, each with its count, its samples and the option that decides it."""
    output.say()
    for problem in sorted(problems, key=lambda one: not one.stops):
        mark = "!" if problem.stops else "-"
        decide = f" (decide with {dashed(problem.decision)})" if problem.decision and problem.stops else ""
        count = f" [{problem.count:,}]" if problem.count else ""
        output.say(f"{mark} {_where(problem)}{as_typed(problem.message)}{count}{decide}")
        for sample in problem.samples:
            output.say(f"    {sample}")


def _where(problem: Problem) -> str:
    return f"{problem.table}: " if problem.table and problem.table not in problem.message else ""


def how_to_decide(problems: Iterable[Problem]) -> str:
    """What to do about the problems that stop a move."""
    options = sorted({dashed(problem.decision) for problem in problems if problem.decision})
    return f"decide with {', '.join(options)}; `authstore plan` shows the rows" if options else "see `authstore plan`"


def show_undecided(output: Output, problems: Iterable[Problem]) -> None:
    """What stopped a move."""
    problems = list(problems)
    for problem in problems:
        _problem_event(output, problem)
    show_problems(output, problems)


def show_verify(output: Output, report: VerifyReport) -> None:
    """What differs, table by table."""
    rejected = [one for one in report.problems if one.kind in _REJECTED and one.count and not one.stops]
    for problem in (*report.findings, *report.undecided, *_left_behind(report.problems), *rejected):
        _problem_event(output, problem)
    tables = {
        name: {
            "rows": table.target_rows,
            "source_rows": table.source_rows,
            "missing": table.missing,
            "extra": table.extra,
            "changed": table.changed,
            "samples": table.samples,
            "ok": table.ok,
        }
        for name, table in report.tables.items()
    }
    output.event("done", ok=report.ok, tables=tables, rejected=sum(one.count for one in rejected))
    output.table(
        ("table", "source", "target", "missing", "extra", "changed"),
        (
            (name, table.source_rows, table.target_rows, table.missing, table.extra, table.changed)
            for name, table in report.tables.items()
        ),
        numbers=5,
    )
    for name, table in report.tables.items():
        for sample in table.samples:
            output.say(f"  {name}: {sample}")
    show_problems(output, (*report.findings, *report.undecided))
    show_left_behind(output, report.problems)
    for problem in rejected:
        output.say(f"not moved: {as_typed(problem.message)}")
    if not report.tables:
        output.say("nothing was compared: the options leave no table")
        return
    rows = one_or_many(sum(table.source_rows for table in report.tables.values()), "row")
    what = f"{one_or_many(len(report.tables), 'table')} with {rows}"
    output.say(f"equal: {what}" if report.ok else f"the target differs from the source ({what} compared)")


def show_left_behind(output: Output, problems: Iterable[Problem]) -> None:
    """Which rows are not in the target, and why."""
    for problem in _left_behind(problems):
        of = "" if problem.kind == "shut-out" else "not moved: "  # users come, disabled
        output.say(f"{of}{_where(problem)}{as_typed(problem.message)}")


def _left_behind(problems: Iterable[Problem]) -> list[Problem]:
    return [one for one in problems if one.kind in ("left-behind", "expired", "shut-out") and one.count]
