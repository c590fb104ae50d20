"""Expressions mean the same in SQLite as in Postgres for every row that Postgres let in, or are not said."""

import sqlite3
from collections.abc import Iterator
from itertools import product
from typing import Any

import psycopg
import pytest

from authstore.mover.carried.columns import CarriedTable, land_columns
from authstore.mover.expressions.translate import parse, translate
from authstore.mover.expressions.translated import Translated, UnsayableError
from authstore.mover.names import quote
from authstore.mover.postgres.introspection import read_source
from tests.mover.copying import pinned
from tests.mover.expressions.random_conditions import Conditions
from tests.postgres import fresh_database

SETUP = """
CREATE EXTENSION citext;
CREATE TYPE mood AS ENUM ('sad', 'ok');
CREATE TYPE pair AS (a int, b int);
CREATE TABLE box (
    id serial PRIMARY KEY, a int, b bigint, price numeric(10,2), amount numeric, f float8, r real, on_sale boolean,
    t text, "Word" text, v varchar(20), c char(4), ci citext, m mood, u uuid, d date, e date,
    at timestamptz, till timestamptz, local timestamp, j jsonb, raw bytea, tags text[], duo pair, len interval
);
"""
COLUMNS: dict[str, list[str]] = {
    "a": ["0", "-7", "7", "1073741000"],
    "b": ["0", "7", "-3", "9007199254740993"],
    "price": ["0", "0.10", "-1.50", "99999999.99"],
    "amount": ["0", "0.10", "-1.5", "100", "12345678901234567890.12345"],
    "f": ["0", "0.1", "-2.5", "1e300"],
    "r": ["0", "0.5", "-3", "1e30"],
    "on_sale": ["true", "false"],
    "t": ["''", "'abc'", "'ABC'", "'Ünïcode'", "'a*b?[c]'", "' pad '", "'50%'", "'under_score'"],
    "Word": ["'abc'", "'x'", "''"],
    "v": ["'abc'", "'ABC'", "'b'", "''"],
    "c": ["'ab'", "'abcd'", "''"],
    "ci": ["'ABC'", "'abc'", "''", "'é'"],
    "m": ["'sad'", "'ok'"],
    "u": ["'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'", "'00000000-0000-0000-0000-000000000000'"],
    "d": ["'2020-02-29'", "'2024-01-01'", "'1999-12-31'"],
    "e": ["'2020-02-29'", "'2020-03-01'", "'1999-12-31'"],
    "at": ["'2020-01-01Z'", "'2024-05-05 05:05:05.5Z'"],
    "till": ["'2020-01-01Z'", "'2030-01-01Z'"],
    "local": ["'2020-01-01'", "'2024-05-05 05:05:05'"],
    "j": ["'{\"k\": 1}'", "'[1]'", "'\"x\"'", "'null'", "'2'"],
    "raw": ["''", "'\\x0001'"],
    "tags": ["'{a}'"],
    "duo": ["'(1,)'"],
    "len": ["'1 day'"],
}
SAYABLE = r"""
a = 7
a <> b
(a >= 0) AND (a <= 10)
NOT (a > 0)
a BETWEEN 1 AND 7
a NOT BETWEEN 1 AND 7
-a > 3
(a + 3) > 0
(a * 2) = 14
(a / 2) = -3
(a % 2) = -1
mod(a, 4) = 3
abs(a) = 7
a IN (0, 7)
a NOT IN (0, 7)
b > 9007199254740992
a IS NULL
a IS NOT NULL
a IS DISTINCT FROM b
a IS NOT DISTINCT FROM 7
(a IS NULL) = (b IS NULL)
num_nonnulls(a, b) = 1
num_nulls(a, b, t) <= 1
coalesce(a, 0) = 0
nullif(a, 7) IS NULL
CASE WHEN a > 0 THEN t ELSE 'none' END = 'abc'
CASE WHEN on_sale THEN a END = 7
price > 0
price >= 0.10
price = 0.10
price <> -1.5
price < 99999999.99
price > a
price IN (0.10, -1.5)
f > 0.05
f <= 0.1
f < 1e300::float8
f > price
ROW(a, b) = ROW(1, 2)
t = E'a\\b'
(f * 2) > 0
r > 0.25
r <= -3
r < 1000
on_sale
NOT on_sale
on_sale = true
on_sale IS TRUE
on_sale IS NOT FALSE
(on_sale AND (a = 7)) OR (a IS NULL)
t = 'abc'
t <> ''
t IN ('abc', 'ABC')
t <> ALL (ARRAY['abc', 'ABC'])
t LIKE 'a%'
t NOT LIKE '%c'
t LIKE 'a*%'
t LIKE '%?[%'
t LIKE '50\%'
t LIKE 'under\_score'
t LIKE '_bc'
length(t) > 3
char_length(t) = 7
btrim(t) = 'pad'
ltrim(t) = 'pad '
rtrim(t) = ' pad'
TRIM(BOTH FROM t) = 'pad'
substring(t FROM 2 FOR 2) = 'bc'
left(t, 1) = 'a'
position('b' IN t) = 2
starts_with(t, 'a')
starts_with(t, 'a') = starts_with(v, 'a')
(t || 'x') = 'abcx'
(t || a) = 'abc7'
"Word" = t
v = 'abc'
v::text = t
length(v) < 3
v = ANY (ARRAY['abc'::varchar, 'b'::varchar])
(v)::text = ANY ((ARRAY['abc'::character varying, 'b'::character varying])::text[])
c = 'ab'
c = 'ab  '::bpchar
(c)::text = 'ab'
length(c) = 2
c IN ('ab', 'abcd')
ci = 'abc'
ci <> ''
(ci)::text = 'abc'
length(ci) = 3
m = 'ok'
m = ANY (ARRAY['ok'::mood, 'sad'::mood])
(m)::text = 'ok'
u = 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid
d < e
d >= '2020-02-29'
d = '1999-12-31'::date
at < till
at > '2020-01-01 00:00:00+00'
at >= '2024-05-05 05:05:05.5+00'
local > '2020-01-01'
local = '2024-05-05 05:05:05'
f <= 0.5::real
u = 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'
jsonb_typeof(j) = 'object'
jsonb_typeof(j) = 'string'
jsonb_typeof(j) <> 'array'
length(raw) = 2
tags IS NULL
len IS NOT NULL
j IS NOT NULL
amount IS NULL
""".strip().splitlines()
LENIENT = r"""
amount > 0
amount >= 0
amount < 100
amount <= 100
amount <> 0
0 < amount
100 >= amount
amount BETWEEN 0 AND 100
lower(t) = t
t = upper(t)
(amount > 0) OR (a = 7)
lower((v)::text) = (v)::text
""".strip().splitlines()
UNSAYABLE = r"""
t < 'b'
t ~ '^a'
t ~* 'a'
t ILIKE 'a%'
lower(t) = 'abc'
lower(t) <> t
NOT (lower(t) = t)
NOT (amount > 0)
amount <> 1
amount > price
price * 2 > 1
price / 3 > 1
r > 0.1
ci = 'é'
ci < 'b'
m < 'ok'
m > 'sad'
len > '1 day'
duo IS NULL
duo IS NOT NULL
tags = '{a}'
cardinality(tags) = 1
j = '{}'
(j ->> 'k') = '1'
j ? 'k'
at > now()
d < CURRENT_DATE
at::date = d
extract(year FROM d) > 2000
greatest(a, b) > 0
concat(t, a) = 'x'
t SIMILAR TO 'a'
a::numeric / 2 > 1
a ^ 2 > 1
a & 1 = 1
raw = '\x00'
md5(t) = 'x'
d < at
on_sale = (a > 0 AND random() > 2)
ROW(a, b) < ROW(1, 2)
t COLLATE "C" < 'b'
octet_length(t) < 3
split_part(t, 'b', 1) = 'a'
u < '00000000-0000-0000-0000-000000000001'::uuid
price = 0.1000000000000000055
at > local
local = at
local IN (at)
at < '2020-01-01 11:00:00'::timestamp
at::timestamp < '2020-01-01 11:00'
local::timestamptz < at
nullif(local, at) IS NULL
coalesce(at, local) = at
f <= 0.1::real
f::real <= 5
u = ('A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'::text)::uuid
""".strip().splitlines()


