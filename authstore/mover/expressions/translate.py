"""Postgres expressions in SQLite's words: checks, generated columns, indexes, views.

What is said means the same in both for every row that Postgres let in, or it is not said: `UnsayableError`.
Source: https://www.postgresql.org/docs/current/functions.html beside https://www.sqlite.org/lang_expr.html
"""

import logging
from functools import lru_cache

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from authstore.mover.expressions.casts import cast
from authstore.mover.expressions.functions import FUNCTIONS
from authstore.mover.expressions.operators import OPERATORS
from authstore.mover.expressions.translated import Translated, UnsayableError
from authstore.mover.expressions.walk import Names, Translation, bare

_RULES = {**OPERATORS, **FUNCTIONS, exp.Cast: cast}

# It warns about what it cannot read; here that is an error of its own.
logging.getLogger("sqlglot").setLevel(logging.ERROR)


def translate(expression: str, names: Names, *, exact: bool = True, folding: bool = False) -> Translated:
    """The expression in SQLite.

    Not `exact` (checks): it may let more pass than Postgres does, never less. `folding` (indexes): lower(), upper()
    and ->> are said although SQLite's differ outside ASCII or in spelling, for an index is consistent with itself.
    """
    try:
        return translation(names, exact=exact, folding=folding).phrase(bare(parse(expression)))
    except RecursionError as error:
        raise UnsayableError("an expression of such depth") from error


def translation(names: Names, *, exact: bool = True, folding: bool = False) -> Translation:
    """The walk by which `translate` goes, for those who have read the expression already."""
    return Translation(names, _RULES, exact, folding)


@lru_cache(maxsize=4096)
def parse(expression: str) -> exp.Expr:
    """One expression as Postgres prints it. Not to be changed: the next who asks gets the same."""
    try:
        query = sqlglot.parse_one(f"SELECT {expression}", read="postgres")
    except (SqlglotError, RecursionError) as error:
        raise UnsayableError("it cannot be read") from error
    if not isinstance(query, exp.Select) or len(query.expressions) != 1:
        raise UnsayableError("it cannot be read")
    found: exp.Expr = query.expressions[0]
    return found
