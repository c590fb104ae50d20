"""Every Postgres type: to SQLite and back, and nothing lost on the way."""

import math
import sqlite3
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from authstore.mover.catalog import SourceColumn
from authstore.mover.postgres.introspection import read_source
from authstore.mover.postgres.types import Landing, land, land_with_nan
from tests.mover.copying import pinned
from tests.postgres import fresh_database

SETUP = """
CREATE EXTENSION hstore;
CREATE EXTENSION citext;
CREATE EXTENSION ltree;
CREATE EXTENSION cube;
CREATE TYPE mood AS ENUM ('sad', 'it''s ok', 'happy');
CREATE TYPE pair AS (a int, b text);
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE DOMAIN small AS positive CHECK (VALUE < 100);
CREATE DOMAIN shout AS citext;
"""


@pytest.fixture(scope="module")
def session(postgres_url: str) -> Iterator[psycopg.Connection[Any]]:
    with fresh_database(postgres_url) as url, pinned(url) as connection:
        connection.execute(SETUP)
        yield connection


def column_of(session: psycopg.Connection[Any], kind: str, *values: str) -> SourceColumn:
    """The catalogue's word on the one column of a table with these values (SQL) in it."""
    session.execute("DROP TABLE IF EXISTS box")
    session.execute(f"CREATE TABLE box (n int, v {kind})".encode())
    for number, value in enumerate(values):
        session.execute(f"INSERT INTO box VALUES ({number}, {value})".encode())
    return read_source(session, ("public",)).tables[0].columns[1]


def arrived(session: psycopg.Connection[Any], landing: Landing) -> list[Any]:
    """The values as SQLite gives them back from a STRICT column of the landing's type."""
    found = session.execute(
        f"SELECT {landing.expression}, {landing.otherwise or 'NULL'} FROM box s ORDER BY n".encode()
    )
    values = [(otherwise if value is None else value,) for value, otherwise in found]
    target = sqlite3.connect(":memory:")
    target.execute(f"CREATE TABLE box (v {landing.storage}) STRICT")
    target.executemany("INSERT INTO box VALUES (?)", values)
    back = [value for (value,) in target.execute("SELECT v FROM box ORDER BY rowid")]
    target.close()
    return back