@pytest.fixture(scope="module")
def database(postgres_url: str) -> Iterator[psycopg.Connection[Any]]:
    with fresh_database(postgres_url) as url, pinned(url) as connection:
        connection.execute(SETUP)
        connection.execute("INSERT INTO box DEFAULT VALUES")
        for name, values in COLUMNS.items():
            for value in values:
                connection.execute(f"INSERT INTO box ({quote(name)}) VALUES ({value})".encode())
        for pairs in (
            ("a", "b"),
            ("d", "e"),
            ("at", "till"),
            ("t", "a"),
            ("t", "Word"),
            ("v", "t"),
            ("on_sale", "a"),
            ("price", "a"),
            ("amount", "a"),
            ("f", "price"),
        ):
            for values in product(*(COLUMNS[name] for name in pairs)):
                names = ", ".join(map(quote, pairs))
                connection.execute(f"INSERT INTO box ({names}) VALUES ({', '.join(values)})".encode())
        yield connection


@pytest.fixture(scope="module")
def box(database: psycopg.Connection[Any]) -> CarriedTable:
    (table,) = read_source(database, ("public",)).tables
    return CarriedTable(table, "box", land_columns(table, "UTC"))


@pytest.fixture(scope="module")
def target(database: psycopg.Connection[Any], box: CarriedTable) -> Iterator[sqlite3.Connection]:
    landings = [column.landing for column in box.columns.values()]
    rows = database.execute(f"SELECT {', '.join(one.expression for one in landings)} FROM box s".encode()).fetchall()
    columns = ", ".join(
        f"{quote(column.name)} {column.landing.storage} COLLATE {column.landing.collation or 'BINARY'}"
        for column in box.columns.values()
    )
    connection = sqlite3.connect(":memory:")
    connection.execute(f"CREATE TABLE box ({columns}) STRICT")
    connection.executemany(f"INSERT INTO box VALUES ({', '.join('?' for _ in landings)})", rows)
    yield connection
    connection.close()


