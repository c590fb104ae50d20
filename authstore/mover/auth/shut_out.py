"""Rows that the source keeps from being used, as SQL: what is shut there is not open here."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace

from authstore.mover.auth.draft import Fields
from authstore.mover.auth.shut_members import member_text, shut_members
from authstore.mover.catalog import SourceColumn
from authstore.mover.names import label, literal, quote
from authstore.mover.postgres.asking import Asking
from authstore.mover.postgres.counting import count_rows
from authstore.mover.postgres.dates import instant
from authstore.mover.postgres.values import text
from authstore.mover.problems import rows_said
from authstore.mover.recognition.shut import BAD_STANDINGS, NO_WORDS, OPEN_WORDS, SHUT_WORDS, Shut, shutting_of
from authstore.mover.reports import Problem
from authstore.mover.type_names import INTEGERS

_YES = "('1', 't', 'true', 'y', 'yes', 'on')"
_MANY_WORDS = 20  # more different ones are what people wrote, not a state


@dataclass(frozen=True, slots=True)
class ShutOut:
    """`where`: predicate, never null. `problems`: how many rows each column shuts out, and what is not understood."""

    where: str = "FALSE"
    problems: tuple[Problem, ...] = ()
    unseen: tuple[str, ...] = ()  # predicates, never null: a word of which nobody knew what it means


def shut_out(fields: Fields, judged: str) -> Asking[ShutOut]:
    """Which rows of a recognised table are shut out at the source, at the moment `judged`."""
    parts, problems = [], []
    is_told = "disabled" in fields.one.told
    members, unseen = ([], []) if is_told else (yield from shut_members(fields))
    for shut in (*shutting_of(fields.one), *members):
        predicate, problem = yield from _predicate(fields, judged, shut)
        if predicate and not shut.is_sure and not is_told:
            problems += yield from _doubted(fields, shut, predicate)
            unseen.append(predicate)
        elif predicate:
            parts.append(predicate)
            problems += yield from _counted(fields, shut, predicate)
        problems += [problem] if problem else []
        if shut.kind == "word" and predicate and not is_told:
            unseen.append(f"COALESCE({_said(fields, shut)} NOT IN ({_literals((*OPEN_WORDS, *SHUT_WORDS))}), TRUE)")
    return ShutOut(f"({' OR '.join(parts)})" if parts else "FALSE", tuple(problems), tuple(unseen))


def _predicate(fields: Fields, judged: str, shut: Shut) -> Asking[tuple[str, Problem | None]]:
    column, value = shut.column, f"{fields.alias}.{quote(shut.column.name)}"
    if shut.path:
        return _by_member(fields, judged, shut, member_text(shut, value)), None
    if shut.kind == "word":
        return (yield from _by_word(fields, shut))
    if shut.kind in ("since", "until"):
        when = instant(column, value, fields.zone)
        over = when.is_over(judged)
        past = f"COALESCE({over}, TRUE)" if shut.kind == "since" else f"NOT COALESCE({over}, FALSE)"
        given = f"{when.given} AND {value} <> 0" if column.base in INTEGERS else when.given  # GORM: 0 is never
        return f"({given} AND {past})", None
    said = f"COALESCE(lower(btrim({text(column, value).sql})), '')"
    if shut.kind == "standing":
        return f"{said} IN ({_literals(BAD_STANDINGS)})", None
    if shut.kind == "no":
        return (f"NOT COALESCE({value}, FALSE)" if column.base == "bool" else f"{said} NOT IN {_YES}"), None
    is_shut = f"COALESCE({value}, FALSE)" if column.base == "bool" else f"{said} NOT IN {NO_WORDS}"
    if shut.ends is None:
        return is_shut, None
    end = instant(shut.ends, f"{fields.alias}.{quote(shut.ends.name)}", fields.zone).is_over(judged)
    return f"({is_shut} AND NOT COALESCE({end}, FALSE))", None


def _by_member(fields: Fields, judged: str, shut: Shut, said: str) -> str:
    """A member that is not there says nothing."""
    given = f"{said} NOT IN {NO_WORDS}"
    if shut.kind == "no":
        return f"({said} <> '' AND {said} NOT IN {_YES})"
    if shut.kind == "standing":
        return f"{said} IN ({_literals(BAD_STANDINGS)})"
    if shut.kind == "yes":
        return given
    as_text = replace(shut.column, base="text", kind="b", category="S", collation=None)
    over = instant(as_text, said, fields.zone).is_over(judged)
    past = f"COALESCE({over}, TRUE)" if shut.kind == "since" else f"NOT COALESCE({over}, FALSE)"
    return f"({given} AND {past})"


def _by_word(fields: Fields, shut: Shut) -> Asking[tuple[str, Problem | None]]:
    said = _said(fields, shut)
    if fields.one.told.get("disabled") == shut.column.name:
        return f"COALESCE({said}, '') NOT IN ({_literals(OPEN_WORDS)})", None
    query = f"SELECT {said} AS word, count(*) FROM {fields.source_from()} GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 21"
    counts: dict[str | None, int] = dict((yield query))
    known = set(OPEN_WORDS) | set(SHUT_WORDS)
    if len(counts) > _MANY_WORDS or (_may_be_a_place(fields, shut.column) and not known & set(counts)):
        return "", None
    unknown = {word: count for word, count in counts.items() if word not in known}
    predicate = f"COALESCE({said} IN ({_literals(SHUT_WORDS)}), FALSE)"
    return predicate, _not_understood(fields, shut, unknown) if unknown else None


def _may_be_a_place(fields: Fields, column: SourceColumn) -> bool:
    """A state, in words or as a row of another table; a mere number is one of an account."""
    refers = any(column.name in one.columns for one in fields.table.references)
    return "state" in column.name.lower() and (column.base not in INTEGERS or refers)


def _said(fields: Fields, shut: Shut) -> str:
    return f"lower(btrim({text(shut.column, f'{fields.alias}.{quote(shut.column.name)}').sql}))"


def _literals(words: Iterable[str]) -> str:
    return ", ".join(literal(word) for word in words)


def _not_understood(fields: Fields, shut: Shut, unknown: dict[str | None, int]) -> Problem:
    table, name = label(fields.table.schema, fields.table.name), shut.name
    words = ", ".join("NULL" if word is None else f"'{word[:40]}'" for word in unknown)
    message = (
        f"{name} of {table} may keep rows out, and what {words} means is not known; say it in a `profile`: "
        f'[{fields.one.role}.columns] disabled = "{name}" shuts out what is not {OPEN_WORDS[0]}, disabled = "" nobody'
    )
    count = sum(unknown.values())
    return Problem("unrecognised", table, message, count, decision="profile", stops=True, asks=_asked(fields, shut))


def _asked(fields: Fields, shut: Shut) -> tuple[str, ...]:
    told = f"disabled = {json.dumps(shut.name, ensure_ascii=False)}"
    return (f"[{fields.one.role}.columns]", told, 'disabled = ""')


def _doubted(fields: Fields, shut: Shut, predicate: str) -> Asking[list[Problem]]:
    """A member that may speak of the row, or of something else."""
    count = yield from count_rows(fields.source_from(), predicate)
    if not count:
        return []
    table = label(fields.table.schema, fields.table.name)
    message = (
        f"{shut.name} of {table} may keep rows out; say it in a `profile`: [{fields.one.role}.columns]"
        f' disabled = "{shut.name}" shuts them out and no others, disabled = "" nobody'
    )
    return [Problem("unrecognised", table, message, count, decision="profile", stops=True, asks=_asked(fields, shut))]


def _counted(fields: Fields, shut: Shut, predicate: str) -> Asking[list[Problem]]:
    count = yield from count_rows(fields.source_from(), predicate)
    if not count:
        return []
    table = label(fields.table.schema, fields.table.name)
    done = "arrive disabled" if fields.one.role == "users" else "are left behind"
    message = f"{rows_said(count)} of {table} shut out by {shut.name} there {done}"
    return [Problem("shut-out", table, message, count)]