NUMBERS = [
    ("boolean", ["true", "false"], [1, 0], "%s::int::boolean"),
    ("smallint", ["-32768", "32767"], [-32768, 32767], "%s"),
    ("integer", ["-2147483648"], [-2147483648], "%s"),
    ("bigint", ["-9223372036854775808", "9223372036854775807"], [-(2**63), 2**63 - 1], "%s"),
    ("oid", ["4294967295"], [4294967295], "%s::oid"),
    ("numeric(12,6)", ["999999.123456", "-0.000001", "0.1"], [999999.123456, -0.000001, 0.1], "%s::numeric(12,6)"),
    ("numeric(15,5)", ["1234567890.12345"], [1234567890.12345], "%s::numeric(15,5)"),
    ("numeric(18,0)", ["999999999999999999"], [10**18 - 1], "%s"),
    ("numeric(3,-2)", ["12345"], [12300], "%s"),
    ("numeric(2,4)", ["0.0012"], [0.0012], "%s::numeric(2,4)"),
    ("numeric(16,2)", ["12345678901234.50"], ["12345678901234.50"], "%s::numeric"),
    ("numeric(19,0)", ["9999999999999999999"], ["9999999999999999999"], "%s::numeric"),
    ("numeric(5,300)", ["1e-299"], ["0." + "0" * 298 + "10"], "%s::numeric"),
    (
        "numeric",
        ["1.10", "'NaN'", "'-Infinity'", f"1{'0' * 40}.5"],
        ["1.10", "NaN", "-Infinity", f"1{'0' * 40}.5"],
        "%s::numeric",
    ),
    ("money", ["'$1,234.50'", "'-$0.01'"], ["1234.50", "-0.01"], "%s::numeric::money"),
    ("real", ["0.1", "16777217", "'Infinity'", "1e-45"], [0.1, 16777216.0, math.inf, 1e-45], "%s::text::real"),
    (
        "double precision",
        ["0.1", "1e308", "5e-324", "'-Infinity'"],
        [0.1, 1e308, 5e-324, -math.inf],
        "%s::double precision",
    ),
]
TEXTS = [
    ("text", ["'x'", "''", "'00123'", "E'tab\\t☃\\n'", "' pad '"], ["x", "", "00123", "tab\t☃\n", " pad "], "%s"),
    ("varchar(5)", ["'ab   '"], ["ab   "], "%s"),
    ("char(5)", ["'ab'"], ["ab   "], "%s::char(5)"),
    ('"char"', ["'c'"], ["c"], '%s::"char"'),
    ("name", ["'n'"], ["n"], "%s::name"),
    ("citext", ["'ÀbC'"], ["ÀbC"], "%s::citext"),
    ("uuid", ["'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'"], ["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"], "%s::uuid"),
    ("mood", ["'it''s ok'"], ["it's ok"], "%s::mood"),
    ("small", ["42"], [42], "%s"),
    ("shout", ["'Hi'"], ["Hi"], "%s::citext"),
    ("bytea", ["'\\x00ff'", "''"], [b"\x00\xff", b""], "%s"),
]
TIMES = [
    ("date", ["'2024-02-29'", "'0001-01-01'", "'9999-12-31'"], ["2024-02-29", "0001-01-01", "9999-12-31"], "%s::date"),
    (
        "date",
        ["'infinity'", "'0044-03-15 BC'", "'10000-01-01'"],
        ["infinity", "0044-03-15 BC", "10000-01-01"],
        "%s::date",
    ),
    ("time", ["'24:00:00'", "'04:05:06.789'"], ["24:00:00", "04:05:06.789"], "%s::time"),
    ("timetz", ["'04:05:06+02'", "'24:00:00-03:30'"], ["04:05:06+02", "24:00:00-03:30"], "%s::timetz"),
    (
        "timestamptz",
        ["'2024-01-01 00:00:00.5+02'", "'0001-01-01 00:00:00Z'", "'9999-12-31 23:59:59.999999Z'"],
        ["2023-12-31T22:00:00.500000Z", "0001-01-01T00:00:00.000000Z", "9999-12-31T23:59:59.999999Z"],
        "%s::timestamptz",
    ),
    (
        "timestamptz",
        ["'-infinity'", "'294276-12-31 23:59:59.999999Z'", "'4713-01-01 00:00:00Z BC'"],
        ["-infinity", "294276-12-31 23:59:59.999999+00", "4713-01-01 00:00:00+00 BC"],
        "%s::timestamptz",
    ),
    (
        "timestamp(3)",
        ["'2024-01-01 00:00:00.1239'", "'infinity'", "'0044-03-15 BC'", "'294276-12-31 23:59:59'"],
        ["2024-01-01T00:00:00.124000Z", "infinity", "0044-03-15 00:00:00 BC", "294276-12-31 23:59:59"],
        "%s::timestamptz AT TIME ZONE 'UTC'",
    ),
    ("interval", ["'1 year 2 mons -3 days 04:05:06.7'", "'0'"], ["P1Y2M-3DT4H5M6.7S", "PT0S"], "%s::interval"),
]
OTHERS = [
    ("json", ['\'{"a":1,  "a": 1.0e5}\'', "'null'"], ['{"a":1,  "a": 1.0e5}', "null"], "%s::json"),
    ("jsonb", ['\'{"b":1.10,"a":"\\u00e9"}\''], ['{"a": "é", "b": 1.10}'], "%s::jsonb"),
    (
        "hstore",
        ["'a=>1,b=>NULL'"],
        ['{"a": "1", "b": null}'],
        "(SELECT hstore(array_agg(key), array_agg(value)) FROM json_each_text(%s::json))",
    ),
    ("inet", ["'10.0.0.1'", "'10.0.0.1/8'", "'::1'"], ["10.0.0.1", "10.0.0.1/8", "::1"], "%s::inet"),
    ("cidr", ["'10.0.0.0/8'"], ["10.0.0.0/8"], "%s::cidr"),
    ("macaddr", ["'08-00-2b-01-02-03'"], ["08:00:2b:01:02:03"], "%s::macaddr"),
    ("macaddr8", ["'08:00:2b:01:02:03:04:05'"], ["08:00:2b:01:02:03:04:05"], "%s::macaddr8"),
    ("bit(4)", ["B'1010'"], ["1010"], "%s::bit(4)"),
    ("varbit", ["B'101'", "B''"], ["101", ""], "%s::varbit"),
    ("int4range", ["'[1,5)'", "'empty'", "'(,)'"], ["[1,5)", "empty", "(,)"], "%s::int4range"),
    ("tstzrange", ["'[2020-01-01,infinity)'"], ['["2020-01-01 00:00:00+00",infinity)'], "%s::tstzrange"),
    ("int4multirange", ["'{[1,3),[5,7)}'"], ["{[1,3),[5,7)}"], "%s::int4multirange"),
    ("point", ["'(1,2.5)'"], ["(1,2.5)"], "%s::point"),
    ("line", ["'{1,2,3}'"], ["{1,2,3}"], "%s::line"),
    ("lseg", ["'[(0,0),(1,1)]'"], ["[(0,0),(1,1)]"], "%s::lseg"),
    ("box", ["'(1,1),(0,0)'"], ["(1,1),(0,0)"], "%s::box"),
    ("path", ["'[(0,0),(1,1)]'"], ["[(0,0),(1,1)]"], "%s::path"),
    ("polygon", ["'((0,0),(1,1))'"], ["((0,0),(1,1))"], "%s::polygon"),
    ("circle", ["'<(1,2),3>'"], ["<(1,2),3>"], "%s::circle"),
    ("tsvector", ["'a fat:2 cat:3A'"], ["'a' 'cat':3A 'fat':2"], "%s::tsvector"),
    ("tsquery", ["'a & b'"], ["'a' & 'b'"], "%s::tsquery"),
    ("pair", ["ROW(1, 'x, \"y\"')", "ROW(NULL, NULL)"], ['(1,"x, ""y""")', "(,)"], "%s::pair"),
    ("pg_lsn", ["'16/B374D848'"], ["16/B374D848"], "%s::pg_lsn"),
    ("xid8", ["'18446744073709551615'"], ["18446744073709551615"], "%s::xid8"),
    ("regclass", ["'pg_class'"], ["pg_class"], "%s::regclass"),
    ("int2vector", ["'1 2'"], ["1 2"], "%s::int2vector"),
    ("jsonpath", ["'$.a'"], ['$."a"'], "%s::jsonpath"),
    ("cube", ["'(1,2),(3,4)'"], ["(1, 2),(3, 4)"], "%s::cube"),
    ("ltree", ["'Top.Science'"], ["Top.Science"], "%s::ltree"),
]
_FLAT = "ARRAY(SELECT json_array_elements_text(%s::json))"
ARRAYS = [
    ("text[]", ["'{}'", "'{a,NULL,\"b, c\"}'"], ["[]", '["a",null,"b, c"]'], _FLAT),
    ("text[]", ["'[0:1]={a,b}'"], ["[0:1]={a,b}"], "%s::text[]"),
    ("int[]", ["'{{1,2},{3,NULL}}'"], ["[[1,2],[3,null]]"], "translate(%s, '[]', '{}')::int[]"),
    ("bigint[]", ["'{9223372036854775807}'"], ["[9223372036854775807]"], _FLAT + "::bigint[]"),
    ("numeric[]", ["'{NaN,1.10}'"], ['["NaN",1.10]'], _FLAT + "::numeric[]"),
    ("float8[]", ["'{NaN,Infinity,0.1}'"], ['["NaN","Infinity",0.1]'], _FLAT + "::float8[]"),
    ("boolean[]", ["'{t,f}'"], ["[true,false]"], _FLAT + "::boolean[]"),
    (
        "timestamptz[]",
        ["'{2020-01-01,infinity}'"],
        ['["2020-01-01T00:00:00+00:00","infinity"]'],
        _FLAT + "::timestamptz[]",
    ),
    ("bytea[]", ["ARRAY['\\x00'::bytea]"], ['["\\\\x00"]'], _FLAT + "::bytea[]"),
    ("mood[]", ["'{happy,sad}'"], ['["happy","sad"]'], _FLAT + "::mood[]"),
    ("inet[]", ["'{10.0.0.1}'"], ['["10.0.0.1"]'], _FLAT + "::inet[]"),
    ("char(3)[]", ["'{a}'"], ['["a  "]'], _FLAT + "::char(3)[]"),
    ("interval[]", ["'{1 day}'"], ['["P1D"]'], _FLAT + "::interval[]"),
    ("pair[]", ['\'{"(1,x)","(,)",NULL}\''], ['["(1,x)","(,)",null]'], _FLAT + "::pair[]"),
    (
        "jsonb[]",
        ["ARRAY['{\"a\":1}'::jsonb, NULL]"],
        ['[{"a": 1},null]'],
        "ARRAY(SELECT nullif(j, 'null') FROM json_array_elements(%s::json) a, to_jsonb(a.value) j)",
    ),
    ("jsonb[]", ["ARRAY['null'::jsonb, NULL]"], ['{"null",NULL}'], "%s::jsonb[]"),
    ("json[]", ["ARRAY[' null '::json, NULL]"], ['{" null ",NULL}'], "%s::json[]"),
]


