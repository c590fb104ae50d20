"""Dates of every kind that auth tables keep them in, read on the server as ISO text of one width.

Nothing here raises on a bad value, whatever is in the row: each cast stands behind the condition that makes it safe,
and only CASE promises to look at the condition first. PostgreSQL 14 has no `pg_input_is_valid`.
"""

from dataclasses import dataclass, replace

from authstore.mover.catalog import SourceColumn
from authstore.mover.names import literal
from authstore.mover.type_names import FLOATS, INTEGERS, TEXTS

# Above this, an epoch counts milliseconds: as seconds it would be the year 5138, as milliseconds it is March 1973.
_MILLISECONDS = "100000000000"
_FIRST, _LAST = "-62135596800", "253402300800"  # 0001-01-01 and 10000-01-01, seconds of the epoch

_DATE = "(?!0000)[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
_TIME = r"([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\.[0-9]{1,9})?)?"
_OFFSET = " ?([Zz]|[+-](0[0-9]|1[0-4])(:?[0-5][0-9])?)"
_ISO = f"^{_DATE}([Tt ]{_TIME}({_OFFSET})?)?$"


@dataclass(frozen=True, slots=True)
class Instant:
    """A date column as an instant. The predicates are never null."""

    sql: str  # ISO text; null where there is no date or a bad one
    bad: str  # there is something, and it is no date between the years 1 and 9999
    given: str  # there is something
    comparable: str  # a timestamp without time zone in UTC, or null: for comparing in the source
    native: tuple[str, str] | None = None  # the value itself and its type, where it compares as it is

    def is_over(self, moment: str) -> str:
        """Predicate: the instant has come at `moment` (ISO text). Null or false otherwise."""
        if self.native:
            value, kind = self.native
            return f"({value} <= {kind} {literal(moment)} AND {value} >= {kind} '0001-01-01T00:00:00Z')"
        return f"({self.comparable}) <= TIMESTAMP {literal(moment.rstrip('Z'))}"


def instant(column: SourceColumn, value: str, zone: str = "UTC") -> Instant:
    """Reads `value`, an expression of the column's type. `zone` is that of times which name none."""
    if column.base == "timestamptz":
        return _stamp(value, f"({value} AT TIME ZONE 'UTC')", "timestamptz")
    if column.base in ("timestamp", "date"):
        return _naive(value, zone, column.base)
    if column.base in INTEGERS:
        return _integer(value, column.base)
    if column.base in FLOATS | {"numeric"}:
        return _read(_within(_fractional_epoch(f"{value}::numeric")), f"{value} IS NOT NULL")
    text = value if column.base in TEXTS else f"CASE WHEN {value} IS NOT NULL THEN concat({value}) END"
    trimmed = f"btrim(({text})::text COLLATE \"C\", E' \\t\\n\\r')"
    return _read(_text(trimmed, zone), f"COALESCE({trimmed} <> '', FALSE)")


def _stamp(value: str, utc: str, kind: str) -> Instant:
    inside = _in_years(utc, "timestamp")
    return Instant(
        sql=f"CASE WHEN {inside} THEN {_iso(utc)} END",
        bad=f"({value} IS NOT NULL AND NOT ({inside}))",
        given=f"{value} IS NOT NULL",
        comparable=f"CASE WHEN {inside} THEN {utc} END",
        native=(value, kind) if kind != "date" else None,
    )


def _naive(value: str, zone: str, kind: str) -> Instant:
    if zone == "UTC":
        return _stamp(value, value, kind)
    # A day inside the edges, so that no zone carries a local time over them.
    inside = f"{value} >= {kind} '0001-01-02' AND {value} < {kind} '9999-12-31'"
    local = f"CASE WHEN {inside} THEN {value}::timestamp END"
    return _read(_within(_from_zone(local, zone)), f"{value} IS NOT NULL")


