"""Whoever plans yields questions and is sent the answers; one place puts them to the source."""

from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from authstore.mover.postgres.asking import Asking, Constants, NoValueError, answered

Connection = psycopg.Connection[Any]


def _next(number: int | str) -> Asking[int]:
    ((found,),) = yield f"SELECT {number} + 1"
    return int(found)


def _thrice() -> Asking[int]:
    number = 0
    for _ in range(3):
        number = yield from _next(number)
    return number


def _first_value(*expressions: str) -> Asking[str]:
    for expression in expressions:
        try:
            [(value,)] = yield Constants((expression,))
        except NoValueError:
            continue
        return str(value)
    return "none"


def test_a_question_may_depend_on_the_answer_before(emptied_database: Connection) -> None:
    assert answered(emptied_database, _thrice()) == 3


def test_rows_are_tuples_whatever_the_connection_makes_of_them(emptied_database: Connection) -> None:
    emptied_database.row_factory = dict_row
    try:
        assert answered(emptied_database, _thrice()) == 3
    finally:
        emptied_database.row_factory = psycopg.rows.tuple_row


@pytest.mark.parametrize("bad", ["1 / 0", "'x'::int", "no_such_function()"])
def test_an_expression_without_a_value_is_said_to_whoever_asked_and_the_transaction_goes_on(
    emptied_database: Connection, bad: str
) -> None:
    with emptied_database.transaction():
        assert answered(emptied_database, _first_value(bad, "'there'", bad)) == "there"
        assert answered(emptied_database, _first_value(bad)) == "none"
        assert answered(emptied_database, _thrice()) == 3


def test_any_other_question_that_fails_ends_it(emptied_database: Connection) -> None:
    with pytest.raises(psycopg.errors.UndefinedColumn):
        answered(emptied_database, _next("no_such_column"))
