"""What a Postgres value becomes in SQLite: where it is stored, and the expression that makes it on the server.

Every type lands as one of int8, float8, text or bytea, so that rows pass through Python untouched. The session must be
pinned: timezone=UTC, datestyle=ISO, intervalstyle=iso_8601, extra_float_digits=1, bytea_output=hex, lc_monetary=C.
The table that says how to get each type back is docs/types.md.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from authstore.mover.catalog import SourceColumn
from authstore.mover.copies import Storage
from authstore.mover.names import literal

# How a landed value behaves in comparisons, functions and checks; `translate` decides by it what SQLite can say.
Reading = Literal[
    "boolean",
    "integer",
    "decimal",  # a number whose digits are exact, but not what arithmetic makes of them
    "double",
    "single",
    "digits",  # a number as text
    "text",
    "citext",
    "padded",
    "label",
    "date",
    "instant",
    "local",  # a timestamp without a zone: which instant it is depended on the session that asked
    "json",
    "bytes",
    "exact",  # equal if and only if the texts are
    "composite",
    "opaque",
]


@dataclass(frozen=True, slots=True)
class Oddity:
    """Values of a column that SQLite holds, but not as the others: to be counted and reported."""

    where: str  # predicate on the source
    message: str
    reading: Reading | None = None  # how the column reads when there are any
    is_nan: bool = False  # when there are any, the column needs `land_with_nan`


@dataclass(frozen=True, slots=True)
class Landing:
    """How one column of the source arrives."""

    storage: Storage
    expression: str  # int8 | float8 | text | bytea
    reading: Reading
    collation: str = ""  # NOCASE or RTRIM; "" is BINARY
    otherwise: str = ""  # of an ANY column: a text expression, null wherever `expression` is not
    note: str = ""  # what the operator should know of every such column
    oddities: tuple[Oddity, ...] = ()
    bad: tuple[tuple[str, str], ...] = ()  # rows that cannot land: reason, predicate
    length: int | None = None  # of varchar(n) and char(n), in characters


def land(column: SourceColumn, value: str, *, naive_tz: str = "UTC") -> Landing:
    """The landing of `value`, an expression of the column's type (usually the column itself).

    `naive_tz` is the zone in which timestamps without one were written.
    """
    if column.base_schema == "pg_catalog" and column.base in _BUILT_IN:
        return _BUILT_IN[column.base](column, value, naive_tz)
    if column.base in _EXTENSIONS and column.base_schema != "pg_catalog" and column.kind == "b":
        return _EXTENSIONS[column.base](column, value, naive_tz)
    if column.category == "A" and column.base not in _VECTORS:
        return _array(column, value)
    if column.kind == "e":
        return Landing("TEXT", _output(value), "label", note="the order of the labels is lost")
    return Landing("TEXT", _output(value), "composite" if column.kind == "c" else "opaque")


_UTF8 = (
    "^([0-7][0-9a-f]|(c[2-9a-f]|d[0-9a-f])@|e0[ab][0-9a-f]@|e[1-9a-cef]@@|ed[89][0-9a-f]@|f0[9ab][0-9a-f]@@|f[1-3]@@@"
    "|f48[0-9a-f]@@)*$"
).replace("@", "[89ab][0-9a-f]")  # RFC 3629, §4, in hexadecimal digits


def is_no_text(value: str) -> str:
    """Predicate, for databases in SQL_ASCII: the value's text is not UTF-8, or holds half a surrogate pair."""
    return f"encode(convert_to(concat({value}), 'SQL_ASCII'), 'hex') !~ '{_UTF8}'"


def land_with_nan(landing: Landing, value: str) -> Landing:
    """The landing of a number column in which NaN was found: SQLite would make it NULL, so it is kept as a text.

    Such a text sorts after every number, as NaN does in Postgres.
    """
    return replace(
        landing,
        storage="ANY",
        expression=f"CASE WHEN {value} <> 'NaN' THEN {landing.expression} END",
        otherwise=f"CASE WHEN {value} = 'NaN' THEN 'NaN' END",
        reading="opaque",
    )


def _output(value: str) -> str:
    """The type's own text. A cast to text says more for inet (/32) and less for char(n) (no padding)."""
    return f"CASE WHEN {value} IS DISTINCT FROM NULL THEN concat({value}) END"


def _boolean(column: SourceColumn, value: str, naive_tz: str) -> Landing:
    return Landing("INTEGER", f"{value}::int4::int8", "boolean")


