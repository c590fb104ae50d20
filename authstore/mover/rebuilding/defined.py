"""A table by what it was in Postgres: types, columns, defaults, checks, keys, indexes, sequences."""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from authstore.mover.names import Namespace, cut, folded, literal, quote
from authstore.mover.postgres.target import BUILDING
from authstore.mover.rebuilding.renaming import QualifiedName, mentioned, names_in_parentheses, renamed
from authstore.mover.rebuilding.since import Since
from authstore.mover.rebuilding.steps import Step

_PROVIDERS = {"c": "libc", "i": "icu", "b": "builtin", "d": "libc"}
_TEXTS = ("text", "name", "citext", "bpchar")


@dataclass(frozen=True)
class Places:
    """Where everything that had a place at the source gets one. `own`: the source's tables that became authstore's."""

    names: Mapping[QualifiedName, QualifiedName]
    own: Mapping[QualifiedName, str] = field(default_factory=dict)

    def said(self, sql: str) -> str:
        return renamed(sql, self.names)

    def at(self, name: str) -> str:
        return f"{quote(BUILDING)}.{quote(name)}"


def split_name(text: str) -> QualifiedName:
    """`schema.name`, quoted or not."""
    ((schema, name),) = mentioned(text)
    return schema, name


def type_steps(database: Mapping[str, Any], places: Places, used: Collection[QualifiedName]) -> Iterator[Step]:
    """The collations and types that the tables use."""
    for one in database.get("collations", ()):
        at = (one["schema"], one["name"])
        if at in used:
            provider = f"provider = {_PROVIDERS[one['provider']]}, locale = {literal(one['locale'])}"
            decided = "" if one["deterministic"] else ", deterministic = false"
            name = places.names[at][1]
            yield Step("", name, f"collation {name}", f"CREATE COLLATION {places.at(name)} ({provider}{decided})")
    for one in database.get("types", ()):
        name = places.names[one["schema"], one["name"]][1]
        yield Step("", name, f"type {name}", _type(one, places.at(name), places), is_needed=True)


def _type(one: Mapping[str, Any], at: str, places: Places) -> str:
    if one["kind"] == "e":
        return f"CREATE TYPE {at} AS ENUM ({', '.join(map(literal, one['labels'] or ()))})"
    if one["kind"] == "c":
        parts = (f"{quote(part['name'])} {places.said(part['type'])}" for part in one["attributes"])
        return f"CREATE TYPE {at} AS ({', '.join(parts)})"
    if one["kind"] == "r":
        return f"CREATE TYPE {at} AS RANGE (subtype = {places.said(one['subtype'])})"
    checks = [f"CONSTRAINT {quote(part['name'])} {places.said(part['definition'])}" for part in one["checks"] or ()]
    words = [f"CREATE DOMAIN {at} AS {places.said(one['base'])}"]
    words += [f"DEFAULT {places.said(one['default'])}"] if one["default"] else []
    words += ["NOT NULL"] if one["not_null"] else []
    return " ".join([*words, *checks])


