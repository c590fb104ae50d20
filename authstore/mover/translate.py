"""Postgres expressions in SQLite's words: checks, generated columns, indexes, views.

What is said means the same in both for every row that Postgres let in, or it is not said: `UnsayableError`.
Source: https://www.postgresql.org/docs/current/functions.html beside https://www.sqlite.org/lang_expr.html
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from authstore.mover.names import literal
from authstore.mover.phrases import (
    NULL,
    Operator,
    Phrase,
    UnsayableError,
    compare,
    date_constant,
    moment_constant,
    number_constant,
    text_constant,
)
from authstore.mover.types import Reading

Names = Mapping[tuple[str, str], Phrase]  # (table or "", column) → the column in the target

logging.getLogger("sqlglot").setLevel(logging.ERROR)


def translate(expression: str, names: Names, *, exact: bool = True, folding: bool = False) -> Phrase:
    """The expression in SQLite.

    Not `exact` (checks): it may let more pass than Postgres does, never less. `folding` (indexes): lower(), upper()
    and ->> are said although SQLite's differ outside ASCII or in spelling, for an index is consistent with itself.
    """
    return Translation(names, exact=exact, folding=folding).phrase(bare(parse(expression)))


def parse(expression: str) -> exp.Expression:
    """One expression as Postgres prints it."""
    try:
        query = sqlglot.parse_one(f"SELECT {expression}", read="postgres")
    except (SqlglotError, RecursionError) as error:
        raise UnsayableError("it cannot be read") from error
    if not isinstance(query, exp.Select) or len(query.expressions) != 1:
        raise UnsayableError("it cannot be read")
    found: exp.Expression = query.expressions[0]
    return found


def bare(node: exp.Expression) -> exp.Expression:
    """Without the parentheses around it."""
    while isinstance(node, exp.Paren):
        node = node.this
    return node


@dataclass(frozen=True)
class Translation:
    """A walk over one expression. `exact` holds at its root; below a NOT and the like it always does."""

    names: Names
    exact: bool = True
    folding: bool = False

    def phrase(self, node: exp.Expression) -> Phrase:
        """Any expression."""
        rule = _RULES.get(type(node))
        if rule is None:
            raise UnsayableError(_title(node))
        return rule(self, node)

    def strictly(self, node: exp.Expression) -> Phrase:
        """An expression whose every value matters, not only its being false."""
        return Translation(self.names, True, self.folding).phrase(node)

    def strict(self, nodes: Sequence[exp.Expression], *readings: Reading) -> list[Phrase]:
        """Expressions that must read as one of `readings`."""
        found = [self.strictly(node) for node in nodes]
        for one in found:
            if one.reading not in readings:
                raise UnsayableError(f"{one.sql} ({one.reading})")
        return found


def _title(node: exp.Expression) -> str:
    if isinstance(node, exp.Anonymous):
        return f"the function {node.name}()"
    return {"RegexpLike": "a regular expression", "CurrentTimestamp": "the current time"}.get(
        type(node).__name__, f"the expression {node.sql(dialect='postgres')}"
    )


def _column(walk: Translation, node: exp.Expression) -> Phrase:
    name = walk.names.get((node.text("table"), node.name))
    if name is None or node.args.get("db"):
        raise UnsayableError(f"the column {node.sql(dialect='postgres')}")
    return name


def _literal(walk: Translation, node: exp.Expression) -> Phrase:
    return text_constant(node.name) if node.args.get("is_string") else number_constant(node.name)


def _boolean(walk: Translation, node: exp.Expression) -> Phrase:
    word = "1" if node.this else "0"
    return Phrase(word, "boolean", word)


def _paren(walk: Translation, node: exp.Expression) -> Phrase:
    inner = walk.phrase(node.this)
    return inner if inner.constant is not None else Phrase(f"({inner.sql})", inner.reading)


def _negative(walk: Translation, node: exp.Expression) -> Phrase:
    (inner,) = walk.strict([node.this], "integer", "decimal", "double", "single")
    return number_constant(f"-{inner.constant}") if inner.constant else Phrase(f"-{inner.sql}", inner.reading)


def _connective(word: str) -> "_Rule":
    def rule(walk: Translation, node: exp.Expression) -> Phrase:
        sides = [walk.phrase(side) for side in (node.this, node.expression)]
        if any(side.reading != "boolean" for side in sides):
            raise UnsayableError(_title(node))
        return Phrase(f"{sides[0].sql} {word} {sides[1].sql}", "boolean")

    return rule


def _not(walk: Translation, node: exp.Expression) -> Phrase:
    (inner,) = walk.strict([node.this], "boolean")
    return Phrase(f"NOT ({inner.sql})", "boolean")


def _is(walk: Translation, node: exp.Expression) -> Phrase:
    inner, asked = walk.strictly(node.this), bare(node.expression)
    word = "IS NOT" if node.args.get("negate") else "IS"
    if isinstance(asked, exp.Boolean) and inner.reading == "boolean":
        return Phrase(f"{inner.sql} {word} {'TRUE' if asked.this else 'FALSE'}", "boolean")
    if not isinstance(asked, exp.Null) or inner.reading == "composite":
        raise UnsayableError(_title(node))
    return Phrase(f"{inner.sql} {word} NULL", "boolean")


def _comparison(operator: Operator) -> "_Rule":
    def rule(walk: Translation, node: exp.Expression) -> Phrase:
        listed = _listed(walk, node, operator) or _folded(walk, node, operator) or _json_type(walk, node, operator)
        if listed is not None:
            return listed
        left, right = walk.strictly(node.this), walk.strictly(node.expression)
        return compare(left, operator, right, exact=walk.exact)

    return rule


def _listed(walk: Translation, node: exp.Expression, operator: Operator) -> Phrase | None:
    """x = ANY (ARRAY[…]), which is how Postgres prints x IN (…), and x <> ALL (ARRAY[…])."""
    other = node.expression
    if operator == "=" and isinstance(other, exp.Any):
        return _among(walk, node.this, _elements(other.this), "IN")
    is_all = isinstance(other, exp.All) or (isinstance(other, exp.Anonymous) and other.name.upper() == "ALL")
    if operator == "<>" and is_all:
        return _among(
            walk, node.this, _elements(other.this if isinstance(other, exp.All) else other.expressions[0]), "NOT IN"
        )
    return None


def _elements(node: exp.Expression) -> list[exp.Expression]:
    node = bare(node)
    if isinstance(node, exp.Cast):
        node = bare(node.this)
    if not isinstance(node, exp.Array):
        raise UnsayableError(_title(node))
    return list(node.expressions)


def _in(walk: Translation, node: exp.Expression) -> Phrase:
    if node.args.get("query") is not None or not node.expressions:
        raise UnsayableError(_title(node))
    return _among(walk, node.this, node.expressions, "NOT IN" if node.args.get("negate") else "IN")


def _among(walk: Translation, node: exp.Expression, members: Sequence[exp.Expression], word: str) -> Phrase:
    one, others = walk.strictly(node), [walk.strictly(member) for member in members]
    for other in others:
        compare(one, "=", other, exact=True)
    return Phrase(f"{one.sql} {word} ({', '.join(other.sql for other in others)})", "boolean")


def _folded(walk: Translation, node: exp.Expression, operator: Operator) -> Phrase | None:
    """lower(x) = x: SQLite folds fewer letters, so it lets pass whatever Postgres did."""
    for fold, plain in ((node.this, node.expression), (node.expression, node.this)):
        fold, plain = bare(fold), bare(plain)
        if walk.exact or operator != "=" or not isinstance(fold, exp.Lower | exp.Upper):
            continue
        inner, other = walk.strict([fold.this, plain], "text")
        if inner == other:
            return Phrase(
                f"{'lower' if isinstance(fold, exp.Lower) else 'upper'}({inner.sql}) = {inner.sql}", "boolean"
            )
    return None


_JSON_TYPES = {"object": "object", "array": "array", "string": "text", "null": "null"}


def _json_type(walk: Translation, node: exp.Expression, operator: Operator) -> Phrase | None:
    """jsonb_typeof(x) = 'object'."""
    asked, wanted = bare(node.this), node.expression
    if (
        operator not in ("=", "<>")
        or not isinstance(asked, exp.Anonymous)
        or asked.name not in ("json_typeof", "jsonb_typeof")
    ):
        return None
    (value,), kind = walk.strict(asked.expressions, "json"), walk.strictly(wanted).constant
    if kind not in _JSON_TYPES:
        raise UnsayableError(_title(node))
    return Phrase(f"json_type({value.sql}) {operator} {literal(_JSON_TYPES[kind])}", "boolean")


def _between(walk: Translation, node: exp.Expression) -> Phrase:
    value, low, high = (walk.strictly(node.args[part]) for part in ("this", "low", "high"))
    exact = walk.exact or bool(node.args.get("negate"))
    both = [compare(value, ">=", low, exact=exact).sql, compare(value, "<=", high, exact=exact).sql]
    joined = f"({' AND '.join(both)})"
    return Phrase(f"NOT {joined}" if node.args.get("negate") else joined, "boolean")


def _like(walk: Translation, node: exp.Expression) -> Phrase:
    """As GLOB, which heeds case as Postgres's LIKE does."""
    (value,), pattern = walk.strict([node.this], "text", "label"), walk.strictly(node.expression).constant
    if pattern is None:
        raise UnsayableError(_title(node))
    word = "NOT GLOB" if node.args.get("negate") else "GLOB"
    return Phrase(f"{value.sql} {word} {literal(_glob(pattern))}", "boolean")


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


