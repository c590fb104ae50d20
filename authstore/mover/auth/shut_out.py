"""Rows that the source keeps from being used, as SQL: what is shut there is not open here."""

from collections.abc import Iterable
from dataclasses import dataclass

from authstore.mover.auth.draft import Fields
from authstore.mover.auth.draft_builder import Surroundings
from authstore.mover.names import label, literal, quote
from authstore.mover.postgres.dates import instant
from authstore.mover.postgres.statements import rows
from authstore.mover.postgres.values import text
from authstore.mover.recognition.shut import OPEN_WORDS, SHUT_WORDS, Shut, shutting
from authstore.mover.reports import Problem

_NO = "('', '0', 'f', 'false', 'n', 'no', 'off')"
_YES = "('1', 't', 'true', 'y', 'yes', 'on')"
_MANY_WORDS = 20  # more different ones are what people wrote, not a state


@dataclass(frozen=True, slots=True)
class ShutOut:
    """`where`: predicate, never null. `problems`: how many rows each column shuts out, and what is not understood."""

    where: str
    problems: tuple[Problem, ...]


def shut_out(fields: Fields, around: Surroundings) -> ShutOut:
    """Which rows of a recognised table are shut out at the source, judged at the moment of the run."""
    parts, problems = [], []
    for shut in _columns(fields):
        predicate, problem = _predicate(fields, around, shut)
        if predicate:
            parts.append(predicate)
            problems += _counted(fields, around, shut, predicate)
        problems += [problem] if problem else []
    return ShutOut(f"({' OR '.join(parts)})" if parts else "FALSE", tuple(problems))


def _columns(fields: Fields) -> Iterable[Shut]:
    """By the profile's word one column or none; else all whose names say so."""
    one = fields.one
    if "disabled" in one.told:
        told = one.told["disabled"]
        found = shutting(one.role, one.table.columns)
        named = [column for column in one.table.columns if column.name == told]
        return [next((shut for shut in found if shut.column is column), Shut(column, "yes")) for column in named]
    taken = {column for name, column in one.fields.items() if name != "disabled"}
    return shutting(one.role, tuple(column for column in one.table.columns if column.name not in taken))


def _predicate(fields: Fields, around: Surroundings, shut: Shut) -> tuple[str, Problem | None]:
    column, value = shut.column, f"{fields.alias}.{quote(shut.column.name)}"
    judged = around.times.judged
    if shut.kind == "word":
        return _by_word(fields, around, shut)
    if shut.kind in ("since", "until"):
        when = instant(column, value, fields.zone)
        over = when.is_over(judged)
        past = f"COALESCE({over}, TRUE)" if shut.kind == "since" else f"NOT COALESCE({over}, FALSE)"
        return f"({when.given} AND {past})", None
    said = f"COALESCE(lower(btrim({text(column, value).sql})), '')"
    if shut.kind == "no":
        return (f"NOT COALESCE({value}, FALSE)" if column.base == "bool" else f"{said} NOT IN {_YES}"), None
    is_shut = f"COALESCE({value}, FALSE)" if column.base == "bool" else f"{said} NOT IN {_NO}"
    if shut.ends is None:
        return is_shut, None
    end = instant(shut.ends, f"{fields.alias}.{quote(shut.ends.name)}", fields.zone).is_over(judged)
    return f"({is_shut} AND NOT COALESCE({end}, FALSE))", None


def _by_word(fields: Fields, around: Surroundings, shut: Shut) -> tuple[str, Problem | None]:
    said = f"lower(btrim({text(shut.column, f'{fields.alias}.{quote(shut.column.name)}').sql}))"
    if fields.one.told.get("disabled") == shut.column.name:
        return f"COALESCE({said}, '') NOT IN ({_literals(OPEN_WORDS)})", None
    query = f"SELECT {said} AS word, count(*) FROM {fields.source_from()} GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 21"
    counts = dict(rows(around.connection, query))
    known = set(OPEN_WORDS) | set(SHUT_WORDS)
    if len(counts) > _MANY_WORDS or ("state" in shut.column.name.lower() and not known & set(counts)):
        return "", None
    unknown = {word: count for word, count in counts.items() if word not in known}
    predicate = f"COALESCE({said} IN ({_literals(SHUT_WORDS)}), FALSE)"
    return predicate, _not_understood(fields, shut, unknown) if unknown else None


def _literals(words: Iterable[str]) -> str:
    return ", ".join(literal(word) for word in words)


def _not_understood(fields: Fields, shut: Shut, unknown: dict[str | None, int]) -> Problem:
    table, name = label(fields.table.schema, fields.table.name), shut.column.name
    words = ", ".join("NULL" if word is None else f"'{word[:40]}'" for word in unknown)
    message = (
        f"{name} of {table} may keep rows out, and what {words} means is not known; say it in a --profile: "
        f'[{fields.one.role}.columns] disabled = "{name}" shuts out what is not {OPEN_WORDS[0]}, disabled = "" nobody'
    )
    return Problem("unrecognised", table, message, sum(unknown.values()), decision="profile", stops=True)


def _counted(fields: Fields, around: Surroundings, shut: Shut, predicate: str) -> list[Problem]:
    ((count,),) = rows(around.connection, f"SELECT count(*) FROM {fields.source_from()} WHERE {predicate}")
    if not count:
        return []
    table = label(fields.table.schema, fields.table.name)
    done = "arrive disabled" if fields.one.role == "users" else "are left behind"
    what = "1 row" if count == 1 else f"{count} rows"
    message = f"{what} of {table} shut out by {shut.column.name} there {done}"
    return [Problem("shut-out", table, message, int(count))]
