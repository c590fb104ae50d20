"""What is said where two things could play one part: nobody guesses, the operator decides."""

import json
from collections.abc import Iterable

from authstore.mover.catalog import SourceTable
from authstore.mover.copies import Role
from authstore.mover.names import label
from authstore.mover.recognition.matching import Match
from authstore.mover.reports import Problem


def ambiguous(role: Role, tables: Iterable[SourceTable]) -> Problem:
    """Several tables could play a role."""
    rivals = sorted(tables, key=lambda table: (table.schema, table.name))
    names = [label(table.schema, table.name) for table in rivals]
    message = (
        f"{len(names)} tables could be {role}: {', '.join(names)}; say which with `schemas`, `prefix` or `profile`"
    )
    asks = (f"[{role}]", *(f"table = {json.dumps(name, ensure_ascii=False)}" for name in names))
    return Problem(
        "ambiguous", names[0], message, len(names), tuple(names[:5]), _decision(rivals), stops=True, asks=asks
    )


def clash(found: Match, field: str, columns: tuple[str, ...]) -> Problem:
    """Several columns of a table could be one field."""
    table = label(found.table.schema, found.table.name)
    several = f"{len(columns)} columns of {table} could be {field} of {found.role}: {', '.join(columns)}"
    message = f"{several}; name one of them in a `profile`"
    told = (f"{field} = {json.dumps(column, ensure_ascii=False)}" for column in columns)
    asks = (f"[{found.role}]", f"table = {json.dumps(table, ensure_ascii=False)}", f"[{found.role}.columns]", *told)
    return Problem("ambiguous", table, message, len(columns), columns[:5], "profile", stops=True, asks=asks)


def _decision(rivals: list[SourceTable]) -> str:
    if len({table.schema for table in rivals}) == len(rivals):
        return "schemas"
    starts = {table.name.split("_")[0] for table in rivals if "_" in table.name}
    return "prefix" if len(starts) == len(rivals) else "profile"
