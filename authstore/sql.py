"""Reads `queries.sql`: every query of the store, by name."""

import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

_NAMED = re.compile(r"^-- name: (\w+)$", re.MULTILINE)
_COMMENT = re.compile(r"^--.*$", re.MULTILINE)


class Statement(NamedTuple):
    """A query with its values, ready for a backend."""

    sql: str
    parameters: Mapping[str, Any]


class Query:
    """A named query; calling it with its parameters gives a `Statement`."""

    __slots__ = ("name", "sql")

    def __init__(self, name: str, sql: str) -> None:
        self.name = name
        self.sql = sql

    def __call__(self, **parameters: Any) -> Statement:
        return Statement(self.sql, parameters)

    def __repr__(self) -> str:
        return f"<Query {self.name}>"


class Queries:
    """The queries of the file, as attributes."""

    def __init__(self, text: str) -> None:
        _, *parts = _NAMED.split(text)
        for name, sql in zip(parts[::2], parts[1::2], strict=True):
            if name in self.__dict__:
                raise ValueError(f"two queries are called {name}")
            self.__dict__[name] = Query(name, _COMMENT.sub("", sql).strip())

    def __getattr__(self, name: str) -> Query:
        raise AttributeError(f"queries.sql has no query called {name}")


@cache
def load() -> Queries:
    """All queries; read once."""
    return Queries(files("authstore").joinpath("queries.sql").read_text("utf-8"))


queries = load()