@pytest.mark.parametrize(("kind", "values", "expected", "back"), [*NUMBERS, *TEXTS, *TIMES, *OTHERS, *ARRAYS])
def test_a_type_lands_and_comes_back_unchanged(
    kind: str, values: list[str], expected: list[Any], back: str, session: psycopg.Connection[Any]
) -> None:
    column = column_of(session, kind, *values, "NULL")

    found = arrived(session, land(column, 's."v"'))

    assert found == [*expected, None]
    assert [type(value) for value in found] == [*(type(value) for value in expected), type(None)]
    session.execute("ALTER TABLE box ADD r text")
    for number, value in enumerate(found[:-1]):
        given = session.execute(
            f"SELECT concat(({back.replace('%s', '%s::' + _wire(value))})::{kind})".encode(), (value,)
        )
        session.execute("UPDATE box SET r = %s WHERE n = %s", (given.fetchall()[0][0], number))
    assert session.execute("SELECT concat(v), r FROM box WHERE concat(v) <> r").fetchall() == []


def _wire(value: Any) -> str:
    return {int: "bigint", float: "float8", bytes: "bytea"}.get(type(value), "text")


@pytest.mark.parametrize("kind", ["real", "double precision", "numeric(5,2)", "numeric(5,0)"])
def test_nan_is_kept_as_a_text_beside_the_numbers(kind: str, session: psycopg.Connection[Any]) -> None:
    column = column_of(session, kind, "1", "'NaN'", "NULL")

    landing = land_with_nan(land(column, 's."v"'), 's."v"')

    assert landing.storage == "ANY"
    assert arrived(session, landing) == [1, "NaN", None]


