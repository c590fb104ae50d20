"""The columns of an auth table for which authstore has no field, as the JSON object of the row's `data`.

Numbers of unlimited size become text, instants ISO text, bytes base64; JSON stays as it is.
"""

import json
from collections.abc import Iterable, Sequence

from authstore.mover.catalog import SourceColumn
from authstore.mover.names import literal, quote
from authstore.mover.postgres.dates import instant
from authstore.mover.storable import DEEPEST
from authstore.mover.type_names import INTEGERS, JSONS, TIMESTAMPS

_AS_IT_IS = INTEGERS | JSONS | {"bool"}
_SPECIAL = ("'NaN'", "'Infinity'", "'-Infinity'")


def data_object(columns: Sequence[SourceColumn], zone: str, alias: str = "s") -> str:
    """SQL text of a JSON object: each column under its own name."""
    if not columns:
        return "'{}'::text"
    # As row_to_json writes it; that takes a subquery for each row, which keeps PostgreSQL from working in parallel.
    listed = " || ',' || ".join(_member(c, json_value(c, f"{alias}.{quote(c.name)}", zone)) for c in columns)
    return f"('{{' || {listed} || '}}')"


def _member(column: SourceColumn, value: str) -> str:
    name = literal(json.dumps(column.name, ensure_ascii=False) + ":")
    if column.base in TIMESTAMPS:  # whose text has nothing that JSON escapes
        return f"{name} || COALESCE('\"' || {value} || '\"', 'null')"
    return f"{name} || COALESCE(to_json({value})::text, 'null')"


def json_value(column: SourceColumn, value: str, zone: str) -> str:
    """SQL that `to_json` renders without loss and without raising."""
    match column.base:
        case base if base in _AS_IT_IS:
            return value
        case "oid":
            return f"{value}::int8"
        case "float4" | "float8":
            special = f"{value} IN ({', '.join(_SPECIAL)})"
            return f"CASE WHEN {special} THEN to_json({value}::text) ELSE to_json({value}) END"
        case "money":
            return f"{value}::numeric::text"
        case "bytea":
            return f"translate(encode({value}, 'base64'), E'\\n', '')"
        case base if base in TIMESTAMPS:
            return f"COALESCE({instant(column, value, zone).sql}, {value}::text)"
        case "hstore":
            return f"{value}::json"
    if column.category == "A":
        return _array(column, value)
    return f"CASE WHEN {value} IS NOT NULL THEN concat({value}) END"


def _array(column: SourceColumn, value: str) -> str:
    if column.element == "bytea":
        each = "SELECT translate(encode(e, 'base64'), E'\\n', '')"
        parts = f"{each} FROM unnest({value}) WITH ORDINALITY AS u (e, n) ORDER BY n"
        return f"CASE WHEN {value} IS NOT NULL THEN to_json(ARRAY({parts})) END"
    if column.element in _AS_IT_IS:
        return f"to_json({value})"
    return f"to_json({value}::text[])"


def doubtful_json(columns: Iterable[SourceColumn], alias: str = "s") -> dict[str, str]:
    """By column: a predicate for rows whose JSON `is_storable_json` has to look at. All other JSON is storable."""
    return {
        column.name: _is_doubtful(f"{alias}.{quote(column.name)}::text") for column in columns if column.base in JSONS
    }


def _is_doubtful(sql: str) -> str:
    odd = r"\\u(0000|[dD][89a-fA-F])|[0-9][eE]\+?[0-9]{3}|[0-9]{250}"
    brackets = f"length({sql}) - length(translate({sql}, '[{{', ''))"
    return f"COALESCE({sql} ~ '{odd}' OR {brackets} > {DEEPEST}, FALSE)"
