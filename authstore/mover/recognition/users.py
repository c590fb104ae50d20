"""Which of the tables with an id and an e-mail address is the table of users."""

import json
from collections.abc import Iterable, Mapping, Sequence

from authstore.mover.catalog import SourceTable
from authstore.mover.copies import Role
from authstore.mover.names import label
from authstore.mover.recognition.aliases import normalised
from authstore.mover.recognition.ambiguity import ambiguous
from authstore.mover.recognition.matching import Match, says
from authstore.mover.recognition.recognised import Recognised
from authstore.mover.reports import Problem

_Choice = tuple[tuple[Match, str] | None, Problem | None]


def choose_users(
    candidates: Sequence[Match], children: Mapping[Role, Recognised], tables: Sequence[SourceTable]
) -> _Choice:
    """The users and why, or the problem that stops.

    The foreign keys of accounts, sessions and authenticators decide. Without them (pg-adapter has none): the only
    table with `emailVerified`, else the only one that a column `user_id` refers to, else the only one there is.
    """
    pointed = _pointed_at(children.values())
    if pointed:
        return _by_references(candidates, pointed)
    for fitting, why in (
        ([found for found in candidates if "email_verified" in found.fields], "its columns id, email, email_verified"),
        ([found for found in candidates if _is_referred(found.table, tables)], "columns user_id refer to it"),
        ([found for found in candidates if children or says(found.table, ["user"])], "its columns id, email"),
    ):
        if fitting:
            return _only(fitting, why)
    return None, _no_users(children)


def _pointed_at(children: Iterable[Recognised]) -> dict[tuple[str, str], list[str]]:
    pointed: dict[tuple[str, str], list[str]] = {}
    for child in children:
        for reference in child.table.references:
            if reference.columns == (child.fields.get("user_id"),):
                pointed.setdefault(reference.table, []).append(child.table.name)
    return pointed


def _by_references(candidates: Sequence[Match], pointed: Mapping[tuple[str, str], Sequence[str]]) -> _Choice:
    fitting = [found for found in candidates if (found.table.schema, found.table.name) in pointed]
    if len(pointed) == 1 and fitting:
        (who,) = pointed.values()
        return (fitting[0], f"{', '.join(sorted(who))} refer to it"), None
    names = [label(*table) for table in sorted(pointed)]
    message = (
        f"accounts and sessions refer to {', '.join(names)}, "
        + ("more than one table" if len(names) > 1 else "which has no id and email")
        + "; name the table of users in a `profile`"
    )
    asks = ("[users]", *(f"table = {json.dumps(name, ensure_ascii=False)}" for name in names))
    return None, Problem("ambiguous", names[0], message, len(names), tuple(names[:5]), "profile", stops=True, asks=asks)


def _is_referred(table: SourceTable, tables: Sequence[SourceTable]) -> bool:
    here = (table.schema, table.name)
    return any(
        reference.table == here and [normalised(column) for column in reference.columns] == ["userid"]
        for other in tables
        for reference in other.references
    )


def _only(fitting: Sequence[Match], why: str) -> _Choice:
    if len(fitting) == 1:
        return (fitting[0], why), None
    return None, ambiguous("users", [found.table for found in fitting])


def _no_users(children: Mapping[Role, Recognised]) -> Problem:
    where = next(iter(children.values()), None)
    table = label(where.table.schema, where.table.name) if where else ""
    message = "no table of users (id, email) was recognised; name it in a `profile`"
    asks = ("[users]", 'table = "schema.table"', "[users.columns]", 'id = ""', 'email = ""')
    return Problem("unrecognised", table, message, decision="profile", stops=True, asks=asks)
