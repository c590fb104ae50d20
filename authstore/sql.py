"""Reads `queries.sql`: every query of the store, by name, in the words of each database.

A query stands there once where all databases say it alike. What one of them says differently has twins, each under
`-- dialect: NAME`. PostgreSQL, where several may write at once, has further texts of some queries:

- `postgres, to change`: also locks the rows it finds, for a unit that decides on them;
- `postgres, whole`: for a unit of this statement alone, which does not wait at the gate (`:gate`) and writes nothing
  where that is shut;
- `postgres, gathered`: the same for many callers at once: each parameter is an array, and what comes back is the `id`
  of those for whom something was written;
- `postgres, together`: for any unit: it says in one round trip what otherwise takes several statements.

SQLite has two further texts:

- `sqlite, gathered`: a statement that is a whole unit, for many callers at once. `:rows` is a JSON array with an object
  of the parameters for each; where one is bytes there is its place in `:packed`, the first being 1, and its length.
  What comes back is the `id` of those for whom something was written; where nothing does, it was all of them, or none;
- `sqlite, opening`: what a connection makes for itself, and for no other, when it is opened.

A query that has further texts alone says what other queries say too: elsewhere it is left out, and the unit goes on as
if it had written nothing.
"""

import re
from collections.abc import Iterator, Mapping
from enum import Enum
from functools import cache
from importlib.resources import files
from typing import Any, Literal, NamedTuple, get_args

Dialect = Literal["sqlite", "postgres"]

_NAMED = re.compile(r"^-- name: (\w+)$", re.MULTILINE)
_TWIN = re.compile(r"^-- dialect: (\w+(?:, [\w ]+)?)$", re.MULTILINE)
_COMMENT = re.compile(r"^--.*$", re.MULTILINE)
_FURTHER = ("postgres, to change", "postgres, whole", "postgres, gathered", "sqlite, gathered")
_TOGETHER = "postgres, together"
_OPENING = "sqlite, opening"


class Decides(Enum):
    """What a unit of work decides on by a statement. A database with one writer at a time need not care."""

    NOTHING = "nothing"
    ROWS = "these rows will be changed"
    NAME = "this name is claimed, whether or not there is a row"
    UNIT = "this is the whole unit, if it writes anything"


class Statement(NamedTuple):
    """A query with its values, ready for a backend. `claim`: the name that is claimed (`Decides.NAME`)."""

    query: "Query"
    parameters: Mapping[str, Any]
    decides: Decides = Decides.NOTHING
    claim: tuple[str, ...] = ()

    def within(self) -> "Statement":
        """The same in a unit that goes on after it."""
        return self._replace(decides=Decides.NOTHING) if self.decides is Decides.UNIT else self


class Query:
    """A named query; calling it with its parameters gives a `Statement`."""

    __slots__ = ("gathered", "name", "opening", "postgres", "sqlite", "sqlite_gathered", "to_change", "whole")

    def __init__(self, name: str, texts: Mapping[str, str]) -> None:
        self.name = name
        self.sqlite = texts["sqlite"]
        self.postgres = texts["postgres"]
        self.to_change, self.whole, self.gathered, self.sqlite_gathered = (texts.get(each) for each in _FURTHER)
        self.opening = texts.get(_OPENING)

    @property
    def is_reading(self) -> bool:
        """Whether SQLite writes nothing by it."""
        return not self.sqlite or self.sqlite.startswith("SELECT")

    def __call__(self, **parameters: Any) -> Statement:
        return Statement(self, parameters)

    def changing(self, **parameters: Any) -> Statement:
        """The rows that this finds will be changed: nobody else changes them before the unit's end."""
        if self.to_change is None:
            raise LookupError(f"{self.name} has no text that locks what it finds")
        return Statement(self, parameters, Decides.ROWS)

    def claiming(self, *claim: str, **parameters: Any) -> Statement:
        """Nobody else who claims this name decides on it before the unit's end."""
        return Statement(self, parameters, Decides.NAME, claim)

    def alone(self, **parameters: Any) -> Statement:
        """If this writes anything it was the whole unit; a unit goes on after it only where it wrote nothing."""
        return Statement(self, parameters, Decides.UNIT)

    def __repr__(self) -> str:
        return f"<Query {self.name}>"


class Queries:
    """The queries of the file, as attributes."""

    def __init__(self, text: str) -> None:
        _, *parts = _NAMED.split(text)
        for name, body in zip(parts[::2], parts[1::2], strict=True):
            if name in self.__dict__:
                raise ValueError(f"two queries are called {name}")
            self.__dict__[name] = Query(name, _texts(name, body))

    def __iter__(self) -> Iterator[Query]:
        return iter(self.__dict__.values())

    def __getattr__(self, name: str) -> Query:
        raise AttributeError(f"queries.sql has no query called {name}")


def _texts(name: str, body: str) -> dict[str, str]:
    """The texts of a query: one for all, or a twin for each."""
    common, *twins = _TWIN.split(body)
    texts: dict[str, str] = {}
    for kind, text in zip(twins[::2], twins[1::2], strict=True):
        if kind in texts or kind not in (*get_args(Dialect), *_FURTHER, _TOGETHER, _OPENING):
            raise ValueError(f"{name} has a twin too many: {kind}")
        texts[kind] = _COMMENT.sub("", text).strip()
    said, dialects = _COMMENT.sub("", common).strip(), get_args(Dialect)
    has_twins = any(dialect in texts for dialect in dialects)
    if said and has_twins:
        raise ValueError(f"{name} has a text for all and a twin besides")
    if said:
        texts.update(dict.fromkeys(dialects, said))
    elif not has_twins and texts.keys() & {*_FURTHER, _TOGETHER, _OPENING}:
        return {**texts, "sqlite": "", "postgres": texts.get(_TOGETHER, "")}
    if _TOGETHER in texts:
        raise ValueError(f"{name} is said in one statement anyway")
    if missing := [dialect for dialect in dialects if not texts.get(dialect)]:
        raise ValueError(f"{name} says nothing in the words of {', '.join(missing)}")
    return texts


@cache
def load() -> Queries:
    """All queries; read once."""
    return Queries(files("authstore").joinpath("queries.sql").read_text("utf-8"))


queries = load()
