"""Every table that is not one of authstore's: what it becomes, and the query that says what must stand in it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from authstore.mover.carried.columns import CarriedTable, land_columns, settle_columns
from authstore.mover.carried.counts import counted, read_values, unreadable_texts
from authstore.mover.carried.ddl import create_table
from authstore.mover.carried.defaults import Defaults, read_defaults
from authstore.mover.carried.expressions import Expressions
from authstore.mover.carried.keys import Keys
from authstore.mover.carried.references import CarriedReference, QualifiedName, References
from authstore.mover.carried.rejects import Rejects
from authstore.mover.carried.secrets import without_secrets
from authstore.mover.catalog import Source, SourceTable
from authstore.mover.copies import TableCopy, TargetColumn, UserChanges
from authstore.mover.expressions.views import Relation, create_views
from authstore.mover.names import Namespace, folded, label, own_namespace, relation
from authstore.mover.options import MoveOptions
from authstore.mover.postgres.asking import Asking
from authstore.mover.postgres.counting import count_rows
from authstore.mover.problems import rows_said
from authstore.mover.recognition.chosen import is_chosen
from authstore.mover.recognition.recognised import Recognised
from authstore.mover.recognition.secrets import is_secret
from authstore.mover.reports import Problem


@dataclass(frozen=True, slots=True)
class Carried:
    """What is carried over: tables, the views over them (CREATE VIEW), and what the operator should know."""

    copies: tuple[TableCopy, ...]
    views: tuple[str, ...]
    problems: tuple[Problem, ...]
    names: tuple[str, ...] = ()  # of all tables in the target, those that are left behind included


def carried_plan(
    source: Source,
    recognised: Sequence[Recognised],
    options: MoveOptions,
    changes: UserChanges,
) -> Asking[Carried]:
    """All tables that `recognised` does not speak of, in the order of their names, and the views over them.

    `changes`: the users that do not arrive under their own id; what hangs on them follows.
    """
    space = own_namespace()
    tables, names, problems = yield from _tables(source, recognised, options, space)
    views = _views(source, recognised, options, space)
    references = References(tables, [one for one in recognised if is_chosen(one, options)], changes)
    copies: dict[QualifiedName, TableCopy] = {}
    for at, table in references.tables.items():
        defaults = yield from read_defaults(table)
        copies[at], said = _copy(table, references.links(table), defaults, space)
        problems += [*said, *_unfollowed(table, changes)]
    problems += yield from _keep_back(copies, references, Rejects(references, changes, options.naive_tz), options)
    relations = {at: Relation(table.target, table.columns_by_name()) for at, table in references.tables.items()}
    created, unsaid = create_views(views, relations)
    return Carried(tuple(copies.values()), created, (*problems, *references.problems, *unsaid), names)


def _tables(
    source: Source,
    recognised: Sequence[Recognised],
    options: MoveOptions,
    space: Namespace,
) -> Asking[tuple[dict[QualifiedName, CarriedTable], tuple[str, ...], list[Problem]]]:
    """The tables that move, with their columns settled, and the names of all. All get theirs, so that `skip` and `only`
    change none."""
    problems = [*_left_behind(source), *_guarded(source), *(yield from _other_schemas(source, recognised, options))]
    problems += yield from unreadable_texts(source, [one.table for one in recognised if one.moved])
    carried: dict[QualifiedName, CarriedTable] = {}
    names = []
    for found in _candidates(source, recognised, options):
        table, said = without_secrets(found, recognised, options)
        named = CarriedTable(table, space.take_table(table.name, table.schema), land_columns(table, options.naive_tz))
        names.append(named.target)
        obstacle = yield from _obstacle(named, options)
        if obstacle is not None:
            problems.append(obstacle)
            continue
        problems += yield from unreadable_texts(source, [table])
        carried[named.at], noted = settle_columns(named, (yield from read_values(named)))
        problems += [*said, *_about(named), *noted]
    return carried, tuple(names), problems


def _views(
    source: Source, recognised: Sequence[Recognised], options: MoveOptions, space: Namespace
) -> dict[QualifiedName, tuple[str, str]]:
    """Views take their names before indexes do."""
    schemas = _schemas(recognised, options)
    return {
        (schema, name): (space.take_table(name, schema), definition)
        for schema, name, definition in source.views
        if not schemas or schema in schemas
    }


def _left_behind(source: Source) -> list[Problem]:
    """One line for every kind of thing that SQLite has no place for, or that is not moved."""
    kinds: dict[str, list[str]] = {}
    for text in source.left_behind:
        kinds.setdefault(_kind(text), []).append(text)
    return [
        Problem("left-behind", "", _said_left(kind, found), len(found), tuple(found[:_SAMPLES]))
        for kind, found in kinds.items()
    ]


def _said_left(kind: str, found: Sequence[str]) -> str:
    names = [one.removeprefix(kind).strip() for one in found]
    which = "" if names[0].startswith("(") else f" ({_named(names)})"  # "large objects (12)" says no more
    return f"{kind}: {len(found)} left behind{which}"


def _named(names: Sequence[str]) -> str:
    """The first of them, and that there are more."""
    return ", ".join([*names[:_NAMED], *(["…"] if len(names) > _NAMED else [])])


def _guarded(source: Source) -> list[Problem]:
    """The guards that a cut-over put on tables: they are nobody's triggers, and are no part of what moves."""
    said = {
        True: "closed by a cut-over, whose guards refuse every write: `authstore follow SOURCE TARGET --reopen` takes"
        " them off",
        False: "left with the guards of a cut-over, which refuse nothing any more: `authstore follow SOURCE TARGET"
        " --reopen` takes them off",
    }
    problems = []
    for refuses, message in said.items():
        tables = [table for table, its in source.guards if its is refuses]
        if tables:
            many = "1 table is" if len(tables) == 1 else f"{len(tables)} tables are"
            problems.append(Problem("guard", "", f"{many} {message}", len(tables), tuple(tables[:_SAMPLES])))
    return problems