def _arithmetic(sign: str) -> "_Rule":
    def rule(walk: Translation, node: exp.Expression) -> Phrase:
        sides = walk.strict([node.this, node.expression], "integer", "double")
        if sides[0].reading != sides[1].reading and not any(side.constant for side in sides):
            raise UnsayableError(_title(node))
        reading: Reading = "integer" if sides[0].reading == sides[1].reading == "integer" else "double"
        return Phrase(f"{sides[0].sql} {sign} {sides[1].sql}", reading)

    return rule


def _remainder(walk: Translation, node: exp.Expression) -> Phrase:
    left, right = walk.strict([node.this, node.expression], "integer")
    return Phrase(f"{left.sql} % {right.sql}", "integer")


def _joined(walk: Translation, node: exp.Expression) -> Phrase:
    sides = walk.strict([node.this, node.expression], "text", "integer", "exact", "label")
    if all(side.reading == "integer" for side in sides):
        raise UnsayableError(_title(node))
    return Phrase(f"{sides[0].sql} || {sides[1].sql}", "text")


def _case(walk: Translation, node: exp.Expression) -> Phrase:
    if node.this is not None:
        raise UnsayableError(_title(node))
    conditions = walk.strict([branch.this for branch in node.args["ifs"]], "boolean")
    results = [walk.strictly(branch.args["true"]) for branch in node.args["ifs"]]
    otherwise = walk.strictly(node.args["default"]) if node.args.get("default") is not None else NULL
    reading = _one_reading([*results, otherwise])
    words = [f"WHEN {condition.sql} THEN {result.sql}" for condition, result in zip(conditions, results, strict=True)]
    return Phrase(f"CASE {' '.join(words)} ELSE {otherwise.sql} END", reading)


