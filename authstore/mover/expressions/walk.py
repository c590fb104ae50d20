"""The walk over an expression that translates it, node by node, by rules that stand elsewhere."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from sqlglot import exp

from authstore.mover.expressions.translated import NULL, Translated, UnsayableError
from authstore.mover.postgres.types import Reading

Names = Mapping[tuple[str, str], Translated]  # (table or "", column) → the column in the target


@dataclass(frozen=True)
class Translation:
    """A walk over one expression. `exact` holds at its root; below a NOT and the like it always does."""

    names: Names
    rules: "Mapping[type[exp.Expr], Rule]"
    exact: bool = True
    folding: bool = False

    def phrase(self, node: exp.Expr) -> Translated:
        """Any expression."""
        rule = self.rules.get(type(node))
        if rule is None:
            raise unsayable(node)
        return rule(self, node)

    def strictly(self, node: exp.Expr) -> Translated:
        """An expression whose every value matters, not only its being false."""
        return replace(self, exact=True).phrase(node)

    def strict(self, nodes: Sequence[exp.Expr], *readings: Reading) -> list[Translated]:
        """Expressions that must read as one of `readings`."""
        found = [self.strictly(node) for node in nodes]
        for one in found:
            if one.reading not in readings:
                raise UnsayableError(f"{one.sql} ({one.reading})")
        return found


Rule = Callable[[Translation, exp.Expr], Translated]


def unsayable(node: exp.Expr) -> UnsayableError:
    """The error for an expression that is in the way."""
    if isinstance(node, exp.Anonymous):
        return UnsayableError(f"the function {node.name}()")
    known = {"RegexpLike": "a regular expression", "CurrentTimestamp": "the current time"}
    return UnsayableError(known.get(type(node).__name__, f"the expression {node.sql(dialect='postgres')}"))


def bare(node: exp.Expr) -> exp.Expr:
    """Without the parentheses around it."""
    while isinstance(node, exp.Paren):
        node = node.this
    return node


def shared_reading(phrases: Sequence[Translated]) -> Reading:
    """The reading all share; those with a collation of their own would lose it on the way through a function."""
    readings: set[Reading] = {phrase.reading for phrase in phrases if phrase != NULL}
    if readings == {"integer", "decimal"}:
        return "decimal"
    if len(readings) != 1 or readings & {"citext", "padded", "digits", "composite"}:
        raise UnsayableError(f"values of several kinds: {', '.join(sorted(readings))}")
    return readings.pop()
