"""Names inside SQL that PostgreSQL wrote: what stands in one schema is called by its place in another."""

import re
from collections.abc import Iterator, Mapping

from authstore.mover.names import quote

QualifiedName = tuple[str, str]  # schema and name
_TOKEN = re.compile(
    r"(?P<text>[eE]'(?:[^'\\]|''|\\.)*'|'(?:[^']|'')*')"
    r'|(?P<name>"(?:[^"]|"")*"|[A-Za-z_\u0080-\U0010ffff][\w$]*)'
    r"|(?P<other>.)",
    re.DOTALL,
)
_CLASS = re.compile(r"'((?:[^']|'')*)'::(?:pg_catalog\.)?regclass")


def renamed(sql: str, names: Mapping[QualifiedName, QualifiedName]) -> str:
    """The same with every `schema.name` that has another place, sequences in texts included."""
    sql = _CLASS.sub(lambda found: _renamed_class(found[1], names), sql)
    return "".join(_renamed_parts(sql, names))


def mentioned(sql: str) -> frozenset[QualifiedName]:
    """Every `schema.name` in it."""
    found = [(kind, text) for kind, text in _tokens(sql)]
    return frozenset(
        (_plain(found[at][1]), _plain(found[at + 2][1]))
        for at in range(len(found) - 2)
        if found[at][0] == found[at + 2][0] == "name" and found[at + 1][1] == "."
    )


def names_in_parentheses(sql: str) -> tuple[str, ...]:
    """The names in the first pair of them: a key's columns."""
    found = [(kind, text) for kind, text in _tokens(sql)]
    inside = found[found.index(("other", "(")) :]
    return tuple(_plain(text) for kind, text in inside[: inside.index(("other", ")"))] if kind == "name")


def _renamed_class(text: str, names: Mapping[QualifiedName, QualifiedName]) -> str:
    inside = "".join(_renamed_parts(text.replace("''", "'"), names))
    return "'" + inside.replace("'", "''") + "'::regclass"


def _renamed_parts(sql: str, names: Mapping[QualifiedName, QualifiedName]) -> Iterator[str]:
    found = list(_tokens(sql))
    at = 0
    while at < len(found):
        kind, text = found[at]
        if kind == "name" and at + 2 < len(found) and found[at + 1][1] == "." and found[at + 2][0] == "name":
            there = names.get((_plain(text), _plain(found[at + 2][1])))
            if there is not None:
                yield f"{quote(there[0])}.{quote(there[1])}"
                at += 3
                continue
        yield text
        at += 1


def _tokens(sql: str) -> Iterator[tuple[str, str]]:
    for found in _TOKEN.finditer(sql):
        yield str(found.lastgroup), found[0]


def _plain(name: str) -> str:
    return name[1:-1].replace('""', '"') if name.startswith('"') else name.lower()