def _coalesce(walk: Translation, node: exp.Expression) -> Phrase:
    parts = [walk.strictly(part) for part in (node.this, *node.expressions)]
    return Phrase(f"coalesce({', '.join(part.sql for part in parts)})", _one_reading(parts))


def _nullif(walk: Translation, node: exp.Expression) -> Phrase:
    left, right = walk.strictly(node.this), walk.strictly(node.expression)
    compare(left, "=", right, exact=True)
    return Phrase(f"nullif({left.sql}, {right.sql})", _one_reading([left]))


def _one_reading(phrases: Sequence[Phrase]) -> Reading:
    """The reading all share; those with a collation of their own would lose it on the way through a function."""
    readings = {phrase.reading for phrase in phrases if phrase != NULL}
    if readings == {"integer", "decimal"}:
        return "decimal"
    if len(readings) != 1 or readings & {"citext", "padded", "digits", "composite"}:
        raise UnsayableError(f"values of several kinds: {', '.join(sorted(readings))}")
    return readings.pop()


def _null(walk: Translation, node: exp.Expression) -> Phrase:
    return NULL


def _length(walk: Translation, node: exp.Expression) -> Phrase:
    (value,) = walk.strict([node.this], "text", "padded", "citext", "bytes", "label")
    if any(argument for name, argument in node.args.items() if name != "this"):
        raise UnsayableError(_title(node))
    return Phrase(f"length({_unpadded(value)})", "integer")