def _integer(column: SourceColumn, value: str, naive_tz: str) -> Landing:
    return Landing("INTEGER", f"{value}::int8", "integer")


def _numeric(column: SourceColumn, value: str, naive_tz: str) -> Landing:
    precision, scale = numeric_size(column)
    if precision is None or scale > _SCALE or (scale > 0 and precision > 15) or precision - min(scale, 0) > 18:
        return _digits(value, f"{value}::text", unlimited=precision is None)
    if scale <= 0:
        return Landing("INTEGER", f"{value}::int8", "decimal", oddities=(_nan(value),))
    note = f"becomes REAL: its digits are exact, sums of it need rounding to {scale} places"
    return Landing("REAL", _loud(value, f"{value}::float8"), "decimal", note=note, oddities=(_nan(value),))


_SCALE = 290  # below 1e-292 a double has fewer than 15 digits


def numeric_size(column: SourceColumn) -> tuple[int | None, int]:
    """Precision and scale of a numeric, (None, 0) when it is unlimited. Scale may be negative (PostgreSQL 15)."""
    if column.modifier < 4:
        return None, 0
    bits = column.modifier - 4
    return bits >> 16 & 0xFFFF, ((bits & 0x7FF) ^ 1024) - 1024


def _digits(value: str, expression: str, *, unlimited: bool = False) -> Landing:
    special = f"{value} IN ('NaN', 'Infinity', '-Infinity')" if unlimited else f"{value} = 'NaN'"
    oddity = Oddity(special, "are NaN or infinite and kept by that name", "opaque")
    note = "becomes TEXT, digit for digit: it neither sorts nor compares as a number"
    return Landing("TEXT", expression, "digits", note=note, oddities=(oddity,))


def _money(column: SourceColumn, value: str, naive_tz: str) -> Landing:
    return replace(_digits(value, f"{value}::numeric::text"), oddities=())


def _double(column: SourceColumn, value: str, naive_tz: str) -> Landing:
    return Landing("REAL", _loud(value, value), "double", oddities=(_nan(value), _minus_zero(value)))


def _single(column: SourceColumn, value: str, naive_tz: str) -> Landing:
    """By way of its shortest text: 0.1 stays 0.1, and is the same float4 again on the way back."""
    expression = _loud(value, f"{value}::text::float8")
    return Landing("REAL", expression, "single", oddities=(_nan(value), _minus_zero(value)))


def _loud(value: str, expression: str) -> str:
    """Raises on a NaN that was not there when the plan was made, instead of letting SQLite make it NULL."""
    return f"CASE WHEN {value} = 'NaN' THEN {value}::numeric::int8 ELSE {expression} END"


def _nan(value: str) -> Oddity:
    message = "are NaN, which SQLite lacks: kept as the text 'NaN' in a column of type ANY"
    return Oddity(f"{value} = 'NaN'", message, is_nan=True)


def _minus_zero(value: str) -> Oddity:
    return Oddity(f"{value} = 0 AND {value}::text = '-0'", "are negative zeros, of which SQLite keeps the zero only")


def _text(column: SourceColumn, value: str, naive_tz: str) -> Landing:
    length = column.modifier - 4 if column.base == "varchar" and column.modifier > 4 else None
    note = f"compares by {column.collation} in Postgres, by code point in SQLite" if column.collation else ""
    # A collation that somebody made may hold different texts to be equal.
    reading: Reading = "opaque" if column.collation and not column.collation.startswith("pg_catalog.") else "text"
    return Landing("TEXT", f"{value}::text", reading, note=note, length=length)


def _uuid(column: SourceColumn, value: str, naive_tz: str) -> Landing:
    return Landing("TEXT", f"{value}::text", "exact")


def _padded(column: SourceColumn, value: str, naive_tz: str) -> Landing:
    length = column.modifier - 4 if column.modifier > 4 else None
    return Landing("TEXT", _output(value), "padded", collation="RTRIM", length=length)


def _citext(column: SourceColumn, value: str, naive_tz: str) -> Landing:
    note = "becomes TEXT COLLATE NOCASE, which folds ASCII letters and no others"
    return Landing("TEXT", f"{value}::text", "citext", collation="NOCASE", note=note)


def _bytes(column: SourceColumn, value: str, naive_tz: str) -> Landing:
    return Landing("BLOB", value, "bytes")


def _date(column: SourceColumn, value: str, naive_tz: str) -> Landing:
    odd = f"{value} NOT BETWEEN date '0001-01-01' AND date '9999-12-31'"
    return Landing("TEXT", f"{value}::text", "date", oddities=(Oddity(odd, _BEYOND, "opaque"),))


