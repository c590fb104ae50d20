"""Counting what is wrong with a draft's rows, in the snapshot, and saying so with a few samples."""

from collections.abc import Iterable, Sequence

from authstore.email import masked_email
from authstore.mover.auth.draft import Draft, Fields, Unique
from authstore.mover.auth.duplicates import Group, is_open
from authstore.mover.catalog import SourceColumn
from authstore.mover.copies import Reject
from authstore.mover.names import label, quote, relation
from authstore.mover.options import MoveOptions
from authstore.mover.postgres.connection import SourceConnection
from authstore.mover.postgres.statements import rows
from authstore.mover.recognition.aliases import normalised
from authstore.mover.recognition.recognised import Recognised
from authstore.mover.reports import KINDS, SAMPLES, Problem


def where_from(one: Recognised) -> str:
    """The source table as problems name it."""
    return label(one.table.schema, one.table.name)


def count_rejects(connection: SourceConnection, draft: Draft, rejects: Sequence[Reject]) -> tuple[int, tuple[int, ...]]:
    """In one pass: how many rows have expired, and how many of the others each reject is the first to keep back."""
    branches = [] if draft.ended == "FALSE" else [(draft.ended, -1)]
    branches += [(draft.over, 0)] if draft.over else []
    branches += [(reject.where, place) for place, reject in enumerate(rejects, 1)]
    if not branches:
        return 0, ()
    which = " ".join(f"WHEN {where} THEN {place}" for where, place in branches)
    # OFFSET: PostgreSQL 18 searches constant arrays in an expression that is grouped by without a hash table.
    seen = f"SELECT CASE {which} END AS which FROM {draft.source_from} OFFSET '0'"
    counts = dict(rows(connection, f"SELECT which, count(*) FROM ({seen}) AS seen GROUP BY which"))
    return counts.get(0, 0), tuple(counts.get(place, 0) for place in range(1, len(rejects) + 1))


def reject_problem(
    connection: SourceConnection, draft: Draft, reject: Reject, where: str, count: int, options: MoveOptions
) -> Problem:
    """The problem that a reject with this many rows is. Rows that only follow their user raise no question."""
    of = f" ({reject.column})" if reject.column else ""
    return Problem(
        kind=KINDS[reject.decision],
        table=where_from(draft.one),
        message=f"{_rows(count)} of {where_from(draft.one)} cannot move: {reject.reason}{of}",
        count=count,
        samples=samples(connection, draft, where),
        decision=reject.decision,
        stops=not reject.follows and options.is_undecided(reject.decision),
    )


def samples(connection: SourceConnection, draft: Draft, where: str) -> tuple[str, ...]:
    """Up to five rows by their id, with the address masked."""
    statement = f"SELECT {draft.name}, {draft.shown} FROM {draft.source_from} WHERE {where} ORDER BY 1 LIMIT {SAMPLES}"
    return tuple(_sample(row_id, shown) for row_id, shown in rows(connection, statement))


def duplicate_problems(draft: Draft, unique: Unique, groups: Sequence[Group], options: MoveOptions) -> list[Problem]:
    """One problem for what is decided, one for what is not."""
    parts: dict[bool, list[Group]] = {True: [], False: []}
    for group in groups:
        parts[is_open(group, unique, options)].append(group)
    return [_duplicates(draft, unique, some, options, stops) for stops, some in parts.items() if some]


def _duplicates(draft: Draft, unique: Unique, groups: Sequence[Group], options: MoveOptions, stops: bool) -> Problem:
    count = sum(len(group.others) for group in groups)
    message = f"{_rows(count)} of {where_from(draft.one)} with the same {unique.name} as an older row"
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
    others = ", ".join(_sample(member.row_id, member.shown) for member in group.others[:SAMPLES])
    return f"{others} = {_sample(group.oldest.row_id, group.oldest.shown)}"


