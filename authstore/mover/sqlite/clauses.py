"""What a CREATE of SQLite's says and its catalogue does not: checks, formulas, collations, when a key is judged."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from authstore.mover.names import folded, quote

Token = tuple[str, str]  # of which kind, and as it stands there
_TOKEN = re.compile(
    r"(?P<text>'(?:[^']|'')*')|(?P<quoted>\"(?:[^\"]|\"\")*\"|`(?:[^`]|``)*`|\[[^\]]*\])"
    r"|(?P<space>\s+|--[^\n]*|/\*.*?(?:\*/|\Z))|(?P<number>\d[\w.]*)"
    r"|(?P<name>[A-Za-z_\u0080-\U0010ffff][\w$]*)|(?P<other>.)",
    re.DOTALL,
)
_OF_TABLES = ("CONSTRAINT", "PRIMARY", "UNIQUE", "CHECK", "FOREIGN")
_LATE = re.compile(r"(?<!NOT )DEFERRABLE INITIALLY DEFERRED")  # all else is judged at once


def in_quotes(sql: str, names: Mapping[str, str]) -> str:
    """SQLite's SQL with the columns quoted as Postgres needs them; `names`: by what SQLite sees, the name there."""
    return "".join(_in_quotes(kind, text, names) for kind, text in _tokens(sql))


def _in_quotes(kind: str, text: str, names: Mapping[str, str]) -> str:
    if kind == "space":
        return " "
    if kind == "quoted":
        name = _plain((kind, text))
        return quote(names.get(folded(name), name))
    if kind == "name" and folded(text) in names:
        return quote(names[folded(text)])
    return text


def names_in(sql: str) -> set[str]:
    """Every name in SQLite's SQL, as SQLite compares them."""
    return {folded(_plain(token)) for token in _tokens(sql) if token[0] in ("quoted", "name")}


def meaning(sql: str) -> tuple[str, ...]:
    """What two texts have in common that differ in quotes, spaces, case and parentheses around the whole only."""
    words = _words(sql)
    while len(words) > 1 and words[0] == ("other", "(") and _closing(words) == len(words) - 1:
        words = words[1:-1]
    return tuple(folded(_plain(token)) if token[0] in ("quoted", "name") else token[1] for token in words)


def checks_in(sql: str) -> Iterator[tuple[str, str]]:
    """The checks in a CREATE TABLE of SQLite's: each with its name ("" without one) and its expression."""
    found = list(_tokens(sql))
    words = [(at, kind, text) for at, (kind, text) in enumerate(found) if kind != "space"]
    for place, (_, kind, text) in enumerate(words):
        is_check = kind == "name" and text.upper() == "CHECK" and place + 1 < len(words)
        if not is_check or words[place + 1][2] != "(":
            continue
        named = place >= 2 and words[place - 2][2].upper() == "CONSTRAINT"
        name = _plain(words[place - 1][1:]) if named else ""
        yield name, _inside(found[words[place + 1][0] :])


def terms_in(sql: str) -> str:
    """Of a CREATE INDEX what stands behind the table's name: the columns, and of which rows."""
    found = list(_tokens(sql))
    places = [at for at, (kind, _) in enumerate(found) if kind != "space"]
    on = next(number for number, at in enumerate(places) if found[at][0] == "name" and found[at][1].upper() == "ON")
    return "".join(text for _, text in found[places[on + 2] :])


def deferrals_in(sql: str) -> list[str]:
    """Of each foreign key, in the order in which they stand there, when it is judged, in words."""
    words = [text.upper() if kind == "name" else text for kind, text in _words(sql)]
    starts = [at for at, word in enumerate(words) if word == "REFERENCES"]
    parts = (words[start:end] for start, end in zip(starts, [*starts, len(words)][1:], strict=True))
    return [" DEFERRABLE INITIALLY DEFERRED" if _LATE.search(" ".join(part)) else "" for part in parts]


@dataclass(frozen=True, slots=True)
class ColumnWords:
    """`collation`: BINARY where none is said; `formula`: of a generated column, else ""."""

    collation: str = "BINARY"
    formula: str = ""


def column_words(sql: str) -> dict[str, ColumnWords]:
    """What a CREATE TABLE says of each column, by its name as SQLite compares it."""
    return {folded(_plain(words[0])): _words_of(words) for words in _columns(sql)}


def _words_of(words: Sequence[Token]) -> ColumnWords:
    found, depth = ColumnWords(), 0
    for at, (kind, text) in enumerate(words[:-1]):
        depth += (text == "(") - (text == ")") if kind == "other" else 0
        if depth == 0 and kind == "name" and at:
            if text.upper() == "COLLATE":
                found = ColumnWords(_plain(words[at + 1]).upper(), found.formula)
            elif text.upper() == "AS" and words[at + 1][1] == "(":
                inside = words[at + 1 :]
                formula = " ".join(part for _, part in inside[1 : _closing(inside)])
                found = ColumnWords(found.collation, formula)
    return found


def _columns(sql: str) -> Iterator[list[Token]]:
    """The words of each column."""
    words = _words(sql)
    opening = next((at for at, token in enumerate(words) if token == ("other", "(")), len(words))
    inside = words[opening : opening + _closing(words[opening:]) + 1]
    depth, start = 0, 1
    for at, (kind, text) in enumerate(inside):
        depth += (text == "(") - (text == ")") if kind == "other" else 0
        if (depth == 1 and text == "," and kind == "other") or (depth == 0 and at):
            part = inside[start:at]
            if part and not (part[0][0] == "name" and part[0][1].upper() in _OF_TABLES):
                yield part
            start = at + 1


def _inside(found: Sequence[Token]) -> str:
    """What stands between a parenthesis, the first of these, and its other half."""
    return "".join(" " if kind == "space" else text for kind, text in found[1 : _closing(found)])


def _closing(found: Sequence[Token]) -> int:
    """Where the other half of the parenthesis stands that is the first of these."""
    depth = 0
    for at, (kind, text) in enumerate(found):
        depth += (text == "(") - (text == ")") if kind == "other" else 0
        if depth == 0:
            return at
    return len(found)


def _words(sql: str) -> list[Token]:
    return [token for token in _tokens(sql) if token[0] != "space"]


def _tokens(sql: str) -> Iterator[Token]:
    for found in _TOKEN.finditer(sql):
        yield str(found.lastgroup), found[0]


def _plain(token: Token) -> str:
    """A name without its quotes."""
    kind, text = token
    if kind not in ("quoted", "text"):
        return text
    inside = text[1:-1]
    return inside if text[0] == "[" else inside.replace(text[0] * 2, text[0])
