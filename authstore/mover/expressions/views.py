"""Views over carried tables, where SQLite can say every part of them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from authstore.mover.catalog import QualifiedName
from authstore.mover.expressions.translate import translation
from authstore.mover.expressions.translated import Translated, UnsayableError
from authstore.mover.expressions.walk import Names, bare
from authstore.mover.names import folded, label, quote
from authstore.mover.postgres.types import Reading
from authstore.mover.reports import Problem

_PARTS = ("expressions", "from_", "from", "joins", "where", "group", "distinct", "order", "with_", "with")
_OF_UNIONS = ("this", "expression", "distinct", "order", "with_", "with")
_GROUPED: tuple[Reading, ...] = ("integer", "decimal", "boolean", "text", "label", "exact", "date", "instant", "local")
_ORDERED: tuple[Reading, ...] = ("integer", "decimal", "double", "date", "instant", "local")


@dataclass(frozen=True, slots=True)
class Relation:
    """A table or view that a view may read: its name in the target, and its columns by their names in the source."""

    target: str
    columns: Mapping[str, Translated]


Relations = Mapping[QualifiedName, Relation]
_NONE: Names = {}


@dataclass(frozen=True, slots=True)
class _Query:
    """A query in SQLite's words, and its columns as whoever reads from it finds them."""

    sql: str
    columns: Mapping[str, Translated]


