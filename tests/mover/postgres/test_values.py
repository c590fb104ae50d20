"""Fields that are no dates: what becomes of each form they are found in; a bad value is bad, and never raises."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import psycopg
import pytest

from authstore.mover.catalog import SourceColumn
from authstore.mover.postgres import values as field_values
from authstore.mover.postgres.values import Value
from tests.mover.postgres.evaluating import column, evaluate

Connection = psycopg.Connection[Any]
Make = Callable[[SourceColumn, str], Value]

BAD = object()


def made(connection: Connection, make: Make, declared: str, text: str | None) -> object:
    value = make(column(declared), "s.x")
    found, bad = evaluate(connection, declared, text, value.sql, value.bad)
    assert bad in (True, False)
    return BAD if bad else found


@pytest.mark.parametrize(
    ("declared", "text", "expected"),
    [
        ("boolean", "true", 1),
        ("boolean", "false", 0),
        ("boolean", None, 0),
        ("integer", "1", 1),
        ("integer", "0", 0),
        ("integer", "2", BAD),
        ("text", " TRUE ", 1),
        ("text", "f", 0),
        ("text", "", 0),
        ("text", None, 0),
        ("text", "perhaps", BAD),
    ],
)
def test_booleans(emptied_database: Connection, declared: str, text: str | None, expected: object) -> None:
    assert made(emptied_database, field_values.boolean, declared, text) == expected


@pytest.mark.parametrize(
    ("declared", "text", "expected"),
    [
        ("integer", "7", 7),
        ("bigint", "9223372036854775807", 2**63 - 1),
        ("integer", None, 0),
        ("integer", "-1", BAD),
        ("numeric", "12.000", 12),
        ("numeric", "12.5", BAD),
        ("numeric", "NaN", BAD),
        ("text", "42", 42),
        ("text", "many", BAD),
        ("text", "99999999999999999999", BAD),
    ],
)
def test_counters(emptied_database: Connection, declared: str, text: str | None, expected: object) -> None:
    assert made(emptied_database, field_values.counter, declared, text) == expected


@pytest.mark.parametrize(
    ("declared", "text", "expected"),
    [
        ("text", "+/+/AA==", "-_-_AA"),
        ("text", "-_-_AA", "-_-_AA"),
        ("text", "+/+/AB==", "-_-_AA"),  # bits that mean nothing do not make another credential
        ("text", "AAAA", "AAAA"),
        ("bytea", "\\x000000", "AAAA"),
        ("text", "AAAAA", BAD),
        ("text", "not base64!", BAD),
        ("text", "AA\nAA", BAD),
        ("text", "", BAD),
        ("text", None, BAD),
        ("bytea", "", BAD),
    ],
)
def test_credential_ids(emptied_database: Connection, declared: str, text: str | None, expected: object) -> None:
    assert made(emptied_database, field_values.credential_id, declared, text) == expected


def test_long_credential_ids_have_no_line_breaks(emptied_database: Connection) -> None:
    assert made(emptied_database, field_values.credential_id, "text", "A" * 400) == "A" * 400


@pytest.mark.parametrize(
    ("declared", "text", "expected"),
    [
        ("text", "AP8=", b"\x00\xff"),
        ("text", "AP8", b"\x00\xff"),
        ("bytea", "\\x00ff", b"\x00\xff"),
        ("text", "\\x00ff", BAD),
        ("text", "", BAD),
        ("bytea", None, BAD),
    ],
)
def test_public_keys(emptied_database: Connection, declared: str, text: str | None, expected: object) -> None:
    assert made(emptied_database, field_values.public_key, declared, text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("singleDevice", "single_device"),
        ("multiDevice", "multi_device"),
        ("multi_device", "multi_device"),
        ("SINGLE-DEVICE", "single_device"),
        ("", None),
        (None, None),
        ("phone", BAD),
    ],
)
def test_device_types(emptied_database: Connection, text: str | None, expected: object) -> None:
    assert made(emptied_database, field_values.device_type, "text", text) == expected


@pytest.mark.parametrize(
    ("declared", "text", "expected"),
    [
        ("text", "usb,nfc", '["usb","nfc"]'),
        ("text", " usb , smart-card ", '["usb","smart-card"]'),
        ("text", '["usb", "ble"]', '["usb", "ble"]'),
        ("text", "[]", "[]"),
        ("text", "", "[]"),
        ("text", None, "[]"),
        ("text[]", "{usb,NULL,nfc}", '["usb","nfc"]'),
        ("text[]", None, "[]"),
        ("jsonb", '["hybrid"]', '["hybrid"]'),
        ("jsonb", "null", "[]"),
        ("jsonb", '{"usb": 1}', BAD),
        ("text", "usb;nfc", BAD),
        ("text", '["usb"', BAD),
    ],
)
def test_transports(emptied_database: Connection, declared: str, text: str | None, expected: object) -> None:
    assert made(emptied_database, field_values.transports, declared, text) == expected


@pytest.mark.parametrize(
    ("kind", "provider", "expected"),
    [
        ("oauth", "github", "oauth"),
        ("OIDC", "google", "oidc"),
        ("webauthn", "passkey", "webauthn"),
        ("credential", "x", "credentials"),
        ("", "credential", "credentials"),
        (None, "github", "oauth"),
        ("saml", "okta", BAD),
    ],
)
def test_account_types(emptied_database: Connection, kind: str | None, provider: str, expected: object) -> None:
    made_of = field_values.account_type
    assert made(emptied_database, lambda c, v: made_of(c, v, f"'{provider}'"), "text", kind) == expected


@pytest.mark.parametrize(
    ("declared", "text", "expected"),
    [
        ("inet", "192.0.2.1", "192.0.2.1"),
        ("inet", "192.0.2.0/24", "192.0.2.0/24"),
        ("char(5)", "ab", "ab"),
        ("uuid", "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
        ("text[]", "{read:user,user:email}", "read:user user:email"),
        ("inet", None, None),
    ],
)
def test_texts(emptied_database: Connection, declared: str, text: str | None, expected: object) -> None:
    assert made(emptied_database, field_values.text, declared, text) == expected


@pytest.mark.parametrize(
    ("token", "bad"),
    [
        ("fifteen-letters", True),
        ("sixteen-letters!", False),
        ("ä" * 15, True),
        ("ä" * 16, False),
        ("x" * 512, False),
        ("x" * 513, True),
        ("ä" * 512, False),
        ("", True),
        (None, True),
    ],
)
def test_a_token_has_16_to_512_characters(emptied_database: Connection, token: str | None, bad: bool) -> None:
    assert evaluate(emptied_database, "text", token, field_values.token_is_bad("s.x")) == (bad,)


def test_a_derived_id_is_the_same_every_time_and_tells_parts_apart(emptied_database: Connection) -> None:
    first, again = (field_values.derived_id("account", "'ab'", "'c'") for _ in range(2))
    other = field_values.derived_id("account", "'a'", "'bc'")
    one, two, three = evaluate(emptied_database, "text", "", first, again, other)
    assert one == two != three
    assert len(one) == 32


@pytest.mark.parametrize(("collation", "compared_by"), [("en", '"C"'), (None, '"default"')])
def test_texts_of_a_collation_of_their_own_are_compared_by_bytes(
    emptied_database: Connection, collation: str | None, compared_by: str
) -> None:
    value = field_values.text(replace(column("text"), collation=collation), "s.x")
    assert evaluate(emptied_database, "text", "x", f"pg_collation_for({value.sql})") == (compared_by,)