@dataclass(frozen=True)
class DefinedTable:
    """`columns`: those that are there still, by their names at the source, with the file's; `texts`: those that are
    text now, whatever they were; `more`: columns that the file has beside them, as they are declared there; `since`:
    what became of it in the file. What that has changed is not made here."""

    definition: Mapping[str, Any]
    target: str  # in the file
    name: str  # in Postgres
    columns: Mapping[str, str]
    texts: Collection[str]
    places: Places
    since: Since
    more: Sequence[str] = ()

    @property
    def at(self) -> str:
        return self.places.at(self.name)

    @property
    def kept(self) -> list[Mapping[str, Any]]:
        return [one for one in self.definition["columns"] if one["name"] in self.columns]

    @property
    def index_names(self) -> list[str]:
        """Of its indexes and keys, in Postgres."""
        keys = [one["name"] for one in self.definition["constraints"] if one["kind"] in "pux"]
        return [*keys, *map(_index_name, self.definition["indexes"])]

    @cached_property
    def lost(self) -> set[str]:
        """The names of the checks, keys and indexes that the file has no longer, or not so."""
        found = {one["name"] for one in self._of_kinds("c") if folded(one["name"]) in self.since.lost_checks}
        if self.since.has_other_key:
            found |= {one["name"] for one in self._of_kinds("p")}
        for index in self.since.lost_indexes:
            found |= {name for name in self.index_names if self._is_of(name, folded(index.name))}
            if not index.sql:
                found |= {one["name"] for one in self._of_kinds("u") if self.columns_of(one) == index.columns}
        for link in self.since.lost_references:
            found |= {one["name"] for one in self._of_kinds("f") if set(link.columns) <= set(self.columns_of(one))}
        return found

    def _of_kinds(self, kinds: str) -> list[Mapping[str, Any]]:
        return [one for one in self.definition["constraints"] if one["kind"] in kinds]

    def columns_of(self, constraint: Mapping[str, Any]) -> tuple[str, ...]:
        """Of a key, by their names in the file."""
        return tuple(self.columns.get(name, name) for name in names_in_parentheses(constraint["definition"]))

    def _is_of(self, name: str, made: str) -> bool:
        """Whether the move to the file made an index of this one; a number stands behind a name that was taken."""
        called = folded(Namespace().take_index(self.target, name))
        return called in (made, _NUMBER.sub("", made))

    def first(self) -> Iterator[Step]:
        """The table itself with what judges single rows."""
        yield from self._sequences()
        yield Step(
            self.target,
            self.name,
            "the table",
            self._create(with_formulas=True),
            is_needed=True,
            otherwise=self._create(with_formulas=False),
        )
        yield from self._owned()
        for column in self.kept:
            yield from self._details(column)
        for one in self._of_kinds("c"):
            if one["name"] not in self.lost and not one["definition"].endswith("NOT VALID"):
                yield self._constraint(one, "check")

    def later(self) -> Iterator[Step]:
        """What rows are judged by together."""
        kinds = {"p": "primary key", "u": "unique key", "x": "exclusion constraint", "c": "check"}
        for one in self._of_kinds("puxc"):
            if one["name"] not in self.lost and (one["kind"] != "c" or one["definition"].endswith("NOT VALID")):
                yield self._constraint(one, kinds[one["kind"]])
        for definition in self.definition["indexes"]:
            if _index_name(definition) in self.lost:
                continue
            name = self._called(_index_name(definition))
            found = _INDEX.match(definition)
            sql = f"{definition[: found.start(1)]}{quote(name)}{definition[found.end(1) :]}" if found else definition
            yield Step(self.target, name, f'index "{name}"', self.places.said(sql))

    def foreign_keys(self) -> Iterator[tuple[Mapping[str, Any], tuple[str, ...], Step]]:
        """Each with what the ledger says of it and its columns in the file."""
        for one in self._of_kinds("f"):
            if one["name"] not in self.lost:
                yield one, self.columns_of(one), self._constraint(one, "foreign key")

    def _create(self, *, with_formulas: bool) -> str:
        columns = [self._column(column, with_formula=with_formulas) for column in self.kept]
        unlogged = "UNLOGGED " if self.definition["unlogged"] else ""
        return f"CREATE {unlogged}TABLE {self.at} ({', '.join([*columns, *self.more])})"

    def _constraint(self, one: Mapping[str, Any], what: str) -> Step:
        name = self._called(one["name"])
        sql = f"ALTER TABLE {self.at} ADD CONSTRAINT {quote(name)} {self.places.said(one['definition'])}"
        return Step(self.target, name, f'{what} "{name}"', sql)

    def _called(self, name: str) -> str:
        """A key or an index is called after its table, under the name that this has now: its own may be taken too."""
        was = f"{self.definition['name']}_"
        is_after_it = self.name != self.definition["name"] and name.startswith(was)
        return cut(f"{self.name}_{name.removeprefix(was)}") if is_after_it else name

    def _column(self, column: Mapping[str, Any], *, with_formula: bool) -> str:
        if column["name"] in self.texts:
            words = [quote(column["name"]), 'text COLLATE "C"']
        else:
            words = [quote(column["name"]), self.places.said(column["type"])]
            words += [f"COLLATE {self.places.said(column['collation'])}"] if column["collation"] else []
        words += ["NOT NULL"] if self._is_needed(column) else []
        if with_formula and self._has_formula(column):
            kind = "STORED" if column["stored"] else "VIRTUAL"
            words.append(f"GENERATED ALWAYS AS ({self.places.said(column['generated'])}) {kind}")
        return " ".join(words)

    def _has_formula(self, column: Mapping[str, Any]) -> bool:
        """Whether a column is computed there again: one at least has to be filled."""
        is_another = self.since.has_other_formula(self.columns[column["name"]])
        return bool(column["generated"]) and not is_another and not self.is_all_computed

    @property
    def is_all_computed(self) -> bool:
        return not self.more and all(column["generated"] for column in self.kept)

    def _is_needed(self, column: Mapping[str, Any]) -> bool:
        may_be_null = self.since.may_be_null(self.columns[column["name"]])
        return bool(column["not_null"]) if may_be_null is None else not may_be_null

    def _details(self, column: Mapping[str, Any]) -> Iterator[Step]:
        """What a server may refuse of a column: each in a statement of its own."""
        name = column["name"]
        alter = f"ALTER TABLE {self.at} ALTER COLUMN {quote(name)}"
        if column["default"] and not self.since.has_other_default(self.columns[name]):
            sql = f"{alter} SET DEFAULT {self.places.said(column['default'])}"
            yield Step(self.target, name, f'the default of column "{name}"', sql)
        if column["identity"]:
            how = "ALWAYS" if column["identity"] == "a" else "BY DEFAULT"
            sequence = next((one for one in self.definition["sequences"] if one["column"] == name), None)
            options = f" (SEQUENCE NAME {self._place(sequence)} {_counting(sequence)})" if sequence else ""
            sql = f"{alter} ADD GENERATED {how} AS IDENTITY{options}"
            yield Step(self.target, name, f'the identity of column "{name}"', sql)

    def _place(self, sequence: Mapping[str, Any]) -> str:
        return self.places.said(sequence["name"])

    def _is_identity(self, name: str) -> bool:
        return any(column["identity"] for column in self.kept if column["name"] == name)

    def _own_sequences(self) -> list[Mapping[str, Any]]:
        names = {column["name"] for column in self.kept}
        return [one for one in self.definition["sequences"] if one["column"] in names]

    def _sequences(self) -> Iterator[Step]:
        for one in self._own_sequences():
            if not self._is_identity(one["column"]):
                sql = f"CREATE SEQUENCE IF NOT EXISTS {self._place(one)} AS {one['type']} {_counting(one)}"
                yield Step(self.target, one["name"], f"sequence {one['name']}", sql)

    def _owned(self) -> Iterator[Step]:
        for one in self._own_sequences():
            if one["owned"] and not self._is_identity(one["column"]):
                sql = f"ALTER SEQUENCE {self._place(one)} OWNED BY {self.at}.{quote(one['column'])}"
                yield Step(self.target, one["name"], f"the owner of sequence {one['name']}", sql)

    def positions(self) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
        """Of each sequence its place, its column in the file, and what the ledger says of it."""
        for one in self._own_sequences():
            yield self._place(one), self.columns[one["column"]], one


