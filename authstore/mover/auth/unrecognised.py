"""Tables that no role fits, looked at by what is in them: tokens under any name, and lists of who is kept out."""

from collections.abc import Collection, Iterable, Sequence

from authstore.mover.catalog import QualifiedName, Source, SourceColumn, SourceTable
from authstore.mover.names import label, quote, relation
from authstore.mover.options import MoveOptions
from authstore.mover.postgres.asking import Asking
from authstore.mover.postgres.counting import count_rows
from authstore.mover.recognition.outcasts import kept_out, outcasts
from authstore.mover.recognition.profile import Profile, is_named
from authstore.mover.recognition.recognised import Recognised
from authstore.mover.recognition.secrets import may_hold_tokens, seems_raw, unrecognised
from authstore.mover.reports import Problem

_SAMPLE = 200


def suspects(
    source: Source,
    recognised: Sequence[Recognised],
    found: Iterable[Problem],
    options: MoveOptions,
    profile: Profile,
) -> Asking[list[Problem]]:
    """What speaks against carrying tables over as they are; those that `found` stops at are not looked at again."""
    known = {(one.table.schema, one.table.name) for one in recognised}
    said = {problem.table for problem in found}
    people = {(one.table.schema, one.table.name) for one in recognised if one.role == "users"}
    schemas = options.schemas or tuple({one.table.schema for one in recognised if one.moved})
    referred = {(one.table, name) for table in source.tables for one in table.references for name in one.target_columns}
    problems: list[Problem] = []
    for table in source.tables:
        is_new = (table.schema, table.name) not in known and label(table.schema, table.name) not in said
        if (
            is_new
            and table.readable
            and (not schemas or table.schema in schemas)
            and _is_wanted(table, options, profile)
        ):
            problems += yield from _of_table(table, referred, people)
    return problems


def _is_wanted(table: SourceTable, options: MoveOptions, profile: Profile) -> bool:
    if is_named(table, (*options.skip, *profile.leave, *profile.carry)):
        return False
    return not options.only or is_named(table, options.only)


def _of_table(
    table: SourceTable, referred: Collection[tuple[QualifiedName, str]], people: Collection[QualifiedName]
) -> Asking[list[Problem]]:
    """`referred`: the columns that foreign keys point to."""
    for by, barred in outcasts(table, people):
        if count := (yield from count_rows(relation(table), barred)):
            return [kept_out(table, count, by)]
    at = (table.schema, table.name)
    columns = [column for column in may_hold_tokens(table, people) if (at, column.name) not in referred]
    raw = []
    for column in columns:
        if seems_raw(column, (yield from _sample(table, column))):
            raw.append(column.name)
    return [unrecognised(table, tuple(raw))] if raw else []


def _sample(table: SourceTable, column: SourceColumn) -> Asking[list[str]]:
    name = quote(column.name)
    value = f"encode({name}, 'hex')" if column.base == "bytea" else f"{name}::text"
    query = f"SELECT left({value}, 601) FROM {relation(table)} WHERE {name} IS NOT NULL LIMIT {_SAMPLE}"
    return [str(found) for (found,) in (yield query)]
