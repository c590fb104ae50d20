"""The server and `canonical_email` agree on every address, though the server sees only its plain half."""

from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from authstore.email import canonical_email
from authstore.errors import InvalidEmailError
from authstore.mover.auth.addresses import read_addresses, read_identifiers
from authstore.mover.postgres.asking import answered

Connection = psycopg.Connection[Any]

ODD = [
    "plain@example.com",
    "UPPER@EXAMPLE.COM",
    " spaces@example.com\t",
    "no-break\u00a0@example.com",
    "with space@example.com",
    "two@at@example.com",
    "a@b@",
    "@example.com",
    "x@",
    "x@-bad.example",
    "x@bad-.example",
    "x@a..b",
    "x@.a",
    "x@localhost",
    "x@xn--bcher-kva.example",
    "x@xn--zzzzzz.example",
    "x@BÜCHER.example",
    "jörg@example.com",
    "jo\u0308rg@example.com",
    "\u212aelvin@example.com",
    "ı@example.com",
    'quo"te@example.com',
    "o'brien+tag/$%&@example.com",
    "back\\slash@example.com",
    "a" * 64 + "@example.com",
    "a" * 250 + "@example.com",
    "x@" + "a" * 64 + ".com",
    "x@" + "a" * 63 + ".com",
    "<x@example.com>",
    "x@example.com, y@example.com",
    "x\x7f@example.com",
    "x\u200b@example.com",
    "",
    " ",
]


def expected(text: str) -> tuple[str | None, bool]:
    """The canonical form, and whether the text is bad."""
    if not text.strip(" \t\n\r\v\f"):
        return None, False
    try:
        return canonical_email(text), False
    except InvalidEmailError:
        return None, True


def on_the_server(connection: Connection, texts: list[str]) -> list[tuple[str | None, bool]]:
    connection.execute("CREATE TABLE IF NOT EXISTS public.a (n int, e text); TRUNCATE public.a")
    with connection.cursor() as cursor, cursor.copy("COPY public.a FROM STDIN") as copy:
        for row in enumerate(texts):
            copy.write_row(row)
    addresses = answered(connection, read_addresses("s.e", "public.a AS s"))
    rows = connection.execute(f"SELECT {addresses.canonical}, {addresses.bad} FROM public.a s ORDER BY n".encode())
    return [(None, True) if bad else (value, False) for value, bad in rows.fetchall()]


def test_agree_on_odd_addresses(source: Connection) -> None:
    assert on_the_server(source, ODD) == [expected(text) for text in ODD]


_PARTS = st.sampled_from([*"aZ9.-_+@ \t\\\"'%;,<>()[]:ıſéé", "xn--", "ß", "\u212a", "example.com", "\u00a0"])


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(st.lists(st.lists(_PARTS, max_size=12).map("".join), min_size=1, max_size=40))
def test_agree_on_anything(source: Connection, texts: list[str]) -> None:
    assert on_the_server(source, texts) == [expected(text) for text in texts]


@pytest.mark.parametrize(("texts", "as_written"), [(["a@b.c"], True), (["A@b.c"], False), (["é@b.c"], False)])
def test_it_is_known_whether_all_are_canonical_already(source: Connection, texts: list[str], as_written: bool) -> None:
    on_the_server(source, texts)
    assert answered(source, read_addresses("s.e", "public.a AS s")).as_written is as_written


def test_identifiers_that_are_no_addresses_are_kept_as_written(source: Connection) -> None:
    texts = ["A@Example.com", " +49 170 ", "UserName", "É@Example.com", "two@at@Example.com"]
    on_the_server(source, texts)
    value = answered(source, read_identifiers("s.e", "public.a AS s")).canonical
    rows = source.execute(f"SELECT {value} FROM public.a s ORDER BY n".encode()).fetchall()
    assert [row[0] for row in rows] == ["a@example.com", " +49 170 ", "UserName", "É@example.com", "two@at@Example.com"]
