"""What a Postgres database consists of, read from its catalogue into `Source`."""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from psycopg.rows import tuple_row

from authstore.mover.catalog import (
    Source,
    SourceCheck,
    SourceColumn,
    SourceIndex,
    SourceKey,
    SourceReference,
    SourceTable,
)
from authstore.mover.postgres.connection import SourceConnection
from authstore.mover.postgres.named_queries import named_queries
from authstore.mover.postgres.replication.guard import SCHEMA, guards

_Row = tuple[Any, ...]
_ByTable = dict[int, list[_Row]]

_ACTIONS = {"a": "NO ACTION", "r": "RESTRICT", "c": "CASCADE", "n": "SET NULL", "d": "SET DEFAULT"}


def read_source(connection: SourceConnection, schemas: tuple[str, ...] = ()) -> Source:
    """Everything the catalogue says about `schemas`; `()` means all that are not Postgres's own.

    Runs in whatever transaction the connection is in and changes nothing. Partitions are not tables here, their
    root is; what belongs to an extension is left out. Tables, keys, … come in one order, whatever the server's
    collation.
    """
    ask = _Asker(connection, schemas)
    oid, name, version, may_identify, encoding = ask("system")[0]
    cluster = ask("cluster")[0][0] if may_identify else name
    return Source(
        system=f"{cluster}/{oid}",
        version=version,
        tables=_tables(ask),
        views=tuple((schema, view, definition) for schema, view, definition in ask("views")),
        left_behind=tuple(text for (text,) in ask("left_behind")),
        elsewhere=tuple(
            SourceTable(schema, name, (), inherited=inherited, readable=readable)
            for schema, name, inherited, readable in ask("other_schemas")
        ),
        guards=tuple(guards(connection)),
        encoding=encoding,
    )


class _Asker:
    """The named questions of introspection.sql, put to one connection about some schemas."""

    def __init__(self, connection: SourceConnection, schemas: Sequence[str]) -> None:
        self._connection = connection
        self._schemas = list(schemas)

    def __call__(self, name: str, tables: Sequence[int] = ()) -> list[_Row]:
        with self._connection.cursor(row_factory=tuple_row) as cursor:
            given = {"schemas": self._schemas, "tables": list(tables), "guard": SCHEMA}
            cursor.execute(named_queries("introspection.sql")[name].encode(), given)
            return cursor.fetchall()


def _tables(ask: _Asker) -> tuple[SourceTable, ...]:
    rows = ask("tables")
    oids = [row[0] for row in rows]
    about = {name: _by_table(ask(name, oids)) for name in ("columns", "indexes", "references", "checks")}
    return tuple(_table(row, {name: found[row[0]] for name, found in about.items()}) for row in rows)


def _by_table(rows: Iterable[_Row]) -> _ByTable:
    found: _ByTable = defaultdict(list)
    for oid, *rest in rows:
        found[oid].append(tuple(rest))
    return found


def _table(row: _Row, about: dict[str, list[_Row]]) -> SourceTable:
    _, schema, name, partitioned, rows, size, parents, inherited, readable = row
    return SourceTable(
        schema=schema,
        name=name,
        columns=tuple(_column(found) for found in about["columns"]),
        keys=tuple(_key(found) for found in about["indexes"] if _is_key(found)),
        references=tuple(_reference(found) for found in about["references"]),
        indexes=tuple(_index(found) for found in about["indexes"] if not _is_key(found)),
        checks=tuple(SourceCheck(*found) for found in about["checks"]),
        rows=rows,
        bytes=size,
        partitioned=partitioned,
        parents=tuple(parents),
        inherited=inherited,
        readable=readable,
    )


def _column(row: _Row) -> SourceColumn:
    name, declared, base, schema, kind, category, modifier, nullable, default, *more = row
    identity, generated, virtual, collation, sequence, feeds, labels, position, element, element_kind, checks = more
    return SourceColumn(
        name=name,
        type=declared,
        base=base,
        kind=kind,
        category=category,
        modifier=modifier,
        nullable=nullable,
        default=default,
        identity=identity,
        generated=generated,
        collation=collation,
        sequence=sequence if identity or _counts(default) else None,
        sequence_readable=feeds is not False,
        labels=tuple(labels),
        position=position,
        base_schema=schema,
        element=element,
        element_kind=element_kind,
        checks=tuple(checks),
        virtual=virtual,
    )


def _counts(default: str | None) -> bool:
    """Whether a default is the next value of a sequence and nothing else."""
    return default is not None and re.fullmatch(r"nextval\('.*'::regclass\)", default) is not None


def _is_key(row: _Row) -> bool:
    _, _, unique, _, _, _, columns, _, _, predicate, _ = row
    return unique and predicate is None and None not in columns


def _key(row: _Row) -> SourceKey:
    name, _, _, primary, immediate, equal_nulls, columns, *_ = row
    return SourceKey(name, tuple(columns), primary, nulls_distinct=not equal_nulls, deferrable=not immediate)


def _index(row: _Row) -> SourceIndex:
    name, definition, unique, _, _, _, columns, descending, expressions, predicate, method = row
    return SourceIndex(
        name, definition, unique, tuple(columns), tuple(descending), predicate, method, tuple(expressions)
    )


def _reference(row: _Row) -> SourceReference:
    name, columns, schema, table, targets, delete, update, deferrable, deferred, validated, match, period, some = row
    return SourceReference(
        name=name,
        columns=tuple(columns),
        table=(schema, table),
        target_columns=tuple(targets),
        on_delete=_ACTIONS[delete],
        on_update=_ACTIONS[update],
        deferrable=deferrable,
        validated=validated,
        deferred=deferred,
        match="FULL" if match == "f" else "SIMPLE",
        unsayable="PERIOD" if period else f"ON DELETE {_ACTIONS[delete]} of some columns" if some else "",
    )