def _sample(row_id: str, shown: str | None) -> str:
    named = masked_email(row_id) if "@" in row_id else row_id
    return f"{named} ({masked_email(shown.strip())})" if shown and shown.strip() else named


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count} rows"


def expired_problem(draft: Draft, count: int) -> Problem:
    """What is left behind because its time is over."""
    message = f"{_rows(count)} of {where_from(draft.one)} have expired and are left behind"
    return Problem("expired", where_from(draft.one), message, count, decision="with_expired")


def left_behind_problem(connection: SourceConnection, one: Recognised) -> Problem:
    """An auth table that does not move."""
    ((count,),) = rows(connection, f"SELECT count(*) FROM {relation(one.table)}")
    message = f"{where_from(one)} is left behind with {_rows(count)}: {one.why}"
    return Problem("left-behind", where_from(one), message, count)


def secret_problems(connection: SourceConnection, fields: Fields, options: MoveOptions) -> Iterable[Problem]:
    """Secret columns that hold something and have no field."""
    for column in fields.secret:
        count, some = _filled(connection, fields, column)
        if count:
            done = {"stop": "", "keep": ": kept in data", "drop": ": dropped"}[options.secrets]
            message = f"{column.name} of {where_from(fields.one)} seems to hold secrets and has no field{done}"
            stops = options.secrets == "stop"
            yield Problem("secret", where_from(fields.one), message, count, some, "secrets", stops)


def _filled(connection: SourceConnection, fields: Fields, column: SourceColumn) -> tuple[int, tuple[str, ...]]:
    value = f"{fields.alias}.{quote(column.name)}"
    filled = f"FROM {fields.source_from()} WHERE {value} IS NOT NULL AND concat({value}) <> ''"
    ((count,),) = rows(connection, f"SELECT count(*) {filled}")
    if not count or "id" not in fields:
        return int(count), ()
    row_id = fields.text("id")
    some = rows(connection, f"SELECT {row_id} {filled} AND {row_id} IS NOT NULL ORDER BY 1 LIMIT {SAMPLES}")
    return int(count), tuple(_sample(found, None) for (found,) in some)


def column_problems(fields: Fields) -> Iterable[Problem]:
    """Columns and rules of an auth table that stay behind, or live on in `data` only."""
    table = where_from(fields.one)
    if fields.of_no_use:
        names = ", ".join(column.name for column in fields.of_no_use)
        yield Problem("left-behind", table, f"{names} of {table} is of no use and left behind")
    extra = {column.name for column in fields.extra}
    if fields.one.role in ("roles", "permissions", "role_permissions", "user_roles") and extra:
        names = ", ".join(column.name for column in fields.extra)
        kept = " (kept in data only)" if fields.one.role == "roles" else ""
        yield Problem("left-behind", table, f"columns of {table} without a field are left behind{kept}: {names}")
    keeps = fields.one.role not in ("permissions", "role_permissions", "user_roles")  # which have no data
    for reference in fields.table.references:
        if keeps and extra & set(reference.columns):
            there = label(*reference.table)
            message = f"{', '.join(reference.columns)} of {table} no longer refer to {there}: kept in data as values"
            yield Problem("left-behind", table, message)


def inactive_roles(connection: SourceConnection, fields: Fields) -> Iterable[Problem]:
    """Roles that are switched off, which authstore lacks: whoever was granted one would have it."""
    for column in fields.extra:
        if column.base == "bool" and normalised(column.name) in ("active", "enabled", "isactive", "isenabled"):
            off = f"NOT {fields.alias}.{quote(column.name)}"
            names = rows(connection, f"SELECT {fields.text('name')} FROM {fields.source_from()} WHERE {off} ORDER BY 1")
            if names:
                table = where_from(fields.one)
                message = f"{_rows(len(names))} of {table} are switched off by {column.name}: granted, they hold again"
                yield Problem("left-behind", table, message, len(names), tuple(str(n) for (n,) in names[:SAMPLES]))
