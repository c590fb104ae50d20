"""The whole of a move into PostgreSQL: what is made, what stands in each table, and what has to be decided first."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from authstore.mover.catalog import SourceColumn
from authstore.mover.copies import TableCopy, TargetColumn
from authstore.mover.layout import Layout
from authstore.mover.names import OWN_TABLES, Namespace, quote
from authstore.mover.options import MoveOptions
from authstore.mover.postgres.reading import reader_of
from authstore.mover.postgres.schemas import objects_of, taken_names
from authstore.mover.postgres.spelling import written_as
from authstore.mover.postgres.target import BUILDING, PostgresTarget
from authstore.mover.postgres.target_ledger import PostgresLedger
from authstore.mover.postgres.types import Landing, land, land_with_nan
from authstore.mover.rebuilding.added import added_to_own
from authstore.mover.rebuilding.choosing import is_wanted, left_behind, refuse_options
from authstore.mover.rebuilding.incoming import ROW_NUMBER, STORED, Incoming
from authstore.mover.rebuilding.rejects import with_rejects
from authstore.mover.rebuilding.steps import Step
from authstore.mover.rebuilding.tables import IncomingTables
from authstore.mover.rebuilding.trial import (
    Tried,
    lay_own,
    make_extensions,
    members_of_extensions,
    own_later,
    read_tables,
    try_steps,
)
from authstore.mover.recognition.secrets import is_secret
from authstore.mover.reports import Problem
from authstore.mover.sqlite.file_tables import FileTable
from authstore.mover.sqlite.source import SqliteSource
from authstore.mover.tuning import DEFAULT

_SECRETS = ("access_token", "refresh_token", "id_token")


@dataclass(frozen=True)
class RebuildScheme:
    """`rows`: what the file holds of each table; `incoming`: what is known of the carried ones."""

    system: str
    tables: tuple[Incoming, ...]  # parents first
    tried: Tried
    problems: tuple[Problem, ...]
    rows: Mapping[str, int]
    incoming: IncomingTables

    @property
    def undecided(self) -> tuple[Problem, ...]:
        return tuple(problem for problem in self.problems if problem.stops)

    @cached_property
    def finishing(self) -> list[Step]:
        """What is made when the rows are there: keys before what refers to them, views last."""
        steps = [*self.tried.own, *self.tried.steps.later]
        return sorted(steps, key=lambda step: (step.is_view, step.is_foreign_key))

    @property
    def fingerprint(self) -> str:
        """Two moves with the same make the same tables, so one can go on from the other's."""
        made = [*self.tried.steps.first, *self.tried.steps.later]
        steps = [step.sql for step in made if not step.what.startswith("extension ")]  # there from the second move on
        tables = [[one.name, [column.name for column in one.layout.columns], one.copy.key] for one in self.tables]
        return hashlib.sha256(json.dumps([self.system, steps, tables]).encode()).hexdigest()


class _StrangersError(Exception):
    """Columns whose declared type in the file is no longer what their type in Postgres lands as."""

    def __init__(self, columns: frozenset[tuple[str, str]]) -> None:
        super().__init__()
        self.columns = columns


def rebuild_scheme(source: SqliteSource, target: PostgresTarget, options: MoveOptions) -> RebuildScheme:
    """Reads the file, and tries on the target what is to be made of it; nothing stays there.

    Raises `ConfigurationError` for options that name nothing, or that speak of a source in Postgres.
    """
    refuse_options(source, options)
    carried = [name for name in source.carried_tables() if is_wanted(name, options)]
    files = {name: source.table(name) for name in carried}
    kinds = {name: source.kinds(table) for name, table in files.items() if not table.is_strict or _has_any(table)}
    with source.as_moved() as plain:
        there = plain.carried_tables()
        moved = {name: plain.table(name) for name in carried if name in there}
        lost_views = sorted(plain.views().keys() - source.views().keys())
    own = frozenset(source.own_tables())
    incoming = IncomingTables(files, own, source.definitions(), kinds, moved=moved, lost_views=lost_views)
    for _ in range(len(files) + 1):
        try:
            return _tried_scheme(source, target, options, incoming)
        except _StrangersError as found:
            incoming = replace(incoming, strangers=frozenset(incoming.strangers) | found.columns)
    raise AssertionError("columns that are declared anew are never strangers again")


def _tried_scheme(
    source: SqliteSource, target: PostgresTarget, options: MoveOptions, incoming: IncomingTables
) -> RebuildScheme:
    own = [name for name in source.own_tables() if is_wanted(name, options)]
    tried, zone = Tried(), _naive_tz(source, options)
    added = added_to_own(source, own, incoming.names)
    with target.trial():
        target.drop_building()
        target.make_building()
        lay_own(target, own)
        tried.own = own_later(target, source.own_tables())
        extensions = incoming.sources.get("", {}).get("extensions", ())
        tried.steps.first += make_extensions(target, extensions, incoming.used)
        incoming = replace(incoming, members=members_of_extensions(target, extensions))
        steps = incoming.steps()
        space = Namespace((step.name for step in steps.later), is_postgres=True)
        steps.first += [step for one in added.values() for step in one.first()]
        steps.later += [step for one in added.values() for step in one.later(space)]
        tried.steps.first += try_steps(target, steps.first, tried)
        tried.tables = read_tables(target)
        made = [name for name in incoming.files if incoming.names[name] in tried.tables]
        tables = [
            _incoming(target, one.since.now, name, one.columns, tried, "UTC", is_own=True)
            for name, one in added.items()
        ]
        tables += [
            _incoming(target, incoming.files[name], incoming.names[name], incoming.column_names(name), tried, zone)
            for name in made
        ]
        tried.steps.later += try_steps(target, steps.later, tried)
        PostgresLedger(target, BUILDING).create()  # what comes, all of it
        tried.objects, tried.relations = objects_of(target, BUILDING), taken_names(target, BUILDING)
    decided, problems = with_rejects(source, _in_order(tables), options)
    return RebuildScheme(
        source.system,
        tuple(decided),
        tried,
        (
            *tried.problems,
            *incoming.problems(),
            *(problem for one in added.values() for problem in one.problems()),
            *problems,
            *left_behind(source, incoming, options),
        ),
        {one.target: source.count(one.target) for one in decided},
        incoming,
    )


