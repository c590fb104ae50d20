"""Casts: most only say what the value is already; some change how it compares."""

from collections.abc import Callable

from sqlglot import exp

from authstore.mover.expressions.translated import (
    NULL,
    Translated,
    date_constant,
    local_constant,
    moment_constant,
    number_constant,
    single_constant,
    text_constant,
    uuid_constant,
)
from authstore.mover.expressions.walk import Translation, unsayable
from authstore.mover.postgres.types import Reading


def cast(walk: Translation, node: exp.Expr) -> Translated:
    value, kind = walk.strictly(node.this), _family(node)
    rule = _CAST_CONSTANTS.get(kind)
    if value == NULL:
        return NULL
    if kind == "single" and value.constant is not None:
        value, kind = single_constant(value.constant), "double"
    if value.constant is not None and value.reading == "text" and rule is not None:
        return rule(value.constant)
    found = _CASTS.get((value.reading, kind))
    if found is None:
        raise unsayable(node)
    return Translated(found[0].format(value.sql), found[1], value.constant)


def _family(node: exp.Expr) -> str:
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
    "DOUBLE": "double",
    "FLOAT": "single",
    **dict.fromkeys(("TIMESTAMP", "TIMESTAMPNTZ"), "local"),
    "TIMESTAMPTZ": "instant",
    **dict.fromkeys(("CHAR", "BPCHAR"), "padded"),
    "DATE": "date",
    "MONEY": "money",
    "BOOLEAN": "boolean",
    "UUID": "exact",
}
_CAST_CONSTANTS: dict[str, Callable[[str], Translated]] = {
    "text": text_constant,
    "citext": text_constant,
    "padded": text_constant,
    "other": text_constant,
    "exact": uuid_constant,
    "integer": number_constant,
    "number": number_constant,
    "double": number_constant,
    "single": single_constant,
    "money": lambda value: number_constant(value.translate({ord("$"): None, ord(","): None})),
    "date": date_constant,
    "instant": moment_constant,
    "local": local_constant,
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
    ("local", "local"): ("{}", "local"),
    ("exact", "exact"): ("{}", "exact"),
}
