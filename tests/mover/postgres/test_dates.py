"""Dates of every kind become ISO text of one width; what is no date of the years 1 to 9999 is bad, and never raises."""

from typing import Any

import psycopg
import pytest

from authstore.mover.postgres.dates import instant
from tests.mover.postgres.evaluating import column, evaluate

Connection = psycopg.Connection[Any]

BAD = "bad"
NOTHING = None


def read(connection: Connection, declared: str, text: str | None, zone: str = "UTC") -> str | None:
    found = instant(column(declared), "s.x", zone)
    connection.execute("SET timezone = 'UTC'; SET search_path = pg_catalog")
    value, bad, given = evaluate(connection, declared, text, found.sql, found.bad, found.given)
    assert (value is None) == (bad or not given)
    return BAD if bad else value


@pytest.mark.parametrize(
    ("declared", "text", "expected"),
    [
        ("timestamptz", "2024-01-01 12:00+02", "2024-01-01T10:00:00.000000Z"),
        ("timestamptz", "9999-12-31 23:59:59.999999+00", "9999-12-31T23:59:59.999999Z"),
        ("timestamptz", "0001-01-01 00:00+00", "0001-01-01T00:00:00.000000Z"),
        ("timestamptz", "10000-01-01 00:00+00", BAD),
        ("timestamptz", "infinity", BAD),
        ("timestamptz", "-infinity", BAD),
        ("timestamptz", "0044-03-15 BC", BAD),
        ("timestamptz", None, NOTHING),
        ("timestamp", "2024-07-01 12:00:00.5", "2024-07-01T12:00:00.500000Z"),
        ("timestamp", "294276-12-31", BAD),
        ("date", "2024-02-29", "2024-02-29T00:00:00.000000Z"),
        ("date", "5874897-12-31", BAD),
        ("date", "infinity", BAD),
        ("bigint", "1700000000", "2023-11-14T22:13:20.000000Z"),
        ("bigint", "1700000000123", "2023-11-14T22:13:20.123000Z"),
        ("bigint", "-1", "1969-12-31T23:59:59.000000Z"),
        ("bigint", "100000000000", "5138-11-16T09:46:40.000000Z"),
        ("bigint", "100000000001", "1973-03-03T09:46:40.001000Z"),
        ("bigint", "253402300799999", "9999-12-31T23:59:59.999000Z"),
        ("bigint", "253402300800000", BAD),
        ("bigint", "-62135596800", "0001-01-01T00:00:00.000000Z"),
        ("bigint", "-62135596801", BAD),
        ("bigint", "9223372036854775807", BAD),
        ("bigint", "-9223372036854775808", BAD),
        ("integer", "2147483647", "2038-01-19T03:14:07.000000Z"),
        ("numeric", "1700000000.25", "2023-11-14T22:13:20.250000Z"),
        ("numeric", "1700000000123", "2023-11-14T22:13:20.123000Z"),
        ("numeric", "NaN", BAD),
        ("numeric", "Infinity", BAD),
        ("double precision", "1700000000.25", "2023-11-14T22:13:20.250000Z"),
        ("double precision", "1e300", BAD),
        ("double precision", "-Infinity", BAD),
        ("text", "1700000000123", "2023-11-14T22:13:20.123000Z"),
        ("text", "1700000000", "2023-11-14T22:13:20.000000Z"),
        ("text", "", NOTHING),
        ("text", " \t\n", NOTHING),
        ("text", "2024-01-01", "2024-01-01T00:00:00.000000Z"),
        ("text", " 2024-01-01T00:00:00Z\n", "2024-01-01T00:00:00.000000Z"),
        ("text", "2024-01-01t00:00:00.123456789+0530", "2023-12-31T18:30:00.123457Z"),
        ("text", "2024-01-01 00:00-08", "2024-01-01T08:00:00.000000Z"),
        ("text", "2024-02-29", "2024-02-29T00:00:00.000000Z"),
        ("text", "2023-02-29", BAD),
        ("text", "2024-02-30T00:00:00Z", BAD),
        ("text", "0000-01-01", BAD),
        ("text", "2024-13-01", BAD),
        ("text", "2024-01-01T24:00:00Z", BAD),
        ("text", "2024-01-01T00:00:60Z", BAD),
        ("text", "2024-01-01T00:00:00+15:00", BAD),
        ("text", "9999-12-31T23:59:59-05:00", BAD),
        ("text", "0001-01-01T00:00:00+05:00", BAD),
        ("text", "Mon Jan 01 2024", BAD),
        ("text", "infinity", BAD),
        ("text", "now", BAD),
        ("text", "tomorrow", BAD),
        ("text", "-1700000000", BAD),
        ("text", "99999999999999999999999", BAD),
        ("text", "٣٣", BAD),
        ("text", "2024-01-01'); DROP TABLE users; --", BAD),
        ("jsonb", '"2024-01-01"', BAD),
        ("boolean", "true", BAD),
        ("interval", "1 day", BAD),
    ],
)
def test_a_date_is_read_or_bad(
    emptied_database: Connection, declared: str, text: str | None, expected: str | None
) -> None:
    assert read(emptied_database, declared, text) == expected


@pytest.mark.parametrize(
    ("declared", "text", "expected"),
    [
        ("timestamp", "2024-07-01 12:00:00", "2024-07-01T10:00:00.000000Z"),
        ("timestamp", "2024-03-31 02:30:00", BAD),  # the clocks left it out
        ("timestamp", "-infinity", BAD),
        ("timestamp", "294276-12-31", BAD),
        ("date", "2024-07-01", "2024-06-30T22:00:00.000000Z"),
        ("text", "2024-07-01T12:00:00", "2024-07-01T10:00:00.000000Z"),
        ("text", "2024-07-01T12:00:00Z", "2024-07-01T12:00:00.000000Z"),
        ("text", "2024-03-31T02:30:00", BAD),
        ("timestamptz", "2024-07-01 12:00+00", "2024-07-01T12:00:00.000000Z"),
        ("bigint", "1700000000", "2023-11-14T22:13:20.000000Z"),
    ],
)
def test_a_time_without_a_zone_is_of_the_zone_that_is_given(
    emptied_database: Connection, declared: str, text: str, expected: str
) -> None:
    assert read(emptied_database, declared, text, "Europe/Berlin") == expected


@pytest.mark.parametrize("declared", ["timestamptz", "timestamp", "date", "text", "bigint", "numeric"])
def test_an_instant_is_over_when_it_has_come(emptied_database: Connection, declared: str) -> None:
    moments = {
        "2024-01-01T23:59:59.000000Z": True,
        "2024-01-01T00:00:00.000000Z": True,
        "2023-12-31T23:59:59.999999Z": False,
    }
    text = "1704067200" if declared in ("bigint", "numeric") else "2024-01-01"
    found = instant(column(declared), "s.x")
    for moment, over in moments.items():
        assert evaluate(emptied_database, declared, text, found.is_over(moment)) == (over,)
    assert evaluate(emptied_database, declared, None, found.is_over("2024-01-01T00:00:00.000000Z")) == (None,)


@pytest.mark.parametrize("text", ["infinity", "-infinity", "0044-03-15 BC"])
def test_what_is_no_instant_is_never_over(emptied_database: Connection, text: str) -> None:
    over = instant(column("timestamptz"), "s.x").is_over("2024-01-01T00:00:00.000000Z")
    assert evaluate(emptied_database, "timestamptz", text, f"COALESCE({over}, FALSE)") == (False,)
