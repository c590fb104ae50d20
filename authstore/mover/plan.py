"""What a move would do: the tables in order, what they become, and every problem; nothing is written anywhere."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from authstore.expiry import utc_now
from authstore.mover.auth.copies import auth_plan, fields_of
from authstore.mover.auth.unrecognised import suspects
from authstore.mover.carried.tables import carried_plan
from authstore.mover.catalog import Source, SourceTable
from authstore.mover.copies import TableCopy
from authstore.mover.options import MoveOptions
from authstore.mover.order import in_order
from authstore.mover.postgres.asking import Asking, answered
from authstore.mover.postgres.connection import SourceConnection, translated
from authstore.mover.postgres.counting import count_copy
from authstore.mover.postgres.introspection import read_source
from authstore.mover.postgres.queries import base_query
from authstore.mover.recognition.chosen import by_source_name, refuse_unknown
from authstore.mover.recognition.profile import Profile, read_profile
from authstore.mover.recognition.recognise import recognise
from authstore.mover.recognition.recognised import Recognised
from authstore.mover.reports import Problem
from authstore.mover.sqlite.building import index_name, refused_views
from authstore.mover.tuning import DEFAULT

_ROWS_A_SECOND = 150_000  # of a move, on a small machine
_SMALL, _PAGE = 1 << 17, 4096  # bytes
_HEADER, _LEAST, _MOST = 30, 120, 4096  # bytes of a row
_BYTES_A_ROW = 48  # of keys and indexes, on top of the source's own


@dataclass(frozen=True, slots=True)
class Scheme:
    """The whole of what a move will do, worked out inside the snapshot it will read from."""

    source: Source
    recognised: tuple[Recognised, ...]
    copies: tuple[TableCopy, ...]  # in the order they are filled
    cycles: tuple[tuple[str, ...], ...]
    problems: tuple[Problem, ...]
    views: tuple[str, ...] = ()
    widths: Mapping[str, int] = field(default_factory=dict)  # bytes of a source row, by target table
    rows: Mapping[str, int] = field(default_factory=dict)  # meant to move, rejects included, by target table

    @property
    def undecided(self) -> tuple[Problem, ...]:
        return tuple(problem for problem in self.problems if problem.stops)

    @property
    def contents(self) -> dict[str, str]:
        """By target table, a digest of the query that says what must stand in it."""
        return {copy.target: hashlib.sha256(base_query(copy).encode()).hexdigest() for copy in self.copies}

    @property
    def made(self) -> list[str]:
        """The statements that make all that comes along beside authstore's tables."""
        carried = [copy for copy in self.copies if copy.role is None]
        return [sql for copy in carried for sql in (*copy.create, *copy.indexes)] + list(self.views)

    @property
    def fingerprint(self) -> str:
        """Two moves with the same make the same tables, so one can go on from the other's file."""
        tables = [
            [
                copy.target,
                [(column.name, column.storage) for column in copy.columns],
                copy.key,
                copy.create,
                copy.indexes,
            ]
            for copy in self.copies
        ]
        text = json.dumps([self.source.system, tables, self.views])
        return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class TablePlan:
    """One table of the target. `types`: column of the target → what it is on the source and here."""

    table: str
    role: str | None
    source: str
    rows: int
    why: str = ""
    types: Mapping[str, tuple[str, str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Plan:
    """What `move` would do with this source, this target and these options."""

    source: str
    target: str | Path
    options: MoveOptions
    tables: tuple[TablePlan, ...]
    problems: tuple[Problem, ...]
    recognised: tuple[Recognised, ...]
    cycles: tuple[tuple[str, ...], ...] = ()
    seconds: float = 0.0
    bytes: int = 0
    connections: int = 0  # to the source, that the move opens where it may; three will do

    @property
    def ok(self) -> bool:
        """Whether `move` would start."""
        return not any(problem.stops for problem in self.problems)

    def __repr__(self) -> str:
        return f"Plan({len(self.tables)} tables, {len(self.problems)} problems, ok={self.ok})"


def scheme_of(connection: SourceConnection, options: MoveOptions) -> Scheme:
    """Reads the catalogue and asks the rows, in the snapshot the connection is in."""
    profile = read_profile(options.profile) if options.profile is not None else Profile()
    options = _with_moments(options)
    with translated():
        source = read_source(connection, options.schemas)
        options = by_source_name(source, options, profile)
        recognised, found = recognise(source, options, profile)
        return answered(connection, _scheme(source, recognised, found, options, profile))


def _scheme(
    source: Source,
    recognised: tuple[Recognised, ...],
    found: tuple[Problem, ...],
    options: MoveOptions,
    profile: Profile,
) -> Asking[Scheme]:
    suspected = yield from suspects(source, recognised, found, options, profile)
    auth = yield from auth_plan(recognised, options)
    carried = yield from carried_plan(source, recognised, options, auth.changes)
    refused = refused_views((*auth.copies, *carried.copies), carried.views)
    refuse_unknown(source, recognised, carried.names, options, profile)
    copies, cycles = in_order((*auth.copies, *carried.copies), source)
    tables = {(table.schema, table.name): table for table in source.tables}
    return Scheme(
        source,
        recognised,
        copies,
        cycles,
        (*found, *suspected, *auth.problems, *carried.problems, *_refused(refused), *_nothing_there(copies)),
        tuple(view for view in carried.views if view not in refused),
        widths={copy.target: _width(tables.get(copy.source)) for copy in copies},
        rows=(yield from _counts(copies)),
    )


def _refused(views: Mapping[str, str]) -> list[Problem]:
    return [
        Problem("left-behind", index_name(view), f"view stays behind: SQLite refuses it: {why}")
        for view, why in views.items()
    ]


def _nothing_there(copies: Sequence[TableCopy]) -> list[Problem]:
    if copies:
        return []
    return [Problem("unrecognised", "", "there is nothing to move: no table was found", decision="schemas", stops=True)]


def _with_moments(options: MoveOptions) -> MoveOptions:
    now = iso(utc_now())
    return replace(
        options,
        moved_at=options.moved_at or now,
        sessions_at=options.sessions_at or options.moved_at or now,
        judged_at=options.judged_at or now,
    )


def iso(moment: object) -> str:
    """An aware UTC datetime in the width of the store."""
    return f"{moment:%Y-%m-%dT%H:%M:%S.%fZ}"


def _width(table: SourceTable | None) -> int:
    return table.bytes // max(1, table.rows) if table is not None and table.rows > 0 else 1000


def plan_of(scheme: Scheme, source: str, target: str | Path, options: MoveOptions) -> Plan:
    """The scheme as the operator sees it."""
    why: dict[tuple[str | None, ...], str] = {
        (one.role, one.table.schema, one.table.name): one.why for one in scheme.recognised
    }
    tables = tuple(
        TablePlan(
            copy.target,
            copy.role,
            ".".join(copy.source),
            scheme.rows[copy.target],
            why.get((copy.role, *copy.source), ""),
            _types(scheme, copy, options),
        )
        for copy in scheme.copies
    )
    rows = sum(table.rows for table in tables)
    bytes_there = {(table.schema, table.name): table.bytes for table in scheme.source.tables}
    size = sum(
        _size(table.rows, bytes_there.get(copy.source, 0)) for table, copy in zip(tables, scheme.copies, strict=True)
    )
    return Plan(
        source,
        target,
        options,
        tables,
        scheme.problems,
        scheme.recognised,
        scheme.cycles,
        seconds=1 + rows / _ROWS_A_SECOND,
        bytes=size,
        connections=2 + min(DEFAULT.connections, max(1, len(scheme.copies))),
    )


def _counts(copies: Sequence[TableCopy]) -> Asking[dict[str, int]]:
    counts = {}
    for copy in copies:
        counts[copy.target] = yield from count_copy(copy)
    return counts


def _size(rows: int, there: int) -> int:
    """What a table will take. Postgres' own figure counts its dead rows and its least files, so it is not believed of
    small tables, nor beyond what rows of any use to a table of this kind hold."""
    width = there / max(rows, 1) if there > _SMALL else 0
    return _PAGE + rows * (int(min(max(width - _HEADER, _LEAST), _MOST)) + _BYTES_A_ROW)


def _types(scheme: Scheme, copy: TableCopy, options: MoveOptions) -> dict[str, tuple[str, str]]:
    table = next((one for one in scheme.source.tables if (one.schema, one.name) == copy.source), None)
    declared = {column.name: column.type for column in table.columns} if table else {}
    fields: Mapping[str, str] = next(
        (
            one.fields
            for one in scheme.recognised
            if (one.role, one.table.schema, one.table.name) == (copy.role, *copy.source)
        ),
        {},
    )
    types = {
        column.name: (declared.get(fields.get(column.name, column.name), ""), column.storage) for column in copy.columns
    }
    kept = _kept_in_data(scheme, copy, options)
    return types | {f"data.{name}": (declared.get(name, ""), "JSON in data") for name in kept}


def _kept_in_data(scheme: Scheme, copy: TableCopy, options: MoveOptions) -> list[str]:
    """The columns without a field of their own, each by its name in `data`."""
    one = next((one for one in scheme.recognised if one.moved and one.role == copy.role), None)
    if one is None or not any(column.name == "data" for column in copy.columns):
        return []
    fields = fields_of(one, options.naive_tz)
    return [column.name for column in fields.kept(options.secrets)]