def _unpadded(value: Phrase) -> str:
    return f"rtrim({value.sql}, ' ')" if value.reading == "padded" else value.sql


def _fold(word: str) -> "_Rule":
    def rule(walk: Translation, node: exp.Expression) -> Phrase:
        if not walk.folding:
            raise UnsayableError(f"{word}(), which knows ASCII letters only")
        (value,) = walk.strict([node.this], "text", "citext", "label")
        return Phrase(f"{word}({value.sql})", "text")

    return rule


def _trim(walk: Translation, node: exp.Expression) -> Phrase:
    (value,) = walk.strict([node.this], "text")
    if node.args.get("expression") is not None or node.args.get("collation") is not None:
        raise UnsayableError(_title(node))
    position = str(node.args.get("position") or "BOTH").upper()
    word = {"BOTH": "trim", "LEADING": "ltrim", "TRAILING": "rtrim"}[position]
    return Phrase(f"{word}({value.sql}, ' ')", "text")


def _substring(walk: Translation, node: exp.Expression) -> Phrase:
    start, length = node.args.get("start"), node.args.get("length")
    bounds = [walk.strictly(bound) for bound in (start, length) if bound is not None]
    (value,) = walk.strict([node.this], "text")
    if start is None or any(not (bound.constant or "").isdigit() or bound.constant == "0" for bound in bounds):
        raise UnsayableError(_title(node))
    return Phrase(f"substr({', '.join([value.sql, *(bound.sql for bound in bounds)])})", "text")


def _left(walk: Translation, node: exp.Expression) -> Phrase:
    (value,), length = walk.strict([node.this], "text"), walk.strictly(node.expression)
    if not (length.constant or "").isdigit():
        raise UnsayableError(_title(node))
    return Phrase(f"substr({value.sql}, 1, {length.sql})", "text")


def _position(walk: Translation, node: exp.Expression) -> Phrase:
    value, part = walk.strict([node.this, node.args["substr"]], "text")
    if node.args.get("position") is not None:
        raise UnsayableError(_title(node))
    return Phrase(f"instr({value.sql}, {part.sql})", "integer")


def _starts(walk: Translation, node: exp.Expression) -> Phrase:
    value, start = walk.strict([node.this, node.expression], "text")
    return Phrase(f"substr({value.sql}, 1, length({start.sql})) = {start.sql}", "boolean")


def _absolute(walk: Translation, node: exp.Expression) -> Phrase:
    (value,) = walk.strict([node.this], "integer", "double")
    return Phrase(f"abs({value.sql})", value.reading)


def _extract(walk: Translation, node: exp.Expression) -> Phrase:
    """data ->> 'key', in indexes."""
    if not walk.folding:
        raise UnsayableError("->>, which spells some values otherwise")
    (value,), key = walk.strict([node.this], "json"), walk.strictly(_key_of(node.expression)).constant
    if key is None:
        raise UnsayableError(_title(node))
    return Phrase(f"{value.sql} ->> {literal(key)}", "text")


def _key_of(node: exp.Expression) -> exp.Expression:
    if not isinstance(node, exp.JSONPath):
        return node
    keys = [part for part in node.expressions if not isinstance(part, exp.JSONPathRoot)]
    if len(keys) != 1 or not isinstance(keys[0], exp.JSONPathKey) or not isinstance(keys[0].this, str):
        raise UnsayableError("a path into JSON")
    return exp.Literal.string(keys[0].this)


def _function(walk: Translation, node: exp.Expression) -> Phrase:
    word = {"num_nonnulls": "IS NOT NULL", "num_nulls": "IS NULL"}.get(node.name.lower())
    if word is None:
        raise UnsayableError(_title(node))
    values = [walk.strictly(value) for value in node.expressions]
    if any(value.reading == "composite" for value in values):
        raise UnsayableError(_title(node))
    return Phrase(f"({' + '.join(f'({value.sql} {word})' for value in values)})", "integer")


def _cast(walk: Translation, node: exp.Expression) -> Phrase:
    value, kind = walk.strictly(node.this), _kind(node)
    rule = _CAST_CONSTANTS.get(kind)
    if value == NULL:
        return NULL
    if value.constant is not None and value.reading == "text" and rule is not None:
        return rule(value.constant)
    found = _CASTS.get((value.reading, kind))
    if found is None:
        raise UnsayableError(_title(node))
    return Phrase(found[0].format(value.sql), found[1], value.constant)