def _kind(text: str) -> str:
    return next((kind for kind in _KINDS if text.startswith(kind)), text.split(" ", 1)[0])


_SAMPLES, _NAMED = 20, 3
_KINDS = ("foreign table", "materialized view", "exclusion constraint", "grants", "comment", "large objects")


def _other_schemas(source: Source, recognised: Sequence[Recognised], options: MoveOptions) -> Asking[list[Problem]]:
    schemas = _schemas(recognised, options)
    others: dict[str, list[SourceTable]] = {}
    for table in (*source.tables, *source.elsewhere):
        if schemas and table.schema not in schemas and not any(one.table is table for one in recognised):
            others.setdefault(table.schema, []).append(table)
    problems = []
    for schema, tables in others.items():
        count, hidden = 0, sum(not table.readable for table in tables)
        for table in tables:
            count += yield from _rows_of(table)
        names = [label(table.schema, table.name) for table in tables]
        held = f"{rows_said(count)} in {len(tables)} {'table' if len(tables) == 1 else 'tables'} ({_named(names)})"
        unseen = f", {hidden} of which this role may not read" if hidden else ""
        message = f'schema "{schema}" stays behind with {held}{unseen}; `schemas` moves it too'
        problems.append(Problem("left-behind", "", message, count + hidden, tuple(names[:_SAMPLES])))
    return problems


def _rows_of(table: SourceTable) -> Asking[int]:
    return (yield from count_rows(relation(table))) if table.readable else 0


def _candidates(source: Source, recognised: Sequence[Recognised], options: MoveOptions) -> list[SourceTable]:
    known = {(one.table.schema, one.table.name) for one in recognised}
    schemas = _schemas(recognised, options)
    found = [
        table
        for table in source.tables
        if (table.schema, table.name) not in known and (not schemas or table.schema in schemas)
    ]
    return sorted(found, key=lambda table: schemas.index(table.schema)) if schemas else found


