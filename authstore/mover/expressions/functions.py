"""Functions on texts, numbers and JSON that SQLite has as well, or in other words."""

from sqlglot import exp

from authstore.mover.expressions.translated import Translated, UnsayableError, compare
from authstore.mover.expressions.walk import Rule, Translation, shared_reading, unsayable
from authstore.mover.names import literal


def _like(walk: Translation, node: exp.Expr) -> Translated:
    """As GLOB, which heeds case as Postgres's LIKE does."""
    (value,), pattern = walk.strict([node.this], "text", "label"), walk.strictly(node.expression).constant
    if pattern is None:
        raise unsayable(node)
    word = "NOT GLOB" if node.args.get("negate") else "GLOB"
    return Translated(f"{value.sql} {word} {literal(_glob(pattern))}", "boolean")


def _glob(pattern: str) -> str:
    wild = {"%": "*", "_": "?"}
    parts, letters = [], iter(pattern)
    for letter in letters:
        if letter == "\\":
            letter, plain = next(letters, "\\"), True
        else:
            plain = letter not in wild
        parts.append((f"[{letter}]" if letter in "*?[" else letter) if plain else wild[letter])
    return "".join(parts)


def _coalesce(walk: Translation, node: exp.Expr) -> Translated:
    parts = [walk.strictly(part) for part in (node.this, *node.expressions)]
    return Translated(f"coalesce({', '.join(part.sql for part in parts)})", shared_reading(parts))


def _nullif(walk: Translation, node: exp.Expr) -> Translated:
    left, right = walk.strictly(node.this), walk.strictly(node.expression)
    compare(left, "=", right, exact=True)
    return Translated(f"nullif({left.sql}, {right.sql})", shared_reading([left]))


def _length(walk: Translation, node: exp.Expr) -> Translated:
    (value,) = walk.strict([node.this], "text", "padded", "citext", "bytes", "label")
    if any(argument for name, argument in node.args.items() if name != "this"):
        raise unsayable(node)
    return Translated(f"length({_unpadded(value)})", "integer")


def _unpadded(value: Translated) -> str:
    return f"rtrim({value.sql}, ' ')" if value.reading == "padded" else value.sql


def _fold(word: str) -> Rule:
    def rule(walk: Translation, node: exp.Expr) -> Translated:
        if not walk.folding:
            raise UnsayableError(f"{word}(), which knows ASCII letters only")
        (value,) = walk.strict([node.this], "text", "citext", "label")
        return Translated(f"{word}({value.sql})", "text")

    return rule


def _trim(walk: Translation, node: exp.Expr) -> Translated:
    (value,) = walk.strict([node.this], "text")
    if node.args.get("expression") is not None or node.args.get("collation") is not None:
        raise unsayable(node)
    position = str(node.args.get("position") or "BOTH").upper()
    word = {"BOTH": "trim", "LEADING": "ltrim", "TRAILING": "rtrim"}[position]
    return Translated(f"{word}({value.sql}, ' ')", "text")


def _substring(walk: Translation, node: exp.Expr) -> Translated:
    start, length = node.args.get("start"), node.args.get("length")
    bounds = [walk.strictly(bound) for bound in (start, length) if bound is not None]
    (value,) = walk.strict([node.this], "text")
    if start is None or any(not (bound.constant or "").isdigit() or bound.constant == "0" for bound in bounds):
        raise unsayable(node)
    return Translated(f"substr({', '.join([value.sql, *(bound.sql for bound in bounds)])})", "text")


def _left(walk: Translation, node: exp.Expr) -> Translated:
    (value,), length = walk.strict([node.this], "text"), walk.strictly(node.expression)
    if not (length.constant or "").isdigit():
        raise unsayable(node)
    return Translated(f"substr({value.sql}, 1, {length.sql})", "text")


def _position(walk: Translation, node: exp.Expr) -> Translated:
    value, part = walk.strict([node.this, node.args["substr"]], "text")
    if node.args.get("position") is not None:
        raise unsayable(node)
    return Translated(f"instr({value.sql}, {part.sql})", "integer")


def _starts(walk: Translation, node: exp.Expr) -> Translated:
    value, start = walk.strict([node.this, node.expression], "text")
    return Translated(f"(substr({value.sql}, 1, length({start.sql})) = {start.sql})", "boolean")


def _absolute(walk: Translation, node: exp.Expr) -> Translated:
    (value,) = walk.strict([node.this], "integer", "double")
    return Translated(f"abs({value.sql})", value.reading)


def _extract(walk: Translation, node: exp.Expr) -> Translated:
    """data ->> 'key', in indexes."""
    if not walk.folding:
        raise UnsayableError("->>, which spells some values otherwise")
    (value,), key = walk.strict([node.this], "json"), walk.strictly(_key_of(node.expression)).constant
    if key is None:
        raise unsayable(node)
    return Translated(f"{value.sql} ->> {literal(key)}", "text")


def _key_of(node: exp.Expr) -> exp.Expr:
    if not isinstance(node, exp.JSONPath):
        return node
    keys = [part for part in node.expressions if not isinstance(part, exp.JSONPathRoot)]
    if len(keys) != 1 or not isinstance(keys[0], exp.JSONPathKey) or not isinstance(keys[0].this, str):
        raise UnsayableError("a path into JSON")
    return exp.Literal.string(keys[0].this)


def _function(walk: Translation, node: exp.Expr) -> Translated:
    word = {"num_nonnulls": "IS NOT NULL", "num_nulls": "IS NULL"}.get(node.name.lower())
    if word is None:
        raise unsayable(node)
    values = [walk.strictly(value) for value in node.expressions]
    if any(value.reading == "composite" for value in values):
        raise unsayable(node)
    return Translated(f"({' + '.join(f'({value.sql} {word})' for value in values)})", "integer")


FUNCTIONS: dict[type[exp.Expr], Rule] = {
    exp.Like: _like,
    exp.Coalesce: _coalesce,
    exp.Nullif: _nullif,
    exp.Length: _length,
    exp.Lower: _fold("lower"),
    exp.Upper: _fold("upper"),
    exp.Trim: _trim,
    exp.Substring: _substring,
    exp.Left: _left,
    exp.StrPosition: _position,
    exp.StartsWith: _starts,
    exp.Abs: _absolute,
    exp.JSONExtractScalar: _extract,
    exp.Anonymous: _function,
}
