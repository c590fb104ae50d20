"""Constants reach the server whole, whatever is in them."""

from typing import Any

import psycopg
import pytest

from authstore.mover.postgres.asking import Asking, answered
from authstore.mover.postgres.statements import is_any, json_map, text_array

Connection = psycopg.Connection[Any]

HOSTILE = ["", "NULL", "a'b", 'a"b', "a\\b", "{x,y}", "100%s", "new\nline", "ünï🙂", " ", "'; DROP TABLE x; --"]


def _rows(connection: Connection, query: str) -> list[tuple[Any, ...]]:
    def asking() -> Asking[list[tuple[Any, ...]]]:
        return (yield query)

    return answered(connection, asking())


def test_arrays_of_texts_arrive_as_they_are(emptied_database: Connection) -> None:
    assert _rows(emptied_database, f"SELECT {text_array(HOSTILE)}") == [(HOSTILE,)]


@pytest.mark.parametrize("text", HOSTILE)
def test_a_text_is_found_among_others_and_nothing_is_not(emptied_database: Connection, text: str) -> None:
    among, alone = is_any("x", HOSTILE), is_any("x", [text + "!"])
    with emptied_database.transaction():
        emptied_database.execute("CREATE TEMP TABLE t (x text) ON COMMIT DROP")
        emptied_database.execute("INSERT INTO t VALUES (%s), (NULL)", [text])
        assert _rows(emptied_database, f"SELECT {among}, {alone} FROM t ORDER BY x") == [(True, False), (False, False)]


def test_nothing_is_none_of_no_texts() -> None:
    assert is_any("x", []) == "FALSE"


def test_maps_are_looked_up(emptied_database: Connection) -> None:
    pairs = {text: text[::-1] for text in HOSTILE}
    found = json_map(pairs)
    for text, value in pairs.items():
        query = f"SELECT {found} ->> ({text_array([text])})[1], {found} ->> 'nobody'"
        assert _rows(emptied_database, query) == [(value, None)]
