"""The statements that made another application's tables and indexes, said again for where everything stands now."""

import re
from collections.abc import Callable, Sequence

from authstore.mover.names import quote

_TOKEN = re.compile(
    r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|`(?:[^`]|``)*`|\[[^\]]*\]|--[^\n]*|/\*.*?(?:\*/|\Z)|[^\W\d][\w$]*|\s+|.""",
    re.DOTALL,
)
_TWO_WORDS = ("SET", "NO")  # SET NULL, SET DEFAULT, NO ACTION

# A table that a foreign key names, and the columns it names there (none: its key) → both as they are now; None: the
# foreign key goes.
Led = Callable[[str, tuple[str, ...]], tuple[str, tuple[str, ...]] | None]


def table_said(sql: str, name: str, led: Led) -> str:
    """CREATE TABLE under this name, with its foreign keys led elsewhere."""
    tokens = _TOKEN.findall(sql)
    at = _named_by(tokens, "TABLE")
    tokens[at] = quote(name)
    while at < len(tokens):
        if tokens[at].upper() == "REFERENCES":
            at = _lead(tokens, at, led)
        at += 1
    return "".join(tokens)


def index_said(sql: str, name: str, table: str) -> str:
    """CREATE INDEX under this name, on the table of that name."""
    tokens = _TOKEN.findall(sql)
    at = _named_by(tokens, "INDEX")
    on = _next(tokens, at + 1)
    tokens[at], tokens[_next(tokens, on + 1)] = quote(name), quote(table)
    return "".join(tokens)


def plain(name: str) -> str:
    """A name as it is written there, without its quotes of whatever kind."""
    if name[0] == "[":
        return name[1:-1]
    return name[1:-1].replace(name[0] * 2, name[0]) if name[0] in "'\"`" else name


def _lead(tokens: list[str], at: int, led: Led) -> int:
    """The foreign key whose REFERENCES stands at `at`, led; where the rest goes on."""
    parent = _next(tokens, at + 1)
    last, columns = parent, []
    opening = _next(tokens, parent + 1)
    if opening < len(tokens) and tokens[opening] == "(":
        last = tokens.index(")", opening)
        columns = [plain(one) for one in tokens[opening + 1 : last] if _is_said(one) and one != ","]
    place = led(plain(tokens[parent]), tuple(columns))
    if place is None:
        end = _end(tokens, last + 1)
        first = _first(tokens, at, is_last=_word(tokens, end) in (",", ")"))
        tokens[first:end] = [" "]
        return first
    table, there = place
    tokens[parent : last + 1] = [quote(table), *([f" ({', '.join(map(quote, there))})"] if there else [])]
    return parent


def _first(tokens: Sequence[str], at: int, *, is_last: bool) -> int:
    """Where the constraint begins that REFERENCES is of, with the comma before one of the table. `is_last`: before the
    next comma, which need not stand between two constraints of a table."""
    before = _previous(tokens, at - 1)
    is_of_table = False
    if tokens[before] == ")":
        key = _previous(tokens, _opening(tokens, before) - 1)
        if tokens[key].upper() == "KEY" and tokens[_previous(tokens, key - 1)].upper() == "FOREIGN":
            at, is_of_table = _previous(tokens, key - 1), True
    named = _previous(tokens, _previous(tokens, at - 1) - 1)
    if tokens[named].upper() == "CONSTRAINT":
        at = named
    comma = _previous(tokens, at - 1)
    return comma if is_of_table and is_last and tokens[comma] == "," else at


def _end(tokens: Sequence[str], at: int) -> int:
    """Where it ends: behind what is to be done on a deletion or a change, and when it is judged."""
    while (word := _word(tokens, at)) in ("ON", "MATCH", "NOT", "DEFERRABLE", "INITIALLY"):
        at = _next(tokens, at)
        if word == "NOT" and _word(tokens, at + 1) != "DEFERRABLE":
            return at
        if word == "ON":
            at = _next(tokens, _next(tokens, at + 1) + 1)
        if word in ("MATCH", "NOT", "INITIALLY") or _word(tokens, at) in _TWO_WORDS:
            at = _next(tokens, at + 1)
        at += 1
    return at


def _named_by(tokens: Sequence[str], kind: str) -> int:
    """Where the name stands of what CREATE makes."""
    at = next(place for place, token in enumerate(tokens) if token.upper() == kind)
    at = _next(tokens, at + 1)
    if [_word(tokens, at), _word(tokens, _next(tokens, at) + 1)] == ["IF", "NOT"]:
        for _ in range(3):
            at = _next(tokens, at + 1)
    return at


def _is_said(token: str) -> bool:
    return not (token.isspace() or token.startswith(("--", "/*")))


def _next(tokens: Sequence[str], at: int) -> int:
    while at < len(tokens) and not _is_said(tokens[at]):
        at += 1
    return at


def _previous(tokens: Sequence[str], at: int) -> int:
    while at > 0 and not _is_said(tokens[at]):
        at -= 1
    return at


def _word(tokens: Sequence[str], at: int) -> str:
    at = _next(tokens, at)
    return tokens[at].upper() if at < len(tokens) else ""


def _opening(tokens: Sequence[str], at: int) -> int:
    """Of the bracket that closes at `at`."""
    depth = 0
    while at > 0:
        depth += {")": 1, "(": -1}.get(tokens[at], 0)
        if not depth:
            break
        at -= 1
    return at
