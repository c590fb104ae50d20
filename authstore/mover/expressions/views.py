"""Views over carried tables, where SQLite can say every part of them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from authstore.mover.catalog import QualifiedName
from authstore.mover.expressions.translate import translation
from authstore.mover.expressions.translated import Translated, UnsayableError
from authstore.mover.expressions.walk import bare
from authstore.mover.names import folded, label, quote
from authstore.mover.postgres.types import Reading
from authstore.mover.reports import Problem

_PARTS = ("expressions", "from_", "from", "joins", "where", "group")
_GROUPED: tuple[Reading, ...] = ("integer", "decimal", "boolean", "text", "label", "exact", "date", "instant", "local")
_ORDERED: tuple[Reading, ...] = ("integer", "decimal", "double", "date", "instant", "local")


@dataclass(frozen=True, slots=True)
class Relation:
    """A table or view that a view may read: its name in the target, and its columns by their names in the source."""

    target: str
    columns: Mapping[str, Translated]


def create_views(
    views: Mapping[QualifiedName, tuple[str, str]], relations: Mapping[QualifiedName, Relation]
) -> tuple[tuple[str, ...], tuple[Problem, ...]]:
    """CREATE VIEW for each that can be said, after those it reads; and why the others stay behind.

    `views`: by their place in the source, the name in the target and the definition.
    """
    known, waiting = dict(relations), dict(views)
    statements: list[str] = []
    reasons: dict[QualifiedName, str] = {}
    grown = True
    while grown:
        grown = False
        for at, (target, definition) in list(waiting.items()):
            try:
                view = _View(definition, at[0], known)
            except UnsayableError as error:
                reasons[at] = str(error)
                continue
            statements.append(view.create(target))
            known[at] = Relation(target, view.columns)
            del waiting[at]
            grown = True
    problems = [
        Problem("left-behind", label(*at), f"view stays behind: SQLite cannot say {reasons[at]}") for at in waiting
    ]
    return tuple(statements), tuple(problems)


class _View:
    """One SELECT, translated part by part."""

    def __init__(self, definition: str, schema: str, known: Mapping[QualifiedName, Relation]) -> None:
        self._known = known
        self._schema = schema
        query = _select(definition)
        self._names: dict[tuple[str, str], Translated] = {}
        self._from = " ".join(self._sources(query.args.get("from_") or query.args.get("from")))
        self._from += "".join(self._joins(query.args.get("joins") or ()))
        self._where = self._condition(" WHERE ", query.args.get("where"))
        self._group = self._grouped(query.args.get("group"))
        self._selected = [self._item(item) for item in query.expressions]
        self.columns = {name: Translated(quote(name), phrase.reading) for name, phrase in self._selected}
        if len({folded(name) for name in self.columns}) < len(self._selected):
            raise UnsayableError("two columns of one name")

    def create(self, name: str) -> str:
        listed = ", ".join(quote(column) for column in self.columns)
        chosen = ", ".join(phrase.sql for _, phrase in self._selected)
        return f"CREATE VIEW {quote(name)} ({listed}) AS SELECT {chosen} FROM {self._from}{self._where}{self._group}"

    def _walk(self, node: exp.Expr) -> Translated:
        return translation(self._names).phrase(node)

    def _sources(self, clause: exp.Expr | None) -> Iterator[str]:
        if clause is None:
            raise UnsayableError("a query without a table")
        yield self._source(clause.this)

    def _source(self, node: exp.Expr) -> str:
        if isinstance(node, exp.Subquery) and not node.alias and not isinstance(node.this, exp.Query):
            return self._source(node.this) + "".join(self._joins(node.args.get("joins") or ()))
        if not isinstance(node, exp.Table) or not isinstance(node.this, exp.Identifier):
            raise UnsayableError(node.sql(dialect="postgres"))
        found = self._known.get((node.text("db") or self._schema, node.name))
        if found is None:
            raise UnsayableError(f"{node.name}, which is not carried over as a table of its own")
        alias = node.alias or node.name
        self._learn(alias, found)
        return f"{quote(found.target)} AS {quote(alias)}" + "".join(self._joins(node.args.get("joins") or ()))

    def _learn(self, alias: str, found: Relation) -> None:
        for name, phrase in found.columns.items():
            known = Translated(f"{quote(alias)}.{phrase.sql}", phrase.reading)
            self._names[alias, name] = known
            self._names["", name] = known  # Postgres prints it without the table only where there is one table

    def _joins(self, joins: Sequence[exp.Expr]) -> Iterator[str]:
        for join in joins:
            side, kind = str(join.args.get("side") or ""), str(join.args.get("kind") or "")
            if join.args.get("using") or join.args.get("method") or side not in ("", "LEFT") or kind == "NATURAL":
                raise UnsayableError(f"a join of the kind {join.sql(dialect='postgres')}")
            source = self._source(join.this)
            word = "LEFT JOIN" if side else "CROSS JOIN" if kind == "CROSS" else "JOIN"
            yield f" {word} {source}{self._condition(' ON ', join.args.get('on'))}"

    def _condition(self, word: str, node: exp.Expr | None) -> str:
        if node is None:
            return ""
        phrase = self._walk(bare(node.this if isinstance(node, exp.Where) else node))
        if phrase.reading != "boolean":
            raise UnsayableError(node.sql(dialect="postgres"))
        return f"{word}{phrase.sql}"

    def _grouped(self, clause: exp.Expr | None) -> str:
        if clause is None:
            return ""
        if any(value for name, value in clause.args.items() if name != "expressions"):
            raise UnsayableError(clause.sql(dialect="postgres"))
        phrases = translation(self._names).strict(clause.expressions, *_GROUPED)
        return f" GROUP BY {', '.join(phrase.sql for phrase in phrases)}"

    def _item(self, item: exp.Expr) -> tuple[str, Translated]:
        name, node = item.alias_or_name, bare(item.this if isinstance(item, exp.Alias) else item)
        if not name:
            raise UnsayableError(item.sql(dialect="postgres"))
        return name, self._aggregate(node) or self._walk(node)

    def _aggregate(self, node: exp.Expr) -> Translated | None:
        if isinstance(node, exp.Count) and not node.expressions:
            counted = "*" if isinstance(node.this, exp.Star) else self._walk(node.this).sql
            return Translated(f"count({counted})", "integer")
        if isinstance(node, exp.Max | exp.Min) and not node.expressions:
            (value,) = translation(self._names).strict([node.this], *_ORDERED)
            return Translated(f"{'max' if isinstance(node, exp.Max) else 'min'}({value.sql})", value.reading)
        if isinstance(node, exp.Sum):
            (value,) = translation(self._names).strict([node.this], "integer")
            return Translated(f"sum({value.sql})", "integer")
        return None


def _select(definition: str) -> exp.Select:
    try:
        query = sqlglot.parse_one(definition.strip().rstrip(";"), read="postgres")
    except (SqlglotError, RecursionError) as error:
        raise UnsayableError("it cannot be read") from error
    if not isinstance(query, exp.Select) or any(query.args[name] for name in query.args if name not in _PARTS):
        raise UnsayableError("more than SELECT … FROM … JOIN … WHERE … GROUP BY …")
    return query
