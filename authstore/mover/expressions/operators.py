"""Columns, constants, operators and comparisons, and when SQLite means the same by them."""

from collections.abc import Sequence

from sqlglot import exp

from authstore.mover.expressions.translated import (
    NULL,
    Operator,
    Translated,
    UnsayableError,
    compare,
    number_constant,
    text_constant,
)
from authstore.mover.expressions.walk import Rule, Translation, bare, shared_reading, unsayable
from authstore.mover.names import literal
from authstore.mover.postgres.types import Reading


def _column(walk: Translation, node: exp.Expr) -> Translated:
    name = walk.names.get((node.text("table"), node.name))
    if name is None or node.args.get("db"):
        raise UnsayableError(f"the column {node.sql(dialect='postgres')}")
    return name


def _literal(walk: Translation, node: exp.Expr) -> Translated:
    return text_constant(node.name) if node.args.get("is_string") else number_constant(node.name)


def _boolean(walk: Translation, node: exp.Expr) -> Translated:
    word = "1" if node.this else "0"
    return Translated(word, "boolean", word)


def _null(walk: Translation, node: exp.Expr) -> Translated:
    return NULL


def _paren(walk: Translation, node: exp.Expr) -> Translated:
    inner = walk.phrase(node.this)
    return inner if inner.constant is not None else Translated(f"({inner.sql})", inner.reading)


def _negative(walk: Translation, node: exp.Expr) -> Translated:
    (inner,) = walk.strict([node.this], "integer", "decimal", "double", "single")
    return number_constant(f"-{inner.constant}") if inner.constant else Translated(f"-{inner.sql}", inner.reading)


def _connective(word: str) -> Rule:
    def rule(walk: Translation, node: exp.Expr) -> Translated:
        sides = [walk.phrase(side) for side in (node.this, node.expression)]
        if any(side.reading != "boolean" for side in sides):
            raise unsayable(node)
        return Translated(f"{sides[0].sql} {word} {sides[1].sql}", "boolean")

    return rule


def _not(walk: Translation, node: exp.Expr) -> Translated:
    (inner,) = walk.strict([node.this], "boolean")
    return Translated(f"NOT ({inner.sql})", "boolean")


def _is(walk: Translation, node: exp.Expr) -> Translated:
    inner, asked = walk.strictly(node.this), bare(node.expression)
    word = "IS NOT" if node.args.get("negate") else "IS"
    if isinstance(asked, exp.Boolean) and inner.reading == "boolean":
        return Translated(f"{inner.sql} {word} {'TRUE' if asked.this else 'FALSE'}", "boolean")
    if not isinstance(asked, exp.Null) or inner.reading == "composite":
        raise unsayable(node)
    return Translated(f"{inner.sql} {word} NULL", "boolean")


def _comparison(operator: Operator) -> Rule:
    def rule(walk: Translation, node: exp.Expr) -> Translated:
        listed = _listed(walk, node, operator) or _folded(walk, node, operator) or _json_type(walk, node, operator)
        if listed is not None:
            return listed
        left, right = walk.strictly(node.this), walk.strictly(node.expression)
        return compare(left, operator, right, exact=walk.exact)

    return rule


def _listed(walk: Translation, node: exp.Expr, operator: Operator) -> Translated | None:
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


def _elements(node: exp.Expr) -> list[exp.Expr]:
    node = bare(node)
    if isinstance(node, exp.Cast):
        node = bare(node.this)
    if not isinstance(node, exp.Array):
        raise unsayable(node)
    return list(node.expressions)


def _in(walk: Translation, node: exp.Expr) -> Translated:
    if node.args.get("query") is not None or not node.expressions:
        raise unsayable(node)
    return _among(walk, node.this, node.expressions, "NOT IN" if node.args.get("negate") else "IN")


def _among(walk: Translation, node: exp.Expr, members: Sequence[exp.Expr], word: str) -> Translated:
    one, others = walk.strictly(node), [walk.strictly(member) for member in members]
    for other in others:
        compare(one, "=", other, exact=True)
    return Translated(f"{one.sql} {word} ({', '.join(other.sql for other in others)})", "boolean")


def _folded(walk: Translation, node: exp.Expr, operator: Operator) -> Translated | None:
    """lower(x) = x: SQLite folds fewer letters, so it lets pass whatever Postgres did."""
    for fold, plain in ((node.this, node.expression), (node.expression, node.this)):
        fold, plain = bare(fold), bare(plain)
        if walk.exact or operator != "=" or not isinstance(fold, exp.Lower | exp.Upper):
            continue
        inner, other = walk.strict([fold.this, plain], "text")
        if inner == other:
            return Translated(
                f"{'lower' if isinstance(fold, exp.Lower) else 'upper'}({inner.sql}) = {inner.sql}", "boolean"
            )
    return None


_JSON_TYPES = {"object": "object", "array": "array", "string": "text", "null": "null"}


def _json_type(walk: Translation, node: exp.Expr, operator: Operator) -> Translated | None:
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
        raise unsayable(node)
    return Translated(f"json_type({value.sql}) {operator} {literal(_JSON_TYPES[kind])}", "boolean")


def _between(walk: Translation, node: exp.Expr) -> Translated:
    value, low, high = (walk.strictly(node.args[part]) for part in ("this", "low", "high"))
    exact = walk.exact or bool(node.args.get("negate"))
    both = [compare(value, ">=", low, exact=exact).sql, compare(value, "<=", high, exact=exact).sql]
    joined = f"({' AND '.join(both)})"
    return Translated(f"NOT {joined}" if node.args.get("negate") else joined, "boolean")


def _arithmetic(sign: str) -> Rule:
    def rule(walk: Translation, node: exp.Expr) -> Translated:
        sides = walk.strict([node.this, node.expression], "integer", "double")
        if sides[0].reading != sides[1].reading and not any(side.constant for side in sides):
            raise unsayable(node)
        reading: Reading = "integer" if sides[0].reading == sides[1].reading == "integer" else "double"
        return Translated(f"{sides[0].sql} {sign} {sides[1].sql}", reading)

    return rule


def _remainder(walk: Translation, node: exp.Expr) -> Translated:
    left, right = walk.strict([node.this, node.expression], "integer")
    return Translated(f"{left.sql} % {right.sql}", "integer")


def _joined(walk: Translation, node: exp.Expr) -> Translated:
    sides = walk.strict([node.this, node.expression], "text", "integer", "exact", "label")
    if all(side.reading == "integer" for side in sides):
        raise unsayable(node)
    return Translated(f"{sides[0].sql} || {sides[1].sql}", "text")


def _case(walk: Translation, node: exp.Expr) -> Translated:
    if node.this is not None:
        raise unsayable(node)
    conditions = walk.strict([branch.this for branch in node.args["ifs"]], "boolean")
    results = [walk.strictly(branch.args["true"]) for branch in node.args["ifs"]]
    otherwise = walk.strictly(node.args["default"]) if node.args.get("default") is not None else NULL
    reading = shared_reading([*results, otherwise])
    words = [f"WHEN {condition.sql} THEN {result.sql}" for condition, result in zip(conditions, results, strict=True)]
    return Translated(f"CASE {' '.join(words)} ELSE {otherwise.sql} END", reading)


OPERATORS: dict[type[exp.Expr], Rule] = {
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
    exp.Add: _arithmetic("+"),
    exp.Sub: _arithmetic("-"),
    exp.Mul: _arithmetic("*"),
    exp.Div: _arithmetic("/"),
    exp.Mod: _remainder,
    exp.DPipe: _joined,
    exp.Case: _case,
}