def _schemas(recognised: Sequence[Recognised], options: MoveOptions) -> tuple[str, ...]:
    return options.schemas or tuple(sorted({one.table.schema for one in recognised if one.moved}))


def _obstacle(table: CarriedTable, options: MoveOptions) -> Asking[Problem | None]:
    """Why a table does not move at all."""
    names = {table.source.name, table.label, table.target}
    if names & set(options.skip) or (options.only and not names & set(options.only)):
        count = yield from _rows_of(table.source)
        message = f"left behind with {rows_said(count)}, as `skip` and `only` say"
        return Problem("left-behind", table.label, message, count)
    if not table.source.readable:
        message = (
            "this role may not read it, a policy hides rows, or it is unlogged and this is a standby:"
            " GRANT SELECT, a role with BYPASSRLS, the primary, or `skip` it"
        )
        return Problem("permission", table.label, message, stops=True)
    if not table.source.columns:
        count = yield from _rows_of(table.source)
        message = f"has no columns, and SQLite knows no such table: left behind with {rows_said(count)}"
        return Problem("left-behind", table.label, message, count)
    return None


def _about(table: CarriedTable) -> list[Problem]:
    source, said = table.source, []
    if table.target != source.name:
        said.append(Problem("name", table.label, f'becomes "{table.target}": its own name is taken in SQLite'))
    if source.parents:
        message = f"inherits from {', '.join(source.parents)}; in SQLite it stands alone"
        said.append(Problem("left-behind", table.label, message))
    if source.inherited:
        said.append(Problem("left-behind", table.label, "has tables that inherit from it; it keeps its own rows only"))
    if source.partitioned:
        said.append(Problem("left-behind", table.label, "is partitioned and becomes one table"))
    return said


def _keep_back(
    copies: dict[QualifiedName, TableCopy],
    references: References,
    rejects: Rejects,
    options: MoveOptions,
) -> Asking[list[Problem]]:
    """Gives the copies their rejects, as far as there are such rows."""
    problems: list[Problem] = []
    for at in rejects.parents_first():
        table = references.tables[at]
        copies[at], found = yield from counted(table, replace(copies[at], rejects=rejects.of(table)), options)
        problems += found
        if not copies[at].rejects:
            rejects.spare(at)
    return problems


def _unfollowed(table: CarriedTable, changes: UserChanges) -> list[Problem]:
    """Columns that seem to hold users' ids but say so nowhere, when some of these ids are gone or merged."""
    if not changes.gone and not changes.merged:
        return []
    return [
        Problem(
            "orphan",
            table.label,
            f'column "{name}" has no foreign key: it is not followed where users are gone or merged',
        )
        for name, column in table.columns.items()
        if folded(name).replace("_", "") == "userid" and not column.mapped
    ]


def _copy(
    table: CarriedTable,
    links: Sequence[CarriedReference],
    defaults: Defaults,
    space: Namespace,
) -> tuple[TableCopy, list[Problem]]:
    said = Expressions(table, defaults)
    keys = Keys(table, said.generated)
    created = create_table(
        table,
        primary=keys.primary,
        inline=keys.inline,
        counted=keys.counted,
        defaults=said.defaults,
        generated=said.generated,
        checks=said.checks,
        links=links,
    )
    copy = TableCopy(
        target=table.target,
        role=None,
        source=table.at,
        columns=(*keys.hidden, *_written(table, said)),
        key=keys.chunk,
        source_from=keys.source_from,
        row_id=keys.row_id,
        create=(created,),
        indexes=(*keys.indexes(space), *said.indexes(space)),
        sequence=keys.sequence,
        secrets=tuple(column.name for column in table.source.columns if is_secret(column)),
        watched=table.watched,
    )
    return copy, [*said.problems, *keys.problems]


def _written(table: CarriedTable, said: Expressions) -> list[TargetColumn]:
    """The columns that are copied; SQLite makes the generated ones itself."""
    return [
        TargetColumn(column.name, column.landing.storage, column.landing.expression, column.landing.otherwise)
        for name, column in table.columns.items()
        if name not in said.generated
    ]