def _kind(node: exp.Expression) -> str:
    """The family of the type that is cast to."""
    to = node.args["to"]
    word = getattr(getattr(to, "this", None), "name", "")
    if word in ("VARCHAR", "TEXT", "NAME"):
        return "" if to.expressions else "text"
    if word == "USERDEFINED":
        return "citext" if str(to.args.get("kind")).split(".")[-1].strip('"') == "citext" else "other"
    if word == "DECIMAL":
        return "" if to.expressions else "number"
    return _KINDS.get(word, "")


_KINDS = {
    **dict.fromkeys(("SMALLINT", "INT", "BIGINT"), "integer"),
    **dict.fromkeys(("DOUBLE", "FLOAT"), "double"),
    **dict.fromkeys(("TIMESTAMP", "TIMESTAMPTZ", "TIMESTAMPNTZ"), "instant"),
    **dict.fromkeys(("CHAR", "BPCHAR"), "padded"),
    "DATE": "date",
    "MONEY": "money",
    "BOOLEAN": "boolean",
    "UUID": "exact",
}
_CAST_CONSTANTS: dict[str, Callable[[str], Phrase]] = {
    "text": text_constant,
    "citext": text_constant,
    "padded": text_constant,
    "other": text_constant,
    "exact": text_constant,
    "integer": number_constant,
    "number": number_constant,
    "double": number_constant,
    "money": lambda value: number_constant(value.translate({ord("$"): None, ord(","): None})),
    "date": date_constant,
    "instant": moment_constant,
}
_CASTS: dict[tuple[str, str], tuple[str, Reading]] = {
    ("text", "text"): ("{}", "text"),
    ("label", "text"): ("{}", "text"),
    ("exact", "text"): ("{}", "text"),
    ("label", "other"): ("{}", "label"),
    ("padded", "text"): ("rtrim({}, ' ')", "text"),
    ("padded", "padded"): ("{}", "padded"),
    ("citext", "text"): ("({} COLLATE BINARY)", "text"),
    ("citext", "citext"): ("{}", "citext"),
    ("integer", "text"): ("CAST({} AS TEXT)", "text"),
    ("integer", "integer"): ("{}", "integer"),
    ("integer", "number"): ("{}", "decimal"),
    ("integer", "double"): ("CAST({} AS REAL)", "double"),
    ("decimal", "number"): ("{}", "decimal"),
    ("decimal", "double"): ("CAST({} AS REAL)", "double"),
    ("digits", "number"): ("{}", "digits"),
    ("double", "double"): ("{}", "double"),
    ("boolean", "integer"): ("{}", "integer"),
    ("boolean", "boolean"): ("{}", "boolean"),
    ("date", "date"): ("{}", "date"),
    ("instant", "instant"): ("{}", "instant"),
    ("exact", "exact"): ("{}", "exact"),
}

_Rule = Callable[[Translation, exp.Expression], Phrase]

_RULES: dict[type[exp.Expression], _Rule] = {
    exp.Column: _column,
    exp.Literal: _literal,
    exp.Boolean: _boolean,
    exp.Null: _null,
    exp.Paren: _paren,
    exp.Neg: _negative,
    exp.And: _connective("AND"),
    exp.Or: _connective("OR"),
    exp.Not: _not,
    exp.Is: _is,
    exp.EQ: _comparison("="),
    exp.NEQ: _comparison("<>"),
    exp.LT: _comparison("<"),
    exp.LTE: _comparison("<="),
    exp.GT: _comparison(">"),
    exp.GTE: _comparison(">="),
    exp.NullSafeEQ: _comparison("IS"),
    exp.NullSafeNEQ: _comparison("IS NOT"),
    exp.In: _in,
    exp.Between: _between,
    exp.Like: _like,
    exp.Add: _arithmetic("+"),
    exp.Sub: _arithmetic("-"),
    exp.Mul: _arithmetic("*"),
    exp.Div: _arithmetic("/"),
    exp.Mod: _remainder,
    exp.DPipe: _joined,
    exp.Case: _case,
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
    exp.Cast: _cast,
    exp.Anonymous: _function,
}
