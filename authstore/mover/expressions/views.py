"""Views over carried tables, where SQLite can say every part of them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from authstore.mover.catalog import QualifiedName
from authstore.mover.expressions.translate import translation
from authstore.mover.expressions.translated import Translated, UnsayableError
from authstore.mover.expressions.walk import Names, Rule, Translation, bare, unsayable
from authstore.mover.names import folded, label, quote
from authstore.mover.postgres.types import Reading
from authstore.mover.reports import Problem

_PARTS = (
    *("expressions", "from_", "from", "joins", "where", "group", "having"),
    *("distinct", "order", "limit", "offset", "with_", "with"),
)
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
    before = node.args.get("with_") or node.args.get("with") or exp.With(expressions=[])
    if before.args.get("recursive") or {each.alias for each in before.expressions} & {
        each.target for each in known.values()
    }:
        raise UnsayableError("a WITH that is recursive or called as a table")
    for common in before.expressions:
        inner = _query(common.this, schema, relations)
        named = [column.name for column in (common.args["alias"].args.get("columns") or ())]
        names = [*named, *list(inner.columns)[len(named) :]]  # the first ones alone may be named
        columns = ", ".join(quote(column) for column in names)
        said.append(f"{quote(common.alias)} ({columns}) AS ({inner.sql})")
        columns_of = zip(names, inner.columns.values(), strict=True)
        known_as = {name: Translated(quote(name), column.reading) for name, column in columns_of}
        relations[schema, common.alias] = Relation(common.alias, known_as)
    if isinstance(node, exp.SetOperation):
        found = _compound(node, schema, relations, outer)
    else:
        found = _Select(node, schema, relations, outer).query()
    return _Query(f"WITH {', '.join(said)} {found.sql}", found.columns) if said else found


def _compound(node: exp.SetOperation, schema: str, known: Relations, outer: Names) -> _Query:
    """UNION, EXCEPT and INTERSECT, which SQLite takes from left to right, without parentheses."""
    word, is_distinct = type(node).__name__.upper(), bool(node.args.get("distinct"))
    if any(value for name, value in node.args.items() if name not in _OF_UNIONS):
        raise UnsayableError(f"more than {word} of queries")
    if not is_distinct and word != "UNION":
        raise UnsayableError(f"{word} ALL")
    if isinstance(node.expression, exp.SetOperation):
        raise UnsayableError(f"{word} of what is put together itself")
    first = node.this.this if isinstance(node.this, exp.Subquery) and not node.this.alias else node.this
    parts = [_query(part, schema, known, outer) for part in (first, node.expression)]
    readings = [[column.reading for column in part.columns.values()] for part in parts]
    if readings[0] != readings[1] or not set(readings[0]) <= set(_GROUPED):
        raise UnsayableError(f"{word} of columns of several kinds")
    order = _by_place(node.args.get("order"), list(parts[0].columns))
    said = f"{word}{'' if is_distinct else ' ALL'}"
    return _Query(f"{parts[0].sql} {said} {parts[1].sql}{order}", parts[0].columns)


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
        start += self._having(query.args.get("having"))
        selected = [self._item(item) for item in query.expressions]
        columns = {name: Translated(quote(name), phrase.reading) for name, phrase in selected}
        if len({folded(name) for name in columns}) < len(selected):
            raise UnsayableError("two columns of one name")
        distinct = self._distinct(query.args.get("distinct"), [phrase for _, phrase in selected])
        chosen = ", ".join(f"{phrase.sql} AS {quote(name)}" for name, phrase in selected)
        order = self._ordered(query.args.get("order"), dict(selected))
        return _Query(f"SELECT {distinct}{chosen} FROM {start}{order}{self._cut(dict(selected))}", columns)

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
            terms.append(f"{self._term(bare(term.this), selected).sql}{_direction(term)}")
        return f" ORDER BY {', '.join(terms)}"

    def _cut(self, selected: Mapping[str, Translated]) -> str:
        """LIMIT and OFFSET, after an order that SQLite has too."""
        limit, offset = self._select.args.get("limit"), self._select.args.get("offset")
        if limit is None and offset is None:
            return ""
        order = self._select.args.get("order")
        by = [self._term(bare(term.this), selected).reading for term in order.expressions] if order else []
        if not by or not set(by) <= set(_ORDERED):
            raise UnsayableError("a LIMIT without an order that is the same in both")
        counts = [_count(clause) for clause in (limit, offset)]
        return f" LIMIT {-1 if counts[0] is None else counts[0]}" + (f" OFFSET {counts[1]}" if counts[1] else "")

    def _term(self, node: exp.Expr, selected: Mapping[str, Translated]) -> Translated:
        named = selected.get(node.name) if isinstance(node, exp.Column) and not node.table else None
        return named or self._gathered(node)

    def _walk(self, node: exp.Expr) -> Translated:
        return translation(self._names).phrase(node)

    def _gathered(self, node: exp.Expr) -> Translated:
        """An expression in which there may be sums and counts."""
        walk = translation(self._names)
        return replace(walk, rules={**walk.rules, **_AGGREGATES}).phrase(node)

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

    def _having(self, clause: exp.Expr | None) -> str:
        if clause is None:
            return ""
        phrase = self._gathered(bare(clause.this))
        if phrase.reading != "boolean" or self._select.args.get("group") is None:
            raise UnsayableError(clause.sql(dialect="postgres"))
        return f" HAVING {phrase.sql}"

    def _item(self, item: exp.Expr) -> tuple[str, Translated]:
        name, node = item.alias_or_name, bare(item.this if isinstance(item, exp.Alias) else item)
        if not name:
            raise UnsayableError(item.sql(dialect="postgres"))
        return name, self._gathered(node)


def _counted(walk: Translation, node: exp.Expr) -> Translated:
    if node.expressions:
        raise unsayable(node)
    if isinstance(node.this, exp.Star):
        return Translated("count(*)", "integer")
    if not isinstance(node.this, exp.Distinct):
        return Translated(f"count({walk.strictly(node.this).sql})", "integer")
    if len(node.this.expressions) != 1:
        raise unsayable(node)
    (value,) = walk.strict(node.this.expressions, *_GROUPED)
    return Translated(f"count(DISTINCT {value.sql})", "integer")


def _edge(word: str) -> Rule:
    def rule(walk: Translation, node: exp.Expr) -> Translated:
        if node.expressions:
            raise unsayable(node)
        (value,) = walk.strict([node.this], *_ORDERED)
        return Translated(f"{word}({value.sql})", value.reading)

    return rule


def _sum(walk: Translation, node: exp.Expr) -> Translated:
    (value,) = walk.strict([node.this], "integer")
    return Translated(f"sum({value.sql})", "integer")


_AGGREGATES: dict[type[exp.Expr], Rule] = {
    exp.Count: _counted,
    exp.Max: _edge("max"),
    exp.Min: _edge("min"),
    exp.Sum: _sum,
}


def _count(clause: exp.Expr | None) -> int | None:
    """How many, where it is a plain number."""
    if clause is None:
        return None
    said = bare(clause.args.get("expression") or clause)
    if not isinstance(clause, exp.Limit | exp.Offset) or not isinstance(said, exp.Literal) or not said.name.isdigit():
        raise UnsayableError(clause.sql(dialect="postgres"))
    return int(said.name)


def _parsed(definition: str) -> exp.Expr:
    try:
        return sqlglot.parse_one(definition.strip().rstrip(";"), read="postgres")
    except (SqlglotError, RecursionError) as error:
        raise UnsayableError("it cannot be read") from error