def printed(database: psycopg.Connection[Any], expression: str) -> str:
    """The expression as Postgres itself writes it down, which is what a catalogue holds."""
    database.execute(f"ALTER TABLE box ADD CONSTRAINT asked CHECK ({expression}) NOT VALID".encode())
    try:
        query = "SELECT pg_get_expr(conbin, conrelid) FROM pg_constraint WHERE conname = 'asked'"
        return str(database.execute(query).fetchall()[0][0])
    finally:
        database.execute("ALTER TABLE box DROP CONSTRAINT asked")


def judged(connection: Any, expression: str) -> dict[int, bool | None]:
    query = f"SELECT id, {expression} FROM box"
    rows = connection.execute(query.encode() if isinstance(connection, psycopg.Connection) else query).fetchall()
    return {key: None if value is None else bool(value) for key, value in rows}


@pytest.mark.parametrize("expression", SAYABLE)
def test_both_databases_judge_every_row_alike(
    expression: str, database: psycopg.Connection[Any], box: CarriedTable, target: sqlite3.Connection
) -> None:
    phrase = translate(printed(database, expression), box.names())

    assert phrase.reading == "boolean"
    assert judged(target, phrase.sql) == judged(database, expression)


@pytest.mark.parametrize("expression", LENIENT)
def test_a_check_lets_every_row_in_that_postgres_let_in(
    expression: str, database: psycopg.Connection[Any], box: CarriedTable, target: sqlite3.Connection
) -> None:
    phrase = translate(printed(database, expression), box.names(), exact=False)

    ours, theirs = judged(target, phrase.sql), judged(database, expression)
    assert [key for key, passed in theirs.items() if passed is not False and ours[key] is False] == []
    assert False in ours.values()
    with pytest.raises(UnsayableError):
        translate(printed(database, expression), box.names())


@pytest.mark.parametrize("expression", UNSAYABLE)
def test_what_sqlite_would_judge_otherwise_is_not_said(
    expression: str, database: psycopg.Connection[Any], box: CarriedTable
) -> None:
    with pytest.raises(UnsayableError) as refused:
        translate(printed(database, expression), box.names(), exact=False)

    assert str(refused.value)


@pytest.mark.parametrize("seed", range(3))
def test_random_conditions_are_judged_alike_or_not_said(
    seed: int, database: psycopg.Connection[Any], box: CarriedTable, target: sqlite3.Connection
) -> None:
    conditions, said = Conditions(seed), 0
    for _ in range(100):
        condition = conditions.condition()
        try:
            theirs = judged(database, condition)
        except psycopg.DataError:  # a number out of range
            continue
        expression = printed(database, condition)
        for exact in (True, False):
            phrase = phrase_of(expression, box, exact=exact)
            ours = theirs if phrase is None else judged(target, phrase.sql)
            said += phrase is not None
            if exact:
                assert ours == theirs, expression
            assert [key for key, passed in theirs.items() if passed is not False and ours[key] is False] == [], (
                expression
            )

    assert said > 50


def phrase_of(expression: str, box: CarriedTable, *, exact: bool) -> Translated | None:
    try:
        return translate(expression, box.names(), exact=exact)
    except UnsayableError:
        return None


NAMES = {
    ("", "a"): Translated('"a"', "integer"),
    ("", "t"): Translated('"t"', "text"),
    ("", "j"): Translated('"j"', "json"),
}


def test_a_column_that_is_not_there_never_becomes_a_string() -> None:
    for expression in ('"missing" = 1', "missing = 'x'", "other.t = 'x'"):
        with pytest.raises(UnsayableError, match="column"):
            translate(expression, NAMES)


def test_an_index_may_fold_letters_and_reach_into_json() -> None:
    assert translate("lower(t)", NAMES, folding=True).sql == 'lower("t")'
    assert translate("(j ->> 'it''s'::text)", NAMES, folding=True).sql == "\"j\" ->> 'it''s'"


def test_text_from_an_expression_is_quoted_again() -> None:
    assert translate("t = 'it''s; --'", NAMES).sql == "\"t\" = 'it''s; --'"


@pytest.mark.parametrize(
    "expression", ["", "a = ", "a; DROP TABLE users", "SELECT 1", "a, t", "(" * 5000 + "a" + ")" * 5000]
)
def test_what_is_no_expression_is_not_said(expression: str) -> None:
    with pytest.raises(UnsayableError):
        translate(expression, NAMES)


def test_the_same_expression_reads_the_same_twice() -> None:
    assert parse("a > 1") == parse("a > 1")
    assert translate("a > 1", NAMES) == translate("a > 1", NAMES)
