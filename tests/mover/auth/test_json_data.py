"""What has no field lands in `data` as JSON; JSON that nobody could read again is found beforehand."""

import json
from typing import Any

import psycopg
import pytest

from authstore.mover.auth.json_data import data_object, doubtful_json
from authstore.mover.storable import is_storable_json
from tests.mover.postgres.evaluating import column, evaluate

Connection = psycopg.Connection[Any]


@pytest.mark.parametrize(
    ("declared", "text", "expected"),
    [
        ("integer", "5", 5),
        ("bigint", "9007199254740993", 9007199254740993),
        ("numeric", "1e400", "1" + "0" * 400),
        ("double precision", "0.1", 0.1),
        ("double precision", "-Infinity", "-Infinity"),
        ("boolean", "true", True),
        ("timestamptz", "2026-01-01 01:00+01", "2026-01-01T00:00:00.000000Z"),
        ("timestamptz", "infinity", "infinity"),
        ("date", "0044-03-15 BC", "0044-03-15 BC"),
        ("bytea", "\\x00ff", "AP8="),
        ("json", '{"b": 1, "a": [1.0]}', {"b": 1, "a": [1.0]}),
        ("text[]", '{{a,b},{c,"d e"}}', [["a", "b"], ["c", "d e"]]),
        ("inet", "192.0.2.1", "192.0.2.1"),
        ("int4range", "[1,5)", "[1,5)"),
        ("text", 'quo"te\n\\', 'quo"te\n\\'),
        ("text", None, None),
        ("inet", None, None),
        ("bytea", None, None),
    ],
)
def test_values(emptied_database: Connection, declared: str, text: str | None, expected: object) -> None:
    (found,) = evaluate(emptied_database, declared, text, data_object([column(declared)], "UTC"))
    assert json.loads(found) == {"x": expected}


def test_no_columns_are_an_empty_object(emptied_database: Connection) -> None:
    assert evaluate(emptied_database, "text", "", data_object([], "UTC")) == ("{}",)


def test_json_is_kept_as_it_is_spelled(emptied_database: Connection) -> None:
    (found,) = evaluate(emptied_database, "json", '{"n": 1.10, "n": 2}', data_object([column("json")], "UTC"))
    assert '{"n": 1.10, "n": 2}' in found


@pytest.mark.parametrize(
    ("text", "storable"),
    [
        ('{"a": "\\u00e4 \\ud83d\\ude00"}', True),
        ('"\\u0000"', False),
        ('{"\\u0000": 1}', False),
        ('"\\ud800"', False),
        ("[1e400]", False),
        ("[1e40]", True),
        ("[" * 90 + "]" * 90, True),
        ("[" * 150 + "]" * 150, False),
        ("1" * 5000, False),
    ],
)
def test_what_cannot_be_kept_is_suspected_by_sql_and_judged_here(
    emptied_database: Connection, text: str, storable: bool
) -> None:
    assert is_storable_json(text) is storable
    (suspected,) = evaluate(emptied_database, "json", text, doubtful_json([column("json")])["x"])
    assert suspected or storable


def test_ordinary_json_is_not_even_looked_at(emptied_database: Connection) -> None:
    doubtful = doubtful_json([column("jsonb")])["x"]
    assert evaluate(emptied_database, "jsonb", '{"a": [1, "e5", {"b": "c"}]}', doubtful) == (False,)
    assert evaluate(emptied_database, "jsonb", None, doubtful) == (False,)