def _counting(one: Mapping[str, Any]) -> str:
    turns = "CYCLE" if one["cycle"] else "NO CYCLE"
    return (
        f"START {one['start']} INCREMENT {one['step']} MINVALUE {one['min']} MAXVALUE {one['max']} CACHE {one['cache']}"
        f" {turns}"
    )


_NUMBER = re.compile(r"_\d+$")
_INDEX = re.compile(r'CREATE (?:UNIQUE )?INDEX ("(?:[^"]|"")*"|\S+) ON ')


def _index_name(definition: str) -> str:
    found = _INDEX.match(definition)
    name = found[1] if found else definition
    return name[1:-1].replace('""', '"') if name.startswith('"') else name


def is_text(declared: str) -> bool:
    """Whether a column of this type may refer to a key that is text."""
    return declared in _TEXTS or declared.startswith(("character varying", "character("))


def new_places(sources: Mapping[str, Any], own: Collection[str], tables: Mapping[str, str]) -> Places:
    """The place of all that the ledger speaks of. `tables`: their names in Postgres, by those in the file."""
    names: dict[QualifiedName, QualifiedName] = {}
    became: dict[QualifiedName, str] = {}
    space = Namespace(tables.values(), is_postgres=True)
    database = sources.get("", {})
    for target, definition in sources.items():
        if target in own:
            became[definition["schema"], definition["name"]] = target
        elif target in tables:
            names[definition["schema"], definition["name"]] = (BUILDING, tables[target])
            for one in definition["sequences"]:
                at = split_name(one["name"])
                names.setdefault(at, (BUILDING, space.take(at[1])))
    for one in (*database.get("types", ()), *database.get("collations", ()), *database.get("views", ())):
        names.setdefault((one["schema"], one["name"]), (BUILDING, space.take(one["name"])))
    return Places(names, became)
