"""Members of JSON that keep rows out (`app_metadata.blocked`): found by the keys there are, read as SQL."""

from collections.abc import Iterable

from authstore.mover.auth.draft import Fields
from authstore.mover.auth.json_data import doubtful_json
from authstore.mover.catalog import SourceColumn
from authstore.mover.names import literal, quote
from authstore.mover.postgres.asking import Asking
from authstore.mover.recognition.members import Path, paths_in
from authstore.mover.recognition.shut import Shut, member
from authstore.mover.type_names import JSONS

_MOST_PATHS = 2000
_KEY = "^[A-Za-z][A-Za-z _-]{1,39}$"  # what may be a word: no id, no number


def shut_members(fields: Fields) -> Asking[tuple[list[Shut], list[str]]]:
    """Members that keep rows of a recognised table out, two levels deep; and predicates, never null, of rows with keys
    that none has yet."""
    found: list[Shut] = []
    unseen: list[str] = []
    for column in fields.extra:
        if column.base in JSONS | {"hstore"}:
            paths = yield from _paths(fields, column)
            members = (member(fields.one.role, column, path) for path in sorted(paths))
            found += [shut for shut in members if shut is not None]
            unseen.append(_has_others(fields, column, paths))
    return found, unseen


def member_text(shut: Shut, value: str) -> str:
    """SQL text, never null, of what a member says: in lower case, without quotes; '' where it says nothing.

    As it is written, without reading escapes: those of what no text can hold would raise.
    """
    keys = ", ".join(map(literal, shut.path))
    json_value = f"{value}::json" if shut.column.base == "hstore" else value
    said = f"lower(btrim(({json_value} #> ARRAY[{keys}])::text, ' \"'))"
    return f"COALESCE(NULLIF(NULLIF(NULLIF({said}, 'null'), '{{}}'), '[]'), '')"


def _paths(fields: Fields, column: SourceColumn) -> Asking[set[Path]]:
    keys = _keys(_readable(fields, column))
    found = yield f"SELECT DISTINCT top, below FROM {fields.source_from()} CROSS JOIN {keys} LIMIT {_MOST_PATHS}"
    paths: set[Path] = {(top, below) if below is not None else (top,) for top, below in found}
    for doubtful in _doubtful(column, fields.alias):
        value = f"{fields.alias}.{quote(column.name)}::text"
        for (text,) in (yield f"SELECT {value} FROM {fields.source_from()} WHERE {doubtful}"):
            paths |= set(paths_in(text))
    return paths | {path[:1] for path in paths}


def _has_others(fields: Fields, column: SourceColumn, paths: Iterable[Path]) -> str:
    known = ", ".join(f"({literal(path[0])}, {literal(path[1] if len(path) > 1 else '')})" for path in sorted(paths))
    new = f"(top, COALESCE(below, '')) NOT IN ({known})" if known else "TRUE"
    return f"EXISTS (SELECT FROM {_keys(_readable(fields, column))} WHERE {new})"


def _keys(value: str) -> str:
    below = "CASE WHEN jsonb_typeof(above.value) = 'object' THEN above.value ELSE '{}' END"
    return (
        f"LATERAL (SELECT above.key AS top, within.key AS below FROM jsonb_each({value}) AS above"
        f" LEFT JOIN LATERAL jsonb_object_keys({below}) AS within (key) ON within.key ~ {literal(_KEY)}"
        f" WHERE above.key ~ {literal(_KEY)}) AS keys"
    )


def _readable(fields: Fields, column: SourceColumn) -> str:
    """The column as a jsonb object, an empty one where it is none or is to be looked at otherwise."""
    value = f"{fields.alias}.{quote(column.name)}"
    if column.base == "hstore":
        return f"COALESCE({value}::json::jsonb, '{{}}')"
    conditions = [f"{column.base}_typeof({value}) = 'object'", *(f"NOT {d}" for d in _doubtful(column, fields.alias))]
    return f"CASE WHEN {' AND '.join(conditions)} THEN {value}::jsonb ELSE '{{}}' END"


def _doubtful(column: SourceColumn, alias: str) -> Iterable[str]:
    """A jsonb is read already; what a json holds may be more than a jsonb can."""
    return doubtful_json((column,), alias).values() if column.base == "json" else ()