def create_views(
    views: Mapping[QualifiedName, tuple[str, str]], relations: Relations
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
                view = _query(_parsed(definition), at[0], known)
            except UnsayableError as error:
                reasons[at] = str(error)
                continue
            listed = ", ".join(quote(column) for column in view.columns)
            statements.append(f"CREATE VIEW {quote(target)} ({listed}) AS {view.sql}")
            known[at] = Relation(target, view.columns)
            del waiting[at]
            grown = True
    problems = [
        Problem("left-behind", label(*at), f"view stays behind: SQLite cannot say {reasons[at]}") for at in waiting
    ]
    return tuple(statements), tuple(problems)


def _query(node: exp.Expr, schema: str, known: Relations, outer: Names = _NONE) -> _Query:
    """A SELECT, or several put together, with what WITH names before it."""
    said = []
    relations = dict(known)
    for common in (node.args.get("with_") or node.args.get("with") or exp.With(expressions=[])).expressions:
        if common.args.get("alias") and common.args["alias"].args.get("columns"):
            raise UnsayableError("a WITH that names its columns")
        inner = _query(common.this, schema, relations)
        columns = ", ".join(quote(column) for column in inner.columns)
        said.append(f"{quote(common.alias)} ({columns}) AS ({inner.sql})")
        relations[schema, common.alias] = Relation(common.alias, inner.columns)
    found = _union(node, schema, relations, outer) if isinstance(node, exp.Union) else _Select(
        node, schema, relations, outer
    ).query()  # fmt: skip
    return _Query(f"WITH {', '.join(said)} {found.sql}", found.columns) if said else found


def _union(node: exp.Union, schema: str, known: Relations, outer: Names) -> _Query:
    if any(value for name, value in node.args.items() if name not in _OF_UNIONS):
        raise UnsayableError("more than a UNION of queries")
    parts = [_query(part, schema, known, outer) for part in (node.this, node.expression)]
    readings = [[column.reading for column in part.columns.values()] for part in parts]
    if readings[0] != readings[1] or not set(readings[0]) <= set(_GROUPED):
        raise UnsayableError("a UNION of columns of several kinds")
    word = "UNION" if node.args.get("distinct") else "UNION ALL"
    order = _by_place(node.args.get("order"), list(parts[0].columns))
    return _Query(f"{parts[0].sql} {word} {parts[1].sql}{order}", parts[0].columns)


def _by_place(order: exp.Expr | None, columns: Sequence[str]) -> str:
    """The order of a UNION, whose columns are known by where they stand."""
    if order is None:
        return ""
    terms = []
    for term in order.expressions:
        node = bare(term.this)
        place = int(node.this) if isinstance(node, exp.Literal) and not node.is_string else 0
        place = place or (columns.index(node.name) + 1 if isinstance(node, exp.Column) and node.name in columns else 0)
        if not place:
            raise UnsayableError(term.sql(dialect="postgres"))
        terms.append(f"{place}{_direction(term)}")
    return f" ORDER BY {', '.join(terms)}"


def _direction(term: exp.Expr) -> str:
    """Where nulls stand is said: SQLite puts them where Postgres does not."""
    first = term.args.get("nulls_first")
    last = bool(term.args.get("desc")) if first is None else bool(first)
    return f"{' DESC' if term.args.get('desc') else ''} NULLS {'FIRST' if last else 'LAST'}"


class _Select:
    """One SELECT, translated part by part. `outer`: the names of the query around it."""

    def __init__(self, query: exp.Expr, schema: str, known: Relations, outer: Names) -> None:
        if not isinstance(query, exp.Select) or any(query.args[name] for name in query.args if name not in _PARTS):
            raise UnsayableError("more than SELECT … FROM … JOIN … WHERE … GROUP BY … ORDER BY …")
        self._known = known
        self._schema = schema
        self._select = query
        self._names: dict[tuple[str, str], Translated] = dict(outer)

    def query(self) -> _Query:
        query = self._select
        start = " ".join(self._sources(query.args.get("from_") or query.args.get("from")))
        start += "".join(self._joins(query.args.get("joins") or ()))
        start += self._condition(" WHERE ", query.args.get("where"))
        start += self._grouped(query.args.get("group"))
        selected = [self._item(item) for item in query.expressions]
        columns = {name: Translated(quote(name), phrase.reading) for name, phrase in selected}
        if len({folded(name) for name in columns}) < len(selected):
            raise UnsayableError("two columns of one name")
        distinct = self._distinct(query.args.get("distinct"), [phrase for _, phrase in selected])
        chosen = ", ".join(f"{phrase.sql} AS {quote(name)}" for name, phrase in selected)
        order = self._ordered(query.args.get("order"), dict(selected))
        return _Query(f"SELECT {distinct}{chosen} FROM {start}{order}", columns)

    def _distinct(self, clause: exp.Expr | None, phrases: Sequence[Translated]) -> str:
        if clause is None:
            return ""
        if clause.args.get("on") or any(phrase.reading not in _GROUPED for phrase in phrases):
            raise UnsayableError("a DISTINCT of this kind")
        return "DISTINCT "

    def _ordered(self, clause: exp.Expr | None, selected: Mapping[str, Translated]) -> str:
        if clause is None:
            return ""
        terms = []
        for term in clause.expressions:
            node = bare(term.this)
            named = selected.get(node.name) if isinstance(node, exp.Column) and not node.table else None
            terms.append(f"{(named or self._walk(node)).sql}{_direction(term)}")
        return f" ORDER BY {', '.join(terms)}"

    def _walk(self, node: exp.Expr) -> Translated:
        return translation(self._names).phrase(node)

    def _sources(self, clause: exp.Expr | None) -> Iterator[str]:
        if clause is None:
            raise UnsayableError("a query without a table")
        yield self._source(clause.this)

    def _source(self, node: exp.Expr) -> str:
        if isinstance(node, exp.Subquery) and not node.alias and isinstance(node.this, exp.Table | exp.Subquery):
            inside = self._source(node.this)
            return f"({inside}{''.join(self._joins(node.args.get('joins') or ()))})"
        if isinstance(node, exp.Subquery) and node.alias:
            inner = _query(node.this, self._schema, self._known)
            self._learn(node.alias, Relation(node.alias, inner.columns))
            return f"({inner.sql}) AS {quote(node.alias)}" + "".join(self._joins(node.args.get("joins") or ()))
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
        return f"{word}{self._truth(bare(node.this if isinstance(node, exp.Where) else node))}"

    def _truth(self, node: exp.Expr) -> str:
        """A condition, with the queries that may stand in it."""
        if isinstance(node, exp.And | exp.Or):
            word = "AND" if isinstance(node, exp.And) else "OR"
            return f"({self._truth(bare(node.this))} {word} {self._truth(bare(node.expression))})"
        if isinstance(node, exp.Not) and isinstance(bare(node.this), exp.In | exp.Exists):
            return f"(NOT {self._truth(bare(node.this))})"
        if isinstance(node, exp.Exists):
            return f"EXISTS ({_query(node.this, self._schema, self._known, self._names).sql})"
        if isinstance(node, exp.In) and node.args.get("query"):
            return self._among(node)
        phrase = self._walk(node)
        if phrase.reading != "boolean":
            raise UnsayableError(node.sql(dialect="postgres"))
        return phrase.sql

    def _among(self, node: exp.In) -> str:
        one, query = self._walk(bare(node.this)), bare(node.args["query"])
        inner = _query(query.this if isinstance(query, exp.Subquery) else query, self._schema, self._known, self._names)
        if [column.reading for column in inner.columns.values()] != [one.reading] or one.reading not in _GROUPED:
            raise UnsayableError(node.sql(dialect="postgres"))
        return f"{one.sql} IN ({inner.sql})"

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


def _parsed(definition: str) -> exp.Expr:
    try:
        return sqlglot.parse_one(definition.strip().rstrip(";"), read="postgres")
    except (SqlglotError, RecursionError) as error:
        raise UnsayableError("it cannot be read") from error