@pytest.mark.parametrize("kind", ["real", "double precision", "numeric(5,2)", "numeric(5,0)"])
def test_nan_that_nobody_expected_is_an_error_and_no_null(kind: str, session: psycopg.Connection[Any]) -> None:
    column = column_of(session, kind, "'NaN'")

    with pytest.raises(psycopg.errors.FeatureNotSupported, match="NaN"):
        arrived(session, land(column, 's."v"'))


@pytest.mark.parametrize(
    ("kind", "ordinary", "odd"),
    [
        ("date", "'2024-01-01'", "'-infinity'"),
        ("timestamp", "'2024-01-01'", "'0044-03-15 BC'"),
        ("timestamptz", "'9999-12-31 23:59:59Z'", "'10000-01-01 00:00:00Z'"),
        ("time", "'23:59:59'", "'24:00:00'"),
        ("numeric", "1", "'NaN'"),
        ("double precision", "0", "'-0'"),
        ("int[]", "'{1}'", "'[5:5]={1}'"),
    ],
)
def test_odd_values_are_found(kind: str, ordinary: str, odd: str, session: psycopg.Connection[Any]) -> None:
    landing = land(column_of(session, kind, ordinary, "NULL", odd), 's."v"')

    where = " OR ".join(f"({oddity.where})" for oddity in landing.oddities)

    assert session.execute(f"SELECT n FROM box s WHERE {where}".encode()).fetchall() == [(2,)]


def test_local_times_become_instants_by_their_zone(session: psycopg.Connection[Any]) -> None:
    column = column_of(
        session, "timestamp", "'2024-07-01 12:00'", "'2024-01-01 12:00'", "'2024-03-31 02:30'", "'294276-12-31'"
    )

    landing = land(column, 's."v"', naive_tz="Europe/Berlin")

    found = arrived(session, landing)
    ((reason, where),) = landing.bad
    assert found[:2] == ["2024-07-01T10:00:00.000000Z", "2024-01-01T11:00:00.000000Z"]
    assert found[3] == "294276-12-31 00:00:00"
    assert reason == "no such local time in Europe/Berlin"
    assert session.execute(f"SELECT n FROM box s WHERE {where}".encode()).fetchall() == [(2,)]


def test_a_zone_with_a_quote_in_it_stays_a_constant(session: psycopg.Connection[Any]) -> None:
    column = column_of(session, "timestamp", "'2024-07-01 12:00'")

    with pytest.raises(psycopg.DataError, match='time zone "no\'where"'):
        arrived(session, land(column, 's."v"', naive_tz="no'where"))


def test_what_sorts_and_compares_otherwise_is_said(session: psycopg.Connection[Any]) -> None:
    kinds = ("numeric", "money", "numeric(12,2)", "citext", "mood", "interval", "text", "integer")

    notes = {kind: bool(land(column_of(session, kind), 's."v"').note) for kind in kinds}

    assert notes == {kind: kind not in ("text", "integer") for kind in kinds}


def test_a_type_of_ones_own_that_only_sounds_like_a_built_in_one_lands_by_its_text(
    session: psycopg.Connection[Any],
) -> None:
    session.execute("CREATE TYPE public.int4 AS ENUM ('one', 'two')")

    column = column_of(session, "public.int4", "'two'")

    assert arrived(session, land(column, 's."v"')) == ["two"]
    session.execute("DROP TABLE box; DROP TYPE public.int4")