def _naive_tz(source: SqliteSource, options: MoveOptions) -> str:
    """The zone of times without one: as it was when they were moved here."""
    recorded = json.loads(source.notes.get("options", "{}"))
    return options.naive_tz if options.naive_tz != "UTC" else str(recorded.get("naive_tz", "UTC"))


def _incoming(
    target: PostgresTarget,
    file: FileTable,
    name: str,
    names: Mapping[str, str],
    tried: Tried,
    naive_tz: str,
    *,
    is_own: bool = False,
) -> Incoming:
    """The table with its columns on both sides, in the order of the file's."""
    there = {column.name: column for column in tried.tables[name].columns if column.generated is None}
    pairs = {column.name: names.get(column.name, column.name) for column in file.columns}
    both = {own: there[called] for own, called in pairs.items() if called in there}
    landings = {
        own: _landing(column, naive_tz, is_any=file.column(own).declared == "ANY") for own, column in both.items()
    }
    copy = _copy(file, name, landings)
    layout = reader_of(copy, target.connection, 1, DEFAULT).layout
    if not is_own and (strangers := _strangers(file, layout)):
        raise _StrangersError(strangers)
    return Incoming(
        file,
        name,
        layout,
        copy,
        {own: column.name for own, column in both.items()},
        {own: made for own, column in both.items() if (made := written_as(column, naive_tz)) is not None},
        is_numbered=copy.key == (ROW_NUMBER,),
        secrets=_SECRETS if is_own else tuple(own for own, column in both.items() if is_secret(column)),
        readings={own: (landings[own].reading, column.base) for own, column in both.items()},
        is_own=is_own,
    )


def _copy(file: FileTable, name: str, landings: Mapping[str, Landing]) -> TableCopy:
    """What the rows of the new table are, as the file writes them."""
    columns = [TargetColumn(own, one.storage, one.expression, one.otherwise) for own, one in landings.items()]
    key = _key(file, columns)
    numbered = TargetColumn(ROW_NUMBER, "INTEGER", f'"s".{quote(ROW_NUMBER)}')
    return TableCopy(
        target=file.name,
        role=file.name if file.name in OWN_TABLES else None,
        source=(BUILDING, name),
        columns=tuple(columns if key else [numbered, *columns]),
        key=key or (ROW_NUMBER,),
        source_from=_source_from(name, columns if not key else ()),
    )


def _strangers(file: FileTable, layout: Layout) -> frozenset[tuple[str, str]]:
    """The columns that the file declares otherwise than their types in Postgres land."""
    return frozenset(
        (file.name, column.name)
        for column in layout.columns
        if column.name != ROW_NUMBER and _is_strange(file, column.name, STORED[column.kind])
    )


def _has_any(table: FileTable) -> bool:
    return any(column.declared == "ANY" for column in table.columns)


def _is_strange(file: FileTable, name: str, storage: str) -> bool:
    """Whether the file declares the column otherwise than its type in Postgres lands."""
    declared = file.column(name).declared
    return file.is_strict and declared not in (storage, "ANY")


def _landing(column: SourceColumn, naive_tz: str, *, is_any: bool) -> Landing:
    value = f'"s".{quote(column.name)}'
    landing = land(column, value, naive_tz=naive_tz)
    return land_with_nan(landing, value) if is_any and column.base in ("numeric", "float4", "float8") else landing


def _key(file: FileTable, columns: Sequence[TargetColumn]) -> tuple[str, ...]:
    """The first key whose columns hold one kind of value each, and are never null; () where there is none."""
    plain = {column.name for column in columns if column.storage != "ANY"}
    firm = {column.name for column in file.columns if column.not_null}
    keys = [file.primary] if file.primary else []
    for index in file.indexes:
        names = tuple(name for name in index.columns if name is not None)
        if index.unique and not index.partial and len(names) == len(index.columns) and set(names) <= firm:
            keys.append(names)
    return next((key for key in keys if set(key) <= plain), ())


def _source_from(name: str, numbered_by: Sequence[TargetColumn]) -> str:
    """The table in FROM; one without a key with the number of each row, in the order of all they hold."""
    table = f'{quote(BUILDING)}.{quote(name)} AS "s"'
    if not numbered_by:
        return table
    order = ", ".join(_sorted(column) for column in numbered_by)
    return f'(SELECT "s".*, row_number() OVER (ORDER BY {order}) AS {quote(ROW_NUMBER)} FROM {table}) AS "s"'


def _sorted(column: TargetColumn) -> str:
    parts = [f'({column.expression}) COLLATE "C"' if column.storage == "TEXT" else f"({column.expression})"]
    return ", ".join([*parts, *([f'({column.otherwise}) COLLATE "C"'] if column.otherwise else [])])


def _in_order(tables: Sequence[Incoming]) -> list[Incoming]:
    """Parents before children; of a circle whichever was first."""
    waiting, ordered = {one.target: one for one in tables}, []
    while waiting:
        free = [name for name, one in waiting.items() if not one.parents & waiting.keys()] or [next(iter(waiting))]
        ordered += [waiting.pop(name) for name in free]
    return ordered
