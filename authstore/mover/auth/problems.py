"""What the operator must know of the auth tables: duplicates, secrets, and whatever stays behind."""

from collections.abc import Iterable, Sequence

from authstore.mover.auth.draft import Draft, Fields, Unique
from authstore.mover.auth.duplicates import Group, is_open
from authstore.mover.catalog import SourceColumn
from authstore.mover.names import label, quote, relation
from authstore.mover.options import MoveOptions
from authstore.mover.postgres.asking import Asking
from authstore.mover.postgres.counting import count_rows, first_rows
from authstore.mover.problems import SAMPLES, rows_said, sample
from authstore.mover.recognition.grants import is_switch
from authstore.mover.recognition.recognised import Recognised
from authstore.mover.reports import Problem


def where_from(one: Recognised) -> str:
    """The source table as problems name it."""
    return label(one.table.schema, one.table.name)


def duplicate_problems(draft: Draft, unique: Unique, groups: Sequence[Group], options: MoveOptions) -> list[Problem]:
    """One problem for what is decided, one for what is not."""
    parts: dict[bool, list[Group]] = {True: [], False: []}
    for group in groups:
        parts[is_open(group, unique, options)].append(group)
    return [_duplicates(draft, unique, some, options, stops) for stops, some in parts.items() if some]


def _duplicates(draft: Draft, unique: Unique, groups: Sequence[Group], options: MoveOptions, stops: bool) -> Problem:
    count = sum(len(group.others) for group in groups)
    message = f"{rows_said(count)} of {where_from(draft.one)} with the same {unique.name} as an older row"
    if stops and options.on_duplicate == "merge":
        message += ": not merged, for not every address involved is verified"
    return Problem(
        kind="duplicate",
        table=where_from(draft.one),
        message=message,
        count=count,
        samples=tuple(_pair(group) for group in groups[:SAMPLES]),
        decision="" if unique.harmless else "on_duplicate",
        stops=stops,
    )


def _pair(group: Group) -> str:
    others = ", ".join(sample(member.row_id, member.shown) for member in group.others[:SAMPLES])
    return f"{others} = {sample(group.oldest.row_id, group.oldest.shown)}"


def expired_problem(draft: Draft, count: int) -> Problem:
    """What is left behind because its time is over."""
    message = f"{rows_said(count)} of {where_from(draft.one)} have expired and are left behind"
    return Problem("expired", where_from(draft.one), message, count, decision="with_expired")


def left_behind_problem(one: Recognised) -> Asking[Problem]:
    """An auth table that does not move."""
    count = yield from count_rows(relation(one.table))
    message = f"{where_from(one)} is left behind with {rows_said(count)}: {one.why}"
    return Problem("left-behind", where_from(one), message, count)


def about_columns(fields: Fields, options: MoveOptions) -> Asking[list[Problem]]:
    """What becomes of the columns of an auth table that have no field."""
    found = [*(yield from _secrets(fields, options)), *_left_columns(fields)]
    return found + (yield from _inactive(fields)) if fields.one.role == "roles" else found


def _secrets(fields: Fields, options: MoveOptions) -> Asking[list[Problem]]:
    """Secret columns that hold something and have no field."""
    problems = []
    for column in fields.secret:
        count, some = yield from _filled(fields, column)
        if count:
            done = {"stop": "", "keep": ": kept in data", "drop": ": dropped"}[options.secrets]
            message = f"{column.name} of {where_from(fields.one)} seems to hold secrets and has no field{done}"
            stops = options.secrets == "stop"
            problems.append(Problem("secret", where_from(fields.one), message, count, some, "secrets", stops))
    return problems


def _filled(fields: Fields, column: SourceColumn) -> Asking[tuple[int, tuple[str, ...]]]:
    value = f"{fields.alias}.{quote(column.name)}"
    filled = f"{value} IS NOT NULL AND concat({value}) <> ''"
    count = yield from count_rows(fields.source_from(), filled)
    if not count or "id" not in fields:
        return count, ()
    row_id = fields.text("id")
    some = yield from first_rows(row_id, fields.source_from(), f"{filled} AND {row_id} IS NOT NULL", SAMPLES)
    return count, tuple(sample(found) for (found,) in some)


def _left_columns(fields: Fields) -> Iterable[Problem]:
    """Columns and rules of an auth table that stay behind, or live on in `data` only."""
    table = where_from(fields.one)
    if fields.of_no_use:
        names = ", ".join(column.name for column in fields.of_no_use)
        yield Problem("left-behind", table, f"{names} of {table} is of no use and left behind")
    extra = {column.name for column in fields.extra}
    if fields.one.role in ("roles", "permissions", "role_permissions", "user_roles", "visits") and extra:
        names = ", ".join(column.name for column in fields.extra)
        done = "kept in data alone" if fields.one.role == "roles" else "left behind"
        yield Problem("left-behind", table, f"columns of {table} without a field are {done}: {names}")
    # Those of roles have no data, that of visits is the site's.
    keeps = (
        fields.one.role not in ("permissions", "role_permissions", "user_roles", "visits") and not fields.one.user_in
    )
    for reference in fields.table.references:
        if keeps and extra & set(reference.columns):
            there = label(*reference.table)
            message = f"{', '.join(reference.columns)} of {table} no longer refer to {there}: kept in data as values"
            yield Problem("left-behind", table, message)


def _inactive(fields: Fields) -> Asking[list[Problem]]:
    """Roles that are switched off, which authstore lacks: whoever was granted one would have it."""
    problems = []
    for column in fields.extra:
        if column.base == "bool" and is_switch(column.name):
            off = f"NOT {fields.alias}.{quote(column.name)}"
            names = yield f"SELECT {fields.text('name')} FROM {fields.source_from()} WHERE {off} ORDER BY 1"
            if names:
                table = where_from(fields.one)
                message = (
                    f"{rows_said(len(names))} of {table} are switched off by {column.name}: granted, they hold again"
                )
                some = tuple(str(name) for (name,) in names[:SAMPLES])
                problems.append(Problem("left-behind", table, message, len(names), some))
    return problems
