"""Columns of other tables that hold a secret of the auth tables, because they refer to it."""

from collections.abc import Collection, Sequence
from dataclasses import replace

from authstore.mover.catalog import SourceTable
from authstore.mover.names import label
from authstore.mover.options import MoveOptions
from authstore.mover.recognition.recognised import Recognised
from authstore.mover.recognition.secrets import SECRET_FIELDS
from authstore.mover.reports import Problem


def without_secrets(
    table: SourceTable, recognised: Sequence[Recognised], options: MoveOptions
) -> tuple[SourceTable, list[Problem]]:
    """The table, with `secrets` drop less its columns that refer to a token; and a problem for each such column."""
    found = _referring(table, recognised)
    problems = [
        Problem(
            "secret",
            label(table.schema, table.name),
            f'column "{name}" refers to {what} and holds it in the clear',
            decision="secrets",
            stops=options.is_undecided("secrets"),
        )
        for name, what in sorted(found.items())
    ]
    return (_without(table, found) if options.secrets == "drop" else table), problems


def _referring(table: SourceTable, recognised: Sequence[Recognised]) -> dict[str, str]:
    roles = {(one.table.schema, one.table.name): one for one in recognised}
    found: dict[str, str] = {}
    for reference in table.references:
        role = roles.get(reference.table)
        for name, target in zip(reference.columns, reference.target_columns, strict=True):
            field = next((field for field, column in role.fields.items() if column == target), "") if role else ""
            if role is not None and field in SECRET_FIELDS:
                found[name] = f"the {field} of {role.role}"
    return found


def _without(table: SourceTable, names: Collection[str]) -> SourceTable:
    return replace(
        table,
        columns=tuple(column for column in table.columns if column.name not in names),
        keys=tuple(key for key in table.keys if not set(key.columns) & set(names)),
        references=tuple(one for one in table.references if not set(one.columns) & set(names)),
    )