def _from_zone(local: str, zone: str) -> str:
    if zone == "UTC":
        return local
    # A local time that the clocks of its zone left out has no instant: it does not come back as it was.
    name = literal(zone)
    there = f"(({local}) AT TIME ZONE {name})"
    return f"CASE WHEN {there} AT TIME ZONE {name} = ({local}) THEN {there} AT TIME ZONE 'UTC' END"


def _in_years(value: str, kind: str) -> str:
    return f"{value} >= {kind} '0001-01-01' AND {value} < {kind} '10000-01-01'"


def _iso(utc: str) -> str:
    return f'to_char({utc}, \'YYYY-MM-DD"T"HH24:MI:SS.US"Z"\')'


def _integer(value: str, kind: str) -> Instant:
    read = _read(_epoch(value), f"{value} IS NOT NULL")
    if kind != "int8":  # all of them are seconds of these years
        return replace(read, bad="FALSE")
    seconds = f"{value} BETWEEN {_FIRST} AND {_LAST}000 - 1"
    bad = f"({value} IS NOT NULL AND NOT ({seconds} OR {value} BETWEEN {_FIRST}000 AND -{_MILLISECONDS} - 1))"
    return replace(read, bad=bad)


def _read(utc: str, given: str) -> Instant:
    """For what has to be read first: `utc` is null where there is nothing to read, or no date of these years."""
    return Instant(_iso(f"({utc})"), f"({given} AND ({utc}) IS NULL)", given, f"({utc})")


def _within(utc: str) -> str:
    return f"CASE WHEN {_in_years(f'({utc})', 'timestamp')} THEN {utc} END"


def _epoch(value: str) -> str:
    """Whole seconds, or milliseconds. The products are exact: whole seconds of four-digit years fit a double."""
    whole = f"TIMESTAMP 'epoch' + {value} * INTERVAL '1 second'"
    parts = f"TIMESTAMP 'epoch' + {value} / 1000 * INTERVAL '1 second' + {value} % 1000 * INTERVAL '1 millisecond'"
    return (
        f"CASE WHEN {value}::int8 >= {_FIRST} AND {value}::int8 <= {_MILLISECONDS} THEN {whole} "
        f"WHEN {value}::int8 > {_MILLISECONDS} AND {value}::int8 < {_LAST}000 THEN {parts} "
        f"WHEN {value}::int8 >= {_FIRST}000 AND {value}::int8 < -{_MILLISECONDS} THEN {parts} END"
    )


def _fractional_epoch(value: str) -> str:
    unit = f"CASE WHEN {value} > {_MILLISECONDS} OR {value} < -{_MILLISECONDS} THEN 1000 ELSE 1000000 END"
    micros = f"round({value} * ({unit}))"
    return (
        f"CASE WHEN {value} >= {_FIRST}000 AND {value} < {_LAST}000 THEN TIMESTAMP 'epoch'"
        f" + div({micros}, 1000000)::float8 * INTERVAL '1 second'"
        f" + mod({micros}, 1000000)::float8 * INTERVAL '1 microsecond' END"
    )


def _text(text: str, zone: str) -> str:
    """All digits: an epoch; ISO 8601: what it says; anything else is null."""
    zoned = f"(CASE WHEN substr({text}, 12) ~ '[Zz+-]' THEN {text}::timestamptz AT TIME ZONE 'UTC' END)"
    naive = f"(CASE WHEN substr({text}, 12) !~ '[Zz+-]' THEN {text}::timestamp END)"
    return (
        f"CASE WHEN {text} ~ '^[0-9]{{1,15}}$' THEN {_epoch(f'({text}::int8)')} "
        f"WHEN {text} ~ '{_ISO}' THEN CASE WHEN {_is_day(text)} "
        f"THEN {_within(f'COALESCE({zoned}, {_from_zone(naive, zone)})')} END END"
    )


def _is_day(text: str) -> str:
    """Whether the month of an ISO date has that day."""
    first = f"make_date(substr({text}, 1, 4)::int4, substr({text}, 6, 2)::int4, 1)"
    return f"substr({text}, 9, 2)::int4 <= extract(day FROM {first} + INTERVAL '1 month' - INTERVAL '1 day')"
