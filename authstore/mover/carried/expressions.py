"""The expressions of a carried table that SQLite can say: defaults, generated columns, checks, indexes."""

import re
from collections.abc import Mapping

from authstore.mover.carried.columns import CarriedColumn, CarriedTable
from authstore.mover.carried.ddl import create_index
from authstore.mover.carried.defaults import Defaults
from authstore.mover.catalog import SourceIndex
from authstore.mover.expressions.translate import translate
from authstore.mover.expressions.translated import Translated, UnsayableError
from authstore.mover.names import Namespace, quote
from authstore.mover.reports import Problem

# Of letters beyond ASCII, SQLite knows no other case.
_BY_CASE = re.compile(r"\b(lower|upper|initcap)\(|~~\*|ILIKE", re.IGNORECASE)
# A number kept as text, beside another than zero (see `compare`).
_ROUNDED = re.compile(r" AS REAL\) [<>]?= (?!-?0(\.0+)?(?![.\d]))")
_SAME_WHEN_GENERATED = ("integer", "text", "double", "boolean")


class Expressions:
    """What the source's expressions become, and in `problems` those that stay behind."""

    def __init__(self, table: CarriedTable, defaults: Defaults) -> None:
        self.problems: list[Problem] = []
        self._table = table
        self._names = table.names()
        self.defaults = self._defaults(defaults)
        self.generated = self._generated()
        self.checks = self._checks()
        self._indexes = self._translated_indexes()

    def indexes(self, space: Namespace) -> list[str]:
        """CREATE INDEX for every index that is not a key's."""
        return [
            create_index(
                self._table,
                space.take_index(self._table.target, index.name),
                terms,
                unique=index.unique,
                predicate=where,
            )
            for index, terms, where in self._indexes
        ]

    def _weaker_by_case(self, what: str, expression: str) -> None:
        if _BY_CASE.search(expression):
            message = f"{what}: SQLite changes the case of ASCII letters alone, and may let more in ({expression})"
            self.problems.append(Problem("weaker", self._table.label, message))

    def _lost(self, what: str, why: object) -> None:
        self.problems.append(Problem("left-behind", self._table.label, f"{what} stays behind: SQLite cannot say {why}"))

    def _defaults(self, defaults: Defaults) -> Mapping[str, str]:
        primary = next((key.columns for key in self._table.source.keys if key.primary), ())
        for name, column in self._table.columns.items():
            counts_itself = column.source.default and column.source.sequence is not None
            if counts_itself and (primary != (name,) or column.mapped):
                self._lost(f'the next number of column "{name}"', "it of a column that is no primary key")
        for name, error in defaults.unsaid.items():
            self._lost(f'the default of column "{name}"', error)
        return defaults.said

    def _generated(self) -> dict[str, str]:
        found = {}
        for name, column in self._table.columns.items():
            if column.source.generated is None:
                continue
            try:
                found[name] = self._formula(column)
            except UnsayableError as error:
                self._lost(f'the formula of generated column "{name}" (its values are copied)', error)
        return found if len(found) < len(self._table.columns) else {}

    def _formula(self, column: CarriedColumn) -> str:
        """Only where SQLite's result is the very value that Postgres has."""
        name = column.source.name
        phrase = translate(column.source.generated or "", self._names)
        if phrase.reading != column.landing.reading or phrase.reading not in _SAME_WHEN_GENERATED:
            raise UnsayableError(f"{column.source.type} so that it is the same")
        if any(key.primary and name in key.columns for key in self._table.source.keys):
            raise UnsayableError("a generated column in a primary key")
        return phrase.sql

    def _checks(self) -> list[tuple[str, str]]:
        found, space = [], Namespace()
        for check in self._table.source.checks:
            if not check.validated:
                self._lost(f'check "{check.name}"', "what old rows may break: it is not validated")
                continue
            found += self._check(space.take(check.name), check.expression, self._names)
        for name, column in self._table.columns.items():
            for expression in column.source.checks:
                names = {("", "VALUE"): self._names["", name]}
                found += self._check(space.take(f"{name}_check"), expression, names)
        return found

    def _check(self, name: str, expression: str, names: dict[tuple[str, str], Translated]) -> list[tuple[str, str]]:
        try:
            phrase = translate(expression, names, exact=False)
            if phrase.reading != "boolean":
                raise UnsayableError(expression)
        except UnsayableError as error:
            self._lost(f'check "{name}" ({expression})', error)
            return []
        self._weaker_by_case(f'check "{name}"', expression)
        if _ROUNDED.search(phrase.sql) and any(c.landing.reading == "digits" for c in self._table.columns.values()):
            message = f'check "{name}": SQLite compares long numbers by 15 digits, and may let more in ({expression})'
            self.problems.append(Problem("weaker", self._table.label, message))
        return [(name, phrase.sql)]

    def _translated_indexes(self) -> list[tuple[SourceIndex, str, str | None]]:
        found = []
        for index in self._table.source.indexes:
            try:
                found.append((index, self._terms(index), self._predicate(index)))
            except UnsayableError as error:
                self._lost(f'index "{index.name}"', error)
        return found

    def _terms(self, index: SourceIndex) -> str:
        if index.method not in ("btree", "hash"):
            raise UnsayableError(f"an index of kind {index.method}")
        parts = zip(index.columns, index.expressions, index.descending, strict=True)
        return ", ".join(
            f"{self._term(index, name, expression)}{' DESC' if descending else ''}"
            for name, expression, descending in parts
        )

    def _term(self, index: SourceIndex, name: str | None, expression: str) -> str:
        if name is None and index.unique and "->>" in expression:
            raise UnsayableError("->> in a unique index: 1 and 1.0 would be equal")
        if name is None:
            said = translate(expression, self._names, folding=True).sql
            if index.unique:
                self._weaker_by_case(f'unique index "{index.name}"', expression)
            return f"({said})"
        column = self._table.columns.get(name)
        if column is None:
            raise UnsayableError(f'column "{name}", which stays behind')
        if index.unique and column.mapped == "users" and column.landing.reading == "opaque":
            raise UnsayableError("what merging users may break")
        if column.landing.reading == "digits":
            message = f'index "{index.name}" orders "{name}" as text, not as numbers'
            self.problems.append(Problem("type", self._table.label, message))
        return quote(column.name)

    def _predicate(self, index: SourceIndex) -> str | None:
        if index.predicate is None:
            return None
        phrase = translate(index.predicate, self._names)
        if phrase.reading != "boolean":
            raise UnsayableError(index.predicate)
        return phrase.sql