def _time(column: SourceColumn, value: str, naive_tz: str) -> Landing:
    odd = Oddity(f"extract(hour FROM {value}) = 24", "are 24:00:00, kept as it stands")
    return Landing("TEXT", f"{value}::text", "opaque", oddities=(odd,))


def _zoned(column: SourceColumn, value: str, naive_tz: str) -> Landing:
    utc = f"({value} AT TIME ZONE 'UTC')"
    return _instant(value, utc, _in_era(utc))


def _naive(column: SourceColumn, value: str, naive_tz: str) -> Landing:
    """Written as UTC unless told otherwise. A local time skipped by its zone's clocks has no instant."""
    if naive_tz == "UTC":
        return replace(_instant(value, value, _in_era(value)), reading="local")
    zone = literal(naive_tz)
    # A day inside the edges, so that no zone carries a local time over them.
    inside = f"{value} >= timestamp '0001-01-02' AND {value} < timestamp '9999-12-31'"
    landing = _instant(value, f"(({value} AT TIME ZONE {zone}) AT TIME ZONE 'UTC')", inside)
    skipped = f"CASE WHEN {inside} THEN (({value} AT TIME ZONE {zone}) AT TIME ZONE {zone}) <> {value} ELSE FALSE END"
    return replace(landing, reading="opaque", bad=((f"no such local time in {naive_tz}", skipped),))


def _instant(value: str, utc: str, inside: str) -> Landing:
    """Fixed-width ISO text where a four-digit year can say it, else Postgres's own text, never anything rounded."""
    iso = f'to_char({utc}, \'YYYY-MM-DD"T"HH24:MI:SS.US"Z"\')'
    expression = f"CASE WHEN {inside} THEN {iso} ELSE {value}::text END"
    return Landing("TEXT", expression, "instant", oddities=(Oddity(f"NOT ({inside})", _BEYOND, "opaque"),))


def _in_era(utc: str) -> str:
    return f"{utc} >= timestamp '0001-01-01' AND {utc} < timestamp '10000-01-01'"


_BEYOND = "are infinite, BC or beyond the year 9999 and kept as Postgres writes them: they do not sort with the others"


def _interval(column: SourceColumn, value: str, naive_tz: str) -> Landing:
    return Landing("TEXT", f"{value}::text", "opaque", note="is kept as ISO 8601 text")


def _json(column: SourceColumn, value: str, naive_tz: str) -> Landing:
    return Landing("TEXT", f"{value}::text", "json")


def _hstore(column: SourceColumn, value: str, naive_tz: str) -> Landing:
    return Landing("TEXT", f"{value}::json::text", "json")


def _array(column: SourceColumn, value: str) -> Landing:
    """A JSON array; what JSON cannot tell apart (other lower bounds, JSON's null beside SQL's) keeps the literal."""
    shifted = f"left(concat({value}), 1) = '['"
    elements = value
    if column.element in ("json", "jsonb"):
        shifted += f" OR EXISTS (SELECT FROM unnest({value}) AS e (e) WHERE btrim(e.e::text, E' \\t\\r\\n') = 'null')"
    if column.element_kind == "c":
        elements = f"{value}::text[]"
    expression = f"CASE WHEN {shifted} THEN concat({value}) ELSE to_json({elements})::text END"
    odd = Oddity(shifted, "are arrays that JSON cannot say and keep Postgres's literal", "opaque")
    return Landing("TEXT", expression, "json", oddities=(odd,))


_Rule = Callable[[SourceColumn, str, str], Landing]

_BUILT_IN: dict[str, _Rule] = {
    "bool": _boolean,
    "int2": _integer,
    "int4": _integer,
    "int8": _integer,
    "oid": _integer,
    "numeric": _numeric,
    "money": _money,
    "float4": _single,
    "float8": _double,
    "text": _text,
    "varchar": _text,
    "name": _text,
    "char": _text,
    "bpchar": _padded,
    "uuid": _uuid,
    "bytea": _bytes,
    "date": _date,
    "time": _time,
    "timetz": _time,
    "timestamp": _naive,
    "timestamptz": _zoned,
    "interval": _interval,
    "json": _json,
    "jsonb": _json,
}
_EXTENSIONS: dict[str, _Rule] = {"citext": _citext, "hstore": _hstore}
_VECTORS = ("int2vector", "oidvector")
