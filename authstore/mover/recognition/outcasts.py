"""Tables of no role that say who may not come in: lists of the banned, and what is kept of each user beside them."""

import re
from collections.abc import Collection, Iterator

from authstore.mover.catalog import QualifiedName, SourceTable
from authstore.mover.names import label, literal, quote
from authstore.mover.recognition.aliases import normalised, words
from authstore.mover.recognition.shut import NO_WORDS, stem
from authstore.mover.reports import Problem
from authstore.mover.type_names import JSONS, TEXTS

_KEPT_OUT = frozenset({"ban", "suspension", "lockout", "blocklist", "blacklist", "denylist", "blocked", "banned"})
_BARS = ("banned", "blocked", "suspended", "locked", "lockedout", "disabled", "deactivated", "blacklisted")
_FROM = ("at", "on", "until", "since")
_BARRED = re.compile(f"({'|'.join(_BARS)})({'|'.join(_FROM)})?")


def outcasts(table: SourceTable, people: Collection[QualifiedName]) -> Iterator[tuple[str, str]]:
    """What in this table may bar somebody, with the predicate of the rows that do: all of a list's; of a table with
    a row for each of `people` (a profile, settings) those with a flag or a time."""
    if _is_list(table):
        yield "", "TRUE"
    keys = {key.columns for key in table.keys}
    if any(one.table in people and one.columns in keys for one in table.references):
        for column in table.columns:
            if _BARRED.fullmatch(stem(column)):
                said = f"COALESCE(lower(trim(CAST({quote(column.name)} AS TEXT))), '')"
                yield f" ({column.name})", f"{said} NOT IN {NO_WORDS}"
            elif column.base in TEXTS | JSONS:
                yield f" ({column.name})", _says_so_within(quote(column.name))


def _says_so_within(name: str) -> str:
    """Predicate, in SQL that both databases have: a text of JSON has a member that bars somebody."""
    said = f"replace(replace(lower(CAST({name} AS TEXT)), ' ', ''), '_', '')"
    patterns = [f'%"{own}{bar}":{yes}%' for own in ("", "is") for bar in _BARS for yes in ("true", '"true"', "1")]
    patterns += [f'%"{bar}{since}":"2%' for bar in _BARS for since in _FROM]
    found = " OR ".join(f"said LIKE {literal(pattern)}" for pattern in patterns)
    return f"CAST({name} AS TEXT) LIKE '%{{%' AND (SELECT {found} FROM (SELECT {said} AS said) AS within)"


def _is_list(table: SourceTable) -> bool:
    names = {normalised(column.name) for column in table.columns}
    said = {word.removesuffix("s") for word in words(table.name)}
    return bool(_KEPT_OUT & said) and bool(names & {"userid", "user", "email", "accountid"})


def kept_out(table: SourceTable, count: int, by: str) -> Problem:
    """The problem that `count` of its rows are."""
    name = label(table.schema, table.name)
    message = (
        f"{name}{by} seems to say who is kept out, and nothing of authstore reads it: disable these users after "
        f'the move, and carry it as it is with carry = ["{name}"] in a `profile`, or leave it with `skip` {table.name}'
    )
    return Problem("shut-out", name, message, count, decision="profile", stops=True)
