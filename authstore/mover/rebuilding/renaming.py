"""Names inside SQL that PostgreSQL wrote: what stands in one schema is called by its place in another."""

import re
from collections.abc import Iterator, Mapping

from authstore.mover.names import folded, quote

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


_SQLITE_NAME = re.compile(
    r"(?P<text>'(?:[^']|'')*')|(?P<quoted>\"(?:[^\"]|\"\")*\"|`(?:[^`]|``)*`|\[[^\]]*\])"
    r"|(?P<name>[A-Za-z_\u0080-\U0010ffff][\w$]*)|(?P<other>.)",
    re.DOTALL,
)


def in_quotes(sql: str, names: Mapping[str, str]) -> str:
    """SQLite's SQL with the columns quoted as Postgres needs them; `names`: by what SQLite sees, the name there."""
    return "".join(_in_quotes(str(found.lastgroup), found[0], names) for found in _SQLITE_NAME.finditer(sql))


def _in_quotes(kind: str, text: str, names: Mapping[str, str]) -> str:
    if kind == "quoted":
        name = text[1:-1].replace('""', '"').replace("``", "`")
        return quote(names.get(folded(name), name))
    if kind == "name" and folded(text) in names:
        return quote(names[folded(text)])
    return text


def names_in(sql: str) -> set[str]:
    """Every name in SQLite's SQL, as SQLite compares them."""
    found = ((str(one.lastgroup), one[0]) for one in _SQLITE_NAME.finditer(sql))
    return {folded(text.strip('"`[]')) for kind, text in found if kind in ("quoted", "name")}


def checks_in(sql: str) -> Iterator[tuple[str, str]]:
    """The checks in a CREATE TABLE of SQLite's: each with its name ("" without one) and its expression."""
    found = [(str(one.lastgroup), one[0]) for one in _SQLITE_NAME.finditer(sql)]
    words = [(at, kind, text) for at, (kind, text) in enumerate(found) if not text.isspace()]
    for place, (_, kind, text) in enumerate(words):
        is_check = kind == "name" and text.upper() == "CHECK" and place + 1 < len(words)
        if not is_check or words[place + 1][2] != "(":
            continue
        named = place >= 2 and words[place - 2][2].upper() == "CONSTRAINT"
        name = words[place - 1][2].strip('"`[]') if named else ""
        yield name, _inside(found, words[place + 1][0])


def _inside(found: list[tuple[str, str]], opening: int) -> str:
    """What stands between a parenthesis and its other half."""
    depth, parts = 0, []
    for kind, text in found[opening:]:
        depth += (text == "(") - (text == ")") if kind == "other" else 0
        if depth == 0:
            break
        parts.append(text)
    return "".join(parts[1:])
